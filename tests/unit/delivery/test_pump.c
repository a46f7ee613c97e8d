/* The results of batches: sent again, dead, or kept until the journal takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "delivery/scripted.h"
#include "stats/stats.h"

/* ---- a disk that fails ---- */

static atomic_int journal_writes_to_fail;
static atomic_uint n_journal_syncs;

static bool is_journal(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    return n > 8 && memcmp(path + n - 8, ".journal", 8) == 0;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (atomic_load(&journal_writes_to_fail) > 0 && is_journal(fd)) {
        atomic_fetch_sub(&journal_writes_to_fail, 1);
        errno = ENOSPC;
        return -1;
    }
    return (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}

int fdatasync(int fd)
{
    if (is_journal(fd)) {
        atomic_fetch_add(&n_journal_syncs, 1);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int set_up(void **state)
{
    atomic_store(&journal_writes_to_fail, 0);
    return bus_set_up(state);
}

/* ---- sent again ---- */

static bool has_delivered_three(const struct delivery_status *s)
{
    return s->delivered == 3;
}

/* Each of the first three fails once, and only after all of them were sent. */
static bool first_three_fail(const struct sink_conf *conf, struct batch *b,
                             uint32_t nth, struct sink_verdict *v)
{
    (void)conf;
    if (atomic_load(&script.n) < 3) {
        return false;
    }
    *v = (struct sink_verdict){
        .kind = nth < 3 ? SINK_RETRY : SINK_OK, .n = b->n, .why = "the server is gone"};
    return true;
}

static void batches_that_fail_together_keep_their_order(void **state)
{
    (void)state;
    atomic_store(&script.answer, first_three_fail);
    bus_open();
    store(1, 3);
    (void)until_status(has_delivered_three);
    assert_int_equal(6, atomic_load(&script.n));
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(script.list[i].first, script.list[3 + i].first);
    }
}

enum { AFTER_MS = 700 };

static atomic_ullong refused_ns;

static bool first_names_a_time(const struct sink_conf *conf, struct batch *b,
                               uint32_t nth, struct sink_verdict *v)
{
    (void)conf;
    *v = (struct sink_verdict){.kind = nth == 0 ? SINK_RETRY : SINK_OK,
                               .n = b->n,
                               .after_ms = nth == 0 ? AFTER_MS : 0,
                               .why = "too many requests"};
    if (nth == 0) {
        atomic_store(&refused_ns, clock_mono_ns());
    }
    return true;
}

/* The first pause without that would be 100 ms at most. */
static void a_server_that_names_a_time_is_not_asked_before(void **state)
{
    (void)state;
    atomic_store(&script.answer, first_names_a_time);
    bus_open();
    store(1, 1);
    until_submitted(2);
    assert_true(script.list[1].ns - atomic_load(&refused_ns) >
                AFTER_MS / 2 * 1000000ull);
}

/* ---- dead letters ---- */

static bool dies(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                 struct sink_verdict *v)
{
    (void)conf;
    (void)nth;
    *v = (struct sink_verdict){
        .kind = SINK_DATA, .n = b->n, .row = -1, .code = 6, .why = "no number"};
    return true;
}

static bool is_full(const struct delivery_status *s)
{
    return s->holding && strstr(s->why, "max_bytes") != NULL;
}

static void dead_letters_stop_at_max_bytes(void **state)
{
    struct delivery_status s;

    (void)state;
    bus.sink.dead_max_bytes = 1;
    atomic_store(&script.answer, dies);
    bus_open();
    store(1, 1);
    store(2, 1);
    s = until_status(is_full);
    assert_int_equal(1, s.dead);
}

/* The first and the last of three events are bad. */
static bool only_the_middle_is_good(const struct sink_conf *conf, struct batch *b,
                                    uint32_t nth, struct sink_verdict *v)
{
    static const uint32_t but[] = {1};

    (void)nth;
    assert_int_equal(3, b->n);
    *v = (struct sink_verdict){.kind = SINK_DATA,
                               .n = 3,
                               .but = but,
                               .n_but = 1,
                               .row = -1,
                               .why = "no number"};
    conf->done(conf->arg, b, v);
    *v = (struct sink_verdict){.kind = SINK_OK, .first = 1, .n = 1, .row = -1};
    return true;
}

static uint64_t n_dead(void)
{
    return stats_value("sluice_dead_events_total", "sink=\"bus\"");
}

static bool is_done(const struct delivery_status *s)
{
    return s->batches == 1;
}

static void threes(void)
{
    bus.sink.batch.target = bus.sink.batch.min = bus.sink.batch.max = 3;
    atomic_store(&script.answer, only_the_middle_is_good);
}

static void a_verdict_counts_only_its_events(void **state)
{
    struct delivery_status s;
    uint64_t before;

    (void)state;
    threes();
    bus_open();
    before = n_dead();
    store(1, 3);
    s = until_status(is_done);
    assert_int_equal(2, s.dead);
    assert_int_equal(1, s.delivered);
    assert_int_equal(before + 2, n_dead());
}

/* ---- a journal that can't be written ---- */

static bool is_settled(const struct delivery_status *s)
{
    return s->dead == 2 && s->delivered == 1;
}

static bool is_dead(const char *event)
{
    char path[128], text[4096];
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof path, "%s/dead/sink-bus.ndjson", dir);
    f = fopen(path, "re");
    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return strstr(text, event) != NULL;
}

/* The verdict is kept until the journal takes it, with the events that it leaves out. */
static void a_verdict_that_waits_for_the_journal_keeps_its_exceptions(void **state)
{
    uint64_t before;

    (void)state;
    threes();
    bus_open();
    before = n_dead();
    atomic_store(&journal_writes_to_fail, 1);
    store(1, 3);
    (void)until_status(is_settled);
    assert_int_equal(0, atomic_load(&journal_writes_to_fail));
    assert_int_equal(before + 2, n_dead());
    assert_true(is_dead("{\"a\":1}") && is_dead("{\"a\":3}"));
    assert_false(is_dead("{\"a\":2}"));
}

static bool is_holding(const struct delivery_status *s)
{
    return s->holding;
}

static void end_with_a_full_disk(answer_fn *answer)
{
    enum delivery_end end;

    threes();
    atomic_store(&script.answer, answer);
    bus_open();
    atomic_store(&journal_writes_to_fail, INT_MAX);
    store(1, 3);
    (void)until_status(is_holding);
    end = delivery_stop(bus.d, 0);
    bus.d = NULL;
    assert_int_equal(DELIVERY_LEFT, end);
}

/* The sink has let go of the batch: it is the delivery's to free. */
static void a_batch_whose_verdicts_were_never_noted_is_freed(void **state)
{
    (void)state;
    end_with_a_full_disk(only_the_middle_is_good);
}

static bool has_three_dead(const struct delivery_status *s)
{
    return s->dead == 3;
}

static bool has_delivered_one(const struct delivery_status *s)
{
    return s->delivered == 1;
}

/* The dead letters have no room for the two bad ones; the one between is noted after, and
 * the sink is handed over before the next try. */
static void a_batch_whose_kept_verdict_came_first_is_freed(void **state)
{
    (void)state;
    threes();
    bus.sink.dead_max_bytes = 1;
    atomic_store(&script.answer, dies);
    bus_open();
    store(1, 3);
    (void)until_status(has_three_dead);
    atomic_store(&script.answer, only_the_middle_is_good);
    store(4, 3);
    (void)until_status(has_delivered_one);
    assert_true(delivery_hand_over(bus.d, WAIT_MS));
}

/* The first and the last event are bad; the sink still has the one between. */
static bool the_middle_is_not_known(const struct sink_conf *conf, struct batch *b,
                                    uint32_t nth, struct sink_verdict *v)
{
    static const uint32_t but[] = {1};
    static bool told;

    (void)nth;
    *v = (struct sink_verdict){.kind = SINK_DATA,
                               .n = 3,
                               .but = but,
                               .n_but = 1,
                               .row = -1,
                               .why = "no number"};
    if (!told) {
        told = true;
        conf->done(conf->arg, b, v);
    }
    return false;
}

static void a_batch_that_the_sink_has_a_part_of_is_freed_by_the_sink(void **state)
{
    (void)state;
    end_with_a_full_disk(the_middle_is_not_known);
}

static atomic_uint syncs_at_submit;

static void note_syncs(void)
{
    atomic_store(&syncs_at_submit, atomic_load(&n_journal_syncs));
}

static bool has_one(const struct delivery_status *s)
{
    return s->delivered == 1;
}

static void a_planned_batch_is_on_the_disk_before_it_is_sent(void **state)
{
    unsigned before;

    (void)state;
    scripted.intends = true;
    script.on_submit = note_syncs;
    bus_open();
    before = atomic_load(&n_journal_syncs);
    store(1, 1);
    (void)until_status(has_one);
    assert_true(atomic_load(&syncs_at_submit) > before);
}

/* ---- its end ---- */

static bool comes_back_late(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                            struct sink_verdict *v)
{
    (void)conf;
    (void)nth;
    *v = (struct sink_verdict){
        .kind = SINK_RETRY, .n = b->n, .after_ms = 60000, .why = "too many requests"};
    return true;
}

/* It keeps its place, and the sink after it has gauges of its own: both would count. */
static void a_sink_that_was_handed_over_shows_no_backlog(void **state)
{
    (void)state;
    atomic_store(&script.answer, comes_back_late);
    bus_open();
    store(1, 1);
    (void)until_status(is_holding);
    assert_true(stats_value("sluice_sink_lag_bytes", "sink=\"bus\"") > 0);
    assert_true(delivery_hand_over(bus.d, 10000));
    assert_int_equal(0, stats_value("sluice_sink_lag_bytes", "sink=\"bus\""));
    assert_int_equal(0, stats_value("sluice_sink_holding", "sink=\"bus\""));
    delivery_free(bus.d);
    bus.d = NULL;
}

/* ---- dead letters that are sent again, at its end ---- */

enum { SLOW_MS = 300 };

static atomic_bool answered;

/* The first of all is refused; what comes then is taken late, or never. */
static bool takes_letters_late(const struct sink_conf *conf, struct batch *b,
                               uint32_t nth, struct sink_verdict *v)
{
    if (nth == 0) {
        return dies(conf, b, nth, v);
    }
    if (clock_mono_ns() - script.list[nth].ns < SLOW_MS * 1000000ull) {
        return false;
    }
    atomic_store(&answered, true);
    return all_taken(conf, b, nth, v);
}

static bool takes_no_letters(const struct sink_conf *conf, struct batch *b,
                             uint32_t nth, struct sink_verdict *v)
{
    return nth == 0 && dies(conf, b, nth, v);
}

static bool has_one_dead(const struct delivery_status *s)
{
    return s->dead == 1;
}

static void send_letters_again(answer_fn *answer)
{
    struct err e;

    atomic_store(&answered, false);
    atomic_store(&script.answer, answer);
    bus_open();
    store(1, 1);
    (void)until_status(has_one_dead);
    assert_true(delivery_replay_begin(bus.d, false, &e));
    until_submitted(2);
}

/* Else the letters would go out once more. */
static void a_sink_is_not_handed_over_with_letters_in_flight(void **state)
{
    (void)state;
    send_letters_again(takes_letters_late);
    assert_true(delivery_hand_over(bus.d, 20000));
    assert_true(atomic_load(&answered));
    delivery_free(bus.d);
    bus.d = NULL;
}

/* The batch is the sink's then, and freed once. */
static void a_sink_ends_in_time_with_letters_in_flight(void **state)
{
    enum delivery_end end;

    (void)state;
    send_letters_again(takes_no_letters);
    end = delivery_stop(bus.d, 100);
    bus.d = NULL;
    assert_int_equal(DELIVERY_LEFT, end);
}

/* ---- a stream that the policy takes away ---- */

static atomic_bool go;

static bool waits(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                  struct sink_verdict *v)
{
    return atomic_load(&go) && all_taken(conf, b, nth, v);
}

static bool is_finished(const struct delivery_status *s)
{
    return s->finished;
}

static void a_sink_that_retires_ends_with_what_came_before(void **state)
{
    struct delivery_status s;

    (void)state;
    atomic_store(&go, false);
    atomic_store(&script.answer, waits);
    bus_open();
    store(1, 2);
    until_submitted(2);
    delivery_retire(bus.d, true, false, NULL, 0);
    store(3, 3);
    atomic_store(&go, true);
    s = until_status(is_finished);
    assert_int_equal(2, s.delivered);
    assert_int_equal(2, atomic_load(&script.n));
}

/* The first two wait; the others are taken. */
static bool all_but_two(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                        struct sink_verdict *v)
{
    return nth > 1 && all_taken(conf, b, nth, v);
}

static bool has_four(const struct delivery_status *s)
{
    return s->delivered == 4;
}

static bool has_two_left(const struct delivery_status *s)
{
    return s->remaining == 2;
}

static void events_taken_ahead_of_others_are_not_left(void **state)
{
    (void)state;
    atomic_store(&script.answer, all_but_two);
    bus_open();
    store(1, 6);
    (void)until_status(has_four);
    (void)until_status(has_two_left);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, bus_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_that_fail_together_keep_their_order),
        TEST(a_server_that_names_a_time_is_not_asked_before),
        TEST(dead_letters_stop_at_max_bytes),
        TEST(a_verdict_counts_only_its_events),
        TEST(a_verdict_that_waits_for_the_journal_keeps_its_exceptions),
        TEST(a_batch_whose_verdicts_were_never_noted_is_freed),
        TEST(a_batch_whose_kept_verdict_came_first_is_freed),
        TEST(a_batch_that_the_sink_has_a_part_of_is_freed_by_the_sink),
        TEST(a_planned_batch_is_on_the_disk_before_it_is_sent),
        TEST(a_sink_that_was_handed_over_shows_no_backlog),
        TEST(a_sink_is_not_handed_over_with_letters_in_flight),
        TEST(a_sink_ends_in_time_with_letters_in_flight),
        TEST(a_sink_that_retires_ends_with_what_came_before),
        TEST(events_taken_ahead_of_others_are_not_left)};

    return cmocka_run_group_tests_name("pump", tests, NULL, NULL);
}
