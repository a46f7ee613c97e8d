/* Segments that the disk does not delete, by an unlink and an fdatasync of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
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
#include "stats/stats.h"

#include "fixture.h"

static atomic_bool keeping; /* the disk does not delete the first segment */
static atomic_bool fail_sync;
static atomic_int block_fd; /* of the last block: new segments are synced, too */

int unlink(const char *path)
{
    if (atomic_load(&keeping) && strstr(path, "/0000000001.seg") != NULL) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_unlink, path);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    atomic_store(&block_fd, fd);
    return (ssize_t)syscall(SYS_pwritev, fd, iov, n, at, 0);
}

int fdatasync(int fd)
{
    if (fd == atomic_load(&block_fd) && atomic_exchange(&fail_sync, false)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void rest(long ms)
{
    (void)nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

static uint64_t recycled(void)
{
    return stats_value("sluice_spool_segments_total",
                       "stream=\"events\",op=\"recycled\"");
}

/* More than half of a segment each. */
static void commit_large(struct spool_writer *w, int n)
{
    static char text[700 << 10];
    uint64_t last = 0;

    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(SPOOL_OK, commit(w, text, &last));
    }
}

/* What the next process reads of the first one's events, a letter a block: v: an event
 * that no client was promised. */
static void expect_after_restart(const char *text)
{
    struct spool *s = open_spool();
    struct spool_consumer *c = open_consumer(s, open_stream(s, 64 * SEGMENT, true));
    struct spool_cursor *cur = spool_cursor_open(c, (struct spool_pos){1, 0, 1});
    char got[16] = "";
    enum spool_read r;
    size_t n = 0;

    do {
        struct spool_block b;
        uint64_t lost;

        r = spool_cursor_next(cur, &b, &lost);
        if (r != SPOOL_READ_END && n + 1 < sizeof got) {
            got[n++] = r == SPOOL_READ_OK     ? b.payload[0]
                       : r == SPOOL_READ_VOID ? 'v'
                                              : '?';
        }
    } while (r != SPOOL_READ_END && r != SPOOL_READ_AGAIN);
    assert_string_equal(text, got);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_close(s);
}

/* The event "2" was refused: its sync failed. All have the segment that tells so, and the next
 * segment is wanted. */
static void
what_tells_of_refused_events_is_not_reused_while_they_are_there(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    const uint64_t before = recycled();
    struct spool_cursor *cur;
    uint64_t last = 0;
    char unused[160];

    (void)state;
    spool_ready(s);
    atomic_store(&keeping, true);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    until_synced(w, last);
    atomic_store(&fail_sync, true);
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    spool_writer_want(w, last);
    while (!spool_writer_lost(w, last)) {
        rest(1);
    }
    assert_int_equal(SPOOL_OK, commit(w, "3", &last));
    until_synced(w, last);
    commit_large(w, 2); /* the second one in the next segment */
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    spool_cursor_release(cur, 5);
    spool_cursor_close(cur);
    rest(500);
    commit_large(w, 3);
    rest(500);
    assert_int_equal(before, recycled());
    spool_writer_close(w);
    spool_consumer_close(c);
    spool_close(s);
    (void)snprintf(unused, sizeof unused, "%s/events/1.0/0000000008.seg", dir);
    assert_int_equal(-1, access(unused, F_OK)); /* it tells nothing */
    atomic_store(&keeping, false);
    expect_after_restart("1v3xxxxx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        what_tells_of_refused_events_is_not_reused_while_they_are_there, set_up,
        tear_down)};

    return cmocka_run_group_tests_name("undeleted", tests, NULL, NULL);
}
