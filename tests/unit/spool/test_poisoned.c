/* Requests that wait for a sync that fails, by an fdatasync and a pwritev of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
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
#include "spool/inspect.h"
#include "spool/spool.h"

#include "fixture.h"

enum { LARGE = 700 << 10 };

static atomic_bool armed;   /* the next fdatasync waits, then fails */
static atomic_bool failing; /* all later ones fail, too */
static atomic_bool full;    /* the next pwritev fails */
static atomic_bool holding; /* the consumer's wake waits */
static sem_t begun, fail, held, go_on;

int fdatasync(int fd)
{
    if (atomic_exchange(&armed, false)) {
        (void)sem_post(&begun);
        (void)sem_wait(&fail);
        errno = EIO;
        return -1;
    }
    if (atomic_load(&failing)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* The next pwritev goes on once the sync of this sequence has failed. */
static struct spool_writer *writing;
static uint64_t until_lost;

static void rest(void)
{
    const struct timespec ms = {0, 1000000};

    (void)nanosleep(&ms, NULL);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    const struct spool_writer *w = writing;

    if (atomic_exchange(&full, false)) {
        errno = ENOSPC;
        return -1;
    }
    writing = NULL;
    if (w != NULL) {
        (void)sem_post(&fail);
    }
    /* The segment that is prepared may be the first that fails. */
    while (w != NULL && !spool_writer_lost(w, until_lost)) {
        rest();
    }
    return syscall(SYS_pwritev, fd, iov, n, at, 0);
}

static atomic_bool keeping; /* the disk deletes nothing */

int unlink(const char *path)
{
    if (atomic_load(&keeping)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_unlink, path);
}

/* On the housekeeping thread, between the sync that failed and the freeing of
 * segments. */
static void hold_up(void *arg)
{
    (void)arg;
    if (atomic_exchange(&holding, false)) {
        (void)sem_post(&held);
        (void)sem_wait(&go_on);
    }
}

static void get_ready(struct spool *s)
{
    (void)sem_init(&begun, 0, 0);
    (void)sem_init(&fail, 0, 0);
    spool_ready(s);
}

/* A segment is ahead once its file is there and the thread rests. */
static void until_one_is_ahead(void)
{
    for (int i = 0; i < 300; i++) {
        rest();
    }
}

/* The segment was full and the next in use when the sync failed, and its consumer had
 * all that counts: it may be freed, but not before the requests that wait for the rest
 * are told that it is lost. */
static void a_freed_segment_has_told_what_it_lost(void **state)
{
    const struct spool_consumer_conf conf = {.name = "sink", .wake = hold_up};
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = spool_consumer_open(s, stream, &conf);
    char *large = malloc(LARGE + 1);
    uint64_t last = 0, waits, lost;
    struct spool_cursor *cur;
    struct spool_block b;

    (void)state;
    memset(large, '1', LARGE);
    large[LARGE] = '\0';
    (void)sem_init(&held, 0, 0);
    (void)sem_init(&go_on, 0, 0);
    get_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_want(w, last);
    until_synced(w, last);
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    spool_cursor_release(cur, last + 1);
    until_one_is_ahead();

    atomic_store(&armed, true);
    assert_int_equal(SPOOL_OK, commit(w, large, &waits));
    spool_writer_want(w, waits);
    (void)sem_wait(&begun);
    assert_int_equal(SPOOL_OK, commit(w, large, &last)); /* in the next one */
    spool_writer_want(w, last);
    atomic_store(&holding, true);
    (void)sem_post(&fail);
    (void)sem_wait(&held);
    assert_true(spool_writer_synced(w) < waits); /* its request would be told so */
    assert_int_equal(SPOOL_READ_VOID, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(1, lost);
    spool_cursor_release(cur, waits + 1);
    (void)sem_post(&go_on);

    until_synced(w, last);
    assert_true(spool_writer_lost(w, waits));
    assert_false(spool_writer_lost(w, last));
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
    free(large);
}

/* A block is being written when the sync of the one before it fails: its segment has no
 * room for a third, whatever was left behind the second. */
static void a_block_on_its_way_gives_a_poisoned_segment_no_room(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    uint64_t first = 0, last = 0;

    (void)state;
    get_ready(s);
    atomic_store(&armed, true);
    assert_int_equal(SPOOL_OK, commit(w, "1", &first));
    spool_writer_want(w, first);
    (void)sem_wait(&begun);
    atomic_store(&failing, true);
    writing = w;
    until_lost = first;
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    assert_false(spool_writable(s));
    assert_false(spool_has_room(s, stream, 1));
    assert_true(spool_writer_lost(w, first));
    assert_true(spool_writer_lost(w, last));

    atomic_store(&failing, false);
    assert_int_equal(SPOOL_OK, commit(w, "3", &last));
    until_synced(w, last);
    assert_true(spool_has_room(s, stream, 1));
    spool_writer_close(w);
    spool_close(s);
}

/* The stream may have no third segment: its worker goes on in the one that it has. */
static void a_poisoned_segment_before_it_leaves_the_current_one_its_room(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 2 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    char *large = malloc(LARGE + 1);
    uint64_t lost, last = 0;

    (void)state;
    memset(large, '1', LARGE);
    large[LARGE] = '\0';
    get_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_want(w, last);
    until_synced(w, last);
    until_one_is_ahead();

    atomic_store(&armed, true);
    assert_int_equal(SPOOL_OK, commit(w, large, &lost));
    spool_writer_want(w, lost);
    (void)sem_wait(&begun);
    assert_int_equal(SPOOL_OK, commit(w, large, &last)); /* in the next one */
    spool_writer_want(w, last);
    (void)sem_post(&fail);
    until_synced(w, last);
    assert_true(spool_writer_lost(w, lost));
    assert_true(spool_has_room(s, stream, 1));
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    until_synced(w, last);
    spool_writer_close(w);
    spool_close(s);
    free(large);
}

/* The stream may have no third segment. */
static void a_segment_whose_first_block_fails_has_room(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 2 * SEGMENT, true);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    enum spool_result r = SPOOL_FULL;
    uint64_t lost, last = 0;

    (void)state;
    get_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_want(w, last);
    until_synced(w, last);
    until_one_is_ahead();
    atomic_store(&armed, true);
    assert_int_equal(SPOOL_OK, commit(w, "2", &lost));
    spool_writer_want(w, lost);
    (void)sem_wait(&begun);
    (void)sem_post(&fail);
    while (!spool_writer_lost(w, lost)) {
        rest();
    }
    /* Once there is another segment. */
    atomic_store(&full, true);
    for (int i = 0; i < 20000 && r == SPOOL_FULL; i++) {
        r = commit(w, "3", &last);
        rest();
    }
    assert_int_equal(SPOOL_FAILED, r);
    assert_true(spool_has_room(s, stream, 1));
    assert_int_equal(SPOOL_OK, commit(w, "4", &last));
    until_synced(w, last);
    spool_writer_close(w);
    spool_close(s);
}

/* A new policy says "synced", but the worker still goes by the one before. */
static void a_promise_of_the_policy_before_is_kept(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct spool_consumer *c = open_consumer(s, stream);
    uint64_t first = 0, last = 0, lost;
    struct spool_cursor *cur;
    struct spool_block b;

    (void)state;
    get_ready(s);
    assert_int_equal(stream, open_stream(s, 64 * SEGMENT, true));
    assert_int_equal(SPOOL_OK, commit(w, "0", &last));
    until_synced(w, last);
    until_one_is_ahead();
    atomic_store(&armed, true);
    assert_int_equal(SPOOL_OK, commit(w, "1", &first));
    (void)sem_wait(&begun);
    spool_writer_waits(w, true);
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    (void)sem_post(&fail);
    while (!spool_writer_lost(w, last)) {
        rest();
    }
    assert_false(spool_writer_gone(w, first));
    assert_true(spool_writer_gone(w, last));
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, first});
    assert_int_equal(SPOOL_READ_OK, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(first, b.first);
    assert_int_equal(SPOOL_OK, commit(w, "3", &last));
    until_synced(w, last);
    assert_false(spool_writer_gone(w, first));
    assert_int_equal(SPOOL_READ_VOID, spool_cursor_next(cur, &b, &lost));
    assert_int_equal(1, lost);
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

/* "1" is synced, and the sync of "2" fails: its client is refused. */
static struct spool_writer *refuse_second(struct spool *s, int stream)
{
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    uint64_t last = 0;

    get_ready(s);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_want(w, last);
    until_synced(w, last);
    until_one_is_ahead();
    atomic_store(&armed, true);
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    spool_writer_want(w, last);
    (void)sem_wait(&begun);
    (void)sem_post(&fail);
    while (!spool_writer_lost(w, last)) {
        rest();
    }
    return w;
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

static void on_refused(void *arg, const struct spool_segment_info *i, uint64_t first,
                       uint64_t end)
{
    uint64_t *n = arg;

    (void)i;
    n[1] += end - first;
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    uint64_t *n = arg;

    (void)i;
    n[0] += b->n;
    return true;
}

static void expect_to_find(uint64_t events, uint64_t refused)
{
    uint64_t n[2] = {0, 0};
    const struct spool_visitor v = {.block = on_block, .refused = on_refused, .arg = n};
    struct err e = {""};

    assert_true(spool_visit(dir, &v, &e));
    assert_int_equal(events, n[0]);
    assert_int_equal(refused, n[1]);
}

static void what_was_refused_is_not_read_after_a_stop(void **state)
{
    struct spool *s = open_spool();
    struct spool_writer *w = refuse_second(s, open_stream(s, 64 * SEGMENT, true));

    (void)state;
    spool_writer_close(w);
    spool_close(s);
    expect_to_find(1, 0);
    expect_after_restart("1");
}

/* The page of the next segment tells it, also without a block. */
static void what_was_refused_is_not_read_when_the_next_block_failed(void **state)
{
    struct spool *s = open_spool();
    struct spool_writer *w = refuse_second(s, open_stream(s, 64 * SEGMENT, true));
    enum spool_result r = SPOOL_FULL;
    uint64_t last;

    (void)state;
    atomic_store(&full, true);
    for (int i = 0; i < 20000 && r == SPOOL_FULL; i++) {
        r = commit(w, "3", &last);
        rest();
    }
    assert_int_equal(SPOOL_FAILED, r);
    spool_writer_close(w);
    spool_close(s);
    /* It stays as long as what it tells of. */
    expect_after_restart("1v");
    expect_after_restart("1v");
}

/* The segment that was ahead when the sync failed lies between the two. */
static void what_was_refused_is_not_read_when_the_disk_deletes_nothing(void **state)
{
    struct spool *s = open_spool();
    struct spool_writer *w;
    uint64_t last = 0;

    (void)state;
    atomic_store(&keeping, true);
    w = refuse_second(s, open_stream(s, 64 * SEGMENT, true));
    assert_int_equal(SPOOL_OK, commit(w, "3", &last));
    until_synced(w, last);
    spool_writer_close(w);
    spool_close(s);
    atomic_store(&keeping, false);
    expect_to_find(2, 1);
    expect_after_restart("1v3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_freed_segment_has_told_what_it_lost, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_block_on_its_way_gives_a_poisoned_segment_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_poisoned_segment_before_it_leaves_the_current_one_its_room, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_segment_whose_first_block_fails_has_room,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_promise_of_the_policy_before_is_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_refused_is_not_read_after_a_stop,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_was_refused_is_not_read_when_the_next_block_failed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_was_refused_is_not_read_when_the_disk_deletes_nothing, set_up,
            tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
