/* One stream's directory that is moved, removed or replaced under a spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/spool.h"
#include "stats/stats.h"

#include "away.h"

static uint64_t deleted(void)
{
    return stats_value("sluice_spool_segments_total",
                       "stream=\"events\",op=\"deleted\"");
}

static uint64_t created(void)
{
    return stats_value("sluice_spool_segments_total",
                       "stream=\"events\",op=\"created\"");
}

/* What stands there has an empty file of the first segment's name. */
static void put_another_stream(const char *shard)
{
    const char *const names[] = {"/events", shard};
    char path[160];
    FILE *f;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s%s", dir, names[i]);
        assert_int_equal(0, mkdir(path, 0700));
    }
    (void)snprintf(path, sizeof path, "%s%s/0000000001.seg", dir, shard);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fclose(f);
}

static void move_stream_away(void)
{
    char path[160];

    (void)snprintf(path, sizeof path, "%s/events", dir);
    move(path, away);
}

static void move_stream_back(void)
{
    char path[160];

    (void)snprintf(path, sizeof path, "%s/events", dir);
    move(away, path);
}

static void until_deleted(uint64_t n)
{
    const struct timespec ms = {0, 1000000};

    for (int i = 0; i < 10000 && deleted() < n; i++) {
        (void)nanosleep(&ms, NULL);
    }
    assert_int_equal(n, deleted());
}

/* Only the stream's folder is another one. */
static void what_another_file_has_is_not_deleted_by_its_name(void **state)
{
    const struct timespec second = {1, 500000000};
    struct spool *s;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    uint64_t before;
    char path[160], command[160];

    (void)state;
    write_two();
    before = deleted();
    s = open_spool();
    c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
    spool_ready(s);
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000001.seg", dir);
    move_stream_away();
    put_another_stream("/events/1.0");
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    spool_cursor_release(cur, 3);
    spool_cursor_close(cur);
    (void)nanosleep(&second, NULL);
    assert_int_equal(0, access(path, F_OK));
    assert_int_equal(before, deleted());
    (void)snprintf(command, sizeof command, "rm -rf '%s/events'", dir);
    assert_int_equal(0, system(command));
    move_stream_back();
    until_deleted(before + 1);
    assert_int_equal(-1, access(path, F_OK));
    spool_consumer_close(c);
    spool_close(s);
}

static void until_room(const struct spool *s, int stream, bool room)
{
    const struct timespec ms = {0, 1000000};

    for (int i = 0; i < 5000 && spool_has_room(s, stream, 100) != room; i++) {
        (void)nanosleep(&ms, NULL);
    }
    assert_true(spool_has_room(s, stream, 100) == room);
}

static void expect_read(struct spool_cursor *cur, const char *text)
{
    const struct timespec ms = {0, 1000000};
    struct spool_block b = {.payload = NULL};
    uint64_t lost;

    for (int i = 0; i < 10000; i++) {
        if (spool_cursor_next(cur, &b, &lost) == SPOOL_READ_OK) {
            break;
        }
        assert_int_equal(0, lost);
        (void)nanosleep(&ms, NULL);
    }
    assert_non_null(b.payload);
    assert_memory_equal(text, b.payload, strlen(text));
}

static void only_the_stream_whose_folder_is_moved_takes_nothing(void **state)
{
    const struct spool_stream_conf more = {"more", 64 * SEGMENT, false, false};
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false), other;
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL), *v;
    uint64_t last = 0;
    char why[400];
    struct err e;

    (void)state;
    other = spool_stream(s, &more, &e);
    v = spool_writer_open(s, other, 0, on_wake, NULL);
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    assert_true(spool_whole(s, &e));
    move_stream_away();
    assert_false(spool_whole(s, &e));
    assert_false(spool_stream_in_place(s, stream, &e));
    assert_true(spool_stream_in_place(s, other, &e));
    assert_true(spool_in_place(s, &e));
    until_room(s, stream, false);
    assert_true(spool_has_room(s, other, 100));
    assert_int_equal(SPOOL_OK, commit(v, "2", &last));
    assert_false(spool_writable(s));
    assert_false(spool_stream_writable(s, stream));
    assert_true(spool_stream_writable(s, other)); /* full, it says so */
    spool_why_unwritable(s, why, sizeof why);
    assert_non_null(strstr(why, "the directory of the stream \"events\""));
    move_stream_back();
    until_room(s, stream, true);
    assert_true(spool_writable(s));
    assert_true(spool_whole(s, &e));
    assert_int_equal(SPOOL_OK, commit(w, "3", &last));
    spool_writer_close(w);
    spool_writer_close(v);
    spool_close(s);
}

static void a_stream_whose_open_file_is_removed_takes_nothing(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    uint64_t last = 0;
    char path[160];

    (void)state;
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000001.seg", dir);
    assert_int_equal(0, unlink(path));
    until_room(s, stream, false);
    spool_writer_close(w);
    spool_close(s);
}

/* An operator who has removed the stream from the policy does so. */
static void the_files_of_an_ended_stream_may_be_removed(void **state)
{
    struct spool *s = open_spool();
    struct spool_writer *w =
        spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    const uint64_t before = deleted();
    char command[160];
    struct err e;

    (void)state;
    spool_ready(s);
    spool_streams_used(s, NULL, 0);
    (void)snprintf(command, sizeof command, "rm '%s/events/1.0/'*", dir);
    assert_int_equal(0, system(command));
    assert_true(spool_whole(s, &e));
    spool_writer_close(w);
    spool_close(s);
    assert_int_equal(before + 1, deleted()); /* the one that was ahead */
}

static void commit_many(struct spool_writer *w, int n)
{
    static char text[SEGMENT / 8];
    uint64_t last = 0;

    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(SPOOL_OK, commit(w, text, &last));
    }
}

/* It would have been used again. */
static void a_removed_file_that_nobody_needs_stops_nothing(void **state)
{
    const struct timespec second = {1, 0}, ms = {0, 1000000};
    const uint64_t before = created();
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_cursor *cur;
    char path[160], why[400];

    (void)state;
    spool_ready(s);
    commit_many(w, 9);
    for (int i = 0; i < 10000 && created() < before + 3; i++) { /* one is ahead */
        (void)nanosleep(&ms, NULL);
    }
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    spool_cursor_release(cur, 9);
    (void)nanosleep(&second, NULL);
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000001.seg", dir);
    assert_int_equal(0, unlink(path));
    commit_many(w, 24);
    spool_why_unwritable(s, why, sizeof why);
    assert_string_equal("", why);
    spool_cursor_close(cur);
    spool_writer_close(w);
    spool_consumer_close(c);
    spool_close(s);
}

/* As if the housekeeper hung on it. */
static void a_disk_that_does_not_answer_holds_nobody_up(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct timespec from, to;
    struct err e;

    (void)state;
    spool_writer_close(w);
    assert_true(spool_stop(s, INT64_MAX));
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    assert_true(spool_whole(s, &e));
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    assert_in_range(to.tv_sec - from.tv_sec, 0, 5);
    spool_close(s);
}

/* Of events that only the folder has that was moved; the one in its place has a file of that
 * name. */
static void what_a_replaced_folder_had_is_not_given_up(void **state)
{
    struct spool *s;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t lost;
    char command[160];

    (void)state;
    for (int with = 0; with < 2; with++) {
        write_two();
        s = open_spool();
        c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
        spool_ready(s);
        move_stream_away();
        put_another_stream("/events/1.0");
        if (with == 0) {
            (void)snprintf(command, sizeof command, "rm '%s/events/1.0/'*", dir);
            assert_int_equal(0, system(command));
        }
        cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
        for (int i = 0; i < 5; i++) {
            assert_int_equal(SPOOL_READ_AGAIN, spool_cursor_next(cur, &b, &lost));
        }
        (void)snprintf(command, sizeof command, "rm -rf '%s/events'", dir);
        assert_int_equal(0, system(command));
        move_stream_back();
        expect_read(cur, "1");
        expect_read(cur, "2");
        spool_cursor_close(cur);
        spool_consumer_close(c);
        spool_close(s);
        (void)snprintf(command, sizeof command, "rm -rf '%s/'*", dir);
        assert_int_equal(0, system(command));
    }
}

static void what_a_moved_folder_has_is_not_known_to_be_durable(void **state)
{
    struct spool *s;
    struct spool_consumer *c;
    struct err e;
    char command[160];

    (void)state;
    write_two();
    s = open_spool();
    c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
    assert_true(spool_make_durable(c, 1, 0, &e));
    move_stream_away();
    assert_false(spool_make_durable(c, 1, 0, &e));
    put_another_stream("/events/1.0");
    assert_false(spool_make_durable(c, 1, 0, &e));
    (void)snprintf(command, sizeof command, "rm -rf '%s/events'", dir);
    assert_int_equal(0, system(command));
    move_stream_back();
    assert_true(spool_make_durable(c, 1, 0, &e));
    (void)snprintf(command, sizeof command, "rm '%s/events/1.0/'*", dir);
    assert_int_equal(0, system(command));
    assert_true(spool_make_durable(c, 1, 0, &e)); /* given up */
    spool_consumer_close(c);
    spool_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_away, tear_down_away)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_another_file_has_is_not_deleted_by_its_name),
        TEST(only_the_stream_whose_folder_is_moved_takes_nothing),
        TEST(a_stream_whose_open_file_is_removed_takes_nothing),
        TEST(the_files_of_an_ended_stream_may_be_removed),
        TEST(a_removed_file_that_nobody_needs_stops_nothing),
        TEST(a_disk_that_does_not_answer_holds_nobody_up),
        TEST(what_a_replaced_folder_had_is_not_given_up),
        TEST(what_a_moved_folder_has_is_not_known_to_be_durable),
    };

    return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
