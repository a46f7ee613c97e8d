/* How far a sink is behind: its share of a segment, and the age of what it has not
 * delivered, of a shard that is made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "spool/internal.h"

enum { EPOCH = 3, FIRST = 11, END = 21, BYTES = 800 };

static struct spool s;
static struct stream st;
static struct shard sh;
static struct segment g;
static struct spool_consumer c;
static struct place h;

static int set_up(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    memset(&st, 0, sizeof st);
    memset(&sh, 0, sizeof sh);
    memset(&g, 0, sizeof g);
    memset(&c, 0, sizeof c);
    memset(&h, 0, sizeof h);
    (void)pthread_mutex_init(&s.lock, NULL);
    s.epoch = EPOCH;
    s.conf.segment_bytes = 1 << 20;
    st.spool = &s;
    st.shards = &sh;
    st.consumers[0] = &c;
    st.n_consumers = 1;
    sh.stream = &st;
    sh.epoch = EPOCH;
    sh.segments = &g;
    sh.places = &h;
    h.consumer = &c;
    c.stream = &st;
    g.shard = &sh;
    g.first = FIRST;
    atomic_store(&g.state, SEGMENT_USED);
    atomic_store(&g.tail, tail_of(PAGE_BYTES + BYTES, END - FIRST));
    return 0;
}

static uint64_t lag(uint64_t released)
{
    atomic_store(&h.released, released);
    return spool_consumer_lag(&c);
}

static void a_sink_lags_by_its_share_of_a_segment(void **state)
{
    const struct spool_pos middle = {EPOCH, 0, FIRST + 5};

    (void)state;
    assert_int_equal(BYTES, lag(0));
    assert_int_equal(BYTES, lag(FIRST));
    assert_int_equal(BYTES / 2 + 1, lag(FIRST + 5));
    assert_int_equal(BYTES / 10 + 1, lag(END - 1));
    assert_int_equal(0, lag(END));
    c.leaving = true; /* it owes nothing from the middle on */
    c.ends_epoch = EPOCH;
    c.ends = (struct spool_pos *)(uintptr_t)&middle;
    c.n_ends = 1;
    assert_int_equal(BYTES / 2 - 1, lag(FIRST));
    assert_int_equal(0, lag(FIRST + 5));
    sh.unknown = true; /* the disk does not tell */
    assert_int_equal(1 << 20, lag(FIRST));
}

static void the_oldest_event_is_the_first_that_is_not_released(void **state)
{
    (void)state;
    ages_note(&h, FIRST, FIRST + 2, 1000);
    ages_note(&h, FIRST + 2, FIRST + 4, 2000);
    ages_note(&h, FIRST, FIRST + 2, 9000); /* read again */
    atomic_store(&h.released, FIRST);
    assert_int_equal(1000, spool_consumer_oldest(&c));
    atomic_store(&h.released, FIRST + 1);
    assert_int_equal(1000, spool_consumer_oldest(&c));
    atomic_store(&h.released, FIRST + 2);
    assert_int_equal(2000, spool_consumer_oldest(&c));
    atomic_store(&h.released, FIRST + 4); /* all that was read */
    assert_int_equal(0, spool_consumer_oldest(&c));
}

/* A consumer that had to skip waits for the segment that is left to it. */
static void what_is_left_after_a_skip_has_its_age(void **state)
{
    (void)state;
    ages_note(&h, FIRST, FIRST + 2, 1000);
    ages_note(&h, FIRST + 2, FIRST + 4, 2000);
    g.first = FIRST + 6;
    atomic_store(&h.released, FIRST + 6);
    assert_int_equal(0, spool_consumer_oldest(&c)); /* of an earlier process */
    atomic_store(&g.begun_ms, 3000);
    assert_int_equal(3000, spool_consumer_oldest(&c));
    atomic_store(&h.released, FIRST + 7);
    assert_int_equal(0, spool_consumer_oldest(&c));
}

/* A backlog looks older than it is, and never younger. */
static void of_many_blocks_the_older_ones_speak_for_the_newer(void **state)
{
    const uint64_t n = AGES_MAX + 1;

    (void)state;
    atomic_store(&g.tail, tail_of(PAGE_BYTES + BYTES, 4 * AGES_MAX));
    for (uint64_t i = 0; i < n; i++) {
        ages_note(&h, FIRST + i, FIRST + i + 1, 1000 + (int64_t)i);
    }
    for (uint64_t i = 0; i < n; i++) {
        int64_t age;

        atomic_store(&h.released, FIRST + i);
        age = spool_consumer_oldest(&c);
        assert_true(age == 1000 + (int64_t)i || age == 1000 + (int64_t)i - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sink_lags_by_its_share_of_a_segment, set_up),
        cmocka_unit_test_setup(the_oldest_event_is_the_first_that_is_not_released,
                               set_up),
        cmocka_unit_test_setup(what_is_left_after_a_skip_has_its_age, set_up),
        cmocka_unit_test_setup(of_many_blocks_the_older_ones_speak_for_the_newer,
                               set_up)};

    return cmocka_run_group_tests_name("lag", tests, NULL, NULL);
}
