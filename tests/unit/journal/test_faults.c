/* A journal whose writes and syncs fail, by a pwrite and fdatasync of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "journal/journal.h"

enum { HALF = 20 };

static char path[64];
static int tear_writes, fail_syncs; /* of the next calls */
static uint64_t seen[8];
static unsigned n_seen;

/* The first part is written, then the disk is full. */
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (tear_writes == 2) {
        tear_writes--;
        return (ssize_t)syscall(SYS_pwrite64, fd, p, (size_t)HALF, at);
    }
    if (tear_writes == 1) {
        tear_writes--;
        errno = ENOSPC;
        return -1;
    }
    return (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}

int fdatasync(int fd)
{
    if (fail_syncs > 0) {
        fail_syncs--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void on_record(void *arg, const struct record *r)
{
    (void)arg;
    seen[n_seen++] = r->value;
}

static struct journal *open_journal(void)
{
    struct err e = {""};
    struct journal *j;

    n_seen = 0;
    j = journal_open(path, on_record, NULL, &e);
    if (j == NULL) {
        fail_msg("%s", e.text);
    }
    return j;
}

static bool append(struct journal *j, uint64_t value)
{
    const struct record r = {.type = RECORD_FILE, .value = value, .name = STR("a")};
    struct err e;

    return journal_append(j, &r, &e);
}

static uint64_t size_of_file(void)
{
    struct stat st;

    assert_int_equal(0, stat(path, &st));
    return (uint64_t)st.st_size;
}

static void a_failed_append_leaves_nothing_behind(void **state)
{
    struct journal *j = open_journal();
    uint64_t bytes;

    (void)state;
    assert_true(append(j, 1));
    bytes = journal_bytes(j);
    assert_false(journal_in_trouble(j));
    tear_writes = 2;
    assert_false(append(j, 2));
    assert_int_equal(0, tear_writes);
    assert_true(journal_in_trouble(j));
    assert_int_equal(bytes, journal_bytes(j));
    assert_int_equal(bytes, size_of_file());
    assert_true(append(j, 3));
    assert_false(journal_in_trouble(j));
    assert_int_equal(2 * bytes, size_of_file());
    journal_close(j);
    j = open_journal();
    assert_int_equal(2, n_seen);
    assert_int_equal(1, seen[0]);
    assert_int_equal(3, seen[1]);
    assert_int_equal(0, journal_cut(j));
    journal_close(j);
}

static void keep_one(void *arg, struct journal_draft *draft)
{
    const struct record r = {.type = RECORD_FILE, .value = 9, .name = STR("a")};

    (void)arg;
    journal_emit(draft, &r);
}

static void a_failed_sync_is_final_until_a_new_file(void **state)
{
    struct journal *j = open_journal();
    struct err e;

    (void)state;
    assert_true(append(j, 1));
    fail_syncs = 1;
    assert_false(journal_sync(j, &e));
    assert_true(journal_poisoned(j));
    assert_false(journal_sync(j, &e)); /* the call itself would succeed */
    fail_syncs = 1;
    assert_false(journal_rewrite(j, keep_one, NULL, &e));
    assert_true(journal_poisoned(j));
    assert_true(journal_rewrite(j, keep_one, NULL, &e));
    assert_false(journal_poisoned(j));
    assert_true(journal_sync(j, &e));
    journal_close(j);
    j = open_journal();
    assert_int_equal(1, n_seen);
    assert_int_equal(9, seen[0]);
    journal_close(j);
}

static void a_record_whose_bytes_changed_is_not_replayed(void **state)
{
    struct journal *j = open_journal();
    struct err e;
    uint64_t bytes;
    int fd;

    (void)state;
    assert_true(append(j, 1));
    bytes = journal_bytes(j);
    assert_true(append(j, 2));
    assert_true(append(j, 3));
    journal_close(j);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    /* The value's lowest byte: the record stays well formed. */
    assert_int_equal(1, pwrite(fd, "\x09", 1, (off_t)bytes + RECORD_HEAD_BYTES + 8));
    n_seen = 0;
    assert_null(journal_open(path, on_record, NULL, &e));
    assert_int_equal(1, n_seen);
    assert_int_equal(3 * bytes, size_of_file()); /* nothing is cut */
    (void)close(fd);
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/sluice-test-XXXXXX");
    fd = mkstemp(path);
    (void)close(fd);
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failed_append_leaves_nothing_behind),
        TEST(a_failed_sync_is_final_until_a_new_file),
        TEST(a_record_whose_bytes_changed_is_not_replayed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
