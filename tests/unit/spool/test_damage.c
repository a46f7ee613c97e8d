/* Blocks that the disk gives back wrong, late or not at all: only damaged events are
 * lost. */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/format.h"
#include "spool/inspect.h"
#include "spool/spool.h"
#include "stats/stats.h"

#include "fixture.h"

enum { PAGE = 4096, BLOCK = 88, N = 5 }; /* a block of {"a":1} has 88 bytes */

static bool copies_tear; /* of damaged bytes: the disk takes a part of them */

ssize_t write(int fd, const void *p, size_t n)
{
    char link[64], path[256];
    ssize_t k;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    k = copies_tear ? readlink(link, path, sizeof path - 1) : 0;
    path[k < 0 ? 0 : k] = '\0';
    if (strstr(path, "/damaged/") != NULL) {
        n /= 2;
    }
    return (ssize_t)syscall(SYS_write, fd, p, n);
}

static const char *segment(void)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000001.seg", dir);
    return path;
}

/* N blocks of one event each, then a stop in good order. */
static void write_events(void)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    uint64_t last = 0;

    for (int i = 0; i < N; i++) {
        assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    }
    spool_writer_close(w);
    spool_close(s);
}

static void change(off_t at, const void *bytes, size_t n)
{
    int fd = open(segment(), O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(n, pwrite(fd, bytes, n, at));
    (void)close(fd);
}

static void flip(off_t at)
{
    unsigned char c;
    int fd = open(segment(), O_RDONLY);

    assert_int_equal(1, pread(fd, &c, 1, at));
    (void)close(fd);
    c ^= 0x10;
    change(at, &c, 1);
}

/* As after kill -9: the mark of a stop in good order is not there. */
static void crash(void)
{
    static const char zeros[64];

    change(PAGE + N * BLOCK, zeros, sizeof zeros);
}

struct seen {
    uint64_t events, lost;
    unsigned gaps;
    enum spool_read last;
};

static struct seen read_all(struct spool *s, int stream)
{
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_cursor *cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    struct seen seen = {0, 0, 0, SPOOL_READ_OK};
    struct spool_block b;
    uint64_t lost;

    do {
        seen.last = spool_cursor_next(cur, &b, &lost);
        seen.events += seen.last == SPOOL_READ_OK ? b.n : 0;
        seen.lost += lost;
        seen.gaps += lost > 0;
    } while (seen.last != SPOOL_READ_END && seen.last != SPOOL_READ_AGAIN);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    return seen;
}

static struct seen read_back(void)
{
    struct spool *s = open_spool();
    struct seen seen = read_all(s, open_stream(s, 64 * SEGMENT, false));

    spool_close(s);
    return seen;
}

static void expect(struct seen seen, uint64_t events, uint64_t lost)
{
    assert_int_equal(SPOOL_READ_END, seen.last);
    assert_int_equal(events, seen.events);
    assert_int_equal(lost, seen.lost);
    assert_int_equal(lost > 0, seen.gaps);
}

static bool kept(const char *name)
{
    char path[192];

    (void)snprintf(path, sizeof path, "%s/damaged/events-1.0-1%s", dir, name);
    return access(path, F_OK) == 0;
}

static void a_damaged_block_costs_its_own_events_only(void **state)
{
    (void)state;
    write_events();
    flip(PAGE + BLOCK + 66); /* in the second block's payload */
    expect(read_back(), N - 1, 1);
    assert_true(kept("-4184"));
}

/* As of a sink that has those events, and a start. */
static void damage_before_a_reader_s_events_is_counted_as_it_is(void **state)
{
    struct spool *s;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    struct spool_block b;
    uint64_t lost, events = 0, blocks, damaged;
    enum spool_read r;
    int stream;

    (void)state;
    write_events();
    flip(PAGE + BLOCK + 66);
    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    c = open_consumer(s, stream);
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 4});
    blocks = stats_value("sluice_spool_damaged_blocks_total", "stream=\"events\"");
    damaged = stats_value("sluice_spool_damaged_events_total", "stream=\"events\"");
    while ((r = spool_cursor_next(cur, &b, &lost)) != SPOOL_READ_END) {
        assert_int_equal(SPOOL_READ_OK, r);
        assert_int_equal(0, lost);
        events += b.n;
    }
    assert_int_equal(N - 3, events);
    blocks =
        stats_value("sluice_spool_damaged_blocks_total", "stream=\"events\"") - blocks;
    damaged =
        stats_value("sluice_spool_damaged_events_total", "stream=\"events\"") - damaged;
    assert_int_equal(1, blocks);
    assert_int_equal(1, damaged);
    assert_true(kept("-4184"));
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_close(s);
}

/* The whole segment is kept instead. */
static void half_a_copy_of_damaged_bytes_does_not_stay(void **state)
{
    (void)state;
    write_events();
    flip(PAGE + BLOCK + 66);
    copies_tear = true;
    expect(read_back(), N - 1, 1);
    copies_tear = false;
    assert_false(kept("-4184"));
}

static void a_damaged_length_is_passed_over_too(void **state)
{
    (void)state;
    write_events();
    flip(PAGE + BLOCK + 29); /* its payload_bytes */
    expect(read_back(), N - 1, 1);
}

static void damage_at_the_end_is_told_after_a_stop_in_good_order(void **state)
{
    (void)state;
    write_events();
    flip(PAGE + (N - 1) * BLOCK + 66);
    expect(read_back(), N - 1, 1);
}

static void damage_of_all_blocks_is_told_after_a_stop_in_good_order(void **state)
{
    (void)state;
    write_events();
    for (int i = 0; i < N; i++) {
        flip(PAGE + i * BLOCK + 66);
    }
    expect(read_back(), 0, N);
}

static void damage_is_told_from_a_torn_end_after_a_crash(void **state)
{
    (void)state;
    write_events();
    crash();
    flip(PAGE + BLOCK + 66);
    expect(read_back(), N - 1, 1);
}

static void a_torn_end_is_no_loss_and_is_kept_for_a_look(void **state)
{
    (void)state;
    write_events();
    crash();
    change(PAGE + N * BLOCK - 20, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    expect(read_back(), N - 1, 0);
    assert_true(kept("-4448"));
}

static uint64_t damaged_blocks(void)
{
    return stats_value("sluice_spool_damaged_blocks_total", "stream=\"events\"");
}

static void on_segment(void *arg, const struct spool_segment_info *i)
{
    uint64_t *n = arg;

    *n += i->n_damaged;
}

/* As a copy that had no room: between two blocks, too. */
static void a_newest_segment_that_was_cut_is_told(void **state)
{
    uint64_t n = 0;
    const struct spool_visitor v = {.segment = on_segment, .arg = &n};
    uint64_t before;
    struct err e;

    (void)state;
    write_events();
    assert_int_equal(0, truncate(segment(), PAGE + (N - 1) * BLOCK));
    assert_true(spool_visit(dir, &v, &e));
    assert_int_equal(1, n);
    before = damaged_blocks();
    expect(read_back(), N - 1, 0);
    assert_int_equal(before + 1, damaged_blocks());
}

/* Its sequence is what tells a block of this use of the segment from an older one. */
static void a_last_block_with_a_wrong_sequence_is_kept_for_a_look(void **state)
{
    (void)state;
    write_events();
    crash();
    flip(PAGE + (N - 1) * BLOCK + 17);
    expect(read_back(), N - 1, 0);
    assert_true(kept("-4448"));
}

static void a_first_page_with_a_wrong_byte_costs_nothing(void **state)
{
    static const int at[] = {1, 9, 20, 100, 140, 3000, 150, 153};

    (void)state;
    write_events();
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        flip(at[i]);
        expect(read_back(), N, 0);
        flip(at[i]);
        /* It is read as the first process's, whatever epoch asks. */
    }
}

static void a_file_of_other_bytes_is_moved_and_not_deleted(void **state)
{
    char bytes[2 * PAGE];

    (void)state;
    write_events();
    memset(bytes, 'x', sizeof bytes);
    change(0, bytes, sizeof bytes);
    assert_int_equal(0, read_back().events);
    assert_int_not_equal(0, access(segment(), F_OK));
    assert_true(kept(".seg"));
}

static void a_first_page_of_zeros_costs_nothing_where_two_blocks_agree(void **state)
{
    static const char zeros[PAGE];

    (void)state;
    write_events();
    change(0, zeros, sizeof zeros);
    expect(read_back(), N, 0);
}

/* There is always a key with which one block's checksum holds. */
static void one_block_does_not_tell_the_key_of_its_segment(void **state)
{
    static const char zeros[PAGE];

    (void)state;
    write_events();
    change(0, zeros, sizeof zeros);
    flip(PAGE + 66); /* in the first block's payload */
    assert_int_equal(0, read_back().events);
    assert_true(kept(".seg"));
}

static void a_segment_that_was_never_used_is_deleted(void **state)
{
    (void)state;
    write_events();
    assert_int_equal(0, truncate(segment(), 0));
    assert_int_equal(0, truncate(segment(), SEGMENT));
    expect(read_back(), 0, 0);
    assert_int_not_equal(0, access(segment(), F_OK));
}

/* The second segment of the shard as it is once it has been prepared for a second use:
 * with a page of its own, and the blocks of before. One byte of the page is wrong. */
static void prepare_again(void)
{
    unsigned char bytes[SEGMENT];
    char path[128];
    struct page p;
    int fd = open(segment(), O_RDONLY);

    assert_int_equal(sizeof bytes, pread(fd, bytes, sizeof bytes, 0));
    (void)close(fd);
    assert_true(page_decode(bytes, &p));
    p.number = 2;
    p.first = 0;
    p.salt++;
    page_encode(&p, bytes);
    bytes[100] ^= 0x10;
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000002.seg", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(sizeof bytes, write(fd, bytes, sizeof bytes));
    (void)close(fd);
}

static void a_prepared_segment_with_a_damaged_page_ends_no_other(void **state)
{
    char path[128];

    (void)state;
    write_events();
    prepare_again();
    expect(read_back(), N, 0);
    (void)snprintf(path, sizeof path, "%s/damaged/events-1.0-2.seg", dir);
    assert_int_equal(0, access(path, F_OK));
}

/* The first block is the last one, too, and its copy fails. */
static void a_torn_segment_of_which_no_copy_can_be_made_is_kept_as_a_whole(void **state)
{
    static const char zeros[N * BLOCK];

    (void)state;
    write_events();
    change(PAGE + 64, zeros, N * BLOCK);
    copies_tear = true;
    expect(read_back(), 0, 0);
    copies_tear = false;
    assert_true(kept(".seg"));
}

/* A link to itself can't be opened, also not by root. */
static void block_segment(bool yes)
{
    char away[160];

    (void)snprintf(away, sizeof away, "%s/away", dir);
    if (yes) {
        assert_int_equal(0, rename(segment(), away));
        assert_int_equal(0, symlink("0000000001.seg", segment()));
    } else {
        assert_int_equal(0, unlink(segment()));
        assert_int_equal(0, rename(away, segment()));
    }
}

static void
a_segment_that_the_disk_does_not_give_at_start_is_asked_for_again(void **state)
{
    const struct timespec ms = {0, 1000000};
    struct spool_shard_id id;
    struct spool_consumer *c;
    struct spool *s;
    int stream;

    (void)state;
    write_events();
    block_segment(true);
    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    c = open_consumer(s, stream);
    spool_ready(s);
    assert_int_equal(1, spool_shards(c, &id, 1));
    assert_int_equal(0, id.first);
    assert_int_equal(SPOOL_READ_AGAIN, read_all(s, stream).last);
    block_segment(false);
    for (int i = 0; i < 5000 && id.first == 0; i++) {
        (void)nanosleep(&ms, NULL);
        assert_int_equal(1, spool_shards(c, &id, 1));
    }
    assert_int_equal(1, id.first);
    expect(read_all(s, stream), N, 0);
    spool_consumer_close(c);
    spool_close(s);
}

static void a_segment_that_can_not_be_opened_later_holds_and_is_not_lost(void **state)
{
    const struct timespec ms = {0, 1000000};
    struct spool_consumer *c;
    struct spool_cursor *cur;
    struct spool_block b;
    enum spool_read r = SPOOL_READ_AGAIN;
    uint64_t lost = 0;
    struct spool *s;

    (void)state;
    write_events();
    s = open_spool();
    c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
    block_segment(true);
    cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    for (int i = 0; i < 200; i++) {
        assert_int_equal(SPOOL_READ_AGAIN, spool_cursor_next(cur, &b, &lost));
        (void)nanosleep(&ms, NULL);
    }
    block_segment(false);
    for (int i = 0; i < 5000 && r == SPOOL_READ_AGAIN; i++) {
        r = spool_cursor_next(cur, &b, &lost);
        (void)nanosleep(&ms, NULL);
    }
    assert_int_equal(SPOOL_READ_OK, r);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_close(s);
}

static void a_segment_that_was_taken_away_is_a_gap(void **state)
{
    struct spool *s;
    int stream;

    (void)state;
    write_events();
    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    assert_int_equal(0, unlink(segment()));
    expect(read_all(s, stream), 0, N);
    spool_close(s);
}

static void a_copy_of_a_segment_overwrites_nothing(void **state)
{
    char command[400];

    (void)state;
    write_events();
    (void)snprintf(command, sizeof command, "cp '%s' '%s/events/1.0/0000000009.seg'",
                   segment(), dir);
    assert_int_equal(0, system(command));
    expect(read_back(), N, 0);
    (void)snprintf(command, sizeof command,
                   "test -f '%s' && test -f '%s/events/1.0/0000000009.seg'", segment(),
                   dir);
    assert_int_equal(0, system(command));
}

static void a_copied_spool_names_new_events_anew_and_old_ones_as_before(void **state)
{
    char first[40], command[400];
    struct spool *s;

    (void)state;
    write_events();
    s = open_spool();
    (void)snprintf(first, sizeof first, "%s", spool_uuid(s));
    assert_string_equal(first, spool_uuid_of(s, 1));
    spool_close(s);
    (void)snprintf(command, sizeof command,
                   "cp -a '%s' '%s.b' && rm -r '%s' && mv '%s.b' '%s'", dir, dir, dir,
                   dir, dir);
    assert_int_equal(0, system(command));
    s = open_spool();
    assert_string_not_equal(first, spool_uuid(s));
    assert_string_equal(first, spool_uuid_of(s, 1));
    assert_string_equal(spool_uuid(s), spool_uuid_of(s, spool_epoch(s)));
    expect(read_all(s, open_stream(s, 64 * SEGMENT, false)), N, 0);
    (void)snprintf(first, sizeof first, "%s", spool_uuid(s));
    spool_close(s);
    s = open_spool();
    assert_string_equal(first, spool_uuid(s));
    spool_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_damaged_block_costs_its_own_events_only),
        TEST(damage_before_a_reader_s_events_is_counted_as_it_is),
        TEST(half_a_copy_of_damaged_bytes_does_not_stay),
        TEST(a_damaged_length_is_passed_over_too),
        TEST(damage_at_the_end_is_told_after_a_stop_in_good_order),
        TEST(damage_of_all_blocks_is_told_after_a_stop_in_good_order),
        TEST(damage_is_told_from_a_torn_end_after_a_crash),
        TEST(a_torn_end_is_no_loss_and_is_kept_for_a_look),
        TEST(a_newest_segment_that_was_cut_is_told),
        TEST(a_last_block_with_a_wrong_sequence_is_kept_for_a_look),
        TEST(a_first_page_with_a_wrong_byte_costs_nothing),
        TEST(a_file_of_other_bytes_is_moved_and_not_deleted),
        TEST(a_first_page_of_zeros_costs_nothing_where_two_blocks_agree),
        TEST(one_block_does_not_tell_the_key_of_its_segment),
        TEST(a_segment_that_was_never_used_is_deleted),
        TEST(a_prepared_segment_with_a_damaged_page_ends_no_other),
        TEST(a_torn_segment_of_which_no_copy_can_be_made_is_kept_as_a_whole),
        TEST(a_segment_that_the_disk_does_not_give_at_start_is_asked_for_again),
        TEST(a_segment_that_can_not_be_opened_later_holds_and_is_not_lost),
        TEST(a_segment_that_was_taken_away_is_a_gap),
        TEST(a_copy_of_a_segment_overwrites_nothing),
        TEST(a_copied_spool_names_new_events_anew_and_old_ones_as_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
