/* A disk with bad places, by a pwritev of our own: how a worker gets past them. */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/spool.h"

#include "ahead.h"
#include "counted.h"
#include "fixture.h"

static _Atomic ino_t
    bad; /* it takes no block after its half; 0: the first that gets there */
static int held = -1;
static atomic_bool all_bad;
static atomic_int n_refused;

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    struct stat st;
    ino_t none = 0;

    if (fstat(fd, &st) == 0 && at >= SEGMENT / 2) {
        if (atomic_compare_exchange_strong(&bad, &none, st.st_ino)) {
            held = dup(fd); /* no other file gets that number */
        }
    }
    if (atomic_load(&all_bad) ||
        (at >= SEGMENT / 2 && atomic_load(&bad) == st.st_ino)) {
        (void)atomic_fetch_add(&n_refused, 1);
        errno = EIO;
        return -1;
    }
    return (ssize_t)syscall(SYS_pwritev, fd, iov, n, at, 0);
}

/* A stream, and both its ends. */
struct opened {
    struct spool *s;
    struct spool_consumer *c;
    struct spool_writer *w;
    struct spool_cursor *cur;
};

static struct opened open_ends(bool delivered)
{
    const struct spool_stream_conf conf = {"events", 64 * SEGMENT, false, delivered};
    struct opened o = {.s = open_spool()};
    struct err e;
    const int stream = spool_stream(o.s, &conf, &e);

    o.c = open_consumer(o.s, stream);
    o.w = spool_writer_open(o.s, stream, 0, on_wake, NULL);
    o.cur = spool_cursor_open(o.c, (struct spool_pos){spool_epoch(o.s), 0, 1});
    spool_ready(o.s);
    return o;
}

static void close_ends(const struct opened *o)
{
    spool_cursor_close(o->cur);
    spool_consumer_close(o->c);
    spool_writer_close(o->w);
    spool_close(o->s);
}

static void until_delivered(const struct opened *o, uint64_t seq)
{
    for (int i = 0; i < 2000 && spool_writer_delivered(o->w) < seq; i++) {
        rest();
    }
    assert_int_equal(seq, spool_writer_delivered(o->w));
}

/* All sinks have what is in it, so that it could come again. */
static void a_segment_with_a_bad_place_does_not_come_again(void **state)
{
    static char text[SEGMENT / 8];
    const struct opened o = open_ends(false);
    uint64_t last = 0;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 60; i++) {
        if (commit(o.w, text, &last) == SPOOL_OK) {
            spool_cursor_release(o.cur, last + 1);
        }
        if (i == 0) {
            until_created("events", 2); /* the next one is there before it is left */
        }
    }
    assert_int_equal(3, atomic_load(&n_refused));
    assert_int_equal(57, last);
    assert_true(segments("events", "recycled") > 2);
    (void)close(held);
    close_ends(&o);
}

/* All sinks have what is in the segment before it, which goes. */
static void
what_is_delivered_is_known_while_the_next_segment_takes_no_block(void **state)
{
    static char text[SEGMENT / 8];
    const struct opened o = open_ends(true);
    const uint64_t before = segments("events", "created");
    struct spool_block b;
    uint64_t last = 0, lost;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(SPOOL_OK, commit(o.w, text, &last));
    }
    assert_int_equal(7, last);
    until_created("events", before + 1);
    atomic_store(&all_bad, true);
    assert_int_equal(SPOOL_FAILED, commit(o.w, text, &last));
    while (spool_cursor_next(o.cur, &b, &lost) == SPOOL_READ_OK) {
    }
    spool_cursor_release(o.cur, 8);
    until_delivered(&o, 7);
    atomic_store(&all_bad, false);
    close_ends(&o);
}

/* What its sinks had in flight arrives all the same. */
static void what_is_delivered_is_known_while_the_stream_is_away(void **state)
{
    const struct opened o = open_ends(true);
    struct err e;
    char command[200];
    uint64_t last = 0;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(o.w, "1", &last));
    (void)snprintf(command, sizeof command, "cd '%s' && mv events away", dir);
    assert_int_equal(0, system(command));
    for (int i = 0; i < 5000 && spool_whole(o.s, &e);
         i++) { /* it waits half a second */
        rest();
    }
    assert_false(spool_whole(o.s, &e));
    spool_cursor_release(o.cur, 2);
    until_delivered(&o, 1);
    (void)snprintf(command, sizeof command, "cd '%s' && mv away events", dir);
    assert_int_equal(0, system(command));
    close_ends(&o);
}

static void refuse(struct spool_writer *w, int n)
{
    uint64_t last = 0;

    for (int i = 0; i < n; i++) {
        assert_int_equal(SPOOL_FAILED, commit(w, "1", &last));
    }
}

/* However often the disk takes a file meanwhile. */
static void a_disk_that_takes_no_block_costs_a_segment_a_minute(void **state)
{
    struct spool *s = open_spool();
    const int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    const uint64_t before = segments("events", "created");
    uint64_t last = 0;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    until_created("events", before + 1);
    atomic_store(&all_bad, true);
    refuse(w, 4);
    until_created("events", before + 2);
    for (int i = 0; i < 8; i++) {
        atomic_fetch_add(&ahead_s, 6);
        for (int k = 0; k < 1000 && !spool_writable(s); k++) {
            rest();
        }
        assert_true(spool_writable(s)); /* until the next block */
        refuse(w, 2);
    }
    for (int i = 0; i < 100; i++) {
        rest();
    }
    assert_int_equal(before + 2, segments("events", "created"));
    atomic_fetch_add(&ahead_s, 15);
    refuse(w, 4);
    until_created("events", before + 3);
    atomic_store(&all_bad, false);
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    assert_int_equal(2, last);
    spool_writer_close(w);
    spool_close(s);
}

/* Only the first test has a bad segment. */
static int set_up_good(void **state)
{
    atomic_store(&bad, 1);
    return set_up(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_segment_with_a_bad_place_does_not_come_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_delivered_is_known_while_the_next_segment_takes_no_block,
            set_up_good, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_delivered_is_known_while_the_stream_is_away, set_up_good,
            tear_down),
        cmocka_unit_test_setup_teardown(
            a_disk_that_takes_no_block_costs_a_segment_a_minute, set_up_good,
            tear_down)};

    return cmocka_run_group_tests_name("roll", tests, NULL, NULL);
}
