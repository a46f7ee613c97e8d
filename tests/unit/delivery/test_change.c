/* A plan that is applied, and refused before it is live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>

#include "delivery/scripted.h"

static atomic_bool refusing; /* the sink takes no plan */
static atomic_uint n_applied;

static bool apply(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    atomic_fetch_add(&n_applied, 1);
    if (atomic_load(&refusing)) {
        return err_set(e, "its folder is gone");
    }
    s->conf.plan = plan;
    return true;
}

static bool check(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    (void)s;
    (void)plan;
    return !atomic_load(&refusing) || err_set(e, "its folder can't be made");
}

static int set_up(void **state)
{
    atomic_store(&refusing, false);
    atomic_store(&n_applied, 0);
    scripted.check = check;
    scripted.apply = apply;
    return bus_set_up(state);
}

/* As bus.conf, with the stream "more"; its writer. */
static struct spool_writer *with_more(struct delivery_conf *c,
                                      struct delivery_stream streams[2])
{
    const struct spool_stream_conf stream = {"more", 64 << 20, false, false};
    struct err e;
    struct spool_writer *w;

    streams[0] = bus.stream;
    streams[1] = (struct delivery_stream){.id = spool_stream(bus.spool, &stream, &e),
                                          .name = "more",
                                          .max_lag_bytes = 64 << 20};
    *c = bus.conf;
    c->streams = streams;
    c->n_streams = 2;
    c->wait = true;
    w = spool_writer_open(bus.spool, streams[1].id, 0, on_stored, NULL);
    assert_true(delivery_apply(bus.d, c, &e));
    return w;
}

/* Stored by w in the stream "more". */
static void store_more(struct spool_writer *w, const char *text)
{
    char *p = spool_writer_room(w, strlen(text));
    uint64_t last;

    assert_non_null(p);
    memcpy(p, text, strlen(text));
    spool_writer_append(w, (uint32_t)strlen(text), 0, 0, 0);
    assert_int_equal(SPOOL_OK, spool_writer_commit(w, 5, 6, &last));
}

static bool undo(void)
{
    struct delivery_conf c = bus.conf;
    struct err e;

    c.undo = true;
    return delivery_apply(bus.d, &c, &e);
}

static void a_stream_of_a_plan_that_is_refused_is_not_read(void **state)
{
    struct delivery_stream streams[2];
    struct delivery_conf c;
    struct spool_writer *w;

    (void)state;
    bus_open();
    w = with_more(&c, streams);
    store_more(w, "{\"more\":1}");
    store(1, 1);
    until_submitted(1);
    assert_true(undo());
    delivery_go(bus.d, true);
    store_more(w, "{\"more\":2}");
    store(2, 1);
    until_submitted(2);
    assert_string_equal("{\"a\":1}", script.list[0].first);
    assert_string_equal("{\"a\":2}", script.list[1].first);
    spool_writer_close(w);
}

static void a_stream_of_a_plan_that_is_live_is_read_from_its_apply_on(void **state)
{
    struct delivery_stream streams[2];
    struct delivery_conf c;
    struct spool_writer *w;

    (void)state;
    bus_open();
    w = with_more(&c, streams);
    store_more(w, "{\"more\":1}");
    store(1, 1);
    until_submitted(1);
    delivery_go(bus.d, true);
    until_submitted(2);
    assert_string_equal("{\"a\":1}", script.list[0].first);
    assert_string_equal("{\"more\":1}", script.list[1].first);
    spool_writer_close(w);
}

static bool is_holding(const struct delivery_status *s)
{
    return s->holding;
}

static bool is_not_holding(const struct delivery_status *s)
{
    return !s->holding;
}

/* Its streams go back at once. */
static void a_sink_that_cannot_go_back_sends_nothing_until_it_can(void **state)
{
    struct delivery_stream streams[2];
    struct delivery_status s;
    struct delivery_conf c;
    struct spool_writer *w;

    (void)state;
    bus_open();
    w = with_more(&c, streams);
    atomic_store(&refusing, true);
    assert_true(undo());
    assert_true(delivery_owes(bus.d));
    delivery_go(bus.d, true);
    store(1, 1);
    store_more(w, "{\"more\":1}");
    s = until_status(is_holding);
    assert_non_null(strstr(s.why, "its folder is gone"));
    for (int i = 0; i < WAIT_MS && atomic_load(&n_applied) < 5; i++) {
        rest();
    }
    assert_true(atomic_load(&n_applied) >= 5);
    assert_int_equal(0, atomic_load(&script.n));

    atomic_store(&refusing, false);
    until_submitted(1);
    assert_false(delivery_owes(bus.d));
    (void)until_status(is_not_holding);
    store(2, 1);
    until_submitted(2);
    assert_string_equal("{\"a\":1}", script.list[0].first);
    assert_string_equal("{\"a\":2}", script.list[1].first);
    spool_writer_close(w);
}

/* A plan of so many streams is refused, when the sink has its settings already. */
static bool apply_too_many(void)
{
    struct delivery_stream streams[PLAN_STREAMS_MAX];
    char names[PLAN_STREAMS_MAX][8];
    struct delivery_conf c = bus.conf;
    struct err e;

    for (int i = 0; i < PLAN_STREAMS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%d", i);
        streams[i] = (struct delivery_stream){.id = i, .name = names[i]};
    }
    c.streams = streams;
    c.n_streams = PLAN_STREAMS_MAX;
    c.wait = true;
    return delivery_apply(bus.d, &c, &e);
}

static void a_sink_tells_whose_hooks_it_calls(void **state)
{
    struct err e;

    (void)state;
    bus_open();
    assert_true(delivery_apply(bus.d, &bus.conf, &e));
    assert_int_equal(DELIVERY_ASKS_NEW, delivery_asks(bus.d));
    assert_false(apply_too_many());
    assert_int_equal(DELIVERY_ASKS_LATER, delivery_asks(bus.d));
    delivery_go(bus.d, false);
    assert_int_equal(DELIVERY_ASKS_BEFORE, delivery_asks(bus.d));
    atomic_store(&refusing, true);
    assert_false(apply_too_many());
    assert_int_equal(DELIVERY_ASKS_BEFORE, delivery_asks(bus.d));
    assert_true(undo());
    assert_int_equal(DELIVERY_ASKS_EITHER, delivery_asks(bus.d));
    atomic_store(&refusing, false);
    assert_true(undo());
    assert_int_equal(DELIVERY_ASKS_NEW, delivery_asks(bus.d));
}

/* Another destination, for example: what it sends meanwhile would be missing there. */
static void a_sink_has_its_settings_until_a_plan_is_live(void **state)
{
    struct delivery_conf c;
    struct err e;

    (void)state;
    bus_open();
    c = bus.conf;
    c.wait = true;
    assert_true(delivery_apply(bus.d, &c, &e));
    assert_int_equal(DELIVERY_ASKS_LATER, delivery_asks(bus.d));
    store(1, 1);
    until_submitted(1);
    assert_int_equal(0, atomic_load(&n_applied));
    delivery_go(bus.d, true);
    assert_int_equal(1, atomic_load(&n_applied));
    assert_int_equal(DELIVERY_ASKS_NEW, delivery_asks(bus.d));

    assert_true(delivery_apply(bus.d, &c, &e));
    assert_true(undo());
    assert_int_equal(2, atomic_load(&n_applied)); /* its own again */
    delivery_go(bus.d, false);
    assert_true(delivery_apply(bus.d, &c, &e));
    delivery_go(bus.d, false); /* where the undo failed */
    assert_int_equal(2, atomic_load(&n_applied));
}

static void
a_sink_that_fails_to_take_the_live_plan_sends_nothing_until_it_can(void **state)
{
    struct delivery_status s;
    struct delivery_conf c;
    struct err e;

    (void)state;
    bus_open();
    c = bus.conf;
    c.wait = true;
    assert_true(delivery_apply(bus.d, &c, &e));
    atomic_store(&refusing, true);
    delivery_go(bus.d, true);
    assert_int_equal(DELIVERY_ASKS_EITHER, delivery_asks(bus.d));
    store(1, 1);
    s = until_status(is_holding);
    assert_non_null(strstr(s.why, "its folder is gone"));
    assert_int_equal(0, atomic_load(&script.n));
    atomic_store(&refusing, false);
    until_submitted(1);
    assert_false(delivery_owes(bus.d));
}

/* What the sink had before is not taken for what the plan brought. */
static void a_sink_on_its_way_out_keeps_its_events_when_a_plan_is_refused(void **state)
{
    struct delivery_conf c;
    struct err e;

    (void)state;
    bus.wait = true;
    bus_open(); /* the stream is new to it */
    store(1, 1);
    delivery_retire(bus.d, true, false, &bus.stream.id, 1);
    assert_false(apply_too_many());
    c = bus.conf;
    c.n_streams = 0;
    c.wait = false;
    c.undo = true;
    assert_true(delivery_apply(bus.d, &c, &e));
    delivery_retire(bus.d, true, true, &bus.stream.id, 1);
    delivery_go(bus.d, true);
    until_submitted(1);
    assert_string_equal("{\"a\":1}", script.list[0].first);
}

struct gate {
    sem_t reached, open;
};

static void on_gate(void *arg)
{
    struct gate *g = arg;

    (void)sem_post(&g->reached);
    (void)sem_wait(&g->open);
}

static void gate_post(struct gate *g)
{
    (void)sem_init(&g->reached, 0, 0);
    (void)sem_init(&g->open, 0, 0);
    assert_true(delivery_post(bus.d, on_gate, g));
}

static void a_thread_hangs_until_all_that_was_left_to_it_is_made(void **state)
{
    struct delivery_conf c;
    struct gate first, second;
    struct err e;

    (void)state;
    bus_open();
    c = bus.conf;
    gate_post(&first);
    (void)sem_wait(&first.reached);
    assert_false(delivery_apply(bus.d, &c, &e)); /* and is not made */
    assert_false(delivery_left(bus.d));
    assert_int_equal(DELIVERY_ASKS_BEFORE, delivery_asks(bus.d));
    gate_post(&second);
    assert_false(undo());
    assert_true(delivery_left(bus.d));
    assert_int_equal(DELIVERY_ASKS_EITHER, delivery_asks(bus.d));
    (void)sem_post(&first.open);
    (void)sem_wait(&second.reached);
    assert_true(delivery_hung(bus.d));
    (void)sem_post(&second.open);
    for (int i = 0; i < WAIT_MS && delivery_hung(bus.d); i++) {
        rest();
    }
    assert_false(delivery_hung(bus.d));
    assert_true(delivery_left(bus.d)); /* whoever asks late must not miss it */
    assert_int_equal(1, atomic_load(&n_applied));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stream_of_a_plan_that_is_refused_is_not_read,
                                        set_up, bus_tear_down),
        cmocka_unit_test_setup_teardown(
            a_stream_of_a_plan_that_is_live_is_read_from_its_apply_on, set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(
            a_sink_that_cannot_go_back_sends_nothing_until_it_can, set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(a_sink_tells_whose_hooks_it_calls, set_up,
                                        bus_tear_down),
        cmocka_unit_test_setup_teardown(a_sink_has_its_settings_until_a_plan_is_live,
                                        set_up, bus_tear_down),
        cmocka_unit_test_setup_teardown(
            a_sink_that_fails_to_take_the_live_plan_sends_nothing_until_it_can, set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(
            a_sink_on_its_way_out_keeps_its_events_when_a_plan_is_refused, set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(
            a_thread_hangs_until_all_that_was_left_to_it_is_made, set_up,
            bus_tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
