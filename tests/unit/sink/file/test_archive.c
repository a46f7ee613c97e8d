/* A replay of the journal on a file after a crash. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "sink/file/archive.h"

static const char NAME[] = "events-00000000-00000001.ndjson";

struct settled {
    uint64_t first[8];
    uint32_t n;
};

static void note(void *arg, struct str stream, const struct batch_range *ranges,
                 uint32_t n)
{
    struct settled *s = arg;

    (void)stream;
    for (uint32_t i = 0; i < n; i++) {
        s->first[s->n++] = ranges[i].first;
    }
}

static void ignore(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

static void put(struct archive *a, enum record_type type, uint64_t length,
                uint64_t first, struct settled *s)
{
    struct batch_range range = {1, 0, first, 1};
    struct record r = {.type = type,
                       .value = length,
                       .stream = str_of("events"),
                       .name = str_of(NAME),
                       .ranges = &range,
                       .n_ranges = type == RECORD_FILE};

    archive_replay(a, &r, note, s);
}

static void make(const char *dir, const char *end, const char *text)
{
    char path[512];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s%s", dir, NAME, end);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal((ssize_t)strlen(text), write(fd, text, strlen(text)));
    (void)close(fd);
}

/* FILE was appended, the journal's sync failed, and before the frame was written
 * again the file was sealed at its end before that: the crash came then. */
static void a_frame_behind_the_seal_is_not_settled(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512];
    struct settled s = {.n = 0};
    struct archive a;
    struct journal *j;
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    j = journal_open(path, ignore, NULL, &e);
    assert_non_null(j);
    make(dir, ".part", "{1}\n{2}\n");
    archive_init(&a, "events", dir, "00000000-0000-4000-8000-000000000000");
    put(&a, RECORD_FILE, 4, 1, &s);
    put(&a, RECORD_FILE, 8, 2, &s);
    put(&a, RECORD_SEAL, 4, 0, &s);
    assert_true(archive_recover(&a, note, &s, &e));
    assert_int_equal(1, s.n);
    assert_int_equal(1, s.first[0]);
    archive_fini(&a);
    journal_close(j);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/%s", dir, NAME);
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, rmdir(dir));
}

/* The crash came while the file was copied after a failed sync. */
static void a_copy_that_was_not_ended_goes(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512];
    struct settled s = {.n = 0};
    struct archive a;
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    make(dir, ".part", "{1}\n");
    make(dir, ".part.copy", "{1");
    archive_init(&a, "events", dir, "00000000-0000-4000-8000-000000000000");
    put(&a, RECORD_FILE, 4, 1, &s);
    assert_true(archive_recover(&a, note, &s, &e));
    assert_int_equal(1, s.n);
    archive_fini(&a);
    (void)snprintf(path, sizeof path, "%s/%s.part", dir, NAME);
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, rmdir(dir));
}

/* Likewise, but it was written again, as another batch. */
static void a_frame_that_was_written_over_is_not_settled(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512];
    struct settled s = {.n = 0};
    struct archive a;
    struct journal *j;
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/journal", dir);
    j = journal_open(path, ignore, NULL, &e);
    assert_non_null(j);
    make(dir, ".part", "{1}\n{}\n");
    archive_init(&a, "events", dir, "00000000-0000-4000-8000-000000000000");
    put(&a, RECORD_FILE, 4, 1, &s);
    put(&a, RECORD_FILE, 8, 2, &s);
    put(&a, RECORD_FILE, 7, 3, &s);
    assert_true(archive_recover(&a, note, &s, &e));
    assert_int_equal(2, s.n);
    assert_int_equal(1, s.first[0]);
    assert_int_equal(3, s.first[1]);
    archive_fini(&a);
    journal_close(j);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/%s.part", dir, NAME);
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, rmdir(dir));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_behind_the_seal_is_not_settled),
        cmocka_unit_test(a_frame_that_was_written_over_is_not_settled),
        cmocka_unit_test(a_copy_that_was_not_ended_goes)};

    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
