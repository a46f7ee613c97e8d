/* What a sink that can't start says of events that it can't get any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/internal.h"
#include "delivery/scripted.h"

static bool has_three(const struct delivery_status *s)
{
    return s->delivered == 3;
}

static void close_bus(void)
{
    (void)!delivery_stop(bus.d, 0);
    bus.d = NULL;
    for (uint32_t i = 0; i < WORKERS; i++) {
        spool_writer_close(bus.writers[i]);
    }
    spool_close(bus.spool);
    bus.spool = NULL;
    plan_unref(bus.plan);
}

/* The sink is not started, and no worker writes yet. */
static void open_held(bool skip, uint64_t max_lag)
{
    struct err e = {""};

    bus_prepare();
    bus.stream.skip = skip;
    bus.stream.max_lag_bytes = max_lag;
    bus.d = delivery_pause(&bus.conf, "its folder", &e);
    if (bus.d == NULL) {
        fail_msg("%s", e.text);
    }
}

static void no_record(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

struct skips {
    uint32_t n;
    uint64_t how;
};

static void on_skip(void *arg, const struct record *r)
{
    struct skips *x = arg;

    if (r->type == RECORD_SKIP && r->ranges[0].worker == 0) {
        x->n++;
        x->how = r->value;
    }
}

static struct skips read_skips(void)
{
    struct skips x = {0, 0};
    struct doubt gone;
    struct err e = {""};

    assert_true(places_read(bus.d->journal_path, on_skip, &x, &gone, &e));
    doubt_free(&gone);
    return x;
}

/* Its cursor may be too low: only once it starts it knows what its files have. */
static void a_held_sink_leaves_it_to_its_start_what_is_lost(void **state)
{
    (void)state;
    for (int skip = 0; skip < 2; skip++) {
        char command[128];
        struct skips x;
        struct err e = {""};

        bus_open();
        store(1, 3);
        (void)until_status(has_three);
        close_bus();
        (void)snprintf(command, sizeof command, "rm -r '%s'/events/*.0", dir);
        assert_int_equal(0, system(command));

        open_held(skip == 1, 64 << 20);
        assert_int_equal(0, read_skips().n);
        delivery_free(bus.d);
        bus.d = delivery_start(&bus.conf, &e);
        assert_non_null(bus.d);
        x = read_skips();
        assert_int_equal(1, x.n);
        assert_int_equal(skip == 1 ? 0 : 1, x.how);
        bus_open_writers();
        close_bus();
        (void)snprintf(command, sizeof command, "rm -r '%s'/*", dir);
        assert_int_equal(0, system(command));
    }
}

/* An event a segment. */
static void store_large(void)
{
    static char text[900 << 10];
    enum spool_result r = SPOOL_FULL;
    uint64_t last;

    memset(text, 'x', sizeof text);
    text[0] = text[sizeof text - 1] = '"';
    for (int k = 0; k < WAIT_MS && r == SPOOL_FULL; k++) {
        char *p = spool_writer_room(bus.writers[0], sizeof text);

        assert_non_null(p);
        memcpy(p, text, sizeof text);
        spool_writer_append(bus.writers[0], sizeof text, 0, 0, 0);
        r = spool_writer_commit(bus.writers[0], 5, 6, &last);
        if (r == SPOOL_FULL) {
            rest();
        }
    }
    assert_int_equal(SPOOL_OK, r);
}

/* Its journal has these records of the stream, and no other. */
static void write_journal(struct record *list, uint32_t n)
{
    char path[160];
    struct err e = {""};
    struct journal *j;

    (void)snprintf(path, sizeof path, "%s/sinks", dir);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof path, "%s/sinks/bus.journal", dir);
    (void)unlink(path);
    j = journal_open(path, no_record, NULL, &e);
    assert_non_null(j);
    for (uint32_t i = 0; i < n; i++) {
        list[i].stream = STR("events");
        assert_true(journal_append(j, &list[i], &e));
    }
    journal_close(j);
}

/* That of the first worker, as the spool has it now. */
static struct spool_shard_id first_shard(void)
{
    struct spool_shard_id *ids, shard = {.first = 0};
    uint32_t n;

    ids = subscription_shards(&bus.d->subscriptions[0], &n);
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i].worker == 0) {
            shard = ids[i];
        }
    }
    free(ids);
    return shard;
}

/* The shard came when it was held: it has no reader there. */
static void what_the_spool_gives_up_for_a_held_sink_is_skipped(void **state)
{
    struct delivery_status s;

    (void)state;
    open_held(true, 2 << 20);
    delivery_status(bus.d, &s);
    assert_true(s.skips);
    assert_int_equal(0, s.skipped);
    bus_open_writers();
    spool_ready(bus.spool);
    for (int i = 0; i < 6; i++) {
        store_large();
    }
    for (int i = 0; i < WAIT_MS && (s.skipped < 3 || s.skipped + s.remaining != 6);
         i++) {
        rest();
        delivery_pause_why(bus.d, "its folder");
        delivery_status(bus.d, &s);
    }
    assert_true(s.skipped >= 3);
    assert_true(s.remaining > 0);
    assert_int_equal(6, s.skipped + s.remaining);
}

/* An earlier process had the second event before the first. */
static void what_was_delivered_ahead_is_not_skipped(void **state)
{
    struct batch_range at = {1, 0, 1, 0}, ahead = {1, 0, 2, 1};
    struct delivery_status s = {.skipped = 0};
    struct spool_shard_id shard = {.first = 0};
    struct err e = {""};

    (void)state;
    bus_prepare();
    bus.stream.skip = true;
    bus.stream.max_lag_bytes = 2 << 20;
    bus.sink.kind = SINK_KIND_KAFKA;
    at.epoch = ahead.epoch = spool_epoch(bus.spool);
    write_journal(
        (struct record[]){{.type = RECORD_START, .ranges = &at, .n_ranges = 1},
                          {.type = RECORD_START},
                          {.type = RECORD_DONE, .ranges = &ahead, .n_ranges = 1}},
        3);
    bus_open_writers();
    bus.d = delivery_pause(&bus.conf, "its brokers", &e);
    assert_non_null(bus.d);
    spool_ready(bus.spool);
    for (int i = 0; i < 6; i++) {
        store_large();
    }
    for (int i = 0; i < WAIT_MS && (shard.first < 4 || s.skipped != shard.first - 2);
         i++) {
        rest();
        delivery_pause_why(bus.d, "its brokers");
        delivery_status(bus.d, &s);
        shard = first_shard();
    }
    assert_true(shard.first >= 4);
    assert_int_equal(shard.first - 2, s.skipped);
    assert_int_equal(7 - shard.first, s.remaining);
}

static bool has_four(const struct delivery_status *s)
{
    return s->delivered == 4;
}

/* The journal of a file sink tells them once the file is sealed and it is written again. */
static void what_the_files_of_a_held_sink_may_have_is_not_skipped(void **state)
{
    struct batch_range at = {0, 0, 1, 0};
    struct delivery_status s = {.skipped = 0};
    struct delivery *before;
    uint64_t first = 0;
    struct err e = {""};

    (void)state;
    bus_prepare();
    bus.stream.skip = true;
    bus.sink.kind = SINK_KIND_FILE;
    scripted.journals = true;
    bus_open_writers();
    bus.d = delivery_start(&bus.conf, &e);
    assert_non_null(bus.d);
    spool_ready(bus.spool);
    for (int i = 0; i < 4; i++) {
        store_large();
    }
    (void)until_status(has_four);
    assert_true(delivery_hand_over(bus.d, 1000));
    for (int i = 0; i < WAIT_MS && first_shard().first < 3; i++) {
        rest();
    }
    at.epoch = spool_epoch(bus.spool);
    write_journal(
        (struct record[]){{.type = RECORD_START, .ranges = &at, .n_ranges = 1},
                          {.type = RECORD_START}},
        2);
    bus.stream.max_lag_bytes = 2 << 20;
    /* Each try to start it is in the stead of the one before. */
    for (int i = 0; i < 6; i++) {
        before = bus.d;
        bus.conf.before = before;
        bus.d = delivery_pause(&bus.conf, "its folder", &e);
        bus.conf.before = NULL;
        assert_non_null(bus.d);
        delivery_free(before);
        delivery_status(bus.d, &s);
        first = i == 0 ? first_shard().first : first;
        assert_true(first >= 3);
        if (i == 0) {
            assert_int_equal(0, s.skipped);
        }
        store_large();
    }
    for (int i = 0; i < WAIT_MS && (s.skipped == 0 || first_shard().first == first ||
                                    s.skipped != first_shard().first - first);
         i++) {
        rest();
        delivery_pause_why(bus.d, "its folder");
        delivery_status(bus.d, &s);
    }
    assert_int_equal(first_shard().first - first, s.skipped);
    assert_true(s.skipped >= 3);
}

static void one_that_waits_skips_nothing(void **state)
{
    struct delivery_status s;

    (void)state;
    open_held(false, 2 << 20);
    delivery_status(bus.d, &s);
    bus_open_writers();
    assert_false(s.skips);
}

static atomic_int forced; /* 1: open, -1: closed, 0: neither since it was set so */

static void on_force(struct sink *s, bool open)
{
    (void)s;
    atomic_store(&forced, open ? 1 : -1);
}

static void until_forced(int how)
{
    for (int i = 0; i < WAIT_MS && atomic_load(&forced) != how; i++) {
        rest();
    }
    assert_int_equal(how, atomic_load(&forced));
}

/* In the stead of bus.d. */
static void start_again(void)
{
    struct delivery *before = bus.d;
    struct err e = {""};

    bus.conf.before = before;
    bus.d = delivery_start(&bus.conf, &e);
    bus.conf.before = NULL;
    assert_non_null(bus.d);
    delivery_free(before);
}

static void an_order_by_hand_waits_for_the_start_of_a_held_sink(void **state)
{
    (void)state;
    scripted.force = on_force;
    atomic_store(&forced, 0);
    open_held(false, 64 << 20);
    bus_open_writers();
    assert_int_equal(DELIVERY_FORCED_LATER, delivery_force(bus.d, true));
    start_again();
    until_forced(1);
    assert_int_equal(DELIVERY_FORCED_NOW, delivery_force(bus.d, false));
    until_forced(-1);
}

static void an_order_by_hand_outlives_a_thread_that_has_ended(void **state)
{
    (void)state;
    scripted.force = on_force;
    atomic_store(&forced, 0);
    bus_open();
    assert_int_equal(DELIVERY_FORCED_NOW, delivery_force(bus.d, true));
    until_forced(1);
    delivery_ask_rest(bus.d, clock_mono_ns());
    for (int i = 0; i < WAIT_MS && !delivery_ended(bus.d); i++) {
        rest();
    }
    /* Other sinks are waited for, then it is started again. */
    assert_int_equal(DELIVERY_FORCED_NOW, delivery_force(bus.d, false));
    assert_true(delivery_hand_over(bus.d, 0));
    atomic_store(&forced, 0);
    start_again();
    assert_int_equal(0, atomic_load(&forced));
}

static void an_order_by_hand_reaches_the_one_in_its_stead(void **state)
{
    struct delivery *held;
    struct err e = {""};

    (void)state;
    scripted.force = on_force;
    atomic_store(&forced, 0);
    open_held(false, 64 << 20);
    bus_open_writers();
    held = bus.d;
    bus.conf.before = held;
    bus.d = delivery_start(&bus.conf, &e);
    bus.conf.before = NULL;
    assert_int_equal(DELIVERY_FORCED_LATER, delivery_force(held, true));
    delivery_force_as(bus.d, held);
    delivery_free(held);
    until_forced(1);
}

static void a_held_sink_of_a_kind_without_a_breaker_takes_no_order(void **state)
{
    (void)state;
    open_held(false, 64 << 20);
    bus_open_writers();
    /* Without its plan it may have one. */
    assert_int_equal(DELIVERY_FORCED_LATER, delivery_force(bus.d, true));
    bus.sink.kind = SINK_KIND_FILE;
    assert_int_equal(DELIVERY_FORCED_NONE, delivery_force(bus.d, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_held_sink_leaves_it_to_its_start_what_is_lost,
                                        bus_set_up, bus_tear_down),
        cmocka_unit_test_setup_teardown(
            what_the_spool_gives_up_for_a_held_sink_is_skipped, bus_set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(
            what_the_files_of_a_held_sink_may_have_is_not_skipped, bus_set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(what_was_delivered_ahead_is_not_skipped,
                                        bus_set_up, bus_tear_down),
        cmocka_unit_test_setup_teardown(one_that_waits_skips_nothing, bus_set_up,
                                        bus_tear_down),
        cmocka_unit_test_setup_teardown(
            an_order_by_hand_waits_for_the_start_of_a_held_sink, bus_set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(
            an_order_by_hand_outlives_a_thread_that_has_ended, bus_set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(an_order_by_hand_reaches_the_one_in_its_stead,
                                        bus_set_up, bus_tear_down),
        cmocka_unit_test_setup_teardown(
            a_held_sink_of_a_kind_without_a_breaker_takes_no_order, bus_set_up,
            bus_tear_down)};

    return cmocka_run_group_tests_name("paused", tests, NULL, NULL);
}
