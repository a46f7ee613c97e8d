/* An archive whose sync fails, by an fdatasync of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "sink/file/archive.h"

static int pass_syncs; /* of the next calls; then */
static int fail_syncs; /* so many fail */

int fdatasync(int fd)
{
    if (pass_syncs > 0) {
        pass_syncs--;
    } else if (fail_syncs > 0) {
        fail_syncs--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int fail_folders; /* so many syncs of a folder */

int fsync(int fd)
{
    if (fail_folders > 0) {
        fail_folders--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int fail_stats; /* so many of an open file, from the next failed sync on */

int fstat(int fd, struct stat *st)
{
    if (fail_stats > 0 && fail_syncs == 0) {
        fail_stats--;
        errno = EIO;
        return -1;
    }
    return fstatat(fd, "", st, AT_EMPTY_PATH);
}

static void ignore(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

static bool put(struct archive *a, struct journal *j, const char *text, uint64_t first,
                bool synced)
{
    static struct batch b;
    struct err e;

    b.n_ranges = 1;
    b.ranges[0] = (struct batch_range){1, 0, first, 1};
    return archive_append(a, COMPRESS_NONE, str_of(text), &b, synced, j, &e);
}

static bool append(struct archive *a, struct journal *j, const char *text,
                   uint64_t first)
{
    return put(a, j, text, first, true);
}

static void expect(const char *dir, const char *name, const char *end, const char *text)
{
    char path[512], got[64] = "";
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s%s", dir, name, end);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, got, sizeof got - 1) >= 0);
    (void)close(fd);
    assert_string_equal(text, got);
}

/* The kernel may have dropped pages that it could not write, and says so only once. */
static void nothing_more_goes_into_a_file_whose_sync_failed(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512], first[256];
    struct archive a;
    struct journal *j;
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    j = journal_open(path, ignore, NULL, &e);
    assert_non_null(j);
    archive_init(&a, "events", dir, "00000000-0000-4000-8000-000000000000");
    assert_true(append(&a, j, "{1}\n", 1));
    assert_int_equal(4, a.length);
    (void)snprintf(first, sizeof first, "%s", a.name);
    fail_syncs = 1;
    assert_false(append(&a, j, "{2}\n", 2));
    assert_int_equal(0, fail_syncs);
    assert_int_equal(4, a.length);
    assert_true(append(&a, j, "{2}\n", 2));
    assert_string_not_equal(first, a.name);
    expect(dir, first, "", "{1}\n");
    expect(dir, a.name, ".part", "{2}\n");
    assert_true(archive_seal(&a, j, &e));
    expect(dir, a.last, "", "{2}\n");
    (void)snprintf(path, sizeof path, "%s/%s", dir, a.last);
    (void)unlink(path);
    archive_fini(&a);
    journal_close(j);
    (void)snprintf(path, sizeof path, "%s/%s", dir, first);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    (void)unlink(path);
    assert_int_equal(0, rmdir(dir));
}

static struct journal *begin(char *dir, struct archive *a)
{
    char path[512];
    struct journal *j;
    struct err e;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    j = journal_open(path, ignore, NULL, &e);
    assert_non_null(j);
    archive_init(a, "events", dir, "00000000-0000-4000-8000-000000000000");
    return j;
}

static void end(const char *dir, struct archive *a, struct journal *j)
{
    char command[256];

    archive_fini(a);
    journal_close(j);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(0, system(command));
}

/* A finished file is whole also after a power cut. */
static void a_file_has_its_name_only_when_its_bytes_are_synced(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX";
    struct archive a;
    struct journal *j = begin(dir, &a);
    struct err e;

    (void)state;
    assert_true(put(&a, j, "{1}\n", 1, false));
    fail_syncs = 1;
    assert_false(archive_seal(&a, j, &e));
    assert_non_null(strstr(e.text, "fdatasync"));
    assert_false(journal_poisoned(j));
    expect(dir, a.name, ".part", "{1}\n");
    assert_true(archive_seal(&a, j, &e));
    expect(dir, a.last, "", "{1}\n");
    end(dir, &a, j);
}

static void emit(void *arg, struct journal_draft *draft)
{
    archive_emit(arg, draft);
}

/* The record of its frame is in the journal, though its sync failed: a start that
 * believed it would miss the frame's events. */
static void a_file_is_deleted_only_when_the_journal_has_withdrawn_it(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX";
    struct archive a;
    struct journal *j = begin(dir, &a);
    struct err e;

    (void)state;
    pass_syncs = 1; /* of the file */
    fail_syncs = 1;
    assert_false(append(&a, j, "{1}\n", 1));
    assert_true(journal_poisoned(j));
    assert_int_equal(0, a.length);
    assert_false(archive_seal(&a, j, &e));
    expect(dir, a.name, ".part", "{1}\n");
    assert_true(journal_rewrite(j, emit, &a, &e));
    assert_true(archive_seal(&a, j, &e));
    end(dir, &a, j);
}

static void replay(void *arg, const struct record *r)
{
    archive_replay(arg, r, NULL, NULL);
}

/* After a power cut it may be a .part again, which only a start that finds it as the last
 * one in the journal gives its name. */
static void no_file_is_begun_before_the_name_of_the_last_one_is_kept(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512], first[256];
    struct archive a, b;
    struct journal *j = begin(dir, &a);
    struct err e;

    (void)state;
    assert_true(append(&a, j, "{1}\n", 1));
    (void)snprintf(first, sizeof first, "%s", a.name);
    fail_folders = 2;
    assert_false(archive_seal(&a, j, &e));
    assert_non_null(strstr(e.text, "fsync"));
    expect(dir, first, "", "{1}\n");
    assert_false(append(&a, j, "{2}\n", 2));
    assert_int_equal(0, fail_folders);
    assert_string_equal(first, a.name);
    assert_true(journal_rewrite(j, emit, &a, &e));
    archive_init(&b, "events", dir, "00000000-0000-4000-8000-000000000000");
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    assert_true(journal_scan(path, replay, &b, NULL, &e));
    assert_true(b.sealing);
    assert_string_equal(first, b.name);
    archive_fini(&b);
    assert_true(append(&a, j, "{2}\n", 2));
    assert_string_equal(first, a.last);
    expect(dir, a.name, ".part", "{2}\n");
    end(dir, &a, j);
}

/* Neither the file's sync nor its copy's works, and the file's number can't be read
 * either: it is still the one in hand, and gets its name. */
static void a_file_whose_copy_failed_is_still_in_hand(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", first[256];
    struct archive a;
    struct journal *j = begin(dir, &a);
    struct err e;

    (void)state;
    assert_true(append(&a, j, "{1}\n", 1));
    (void)snprintf(first, sizeof first, "%s", a.name);
    fail_syncs = 1;
    assert_false(append(&a, j, "{2}\n", 2));
    fail_syncs = 1; /* the copy's */
    fail_stats = 1;
    assert_false(archive_seal(&a, j, &e));
    fail_stats = 0;
    assert_int_equal(0, fail_syncs);
    assert_string_equal(first, a.name);
    assert_true(archive_seal(&a, j, &e));
    expect(dir, first, "", "{1}\n");
    end(dir, &a, j);
}

/* Its record may be in the journal: a start would call a file without it damaged. */
static void a_frame_stays_until_the_journal_has_forgotten_it(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX";
    struct archive a;
    struct journal *j = begin(dir, &a);
    struct err e;

    (void)state;
    assert_true(append(&a, j, "{1}\n", 1));
    pass_syncs = 1; /* of the file */
    fail_syncs = 1;
    assert_false(append(&a, j, "{2}\n", 2));
    assert_true(journal_poisoned(j));
    assert_int_equal(4, a.length);
    assert_false(append(&a, j, "{3}\n", 3));
    assert_false(archive_seal(&a, j, &e));
    assert_non_null(strstr(e.text, "not rewritten yet"));
    expect(dir, a.name, ".part", "{1}\n{2}\n");
    assert_true(journal_rewrite(j, emit, &a, &e));
    assert_true(append(&a, j, "{3}\n", 3));
    expect(dir, a.name, ".part", "{1}\n{3}\n");
    end(dir, &a, j);
}

static void a_file_that_could_not_be_begun_leaves_none(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512];
    struct archive a;
    struct journal *j = begin(dir, &a);

    (void)state;
    fail_stats = 1;
    assert_false(append(&a, j, "{1}\n", 1));
    assert_int_equal(0, fail_stats);
    assert_true(append(&a, j, "{1}\n", 1));
    (void)snprintf(path, sizeof path, "test \"$(ls '%s' | grep -c part)\" = 1", a.dir);
    assert_int_equal(0, system(path));
    end(dir, &a, j);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_more_goes_into_a_file_whose_sync_failed),
        cmocka_unit_test(a_file_has_its_name_only_when_its_bytes_are_synced),
        cmocka_unit_test(a_file_is_deleted_only_when_the_journal_has_withdrawn_it),
        cmocka_unit_test(no_file_is_begun_before_the_name_of_the_last_one_is_kept),
        cmocka_unit_test(a_file_whose_copy_failed_is_still_in_hand),
        cmocka_unit_test(a_frame_stays_until_the_journal_has_forgotten_it),
        cmocka_unit_test(a_file_that_could_not_be_begun_leaves_none)};

    return cmocka_run_group_tests_name("archive faults", tests, NULL, NULL);
}
