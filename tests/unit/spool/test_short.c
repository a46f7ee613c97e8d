/* A disk with room for a few segments, by a statvfs of our own: who gets them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/internal.h"
#include "spool/spool.h"

#include "ahead.h"
#include "counted.h"
#include "fixture.h"

enum { KEPT = 4 << 20 /* for journals */, LARGE = 16 << 20, ZEROS = 256 << 10 };

static atomic_int n_free; /* segments that fit now, however many are made */
static uint64_t segment_bytes;

int statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    memset(out, 0, sizeof *out);
    out->f_frsize = 1;
    out->f_bavail = KEPT + (uint64_t)atomic_load(&n_free) * segment_bytes;
    return 0;
}

static atomic_bool counted; /* a segment that is made or deleted changes n_free */

int fallocate(int fd, int mode, off_t at, off_t n)
{
    if (atomic_load(&counted)) {
        (void)atomic_fetch_sub(&n_free, 1);
    }
    return (int)syscall(SYS_fallocate, fd, mode, at, n);
}

int unlink(const char *path)
{
    const int rc = (int)syscall(SYS_unlink, path);

    if (rc == 0 && atomic_load(&counted) && strstr(path, ".seg") != NULL) {
        (void)atomic_fetch_add(&n_free, 1);
    }
    return rc;
}

/* fsync of the stream's folder: of the next calls, those that fail; and those that did not. */
static atomic_int fail_folder_syncs, folder_syncs;

int fsync(int fd)
{
    char link[32], path[128], folder[96];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    (void)snprintf(folder, sizeof folder, "%s/lasting", dir);
    n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    if (strcmp(path, folder) == 0) {
        if (atomic_load(&fail_folder_syncs) > 0) {
            (void)atomic_fetch_sub(&fail_folder_syncs, 1);
            errno = EIO;
            return -1;
        }
        (void)atomic_fetch_add(&folder_syncs, 1);
    }
    return (int)syscall(SYS_fsync, fd);
}

/* The zeros of a segment that is prepared take their time, and no room. */
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    if (n == ZEROS) {
        rest();
        return (ssize_t)n;
    }
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, n, at);
}

static uint32_t n_workers;

static struct spool *open_short(uint64_t bytes, int fit)
{
    const struct spool_conf conf = {dir, bytes, n_workers, 0};
    struct err e = {""};
    struct spool *s;

    segment_bytes = bytes;
    atomic_store(&n_free, fit);
    s = spool_open(&conf, &e);
    if (s == NULL) {
        fail_msg("%s", e.text);
    }
    return s;
}

static int open_named(struct spool *s, const char *name, bool synced)
{
    const struct spool_stream_conf conf = {name, 64 * segment_bytes, synced, false};
    struct err e;

    return spool_stream(s, &conf, &e);
}

static void commit_eighths(struct spool_writer *w, int n)
{
    static char text[SEGMENT / 8];
    uint64_t last = 0;

    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(SPOOL_OK, commit(w, text, &last));
    }
}

/* Where two other streams have none. */
static void a_worker_gets_its_next_segment_before_it_has_no_room(void **state)
{
    static const char *const names[] = {"near_a", "near_b", "near_c"};
    struct spool *s = open_short(SEGMENT, 1);
    struct spool_writer *w[3];
    int ids[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        ids[i] = open_named(s, names[i], false);
    }
    for (int i = 0; i < 3; i++) {
        w[i] = spool_writer_open(s, ids[i], 0, on_wake, NULL);
        assert_int_equal(0, segments(names[i], "created"));
    }
    commit_eighths(w[0], 1);
    assert_int_equal(1, segments(names[0], "created"));
    commit_eighths(w[0], 4);
    until_created(names[0], 2);
    assert_true(spool_writable(s));
    assert_int_equal(0, segments(names[1], "created"));
    assert_int_equal(0, segments(names[2], "created"));
    for (int i = 0; i < 3; i++) {
        spool_writer_close(w[i]);
    }
    spool_close(s);
}

/* The idle one is looked at first, and is tried again before the other one. */
static void no_idle_stream_takes_what_a_worker_needs_soon(void **state)
{
    const struct timespec half = {0, 500000000};
    struct spool *s = open_short(SEGMENT, 1);
    int idle, busy;
    struct spool_writer *v, *w;

    (void)state;
    idle = open_named(s, "idle", false);
    busy = open_named(s, "busy", false);
    w = spool_writer_open(s, busy, 0, on_wake, NULL);
    commit_eighths(w, 1);
    atomic_store(&n_free, 0);
    v = spool_writer_open(s, idle, 0, on_wake, NULL);
    assert_false(spool_writable(s));
    commit_eighths(w, 5);
    (void)nanosleep(&half, NULL);
    assert_int_equal(1, segments("busy", "created"));
    atomic_store(&counted, true);
    atomic_store(&n_free, 1);
    until_created("busy", 2);
    assert_int_equal(0, segments("idle", "created"));
    spool_writer_close(v);
    spool_writer_close(w);
    spool_close(s);
}

static struct spool *filled;
static int filling;

static void *fill(void *arg)
{
    struct spool_writer *w = spool_writer_open(filled, filling, 0, on_wake, NULL);
    uint64_t last = 0;

    (void)arg;
    (void)commit(w, "1", &last);
    return w;
}

/* It has its room already. */
static void a_segment_that_is_being_filled_keeps_no_other_stream_waiting(void **state)
{
    struct spool *s = open_short(LARGE, 1);
    struct spool_writer *w;
    pthread_t thread;
    void *first;
    int other;

    (void)state;
    filled = s;
    filling = open_named(s, "filling", true);
    other = open_named(s, "other", false);
    assert_int_equal(0, pthread_create(&thread, NULL, fill, NULL));
    until_created("filling", 1);
    w = spool_writer_open(s, other, 0, on_wake, NULL);
    assert_int_equal(1, segments("other", "created"));
    assert_int_equal(0, pthread_join(thread, &first));
    spool_writer_close(first);
    spool_writer_close(w);
    spool_close(s);
}

/* Whose clients had asked for a segment. */
static void a_stream_that_left_the_policy_needs_no_room(void **state)
{
    struct spool *s = open_short(SEGMENT, 2);
    const int left = open_named(s, "left", false), kept = open_named(s, "kept", false);
    struct spool_writer *w = spool_writer_open(s, kept, 0, on_wake, NULL), *v;
    uint64_t last = 0;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    until_created("kept", 2);
    atomic_store(&n_free, 0);
    v = spool_writer_open(s, left, 0, on_wake, NULL);
    assert_true(put(v, "2"));
    assert_int_equal(SPOOL_FULL, spool_writer_commit(v, 5, 6, &last));
    assert_false(spool_writable(s));
    spool_streams_used(s, &kept, 1);
    for (int i = 0; i < 5000 && !spool_writable(s); i++) {
        rest();
    }
    assert_true(spool_writable(s));
    atomic_store(&n_free, 1);
    (void)nanosleep(&(struct timespec){1, 500000000}, NULL);
    assert_int_equal(0, segments("left", "created"));
    assert_int_equal(SPOOL_OK, commit(v, "2", &last)); /* it was on its way */
    assert_int_equal(1, segments("left", "created"));
    spool_writer_close(v);
    spool_writer_close(w);
    spool_close(s);
}

/* An event that was on its way asks for a segment, which the disk has not. */
static void a_stream_that_left_the_policy_makes_no_disk_unwritable(void **state)
{
    struct spool *s = open_short(SEGMENT, 0);
    const int left = open_named(s, "left_full", false);
    struct spool_writer *w = spool_writer_open(s, left, 0, on_wake, NULL);
    uint64_t last = 0;

    (void)state;
    assert_false(spool_writable(s));
    spool_streams_used(s, NULL, 0);
    for (int i = 0; i < 5000 && !spool_writable(s); i++) {
        rest();
    }
    for (int i = 0; i < 800; i++) { /* longer than between two tries of the disk */
        if (i % 100 == 0) {
            assert_true(put(w, "1"));
            assert_int_equal(SPOOL_FULL, spool_writer_commit(w, 5, 6, &last));
        }
        assert_true(spool_writable(s));
        rest();
    }
    spool_writer_close(w);
    spool_close(s);
}

/* Else a power cut may take it with all that is in it. */
static void a_folder_whose_sync_failed_is_synced_before_it_has_a_segment(void **state)
{
    struct spool *s = open_short(SEGMENT, 4);
    struct spool_writer *w;
    uint64_t last = 0;

    (void)state;
    atomic_store(&folder_syncs, 0);
    atomic_store(&fail_folder_syncs, 1);
    w = spool_writer_open(s, open_named(s, "lasting", false), 0, on_wake, NULL);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    assert_int_equal(0, atomic_load(&fail_folder_syncs));
    assert_true(atomic_load(&folder_syncs) > 0);
    spool_writer_close(w);
    spool_close(s);
}

static void in_spool(const char *command, const char *tail)
{
    char text[200];

    (void)snprintf(text, sizeof text, "cd '%s' && %s '%s/%s'", dir, command, dir, tail);
    assert_int_equal(0, system(text));
}

/* As by an operator who looks for room. */
static void an_empty_folder_that_is_removed_is_made_again(void **state)
{
    struct spool *s = open_short(SEGMENT, 0);
    struct spool_writer *w =
        spool_writer_open(s, open_named(s, "empty", false), 0, on_wake, NULL);
    uint64_t last = 0;

    (void)state;
    assert_false(spool_writable(s));
    in_spool("rm -r", "empty");
    atomic_store(&n_free, 2);
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    assert_true(spool_writable(s));
    spool_writer_close(w);
    spool_close(s);
}

/* An earlier process left the events; this one has no segment yet. */
static void no_folder_is_made_in_the_place_of_one_that_has_events(void **state)
{
    struct spool *s = open_short(SEGMENT, 2);
    int stream = open_named(s, "moved", false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    uint64_t last = 0;
    char path[100];
    struct err e;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "1", &last));
    spool_writer_close(w);
    spool_close(s);
    s = open_short(SEGMENT, 0);
    stream = open_named(s, "moved", false);
    w = spool_writer_open(s, stream, 0, on_wake, NULL);
    assert_true(spool_whole(s, &e));
    in_spool("mv moved", "away");
    assert_false(spool_whole(s, &e));
    assert_non_null(strstr(e.text, "the directory of the stream \"moved\""));
    atomic_store(&n_free, 2);
    (void)nanosleep(&(struct timespec){1, 500000000}, NULL);
    (void)snprintf(path, sizeof path, "%s/moved", dir);
    assert_int_equal(-1, access(path, F_OK));
    assert_false(spool_stream_in_place(s, stream, &e));
    in_spool("mv away", "moved");
    assert_true(spool_whole(s, &e));
    assert_int_equal(SPOOL_OK, commit(w, "2", &last));
    spool_writer_close(w);
    /* That of a stream that no policy has is an operator's to remove. */
    spool_streams_used(s, NULL, 0);
    in_spool("rm -r", "moved");
    assert_true(spool_whole(s, &e));
    spool_close(s);
}

/* New connections may come to the other one. */
static void a_full_worker_takes_no_other_worker_its_room(void **state)
{
    static char text[SEGMENT / 8];
    struct spool *s;
    struct spool_writer *full, *other;
    uint64_t last = 0;
    int stream;

    (void)state;
    n_workers = 2;
    s = open_short(SEGMENT, 10);
    stream = open_named(s, "two", false);
    full = spool_writer_open(s, stream, 0, on_wake, NULL);
    other = spool_writer_open(s, stream, 1, on_wake, NULL);
    commit_eighths(full, 1);
    commit_eighths(other, 5); /* it will need its next one itself */
    until_created("two", 4);
    atomic_store(&n_free, 0);
    memset(text, 'x', sizeof text - 1);
    do {
        assert_true(put(full, text));
    } while (spool_writer_commit(full, 5, 6, &last) == SPOOL_OK);
    for (int i = 0; i < 5000 && spool_writable(s); i++) {
        rest();
    }
    assert_false(spool_writable(s));
    assert_true(spool_has_room(s, stream, SEGMENT));
    assert_false(spool_has_room(s, stream, 2 * SEGMENT));
    commit_eighths(other, 7);
    spool_writer_close(full);
    spool_writer_close(other);
    spool_close(s);
}

/* A third one is wanted where two fit, and the idle stream has one that it does not use. */
static void what_an_idle_stream_does_not_use_goes_to_a_busy_one(void **state)
{
    struct spool *s = open_short(SEGMENT, 3);
    struct spool_writer *idle, *busy;

    (void)state;
    atomic_store(&counted, true);
    idle = spool_writer_open(s, open_named(s, "unused", false), 0, on_wake, NULL);
    busy = spool_writer_open(s, open_named(s, "using", false), 0, on_wake, NULL);
    assert_int_equal(1, segments("unused", "created"));
    commit_eighths(busy, 20);
    assert_int_equal(3, segments("using", "created"));
    assert_int_equal(1, segments("unused", "created"));
    spool_writer_close(idle);
    spool_writer_close(busy);
    spool_close(s);
}

/* Else each would have one, and none could go on. */
static void a_stream_without_a_segment_takes_none_that_is_needed_next(void **state)
{
    const struct timespec more = {1, 200000000};
    struct spool *s = open_short(SEGMENT, 2);
    struct spool_writer *first, *late;
    uint64_t last = 0;

    (void)state;
    atomic_store(&counted, true);
    first = spool_writer_open(s, open_named(s, "before", false), 0, on_wake, NULL);
    commit_eighths(first, 1);
    until_created("before", 2);
    late = spool_writer_open(s, open_named(s, "late", false), 0, on_wake, NULL);
    for (int i = 0; i < 3; i++) {
        (void)nanosleep(&more, NULL);
        assert_true(put(late, "1"));
        assert_int_equal(SPOOL_FULL, spool_writer_commit(late, 5, 6, &last));
    }
    commit_eighths(first, 12);
    assert_int_equal(2, segments("before", "created"));
    assert_int_equal(0, segments("late", "created"));
    spool_writer_close(first);
    spool_writer_close(late);
    spool_close(s);
}

/* No event comes to it any more, though its own segment is over half full. */
static void what_a_stream_without_clients_has_goes_to_a_busy_one(void **state)
{
    struct spool *s = open_short(SEGMENT, 3);
    struct spool_writer *idle, *busy;

    (void)state;
    atomic_store(&counted, true);
    idle = spool_writer_open(s, open_named(s, "rested", false), 0, on_wake, NULL);
    commit_eighths(idle, 5);
    until_created("rested", 2);
    busy = spool_writer_open(s, open_named(s, "needing", false), 0, on_wake, NULL);
    commit_eighths(busy, 1);
    atomic_fetch_add(&ahead_s, 11);
    commit_eighths(busy, 12);
    assert_int_equal(2, segments("needing", "created"));
    spool_writer_close(idle);
    spool_writer_close(busy);
    spool_close(s);
}

/* It has taken the one that was for the other stream's first event. */
static void
a_stream_without_clients_gives_its_next_segment_to_one_without_any(void **state)
{
    struct spool *s = open_short(SEGMENT, 2);
    struct spool_writer *idle, *late;
    uint64_t last = 0;

    (void)state;
    atomic_store(&counted, true);
    late = spool_writer_open(s, open_named(s, "first", false), 0, on_wake, NULL);
    idle = spool_writer_open(s, open_named(s, "resting", false), 0, on_wake, NULL);
    commit_eighths(idle, 5);
    atomic_fetch_add(&ahead_s, 2); /* a new segment is no spare one */
    until_created("resting", 2);
    atomic_fetch_add(&ahead_s, 11);
    assert_int_equal(SPOOL_OK, commit(late, "1", &last));
    spool_writer_close(idle);
    spool_writer_close(late);
    spool_close(s);
}

/* The sink has fallen behind once; the busy stream goes round in its segments now. */
static void
a_stream_that_gave_its_only_segment_gets_one_of_those_that_are_reused(void **state)
{
    struct spool *s = open_short(SEGMENT, 3);
    struct spool_writer *late, *busy;
    struct spool_consumer *c;
    struct spool_cursor *cur;
    uint64_t last = 0;
    int stream;

    (void)state;
    atomic_store(&counted, true);
    late = spool_writer_open(s, open_named(s, "giving", false), 0, on_wake, NULL);
    stream = open_named(s, "round", false);
    c = open_consumer(s, stream);
    busy = spool_writer_open(s, stream, 0, on_wake, NULL);
    spool_ready(s);
    atomic_fetch_add(&ahead_s, 2);
    commit_eighths(busy, 15);
    until_created("round", 3);
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    for (int i = 0; i < 40; i++) {
        commit_eighths(busy, 1);
        spool_cursor_release(cur, (uint64_t)i + 12);
    }
    assert_int_equal(3, segments("round", "created"));
    for (int i = 0; i < 1000 && (i < 100 || !spool_writable(s)); i++) {
        rest();
    }
    for (int i = 0; i < 600; i++) { /* nobody has asked for the late one's */
        assert_true(spool_writable(s));
        rest();
    }
    atomic_fetch_add(&ahead_s, 2); /* no warm one is so old that it is deleted */
    assert_int_equal(SPOOL_OK, commit(late, "1", &last));
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(late);
    spool_writer_close(busy);
    spool_close(s);
}

/* The other one, which is looked at first, has room for its clients. */
static void a_full_worker_asks_for_itself(void **state)
{
    struct spool *s;
    struct spool_writer *other, *full;
    uint64_t last = 0;
    int stream;

    (void)state;
    n_workers = 2;
    s = open_short(SEGMENT, 2);
    atomic_store(&counted, true);
    stream = open_named(s, "itself", false);
    other = spool_writer_open(s, stream, 0, on_wake, NULL);
    full = spool_writer_open(s, stream, 1, on_wake, NULL);
    commit_eighths(other, 1);
    commit_eighths(full, 7);
    for (int i = 0; i < 5000 && spool_writable(s); i++) {
        rest();
    }
    assert_true(spool_writer_fits(other, SEGMENT / 8, false));
    assert_false(spool_writer_fits(full, SEGMENT / 8, false));
    atomic_store(&n_free, 1);
    assert_int_equal(SPOOL_OK, commit(full, "1", &last));
    commit_eighths(full, 1);
    assert_int_equal(3, segments("itself", "created"));
    spool_writer_close(other);
    spool_writer_close(full);
    spool_close(s);
}

/* Though another one gets one again and again. A request for both would leave its part there
 * with each try. */
static void a_stream_that_asked_in_vain_has_no_room_until_it_has_a_segment(void **state)
{
    struct spool *s = open_short(SEGMENT, 2);
    const int stream = open_named(s, "around", false);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_writer *busy = spool_writer_open(s, stream, 0, on_wake, NULL), *late;
    struct spool_cursor *cur;
    uint64_t last = 0;

    (void)state;
    atomic_store(&counted, true);
    atomic_store(&n_free, 1);
    spool_ready(s);
    commit_eighths(busy, 1);
    until_created("around", 2);
    late = spool_writer_open(s, open_named(s, "vain", false), 0, on_wake, NULL);
    assert_true(put(late, "1"));
    assert_int_equal(SPOOL_FULL, spool_writer_commit(late, 5, 6, &last));
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    for (int i = 0; i < 70; i++) {
        commit_eighths(busy, 1);
        spool_cursor_release(cur, (uint64_t)i + 3);
        for (int k = 0; k < 5; k++) {
            assert_false(spool_writer_fits(late, 100, false));
            rest();
        }
    }
    assert_int_equal(2, segments("around", "created"));
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(late);
    spool_writer_close(busy);
    spool_close(s);
}

/* What it says of a request's size is a bound, which may be many times as large. */
static void a_segment_that_came_takes_the_largest_request(void **state)
{
    struct spool *s = open_short(SEGMENT, 0);
    struct spool_writer *w =
        spool_writer_open(s, open_named(s, "largest", false), 0, on_wake, NULL);
    uint64_t last = 0;

    (void)state;
    assert_true(put(w, "1"));
    assert_int_equal(SPOOL_FULL, spool_writer_commit(w, 5, 6, &last));
    assert_false(spool_writer_fits(w, 100, true));
    atomic_store(&n_free, 1);
    until_created("largest", 1);
    for (int i = 0; i < 5000 && !spool_writable(s); i++) {
        rest();
    }
    assert_true(spool_writer_fits(w, 2 * SEGMENT, true));
    assert_true(put(w, "1"));
    assert_false(
        spool_writer_fits(w, 2 * SEGMENT, true)); /* it would not be in one block */
    assert_int_equal(SPOOL_OK, spool_writer_commit(w, 5, 6, &last));
    assert_true(spool_writer_fits(w, 2 * SEGMENT, true));
    spool_writer_close(w);
    spool_close(s);
}

/* The stream's own segment has not room for it, and no event has come for long. It may also
 * have gone into that one. */
static void what_a_worker_counts_on_is_not_given_away_before_it_has_it(void **state)
{
    static char more[SEGMENT / 16 * 7];
    struct spool *s = open_short(SEGMENT, 5);
    struct spool_writer *kept[2], *busy;
    uint64_t last = 0;

    (void)state;
    memset(more, 'x', sizeof more - 1);
    atomic_store(&counted, true);
    kept[0] = spool_writer_open(s, open_named(s, "kept_a", false), 0, on_wake, NULL);
    kept[1] = spool_writer_open(s, open_named(s, "kept_b", false), 0, on_wake, NULL);
    for (int i = 0; i < 2; i++) {
        commit_eighths(kept[i], 5);
    }
    until_created("kept_a", 2);
    until_created("kept_b", 2);
    busy = spool_writer_open(s, open_named(s, "wants", false), 0, on_wake, NULL);
    commit_eighths(busy, 7);
    atomic_fetch_add(&ahead_s, 11);
    for (int i = 0; i < 2; i++) {
        assert_true(spool_writer_keep(kept[i], sizeof more, true));
    }
    assert_true(put(busy, more));
    assert_int_equal(SPOOL_FULL, spool_writer_commit(busy, 5, 6, &last));
    assert_true(put(kept[0], more));
    assert_int_equal(SPOOL_OK, spool_writer_commit(kept[0], 5, 6, &last));
    atomic_fetch_add(&ahead_s, 11);
    commit_eighths(busy, 1);
    assert_int_equal(2, segments("wants", "created"));
    assert_false(spool_writer_keep(kept[1], sizeof more, true));
    for (int i = 0; i < 2; i++) {
        spool_writer_close(kept[i]);
    }
    spool_writer_close(busy);
    spool_close(s);
}

/* On a disk with room for n segments, all sinks have what is in one as soon as it is left. */
static void go_round(const char *name, int n, long rest_s)
{
    struct spool *s = open_short(SEGMENT, n);
    const int stream = open_named(s, name, false);
    struct spool_consumer *c = open_consumer(s, stream);
    struct spool_writer *w;
    struct spool_cursor *cur;

    atomic_store(&counted, true);
    w = spool_writer_open(s, stream, 0, on_wake, NULL);
    cur = spool_cursor_open(c, (struct spool_pos){spool_epoch(s), 0, 1});
    spool_ready(s);
    commit_eighths(w, 7);
    until_created(name, 2);
    for (uint64_t i = 1; i <= 10; i++) {
        spool_cursor_release(cur, 7 * i + 1);
        for (int k = 0; k < 5; k++) { /* the housekeeper has looked */
            rest();
        }
        atomic_fetch_add(&ahead_s, rest_s);
        commit_eighths(w, 1);
        for (int k = 0; k < 20; k++) {
            assert_true(spool_writable(s));
            rest();
        }
        commit_eighths(w, 6);
    }
    spool_cursor_close(cur);
    spool_consumer_close(c);
    spool_writer_close(w);
    spool_close(s);
}

static void a_segment_is_reused_as_soon_as_it_is_left(void **state)
{
    (void)state;
    go_round("left_now", 2, 0);
    assert_int_equal(2, segments("left_now", "created"));
}

/* Its page may be that of an earlier one: see take_warm. */
static void a_warm_segment_that_is_too_old_hides_no_other_one(void **state)
{
    (void)state;
    go_round("left_old", 3, WARM_MS / 1000 + 1);
}

/* Its stream may get n segments more; the housekeeper does not come to it meanwhile. */
static bool fits_with(struct spool_writer *w, struct stream *st, uint64_t n, bool sure)
{
    bool fits;

    (void)pthread_mutex_lock(&st->spool->lock);
    atomic_store(&st->max_bytes, atomic_load(&st->used) + n * SEGMENT);
    fits = spool_writer_fits(w, SEGMENT / 2, sure);
    atomic_store(&st->max_bytes, atomic_load(&st->used));
    (void)pthread_mutex_unlock(&st->spool->lock);
    return fits;
}

/* A part of a request for more streams is stored in the others, and again with each retry,
 * where another worker has got it, or where it was put off and does not come. */
static void
a_part_of_a_request_does_not_count_on_a_segment_that_may_not_come(void **state)
{
    struct spool *s;
    struct stream *st;
    struct spool_writer *w;
    int stream;

    (void)state;
    n_workers = 2;
    s = open_short(SEGMENT, 64);
    stream = open_named(s, "counting", false);
    st = s->streams[stream];
    atomic_store(&st->max_bytes, 2 * SEGMENT);
    w = spool_writer_open(s, stream, 0, on_wake, NULL);
    commit_eighths(w, 14);
    assert_true(spool_writable(s));
    assert_false(fits_with(w, st, 0, false));
    assert_true(fits_with(w, st, 1, false));
    assert_false(fits_with(w, st, 1, true));
    assert_true(fits_with(w, st, 2, true));
    atomic_store(&atomic_load(&st->live[0])->put_off, true);
    assert_false(fits_with(w, st, 2, true));
    assert_true(fits_with(w, st, 2, false));
    spool_writer_close(w);
    spool_close(s);
}

/* Its disk is full, and is unmounted. */
static void a_spool_that_is_away_is_not_found_to_be_well(void **state)
{
    struct spool *s = open_short(SEGMENT, 0);
    struct spool_writer *w =
        spool_writer_open(s, open_named(s, "away_full", false), 0, on_wake, NULL);
    char command[200];
    struct err e;

    (void)state;
    assert_true(atomic_load(&s->unwritable));
    (void)snprintf(command, sizeof command, "mv '%s' '%s.away'", dir, dir);
    assert_int_equal(0, system(command));
    assert_false(spool_whole(s, &e));
    for (int i = 0; i < 300; i++) {
        assert_true(atomic_load(&s->unwritable));
        rest();
    }
    (void)snprintf(command, sizeof command, "mv '%s.away' '%s'", dir, dir);
    assert_int_equal(0, system(command));
    assert_true(spool_whole(s, &e));
    spool_writer_close(w);
    for (int i = 0; i < 300; i++) { /* as at the stop */
        assert_true(atomic_load(&s->unwritable));
        rest();
    }
    spool_close(s);
}

static int set_up_one(void **state)
{
    n_workers = 1;
    atomic_store(&counted, false);
    return set_up(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_one, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_gets_its_next_segment_before_it_has_no_room),
        TEST(no_idle_stream_takes_what_a_worker_needs_soon),
        TEST(a_segment_that_is_being_filled_keeps_no_other_stream_waiting),
        TEST(a_full_worker_takes_no_other_worker_its_room),
        TEST(what_an_idle_stream_does_not_use_goes_to_a_busy_one),
        TEST(a_stream_without_a_segment_takes_none_that_is_needed_next),
        TEST(what_a_stream_without_clients_has_goes_to_a_busy_one),
        TEST(a_stream_without_clients_gives_its_next_segment_to_one_without_any),
        TEST(a_stream_that_gave_its_only_segment_gets_one_of_those_that_are_reused),
        TEST(a_full_worker_asks_for_itself),
        TEST(a_stream_that_asked_in_vain_has_no_room_until_it_has_a_segment),
        TEST(a_segment_that_came_takes_the_largest_request),
        TEST(what_a_worker_counts_on_is_not_given_away_before_it_has_it),
        TEST(a_part_of_a_request_does_not_count_on_a_segment_that_may_not_come),
        TEST(a_segment_is_reused_as_soon_as_it_is_left),
        TEST(a_warm_segment_that_is_too_old_hides_no_other_one),
        TEST(a_spool_that_is_away_is_not_found_to_be_well),
        TEST(a_stream_that_left_the_policy_needs_no_room),
        TEST(a_stream_that_left_the_policy_makes_no_disk_unwritable),
        TEST(a_folder_whose_sync_failed_is_synced_before_it_has_a_segment),
        TEST(an_empty_folder_that_is_removed_is_made_again),
        TEST(no_folder_is_made_in_the_place_of_one_that_has_events)};

    return cmocka_run_group_tests_name("short", tests, NULL, NULL);
}
