/* Which streams a spool has had: what an index that begins knows of the time before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "index/roster.h"

static char dir[] = "/tmp/sluice-roster-XXXXXX", path[PATH_MAX];
static const char *const events[] = {"events"}, *const both[] = {"events", "other"};

static int set_up(void **state)
{
    (void)state;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/" ROSTER_FILE, dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

/* A process begins, and finds so many shards of "events". */
static void begin(struct roster *r, uint32_t epoch, uint32_t last, uint32_t older,
                  bool whole)
{
    roster_begin(r, epoch, epoch * 100);
    roster_meet(r, "events", &(struct roster_shards){last, older, whole});
    (void)roster_note(r, events, 1, epoch * 100 + 1);
}

/* So much an index that begins now knows of it, with so many shards. */
static void assert_known(const struct roster *r, const char *stream, uint32_t epoch,
                         uint32_t shards)
{
    const struct roster_known k = roster_known(r, stream);

    assert_int_equal(epoch, k.epoch);
    assert_int_equal(shards, k.shards);
    assert_int_equal(epoch * 100, k.ms);
}

static void all_is_known_while_each_shard_is_there_from_its_first_event(void **state)
{
    struct roster r = {.n = 0};

    (void)state;
    begin(&r, 1, 0, 0, true);
    assert_known(&r, "events", 1, 0);
    begin(&r, 2, 2, 0, true);
    assert_known(&r, "events", 1, 2);
    begin(&r, 3, 1, 2, true);
    assert_known(&r, "events", 1, 3);
    assert_known(&r, "other", 1, 0);
    begin(&r, 4, 0, 2, true); /* a shard has gone */
    assert_known(&r, "events", 1, ROSTER_LEFT);
    begin(&r, 5, 1, 2, true);
    assert_known(&r, "events", 1, ROSTER_LEFT);
    roster_free(&r);
}

static void a_shard_without_its_first_event_has_let_it_go(void **state)
{
    struct roster r = {.n = 0};

    (void)state;
    begin(&r, 1, 0, 0, true);
    begin(&r, 2, 1, 0, false);
    assert_known(&r, "events", 1, ROSTER_LEFT);
    roster_free(&r);
}

static void a_stream_that_was_not_noted_may_have_had_older_shards(void **state)
{
    struct roster r = {.n = 0};

    (void)state;
    roster_begin(&r, 1, 100);
    begin(&r, 2, 1, 0, true); /* the disk did not take its name */
    assert_known(&r, "events", 1, 1);
    roster_free(&r);
    roster_begin(&r, 1, 100);
    roster_begin(&r, 2, 200);
    begin(&r, 3, 1, 1, true);
    assert_known(&r, "events", 1, ROSTER_LEFT);
    roster_free(&r);
}

static void where_a_process_noted_nothing_all_before_it_is_unknown(void **state)
{
    struct roster r = {.n = 0};

    (void)state;
    begin(&r, 1, 0, 0, true);
    begin(&r, 3, 0, 1, true);
    assert_known(&r, "events", 3, 1);
    assert_known(&r, "other", 3, 0);
    begin(&r, 4, 1, 1, true);
    assert_known(&r, "events", 3, 2);
    roster_free(&r);
}

static void a_stream_leaves_and_may_come_back(void **state)
{
    struct roster r = {.n = 0};

    (void)state;
    roster_begin(&r, 1, 100);
    assert_true(roster_note(&r, both, 2, 100));
    assert_false(roster_note(&r, both, 2, 150));
    assert_true(roster_note(&r, events, 1, 200));
    assert_int_equal(0, r.list[0].until_ms);
    assert_int_equal(200, r.list[1].until_ms);
    assert_true(roster_has(&r, "events"));
    assert_false(roster_has(&r, "other"));
    assert_false(roster_has(&r, "third"));
    assert_false(roster_note(&r, events, 1, 300));
    assert_true(roster_note(&r, both, 2, 400));
    assert_int_equal(0, r.list[1].until_ms);
    assert_true(roster_has(&r, "other"));
    assert_known(&r, "events", 1, 0);
    assert_known(&r, "other", 1, ROSTER_LEFT);
    roster_free(&r);
}

static void beyond_its_most_the_oldest_that_left_is_as_before_it(void **state)
{
    struct roster r = {.n = 0};
    struct roster_known k;

    (void)state;
    begin(&r, 1, 0, 0, true);
    begin(&r, 2, 0, 0, true);
    for (int i = 0; i < ROSTER_MAX; i++) {
        char name[32];
        const char *const one = name;

        (void)snprintf(name, sizeof name, "s%d", i);
        (void)roster_note(&r, &one, 1, 300 + i);
    }
    assert_int_equal(ROSTER_MAX, r.n);
    k = roster_known(&r, "events"); /* it left first */
    assert_int_equal(2, k.epoch);
    assert_int_equal(0, k.shards);
    assert_int_equal(300, k.ms);
    assert_int_equal(300, r.lost_ms);
    roster_free(&r);
}

static void it_comes_back_from_the_disk_and_no_byte_may_be_another(void **state)
{
    static const struct roster_skip skip = {"events", "olap"};
    struct roster r = {.n = 0}, back;
    char text[512];
    struct err e;
    ssize_t n;
    int fd;

    (void)state;
    assert_int_equal(ROSTER_NONE, roster_read(&back, dir, &e));
    roster_begin(&r, 5, 500);
    (void)roster_note(&r, both, 2, 500);
    r.list[0].shards = 7;
    r.lost_ms = 3;
    (void)roster_note(&r, events, 1, 600);
    assert_true(roster_note_skips(&r, &skip, 1));
    assert_false(roster_note_skips(&r, &skip, 1));
    assert_true(roster_write(&r, dir, &e));
    assert_int_equal(ROSTER_READ, roster_read(&back, dir, &e));
    assert_int_equal(5, back.begin);
    assert_int_equal(5, back.until);
    assert_int_equal(500, back.begin_ms);
    assert_int_equal(3, back.lost_ms);
    assert_int_equal(2, back.n);
    for (uint32_t i = 0; i < 2; i++) {
        assert_string_equal(both[i], back.list[i].name);
        assert_int_equal(i == 0 ? 7 : ROSTER_LEFT, back.list[i].shards);
        assert_int_equal(i == 0 ? 0 : 600, back.list[i].until_ms);
    }
    assert_true(roster_skips(&back, "events", "olap"));
    assert_false(roster_skips(&back, "other", "olap"));
    assert_true(roster_note_skips(&back, NULL, 0));
    roster_free(&back);
    fd = open(path, O_RDWR | O_CLOEXEC);
    n = read(fd, text, sizeof text);
    assert_true(n > 0);
    for (ssize_t i = 0; i < n; i++) {
        const char other = (char)(text[i] ^ 1);

        assert_int_equal(1, pwrite(fd, &other, 1, i));
        assert_int_equal(ROSTER_BAD, roster_read(&back, dir, &e));
        assert_int_equal(1, pwrite(fd, text + i, 1, i));
    }
    (void)close(fd);
    roster_free(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_is_known_while_each_shard_is_there_from_its_first_event),
        TEST(a_shard_without_its_first_event_has_let_it_go),
        TEST(a_stream_that_was_not_noted_may_have_had_older_shards),
        TEST(where_a_process_noted_nothing_all_before_it_is_unknown),
        TEST(a_stream_leaves_and_may_come_back),
        TEST(beyond_its_most_the_oldest_that_left_is_as_before_it),
        TEST(it_comes_back_from_the_disk_and_no_byte_may_be_another)};

    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
