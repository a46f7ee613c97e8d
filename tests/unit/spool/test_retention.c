/* Up to where a segment is read, and how long it is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "spool/internal.h"

enum { FIRST = 11, END = 21 };

static struct stream st;
static struct shard sh;
static struct segment g;
static struct spool_consumer one, two;
static struct place places[2];

static int set_up(void **state)
{
    (void)state;
    memset(&st, 0, sizeof st);
    memset(&sh, 0, sizeof sh);
    memset(&g, 0, sizeof g);
    memset(&one, 0, sizeof one);
    memset(places, 0, sizeof places);
    two = one;
    sh.stream = &st;
    sh.segments = &g;
    sh.places = &places[0];
    places[0].next = &places[1];
    places[0].consumer = &one;
    places[1].consumer = &two;
    st.shards = &sh;
    st.consumers[0] = &one;
    st.consumers[1] = &two;
    st.n_consumers = 2;
    g.shard = &sh;
    g.first = FIRST;
    atomic_store(&g.state, SEGMENT_USED);
    atomic_store(&g.tail, tail_of(PAGE_BYTES + 800, END - FIRST));
    atomic_store(&g.synced_tail, tail_of(PAGE_BYTES + 400, 5));
    return 0;
}

static void a_segment_is_kept_until_each_consumer_has_its_last_event(void **state)
{
    (void)state;
    atomic_store(&places[0].released, END);
    atomic_store(&places[1].released, END - 1);
    assert_true(segment_needed(&g, END));
    atomic_store(&places[1].released, END);
    assert_false(segment_needed(&g, END));
    sh.places = &places[1]; /* one consumer has not read anything */
    assert_true(segment_needed(&g, END));
    st.n_consumers = 0;
    assert_true(segment_needed(&g, END));
    atomic_store(&st.freed, true);
    assert_false(segment_needed(&g, END));
}

static void a_synced_stream_is_read_to_the_last_sync(void **state)
{
    (void)state;
    assert_int_equal(END, segment_end_seq(&g));
    assert_int_equal(END, segment_written_seq(&g));
    atomic_store(&st.synced, true);
    assert_int_equal(FIRST + 5, segment_end_seq(&g));
    assert_int_equal(END, segment_written_seq(&g));
    assert_int_equal(5, segment_unsynced(&g));
}

/* Events after the last good sync may be lost, and clients send them again. */
static void a_poisoned_segment_ends_at_its_last_good_sync(void **state)
{
    (void)state;
    atomic_store(&g.poisoned, true);
    assert_int_equal(FIRST + 5, segment_end_seq(&g));
    assert_int_equal(FIRST + 5, segment_written_seq(&g));
    assert_int_equal(PAGE_BYTES + 400, tail_end(segment_readable(&g)));
    assert_int_equal(FIRST + 5, shard_end(&sh));
}

/* A written stream's clients have their answers before any sync. */
static void a_failed_sync_takes_no_promise_back(void **state)
{
    (void)state;
    atomic_store(&g.given_tail, tail_of(PAGE_BYTES + 600, 7));
    atomic_store(&g.poisoned, true);
    assert_int_equal(FIRST + 7, segment_end_seq(&g));
    assert_int_equal(FIRST + 7, segment_written_seq(&g));
    assert_int_equal(PAGE_BYTES + 600, tail_end(segment_readable(&g)));
    assert_int_equal(END - FIRST - 7, segment_unacked(&g));
    assert_int_equal(FIRST + 7, shard_end(&sh));
}

/* A sink that comes back meanwhile would never get the events. */
static void what_is_yet_to_be_synced_is_no_hole(void **state)
{
    struct segment next = {.shard = &sh, .first = END};
    struct spool_pos at = {.seq = FIRST};
    static struct spool s;
    uint64_t end;

    (void)state;
    memset(&s, 0, sizeof s);
    (void)pthread_mutex_init(&s.lock, NULL);
    st.spool = &s;
    one.stream = &st;
    atomic_store(&st.synced, true);
    atomic_store(&next.state, SEGMENT_USED);
    atomic_store(&next.tail, tail_of(PAGE_BYTES + 80, 2));
    atomic_store(&g.sealed, true);
    g.next = &next;
    assert_true(segment_end_seq(&g) < END);
    assert_false(spool_hole(&one, &at, &end));
    next.first = END + 3;
    assert_true(spool_hole(&one, &at, &end));
    assert_int_equal(END, at.seq);
    assert_int_equal(END + 3, end);
    (void)pthread_mutex_destroy(&s.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_segment_is_kept_until_each_consumer_has_its_last_event,
                               set_up),
        cmocka_unit_test_setup(a_synced_stream_is_read_to_the_last_sync, set_up),
        cmocka_unit_test_setup(a_poisoned_segment_ends_at_its_last_good_sync, set_up),
        cmocka_unit_test_setup(a_failed_sync_takes_no_promise_back, set_up),
        cmocka_unit_test_setup(what_is_yet_to_be_synced_is_no_hole, set_up)};

    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
