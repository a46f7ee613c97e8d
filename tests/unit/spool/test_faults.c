/* A writer whose disk fails, by a pwritev and fdatasync of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/spool.h"

#include "fixture.h"

enum { TORN = 30 };

static atomic_int tear_writes, fail_syncs; /* of the next calls */
static atomic_int fail_any_syncs;          /* also of other files */
static atomic_int block_fd; /* of the last block: new segments are synced, too */

static bool take(atomic_int *n)
{
    int left = atomic_load(n);

    return left > 0 && atomic_compare_exchange_strong(n, &left, left - 1);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    atomic_store(&block_fd, fd);
    if (take(&tear_writes)) {
        return (ssize_t)syscall(SYS_pwrite64, fd, iov[0].iov_base, (size_t)TORN, at);
    }
    return (ssize_t)syscall(SYS_pwritev, fd, iov, n, at, 0);
}

int fdatasync(int fd)
{
    if (fd == atomic_load(&block_fd) && take(&fail_syncs)) {
        errno = EIO;
        return -1;
    }
    if (take(&fail_any_syncs)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static atomic_long bad_at; /* a place that can't be read; 0: all can */

ssize_t pread(int fd, void *bytes, size_t n, off_t at)
{
    const off_t bad = atomic_load(&bad_at);

    if (bad != 0 && at <= bad && bad < at + (off_t)n) {
        errno = EIO;
        return -1;
    }
    return (ssize_t)syscall(SYS_pread64, fd, bytes, n, at);
}

/* Bytes that were written once more, over themselves. */
static atomic_int n_rewritten;

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    char *before = malloc(n);

    assert_non_null(before);
    if (syscall(SYS_pread64, fd, before, n, at) == (long)n &&
        memcmp(before, bytes, n) == 0) {
        (void)atomic_fetch_add(&n_rewritten, (int)n);
    }
    free(before);
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, n, at);
}

static void a_torn_block_is_overwritten_by_the_next(void **state)
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
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    atomic_store(&tear_writes, 1);
    assert_int_equal(SPOOL_FAILED, commit(w, "2", &last));
    assert_int_equal(1, last);
    assert_int_equal(SPOOL_OK, commit(w, "3", &last));
    assert_int_equal(2, last);
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_memory_equal("1", b.payload, 1);
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_memory_equal("3", b.payload, 1);
    assert_int_equal(SPOOL_READ_AGAIN, spool_cursor_next(cur, &b, &lost));
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static void what_follows_a_failed_sync_goes_elsewhere_and_is_synced(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    uint64_t last = 0, lost, next;

    (void)state;
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_want(w, last);
    until_synced(w, last);
    atomic_store(&fail_syncs, 1);
    assert_int_equal(SPOOL_OK, commit(w, "2", &lost));
    spool_writer_want(w, lost);
    for (int i = 0; i < 5000 && !spool_writer_lost(w, lost); i++) {
        const struct timespec ms = {0, 1000000};

        (void)nanosleep(&ms, NULL);
    }
    assert_true(spool_writer_lost(w, lost));
    assert_false(spool_writer_lost(w, last));
    assert_int_equal(SPOOL_OK, commit(w, "3", &next));
    spool_writer_want(w, next);
    until_synced(w, next);
    assert_false(spool_writer_lost(w, next));
    spool_writer_close(w);
    spool_close(s);
}

/* No other segment follows: no event has come since. */
static void a_consumer_knows_at_once_what_a_failed_sync_has_lost(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_pos pos = {spool_epoch(s), 0, 2};
    enum spool_durable d;
    uint64_t last = 0;

    (void)state;
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    while ((d = spool_durable(c, pos)) == SPOOL_DURABLE_SOON) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    assert_int_equal(SPOOL_DURABLE, d);
    atomic_store(&fail_syncs, 1);
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    pos.seq = 3;
    for (int i = 0; i < 5000 && spool_durable(c, pos) == SPOOL_DURABLE_SOON; i++) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    assert_int_equal(SPOOL_DURABLE, spool_durable(c, pos));
    pos.seq = 1;
    assert_false(spool_lost(c, pos));
    pos.seq = 2;
    assert_true(spool_lost(c, pos));
    pos.seq = 3; /* the next one is not */
    assert_false(spool_lost(c, pos));
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static void until_lost(const struct spool_writer *w, uint64_t seq)
{
    for (int i = 0; i < 10000 && !spool_writer_lost(w, seq); i++) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    assert_true(spool_writer_lost(w, seq));
}

/* The segment after it is as good as any. */
static void no_later_segment_hides_a_failed_sync(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    const uint32_t epoch = spool_epoch(s);
    uint64_t last = 0;
    struct err e;

    (void)state;
    spool_ready(s);
    atomic_store(&fail_syncs, 1);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_want(w, last);
    until_lost(w, last);
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    until_synced(w, last);
    spool_writer_close(w);
    assert_int_equal(SPOOL_DURABLE_ASK,
                     spool_durable(c, (struct spool_pos){epoch, 0, last + 2}));
    assert_false(spool_make_durable(c, epoch, 0, &e));
    assert_non_null(strstr(e.text, "failed before"));
    spool_consumer_close(c);
    spool_close(s);
}

/* Of an earlier process. The disk may have dropped what it could not write, and a second
 * sync says that all is well. */
static void what_a_sync_did_not_take_is_written_again_before_the_next(void **state)
{
    struct spool *s = open_spool();
    struct spool_writer *w;
    struct spool_consumer *c;
    uint64_t last = 0;
    struct err e;

    (void)state;
    w = spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    assert_int_equal(SPOOL_OK, commit(w, "an event", &last));
    spool_writer_close(w);
    spool_close(s);
    s = open_spool();
    c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
    atomic_store(&n_rewritten, 0);
    assert_true(spool_make_durable(c, 1, 0, &e));
    assert_int_equal(0, atomic_load(&n_rewritten));
    atomic_store(&fail_any_syncs, 2);
    assert_false(spool_make_durable(c, 1, 0, &e));
    assert_false(spool_make_durable(c, 1, 0, &e));
    assert_int_equal(0, atomic_load(&fail_any_syncs));
    atomic_store(&n_rewritten, 0);
    assert_true(spool_make_durable(c, 1, 0, &e));
    assert_in_range(atomic_load(&n_rewritten), 4096 + 8, SEGMENT);
    atomic_store(&n_rewritten, 0);
    assert_true(spool_make_durable(c, 1, 0, &e));
    assert_int_equal(0, atomic_load(&n_rewritten));
    spool_consumer_close(c);
    spool_close(s);
}

/* Two segments of an earlier process, the first one full. */
static struct spool *reopen_with_two_segments(struct spool_consumer **c)
{
    static char text[SEGMENT / 8];
    struct spool *s = open_spool();
    struct spool_writer *w =
        spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    uint64_t last = 0;

    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(SPOOL_OK, commit(w, text, &last));
    }
    spool_writer_close(w);
    spool_close(s);
    s = open_spool();
    *c = open_consumer(s, open_stream(s, 64 * SEGMENT, false));
    return s;
}

/* And the sync of one of them fails. */
static struct spool *reopen_unsynced(struct spool_consumer **c)
{
    struct spool *s = reopen_with_two_segments(c);
    struct err e;

    atomic_store(&fail_any_syncs, 1);
    assert_false(spool_make_durable(*c, 1, 0, &e));
    atomic_store(&n_rewritten, 0);
    return s;
}

/* A backlog may have many. */
static void only_the_segment_whose_sync_failed_is_written_again(void **state)
{
    struct spool_consumer *c;
    struct spool *s = reopen_unsynced(&c);
    struct err e;

    (void)state;
    assert_true(spool_make_durable(c, 1, 0, &e));
    assert_in_range(atomic_load(&n_rewritten), SEGMENT / 2, SEGMENT);
    spool_consumer_close(c);
    spool_close(s);
}

/* Else no key of the stream would ever be saved again. */
static void
a_place_that_can_t_be_read_does_not_keep_the_others_from_being_synced(void **state)
{
    struct spool_consumer *c;
    struct spool *s = reopen_unsynced(&c);
    struct err e;

    (void)state;
    atomic_store(&bad_at, 100000);
    assert_true(spool_make_durable(c, 1, 0, &e));
    atomic_store(&bad_at, 0);
    assert_in_range(atomic_load(&n_rewritten), SEGMENT / 2, SEGMENT - 4096);
    spool_consumer_close(c);
    spool_close(s);
}

static void until_writable(const struct spool *s, bool writable)
{
    for (int i = 0; i < 20000 && spool_writable(s) != writable; i++) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    assert_int_equal(writable, spool_writable(s));
}

/* Its folder is gone with it, so that the disk can't be tried there. */
static void a_stream_that_left_the_policy_has_no_trouble_with_the_disk(void **state)
{
    struct spool *s = open_spool();
    const int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    char command[96];
    uint64_t last = 0;

    (void)state;
    spool_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    atomic_store(&tear_writes, 1);
    assert_int_equal(SPOOL_FAILED, commit(w, "2", &last));
    until_writable(s, false);
    spool_streams_used(s, NULL, 0);
    (void)snprintf(command, sizeof command, "rm -r '%s/events'", dir);
    assert_int_equal(0, system(command));
    until_writable(s, true);
    spool_writer_close(w);
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            only_the_segment_whose_sync_failed_is_written_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_place_that_can_t_be_read_does_not_keep_the_others_from_being_synced,
            set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_stream_that_left_the_policy_has_no_trouble_with_the_disk, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(no_later_segment_hides_a_failed_sync, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            what_a_sync_did_not_take_is_written_again_before_the_next, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_torn_block_is_overwritten_by_the_next, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            what_follows_a_failed_sync_goes_elsewhere_and_is_synced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_consumer_knows_at_once_what_a_failed_sync_has_lost, set_up, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
