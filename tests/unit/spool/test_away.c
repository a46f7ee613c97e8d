/* A spool whose directory is moved away under it, and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/spool.h"

#include "away.h"

static bool is_away(struct spool *s)
{
    char why[300];

    spool_why_unwritable(s, why, sizeof why);
    return !spool_writable(s) && strstr(why, "moved, removed or unmounted") != NULL;
}

/* A segment that can't be made may be noticed before. */
static void until_away(struct spool *s)
{
    const struct timespec ms = {0, 1000000};

    for (int i = 0; i < 10000 && !is_away(s); i++) {
        (void)nanosleep(&ms, NULL);
    }
    assert_true(is_away(s));
}

static void until_writable(const struct spool *s)
{
    const struct timespec ms = {0, 1000000};

    for (int i = 0; i < 10000 && !spool_writable(s); i++) {
        (void)nanosleep(&ms, NULL);
    }
    assert_true(spool_writable(s));
}

static void nothing_is_taken_and_nothing_given_up(void **state)
{
    struct spool *s;
    struct spool_writer *w;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t last = 0, lost;
    int stream;

    (void)state;
    write_two();
    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    w = spool_writer_open(s, stream, 0, on_wake, NULL);
    c = open_consumer(s, stream);
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "3", &last));
    assert_true(spool_has_room(s, stream, 100));
    move(dir, away);
    until_away(s);
    assert_false(spool_has_room(s, stream, 100));
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SPOOL_READ_AGAIN, spool_cursor_next(cur, &b, &lost));
    }
    move(away, dir);
    until_writable(s);
    assert_true(spool_has_room(s, stream, 100));
    spool_cursor_close(cur);
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    for (int i = 0; i < 3000; i++) {
        const struct timespec ms = {0, 1000000};

        if (spool_cursor_next(cur, &b, &lost) == SPOOL_READ_OK) {
            break;
        }
        assert_int_equal(0, lost);
        (void)nanosleep(&ms, NULL);
    }
    assert_memory_equal("1", b.payload, 1);
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_memory_equal("2", b.payload, 1);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static void a_folder_below_that_is_moved_is_not_given_up(void **state)
{
    static const char *const names[] = {"events", "events/1.0"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct spool *s;
        struct spool_consumer *c;
        struct spool_cursor *cur;
        struct spool_block b;
        uint64_t lost;
        char path[160];
        int stream;

        write_two();
        s = open_spool();
        stream = open_stream(s, 64 * SEGMENT, false);
        c = open_consumer(s, stream);
        spool_ready(s);
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        move(path, away);
        cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
        for (int k = 0; k < 5; k++) {
            assert_int_equal(SPOOL_READ_AGAIN, spool_cursor_next(cur, &b, &lost));
        }
        move(away, path);
        for (int k = 0; k < 3000; k++) {
            const struct timespec ms = {0, 1000000};

            if (spool_cursor_next(cur, &b, &lost) == SPOOL_READ_OK) {
                break;
            }
            assert_int_equal(0, lost);
            (void)nanosleep(&ms, NULL);
        }
        assert_memory_equal("1", b.payload, 1);
        spool_cursor_close(cur);
        spool_consumer_close(c);
        spool_close(s);
    }
}

/* The way out of an operator, as before. */
static void a_file_that_is_moved_out_of_its_folder_is_given_up(void **state)
{
    struct spool *s;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t lost = 0;
    char path[160];
    int stream;

    (void)state;
    write_two();
    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    c = open_consumer(s, stream);
    spool_ready(s);
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000001.seg", dir);
    assert_int_equal(0, unlink(path));
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    assert_int_equal(SPOOL_READ_GAP, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(2, lost);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_close(s);
}

/* Empty files with the names of this spool's segments, in its place. */
static void put_another(const char *shard, int n)
{
    const char *const names[] = {"", "/events", shard};
    char path[160];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s%s", dir, names[i]);
        assert_int_equal(0, mkdir(path, 0700));
    }
    for (int i = 1; i <= n; i++) {
        FILE *f;

        (void)snprintf(path, sizeof path, "%s%s/%010d.seg", dir, shard, i);
        f = fopen(path, "w");
        assert_non_null(f);
        (void)fclose(f);
    }
}

static void another_spool_in_its_place_is_left_alone(void **state)
{
    struct spool *s = open_spool();
    struct spool_writer *w;
    uint64_t last = 0;
    char path[160];

    (void)state;
    w = spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    move(dir, away);
    put_another("/events/1.0", 4);
    until_away(s);
    spool_writer_close(w);
    spool_close(s);
    for (int i = 1; i < 5; i++) {
        (void)snprintf(path, sizeof path, "%s/events/1.0/%010d.seg", dir, i);
        assert_int_equal(0, access(path, F_OK));
    }
}

/* The events are delivered before anybody has seen that the directory is another one. */
static void what_is_delivered_then_is_not_deleted_there(void **state)
{
    struct spool *s;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t lost;
    char path[160];

    (void)state;
    write_two();
    s = open_spool();
    c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
    spool_ready(s);
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    move(dir, away);
    put_another("/events/1.0", 1);
    spool_cursor_release(cur, 3);
    spool_cursor_close(cur);
    until_away(s);
    spool_consumer_close(c);
    spool_close(s);
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000001.seg", dir);
    assert_int_equal(0, access(path, F_OK));
}

/* Another process could lock another LOCK there. */
static void a_spool_that_is_emptied_takes_nothing(void **state)
{
    struct spool *s = open_spool();
    struct spool_consumer *c;
    struct spool_writer *w;
    struct err e;
    char path[160];
    int stream;

    (void)state;
    stream = open_stream(s, 64 * SEGMENT, false);
    c = open_consumer(s, stream);
    w = spool_writer_open(s, stream, 0, on_wake, NULL);
    assert_true(spool_has_room(s, stream, 100));
    assert_true(spool_in_place(s, &e));
    assert_true(spool_whole(s, &e));
    (void)snprintf(path, sizeof path, "%s/LOCK", dir);
    assert_int_equal(0, unlink(path));
    assert_false(spool_in_place(s, &e));
    until_away(s);
    assert_false(spool_whole(s, &e));
    assert_false(spool_make_durable(c, spool_epoch(s), 0, &e));
    spool_consumer_close(c);
    assert_false(spool_has_room(s, stream, 100));
    spool_writer_close(w);
    spool_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_away, tear_down_away)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_taken_and_nothing_given_up),
        TEST(a_folder_below_that_is_moved_is_not_given_up),
        TEST(a_file_that_is_moved_out_of_its_folder_is_given_up),
        TEST(another_spool_in_its_place_is_left_alone),
        TEST(what_is_delivered_then_is_not_deleted_there),
        TEST(a_spool_that_is_emptied_takes_nothing),
    };

    return cmocka_run_group_tests_name("away", tests, NULL, NULL);
}
