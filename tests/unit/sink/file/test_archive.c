/* A replay of the journal on a file after a crash. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* Another program made a file of the name before the rename. */
static void a_file_whose_name_was_taken_goes_on(void **state)
{
    char dir[] = "/tmp/sluice-archive-XXXXXX", path[512], got[16] = "";
    struct settled s = {.n = 0};
    struct archive a;
    struct err e;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    make(dir, ".part", "{1}\n");
    make(dir, "", "another's");
    archive_init(&a, "events", dir, "00000000-0000-4000-8000-000000000000");
    put(&a, RECORD_FILE, 4, 1, &s);
    put(&a, RECORD_SEAL, 4, 0, &s);
    assert_true(archive_recover(&a, note, &s, &e));
    assert_int_equal(1, s.n);
    assert_true(a.fd >= 0);
    assert_string_equal(NAME, a.name);
    assert_int_equal(4, a.length);
    archive_fini(&a);
    (void)snprintf(path, sizeof path, "%s/%s", dir, NAME);
    fd = open(path, O_RDONLY);
    assert_int_equal(9, read(fd, got, sizeof got));
    (void)close(fd);
    assert_int_equal(0, unlink(path));
    (void)snprintf(path, sizeof path, "%s/%s.part", dir, NAME);
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

/* ---- another folder than that of the process before ---- */

struct folders_case {
    char top[64], path[256];
    struct archive a;
    struct settled s;
};

static void set_up_folders(struct folders_case *c)
{
    *c = (struct folders_case){.top = "/tmp/sluice-archive-XXXXXX"};
    assert_non_null(mkdtemp(c->top));
    for (int i = 0; i < 2; i++) {
        (void)snprintf(c->path, sizeof c->path, "%s/%s", c->top,
                       i == 0 ? "old" : "new");
        assert_int_equal(0, mkdir(c->path, 0700));
    }
    archive_init(&c->a, "events", c->path, "00000000-0000-4000-8000-000000000000");
    c->a.root = c->top;
}

static void begin_in(struct folders_case *c, const char *id)
{
    struct record r = {.type = RECORD_FILE,
                       .id = str_of(id),
                       .stream = str_of("events"),
                       .name = str_of(NAME)};

    archive_replay(&c->a, &r, note, &c->s);
    put(&c->a, RECORD_FILE, 4, 1, &c->s);
}

static void make_in(struct folders_case *c, const char *dir, const char *end)
{
    (void)snprintf(c->path, sizeof c->path, "%s/%s", c->top, dir);
    make(c->path, end, "{1}\n{2");
}

static void recover_in(struct folders_case *c, const char *dir)
{
    struct err e;

    assert_true(archive_recover(&c->a, note, &c->s, &e));
    assert_int_equal(1, c->s.n);
    (void)snprintf(c->path, sizeof c->path, "%s/%s", c->top, dir);
    assert_string_equal(c->path, c->a.dir);
}

static void tear_down_folders(struct folders_case *c, const char *left)
{
    archive_fini(&c->a);
    if (left != NULL) {
        (void)snprintf(c->path, sizeof c->path, "%s/%s", c->top, left);
        assert_int_equal(0, unlink(c->path));
    }
    for (int i = 0; i < 2; i++) {
        (void)snprintf(c->path, sizeof c->path, "%s/%s", c->top,
                       i == 0 ? "old" : "new");
        assert_int_equal(0, rmdir(c->path));
    }
    assert_int_equal(0, rmdir(c->top));
}

static void a_file_is_found_in_the_folder_that_it_was_begun_in(void **state)
{
    struct folders_case c;

    (void)state;
    set_up_folders(&c);
    make_in(&c, "old", ".part");
    begin_in(&c, "dir=old");
    recover_in(&c, "old");
    assert_true(c.a.fd >= 0);
    assert_int_equal(4, c.a.length);
    tear_down_folders(&c, "old/events-00000000-00000001.ndjson.part");
}

static void a_file_that_was_ended_gets_its_name_there(void **state)
{
    struct folders_case c;

    (void)state;
    set_up_folders(&c);
    make_in(&c, "old", ".part");
    begin_in(&c, "dir=old");
    put(&c.a, RECORD_SEAL, 4, 0, &c.s);
    recover_in(&c, "old");
    tear_down_folders(&c, "old/events-00000000-00000001.ndjson");
}

static void a_file_that_people_moved_is_found_in_the_new_folder(void **state)
{
    struct folders_case c;

    (void)state;
    set_up_folders(&c);
    make_in(&c, "new", ".part");
    begin_in(&c, "dir=old");
    recover_in(&c, "new");
    assert_true(c.a.fd >= 0);
    tear_down_folders(&c, "new/events-00000000-00000001.ndjson.part");
}

static void a_file_that_is_in_neither_folder_was_taken(void **state)
{
    static const char *const ids[] = {"dir=old", "dir=gone", "dir=", "synced", ""};

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct folders_case c;

        set_up_folders(&c);
        begin_in(&c, ids[i]);
        recover_in(&c, "new");
        assert_int_equal('\0', c.a.name[0]);
        tear_down_folders(&c, NULL);
    }
}

static void a_folder_is_noted_relative_to_the_data_directory(void **state)
{
    static const struct {
        const char *root, *dir, *id;
    } cases[] = {{"data", "data/archive", "dir=archive"},
                 {"data", "data/synced", "dir=synced"},
                 {"/srv/data", "/srv/data2/archive", "dir=/srv/data2/archive"},
                 {"data", "/mnt/archive", "dir=/mnt/archive"},
                 {NULL, "/mnt/archive", "dir=/mnt/archive"}};
    char out[ARCHIVE_ID_BYTES];
    struct archive a;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        archive_init(&a, "events", cases[i].dir, "00000000");
        a.root = cases[i].root;
        assert_string_equal(cases[i].id, archive_dir_id(&a, out).p);
        archive_take_dir(&a, str_of(out));
        assert_string_equal(cases[i].dir, a.begun_in);
        archive_fini(&a);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_behind_the_seal_is_not_settled),
        cmocka_unit_test(a_frame_that_was_written_over_is_not_settled),
        cmocka_unit_test(a_file_whose_name_was_taken_goes_on),
        cmocka_unit_test(a_copy_that_was_not_ended_goes),
        cmocka_unit_test(a_file_is_found_in_the_folder_that_it_was_begun_in),
        cmocka_unit_test(a_file_that_was_ended_gets_its_name_there),
        cmocka_unit_test(a_file_that_people_moved_is_found_in_the_new_folder),
        cmocka_unit_test(a_file_that_is_in_neither_folder_was_taken),
        cmocka_unit_test(a_folder_is_noted_relative_to_the_data_directory)};

    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
