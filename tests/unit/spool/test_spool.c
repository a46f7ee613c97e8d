/* The queue as its users see it: written, read, kept over a restart, reused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/spool.h"

#include "fixture.h"

static void what_was_committed_is_read_once_and_in_order(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t last = 0, lost;

    (void)state;
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    assert_int_equal(1, last);
    assert_true(put(w, "{\"a\":2}"));
    assert_true(put(w, "{\"a\":3}"));
    assert_int_equal(SPOOL_OK, spool_writer_commit(w, 5, 6, &last));
    assert_int_equal(3, last);
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(1, b.first);
    assert_memory_equal("{\"a\":1}\n", b.payload, b.payload_bytes);
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(2, b.first);
    assert_int_equal(2, b.n);
    assert_memory_equal("{\"a\":2}\n{\"a\":3}\n", b.payload, b.payload_bytes);
    assert_int_equal(5, b.wall_ms);
    assert_int_equal(6, b.policy8);
    assert_int_equal(SPOOL_READ_AGAIN, spool_cursor_next(cur, &b, &lost));
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

/* max_lag lets events go ahead of the sink, whose results then come late. */
static void a_late_release_takes_nothing_back(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t last = 0, lost;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    }
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    spool_cursor_release(cur, 4);
    assert_int_equal(3, spool_cursor_skipping(cur));
    spool_cursor_release(cur, 2);
    assert_int_equal(3, spool_cursor_skipping(cur));
    assert_int_equal(SPOOL_READ_GAP, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(3, lost);
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(4, b.first);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static void a_refused_request_leaves_those_before_it(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t last = 0, lost;
    uint32_t mark;

    (void)state;
    assert_true(put(w, "{\"a\":1}"));
    mark = spool_writer_mark(w);
    assert_true(put(w, "{\"a\":2}"));
    spool_writer_rollback(w, mark);
    assert_true(put(w, "{\"a\":3}"));
    assert_int_equal(SPOOL_OK, spool_writer_commit(w, 5, 6, &last));
    assert_int_equal(2, last);
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(2, b.n);
    assert_int_equal(16, b.payload_bytes);
    assert_memory_equal("{\"a\":1}\n{\"a\":3}\n", b.payload, 16);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static void the_next_process_reads_what_this_one_left(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c;
    struct spool_shard_id id[4];
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t last = 0, lost;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    spool_writer_close(w);
    spool_close(s);

    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    c = open_consumer(s, stream);
    assert_int_equal(2, spool_epoch(s));
    assert_int_equal(1, spool_shards(c, id, 4));
    assert_int_equal(1, id[0].epoch);
    assert_int_equal(2, id[0].next);
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_memory_equal("{\"a\":1}\n", b.payload, b.payload_bytes);
    assert_int_equal(SPOOL_READ_END, spool_cursor_next(cur, &b, &lost));
    spool_cursor_release(cur, 2);
    spool_cursor_close(cur);
    assert_int_equal(0, spool_shards(c, id, 4));
    spool_consumer_close(c);
    spool_close(s);
}

static void a_synced_stream_says_when_it_is_synced(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct timespec till;
    uint64_t last = 0;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    (void)clock_gettime(CLOCK_REALTIME, &till);
    till.tv_sec += 10;
    while (spool_writer_synced(w) < last) {
        assert_int_equal(0, sem_timedwait(&woken, &till));
    }
    assert_false(spool_writer_lost(w, last));
    spool_writer_close(w);
    spool_close(s);
}

/* Fills the stream, releases it all, and fills it again, three times over. */
static void a_full_stream_takes_events_again_when_they_are_released(void **state)
{
    static char event[100001];
    struct spool *s = open_spool();
    int stream = open_stream(s, 8 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t last = 0, lost, read = 0;

    (void)state;
    memset(event, 'x', sizeof event - 1);
    spool_ready(s);
    for (int round = 0; round < 3; round++) {
        const struct timespec ms = {0, 1000000};
        unsigned refused = 0, stored = 0;

        /* With room left, the housekeeper is late: then for up to 10 s. */
        while (refused < 200 ||
               (refused < 10000 && spool_has_room(s, stream, SEGMENT))) {
            assert_true(put(w, event));
            if (spool_writer_commit(w, 5, 6, &last) == SPOOL_FULL) {
                refused++;
                (void)nanosleep(&ms, NULL);
            } else {
                refused = 0;
                stored++;
            }
        }
        assert_true(stored >= 50 && stored <= 80);
        assert_false(spool_reserve(s, stream, SEGMENT));
        cur = spool_cursor_open(c, (struct spool_pos){1, 0, read + 1});
        while (spool_cursor_next(cur, &b, &lost) == SPOOL_READ_OK) {
            assert_int_equal(read + 1, b.first);
            read += b.n;
        }
        assert_int_equal(last, read);
        spool_cursor_release(cur, read + 1);
        spool_cursor_close(cur);
    }
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static void a_second_process_is_refused(void **state)
{
    const struct spool_conf conf = {dir, SEGMENT, 1, 0};
    struct spool *s = open_spool();
    struct err e = {""};

    (void)state;
    assert_null(spool_open(&conf, &e));
    assert_non_null(strstr(e.text, dir));
    spool_close(s);
}

/* Its events would get numbers that others had, and sinks take them for delivered. */
static void a_spool_whose_epoch_is_gone_is_refused(void **state)
{
    const struct spool_conf conf = {dir, SEGMENT, 1, 0};
    const struct spool_stream_conf events = {"events", 64 * SEGMENT, false, false};
    struct spool *s = open_spool();
    struct spool_writer *w =
        spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    char path[128];
    uint64_t last = 0;
    struct err e = {""};

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "{}", &last));
    spool_writer_close(w);
    spool_close(s);
    (void)snprintf(path, sizeof path, "%s/EPOCH", dir);
    assert_int_equal(0, unlink(path));
    s = open_spool();
    assert_int_equal(-1, spool_stream(s, &events, &e));
    assert_non_null(strstr(e.text, "EPOCH says 1, but there is a shard events/1.0"));
    spool_close(s);
    /* There, but not to be read. */
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, symlink("EPOCH", path));
    assert_null(spool_open(&conf, &e));
    assert_non_null(strstr(e.text, "EPOCH"));
}

static void keys_of_one_name_are_noted_in_a_block(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t last = 0, lost;
    char *p;

    (void)state;
    spool_ready(s);
    assert_true(spool_writer_key(w, 42, false));
    p = spool_writer_room(w, 9);
    assert_non_null(p);
    memcpy(p, "{\"u\":\"x\"}", 9);
    spool_writer_append(w, 9, 6, 1, ENTRY_KEY_ESCAPED);
    assert_true(spool_writer_key(w, 42, false));
    assert_false(spool_writer_key(w, 43, false));
    assert_int_equal(SPOOL_OK, spool_writer_commit(w, 5, 6, &last));
    assert_true(spool_writer_key(w, 43, false));
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(42, b.key_hash);
    assert_int_equal(6, b.entries[0].key_off);
    assert_int_equal(1, b.entries[0].key_len);
    assert_int_equal(ENTRY_KEY_ESCAPED, b.entries[0].flags);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

/* A disk that is not mounted any more looks the same. */
static void events_of_a_folder_that_was_moved_are_not_lost(void **state)
{
    const struct timespec ms = {0, 1000000};
    enum spool_read r = SPOOL_READ_AGAIN;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    struct spool_writer *w;
    struct spool_block b;
    uint64_t last, lost;
    struct spool *s = open_spool();
    char away[80];

    (void)state;
    w = spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_close(w);
    spool_close(s);
    s = open_spool();
    c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    (void)snprintf(away, sizeof away, "%s.away", dir);
    assert_int_equal(0, rename(dir, away));
    assert_int_equal(SPOOL_READ_AGAIN, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(0, rename(away, dir));
    for (int i = 0; i < 10000 && r == SPOOL_READ_AGAIN; i++) {
        (void)nanosleep(&ms, NULL);
        r = spool_cursor_next(cur, &b, &lost);
    }
    assert_int_equal(SPOOL_READ_OK, r);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_committed_is_read_once_and_in_order,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_release_takes_nothing_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refused_request_leaves_those_before_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_process_reads_what_this_one_left,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_synced_stream_says_when_it_is_synced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_full_stream_takes_events_again_when_they_are_released, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_one_name_are_noted_in_a_block, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_second_process_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_spool_whose_epoch_is_gone_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(events_of_a_folder_that_was_moved_are_not_lost,
                                        set_up, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
