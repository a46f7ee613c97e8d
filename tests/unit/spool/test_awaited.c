/* The progress that ack = "delivered" waits for, and what a power cut can't take any more:
 * to the event, of shards that are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/internal.h"
#include "spool/writer.h"

enum { EPOCH = 3, FIRST = 11, END = 21, SYNCED = 15 };

static struct spool s;
static struct stream st;
static struct shard sh;
static struct segment g;
static struct spool_consumer one, two;
static struct place places[2];
static struct spool_writer w;

static int set_up(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    memset(&st, 0, sizeof st);
    memset(&sh, 0, sizeof sh);
    memset(&g, 0, sizeof g);
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    memset(places, 0, sizeof places);
    memset(&w, 0, sizeof w);
    (void)pthread_mutex_init(&s.lock, NULL);
    (void)sem_init(&s.wake, 0, 0);
    s.epoch = EPOCH;
    st.spool = &s;
    st.shards = &sh;
    st.consumers[0] = &one;
    st.consumers[1] = &two;
    st.n_consumers = 2;
    atomic_store(&st.delivered, true);
    sh.stream = &st;
    sh.epoch = EPOCH;
    sh.opened = true;
    sh.segments = &g;
    sh.places = &places[0];
    places[0].next = &places[1];
    places[0].consumer = &one;
    places[1].consumer = &two;
    one.stream = two.stream = &st;
    g.shard = &sh;
    g.first = FIRST;
    atomic_store(&g.state, SEGMENT_USED);
    atomic_store(&g.tail, tail_of(PAGE_BYTES + 800, END - FIRST));
    atomic_store(&sh.synced, SYNCED);
    w.shard = &sh;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    marks_free(&sh);
    free(one.ends);
    return 0;
}

static struct spool_pos at(uint64_t seq)
{
    return (struct spool_pos){EPOCH, 0, seq};
}

/* ---- sinks ---- */

static void a_sink_that_leaves_is_not_awaited(void **state)
{
    (void)state;
    atomic_store(&places[0].released, 14);
    atomic_store(&places[1].released, 12);
    assert_int_equal(12, shard_awaited(&sh));
    spool_consumer_block(&two, true);
    assert_true(atomic_load(&st.blocked) == 1);
    spool_consumer_leave(&two, EPOCH, NULL, 0);
    assert_int_equal(14, shard_awaited(&sh));
    assert_true(atomic_load(&st.blocked) == 0);
    free(two.ends);
}

/* Its segments would be kept for ever. */
static void a_sink_that_leaves_needs_nothing_after_its_ends(void **state)
{
    const struct spool_pos end = {EPOCH, 0, FIRST};

    (void)state;
    st.n_consumers = 1;
    spool_consumer_leave(&one, EPOCH, &end, 1);
    assert_int_equal(FIRST, consumer_limit(&one, &sh));
    assert_false(segment_needed(&g, END));
    sh.worker = 1; /* it was not there when the sink left */
    assert_int_equal(0, consumer_limit(&one, &sh));
    sh.epoch = EPOCH - 1;
    assert_true(consumer_limit(&one, &sh) == UINT64_MAX);
}

/* ---- unconfirmed events ---- */

static void check(uint64_t first, uint64_t n, uint64_t dead, uint64_t skipped)
{
    uint64_t d = 99, k = 99;

    spool_writer_unconfirmed(&w, first, n, &d, &k);
    assert_int_equal(dead, d);
    assert_int_equal(skipped, k);
}

static void a_request_hears_of_its_own_dead_events_only(void **state)
{
    (void)state;
    check(1, 100, 0, 0);
    spool_consumer_note(&one, at(10), 5, SPOOL_DEAD);
    spool_consumer_note(&two, at(30), 1, SPOOL_SKIPPED);
    check(9, 1, 0, 0);
    check(10, 1, 1, 0);
    check(14, 1, 1, 0);
    check(15, 1, 0, 0);
    check(15, 16, 0, 1);
    check(12, 18, 3, 0);
    check(1, 100, 5, 1);
}

static void marks_that_touch_are_one(void **state)
{
    const struct marks *m = &sh.unconfirmed[SPOOL_DEAD];

    (void)state;
    marks_add(&sh, SPOOL_DEAD, 10, 12);
    marks_add(&sh, SPOOL_DEAD, 14, 16);
    assert_int_equal(2, m->n);
    marks_add(&sh, SPOOL_DEAD, 12, 14);
    assert_int_equal(1, m->n);
    marks_add(&sh, SPOOL_DEAD, 11, 13); /* again */
    marks_add(&sh, SPOOL_DEAD, 8, 10);
    assert_int_equal(1, m->n);
    check(1, 100, 8, 0);
    assert_int_equal(1, atomic_load(&sh.n_unconfirmed));
}

/* The oldest go: no request waits for them any more. */
static void the_newest_marks_stay(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < MARKS_MAX + 2; i++) {
        marks_add(&sh, SPOOL_DEAD, 10 + 2 * i, 11 + 2 * i);
    }
    assert_int_equal(MARKS_MAX, sh.unconfirmed[SPOOL_DEAD].n);
    check(10, 4, 0, 0);
    check(14, 1, 1, 0);
    check(10 + 2 * (MARKS_MAX + 1), 1, 1, 0);
    check(10 + 2 * MARKS_MAX, 1, 1, 0);
}

/* ---- synced or lost ---- */

static void an_event_is_safe_once_its_sync_is_done(void **state)
{
    (void)state;
    assert_int_equal(SPOOL_DURABLE, spool_durable(&one, at(SYNCED + 1)));
    assert_int_equal(0, atomic_load(&sh.wanted));
    assert_int_equal(SPOOL_DURABLE_SOON, spool_durable(&one, at(SYNCED + 2)));
    assert_int_equal(SYNCED + 1, atomic_load(&sh.wanted));
    sh.opened = false; /* no writer syncs it any more */
    assert_int_equal(SPOOL_DURABLE_ASK, spool_durable(&one, at(SYNCED + 2)));
    assert_int_equal(SPOOL_DURABLE,
                     spool_durable(&one, (struct spool_pos){EPOCH, 7, 100}));
}

static void the_first_and_the_last_lost_event_are_lost(void **state)
{
    (void)state;
    atomic_store(&sh.lost[0].from, 12);
    atomic_store(&sh.lost[0].to, 14);
    atomic_store(&sh.n_lost, 1);
    for (uint64_t seq = 11; seq <= 15; seq++) {
        bool lost = seq >= 12 && seq <= 14;

        assert_int_equal(lost, spool_writer_lost(&w, seq));
        assert_int_equal(lost, spool_lost(&one, at(seq)));
    }
}

static void events_of_a_failed_sync_are_lost_before_the_next_segment(void **state)
{
    (void)state;
    atomic_store(&sh.current, &g);
    atomic_store(&g.synced_tail, tail_of(PAGE_BYTES + 400, 5));
    assert_false(spool_writer_lost(&w, FIRST + 5));
    atomic_store(&g.poisoned, true);
    assert_false(spool_writer_lost(&w, FIRST + 4));
    assert_true(spool_writer_lost(&w, FIRST + 5));
    assert_false(spool_lost(&one, at(FIRST + 4)));
    assert_true(spool_lost(&one, at(FIRST + 5)));
    assert_true(spool_lost(&one, at(END - 1)));
    assert_false(spool_lost(&one, at(END)));
}

static unsigned n_woken;

static void on_wake(void *arg)
{
    (void)arg;
    n_woken++;
}

/* The next segment is in use, and its first write failed: no event follows yet. */
static void a_request_hears_of_its_loss_before_another_event_is_synced(void **state)
{
    struct segment next = {.shard = &sh, .first = END, .fd = -1};

    (void)state;
    n_woken = 0;
    w.wake = on_wake;
    sh.writer = &w;
    st.n_consumers = 0;
    assert_int_equal(0, pthread_rwlock_init(&st.watch, NULL));
    atomic_store(&next.state, SEGMENT_USED);
    atomic_store(&next.tail, tail_of(PAGE_BYTES, 0));
    atomic_store(&next.synced_tail, tail_of(PAGE_BYTES, 0));
    g.next = &next;
    atomic_store(&g.poisoned, true);
    atomic_store(&g.sealed, true);
    atomic_store(&g.synced_tail, tail_of(PAGE_BYTES + 400, 5));
    atomic_store(&sh.current, &next);
    sync_shard(&sh);
    assert_int_equal(1, n_woken);
    assert_int_equal(SYNCED, atomic_load(&sh.synced));
    assert_true(spool_writer_lost(&w, FIRST + 5));
    assert_true(spool_writer_lost(&w, END - 1));
    assert_false(spool_writer_lost(&w, END));
    assert_int_equal(END - FIRST - 5, atomic_load(&next.unacked));
    sync_shard(&sh);
    assert_int_equal(1, n_woken); /* once */
    assert_int_equal(FIRST + 5, shard_end(&sh));
    sh.segments = &next; /* the one before it was released */
    assert_int_equal(END, shard_end(&sh));
    (void)pthread_rwlock_destroy(&st.watch);
}

static int syncs_fail; /* of the next */

int fdatasync(int fd)
{
    (void)fd;
    if (syncs_fail > 0) {
        syncs_fail--;
        errno = EIO;
        return -1;
    }
    return 0;
}

/* The segment was full, and the next in use, when its sync failed. */
static void no_later_event_is_safe_before_a_loss_is_told(void **state)
{
    struct segment next = {.shard = &sh, .first = END, .fd = 2};

    (void)state;
    st.n_consumers = 0;
    st.poisoned = stats_counter("sluice_spool_poisoned_total", "Test.", "");
    s.sync_time = stats_histogram_new();
    assert_int_equal(0, pthread_cond_init(&s.prepared, NULL));
    assert_int_equal(0, pthread_rwlock_init(&st.watch, NULL));
    atomic_store(&next.state, SEGMENT_USED);
    atomic_store(&next.tail, tail_of(PAGE_BYTES + 80, 2));
    atomic_store(&next.synced_tail, tail_of(PAGE_BYTES, 0));
    g.fd = 2;
    g.next = &next;
    atomic_store(&g.sealed, true);
    atomic_store(&g.synced_tail, tail_of(PAGE_BYTES + 400, 5));
    atomic_store(&sh.synced, FIRST + 4);
    atomic_store(&sh.current, &next);
    syncs_fail = 1;
    sync_shard(&sh);
    assert_true(atomic_load(&g.poisoned));
    assert_int_equal(FIRST + 4, atomic_load(&sh.synced));
    sync_shard(&sh);
    assert_int_equal(END + 1, atomic_load(&sh.synced));
    assert_true(spool_writer_lost(&w, END - 1));
    assert_false(spool_writer_lost(&w, END));
    stats_histogram_free(s.sync_time);
    (void)pthread_cond_destroy(&s.prepared);
    (void)pthread_rwlock_destroy(&st.watch);
}

/* A second sync would say that all is well. */
static void a_shard_with_a_failed_sync_is_not_synced_again(void **state)
{
    struct segment next = {.shard = &sh, .first = END};
    struct err e = {""};

    (void)state;
    g.next = &next;
    atomic_store(&g.poisoned, true);
    assert_false(spool_make_durable(&one, EPOCH, 0, &e));
    assert_non_null(strstr(e.text, "failed before"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sink_that_leaves_is_not_awaited),
        TEST(a_sink_that_leaves_needs_nothing_after_its_ends),
        TEST(a_request_hears_of_its_own_dead_events_only),
        TEST(marks_that_touch_are_one),
        TEST(the_newest_marks_stay),
        TEST(an_event_is_safe_once_its_sync_is_done),
        TEST(the_first_and_the_last_lost_event_are_lost),
        TEST(events_of_a_failed_sync_are_lost_before_the_next_segment),
        TEST(a_request_hears_of_its_loss_before_another_event_is_synced),
        TEST(no_later_event_is_safe_before_a_loss_is_told),
        TEST(a_shard_with_a_failed_sync_is_not_synced_again)};

    return cmocka_run_group_tests_name("awaited", tests, NULL, NULL);
}
