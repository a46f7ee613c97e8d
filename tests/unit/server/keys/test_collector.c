/* Identities from the spool to disk: only those of events that are safe, and all of
 * those. */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "keys/keystore.h"
#include "server/keys/internal.h"
#include "unit/spool/fixture.h"

enum { MANY = 1 << 20, DAY_S = 86400 };

static atomic_int block_fd;  /* of the last block */
static atomic_bool unsynced; /* a block since the last sync of its file */
static atomic_bool fail_syncs;
static atomic_int early; /* files of keys that were synced before the events */

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    atomic_store(&block_fd, fd);
    atomic_store(&unsynced, true);
    return (ssize_t)syscall(SYS_pwritev, fd, iov, n, at, 0);
}

static bool is_keys(int fd)
{
    char link[64], path[256];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    return n > 5 && memcmp(path + n - 5, ".keys", 5) == 0;
}

int fdatasync(int fd)
{
    if (is_keys(fd)) {
        atomic_fetch_add(&early, atomic_load(&unsynced));
    } else if (fd == atomic_load(&block_fd)) {
        if (atomic_load(&fail_syncs)) {
            errno = EIO;
            return -1;
        }
        atomic_store(&unsynced, false);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static struct err e;
static char keys_dir[80];

static struct collector *open_collector(struct spool *s, int stream)
{
    const struct collector_conf conf = {.spool = s,
                                        .stream = stream,
                                        .name = "events",
                                        .dir = keys_dir,
                                        .window_ms = (int64_t)DAY_S * 1000};
    struct collector *c;

    (void)snprintf(keys_dir, sizeof keys_dir, "%s/keys", dir);
    c = collector_open(&conf, &e);
    if (c == NULL) {
        fail_msg("%s", e.text);
    }
    return c;
}

static struct seen *attached(struct collector *c)
{
    struct seen *s = seen_new(
        &(struct seen_conf){.window_ms = 1, .max_keys = 1000, .persist = true});

    if (!collector_attach(c, s, "id", &e)) {
        fail_msg("%s", e.text);
    }
    return s;
}

static enum seen_result ask(struct seen *s, const char *id, struct seen_hash *hash,
                            bool stored)
{
    const struct seen_when when = {(double)clock_mono_ns() / 1e6,
                                   (int64_t)DAY_S * 1000};
    uint64_t owner = seen_begin(s), other;
    uint32_t chain = 0;
    enum seen_result r;

    *hash = seen_hash_of(s, str_of(id), SEEN_TEXT);
    r = seen_ask(s, hash, owner, when, &chain, &other);
    seen_finish(s, owner, chain, stored);
    return r;
}

/* An event of that id, as a request stores it. */
static void store(struct spool_writer *w, struct seen *s, const char *id)
{
    const struct timespec ms = {0, 1000000};
    enum spool_result r = SPOOL_FULL;
    struct seen_hash h;
    uint64_t last;

    assert_int_equal(SEEN_NEW, ask(s, id, &h, true));
    for (int i = 0; i < 3000 && r == SPOOL_FULL; i++) {
        assert_true(spool_writer_key(w, 0, true));
        assert_true(put(w, id));
        spool_writer_identify(w, &(struct spool_identity){{h.hash[0], h.hash[1]}});
        r = spool_writer_commit(w, clock_wall_ms(), 6, &last);
        if (r == SPOOL_FULL) {
            (void)nanosleep(&ms, NULL);
        }
    }
    assert_int_equal(SPOOL_OK, r);
}

static enum keys_found find(struct collector *c, const struct seen *s, const char *id)
{
    const struct seen_hash h = seen_hash_of(s, str_of(id), SEEN_TEXT);
    struct keyview *v = keystore_view(c->keys);
    enum keys_found found =
        keyview_find(v, (struct key){.a = h.hash[1], .b = (uint32_t)h.hash[0]},
                     (uint32_t)(clock_wall_ms() / 1000), DAY_S);

    keyview_release(v);
    return found;
}

static void read_some(struct collector *c, uint32_t n)
{
    const struct timespec ms = {0, 1000000};

    for (int i = 0; i < 10000 && c->n_unsaved < n; i++) {
        collector_read(c, MANY);
        (void)nanosleep(&ms, NULL);
    }
    assert_int_equal(n, c->n_unsaved);
}

static void a_key_is_saved_once_its_event_is_synced(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct collector *c = open_collector(s, stream);
    struct seen *seen = attached(c);

    (void)state;
    for (int i = 0; i < 20; i++) {
        char id[8];

        (void)snprintf(id, sizeof id, "e%d", i);
        store(w, seen, id);
        read_some(c, 1);
        assert_int_equal(KEYS_ABSENT, find(c, seen, id));
        assert_int_equal(1, seen_count(seen));
        assert_true(collector_save(c, &e));
        assert_int_equal(KEYS_FOUND, find(c, seen, id));
        assert_int_equal(0, seen_count(seen));
    }
    assert_int_equal(0, atomic_load(&early));
    seen_unref(seen);
    assert_true(collector_close(c, 0));
    spool_writer_close(w);
    spool_close(s);
}

static void a_key_of_an_event_that_a_sync_has_lost_is_forgotten(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct collector *c = open_collector(s, stream);
    struct seen *seen = attached(c);

    (void)state;
    store(w, seen, "a");
    read_some(c, 1);
    atomic_store(&fail_syncs, true);
    assert_true(collector_save(c, &e));
    atomic_store(&fail_syncs, false);
    assert_int_equal(KEYS_ABSENT, find(c, seen, "a"));
    assert_int_equal(0, seen_count(seen));
    seen_unref(seen);
    assert_true(collector_close(c, 0));
    spool_writer_close(w);
    spool_close(s);
}

/* The request of the lost one was refused, and came again. */
static void a_lost_event_takes_no_later_ones_key_along(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct collector *c = open_collector(s, stream);
    struct seen *seen = attached(c);
    struct seen_hash h;

    (void)state;
    store(w, seen, "a");
    read_some(c, 1);
    seen_lost(seen, &c->unsaved[0].hash, (double)clock_mono_ns() / 1e6);
    assert_int_equal(0, seen_count(seen));
    (void)nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_int_equal(SEEN_NEW, ask(seen, "a", &h, true));
    atomic_store(&fail_syncs, true);
    assert_true(collector_save(c, &e));
    atomic_store(&fail_syncs, false);
    assert_int_equal(KEYS_ABSENT, find(c, seen, "a"));
    assert_int_equal(SEEN_BEFORE, ask(seen, "a", &h, false));
    seen_unref(seen);
    assert_true(collector_close(c, 0));
    spool_writer_close(w);
    spool_close(s);
}

static void keys_that_the_disk_does_not_take_stay_in_memory(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct collector *c = open_collector(s, stream);
    struct seen *seen = attached(c), *other;
    struct seen_hash h;
    char away[96];

    (void)state;
    (void)snprintf(away, sizeof away, "%s.away", keys_dir);
    store(w, seen, "a");
    read_some(c, 1);
    assert_int_equal(0, rename(keys_dir, away));
    assert_false(collector_save(c, &e));
    assert_int_equal(1, seen_count(seen));
    assert_int_equal(SEEN_BEFORE, ask(seen, "a", &h, false));
    /* The policy goes, and one with the same key comes. */
    seen_unref(seen);
    collector_detach(c);
    assert_int_equal(1, c->n_seen);
    other = attached(c);
    assert_int_equal(SEEN_BEFORE, ask(other, "a", &h, false));
    assert_int_equal(0, rename(away, keys_dir));
    assert_true(collector_save(c, &e));
    assert_int_equal(0, seen_count(other));
    assert_int_equal(KEYS_FOUND, find(c, other, "a"));
    collector_detach(c);
    assert_int_equal(0, c->n_seen);
    seen_unref(other);
    assert_true(collector_close(c, 0));
    spool_writer_close(w);
    spool_close(s);
}

/* As after a kill: what is saved is not read again, all else is. */
static void the_next_process_goes_on_where_the_keys_end(void **state)
{
    struct spool *s = open_spool();
    int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct collector *c = open_collector(s, stream);
    struct seen *seen = attached(c);
    struct seen_hash h;

    (void)state;
    store(w, seen, "a");
    read_some(c, 1);
    assert_true(collector_save(c, &e));
    store(w, seen, "b");
    store(w, seen, "c");
    seen_unref(seen);
    assert_true(collector_close(c, 0));
    spool_writer_close(w);
    spool_close(s);

    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    c = open_collector(s, stream);
    assert_int_equal(2, c->n_unsaved);
    assert_false(c->incomplete);
    seen = attached(c);
    assert_int_equal(SEEN_BEFORE, ask(seen, "b", &h, false));
    assert_int_equal(SEEN_BEFORE, ask(seen, "c", &h, false));
    assert_int_equal(KEYS_FOUND, find(c, seen, "a"));
    assert_true(collector_save(c, &e));
    assert_int_equal(0, seen_count(seen));
    assert_int_equal(KEYS_FOUND, find(c, seen, "b"));
    assert_int_equal(KEYS_FOUND, find(c, seen, "c"));
    seen_unref(seen);
    assert_true(collector_close(c, 0));
    spool_close(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_saved_once_its_event_is_synced),
        TEST(a_key_of_an_event_that_a_sync_has_lost_is_forgotten),
        TEST(a_lost_event_takes_no_later_ones_key_along),
        TEST(keys_that_the_disk_does_not_take_stay_in_memory),
        TEST(the_next_process_goes_on_where_the_keys_end)};

    return cmocka_run_group_tests_name("collector", tests, NULL, NULL);
}
