/* Dead letters: each once, and never into a file that is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "delivery/dead.h"
#include "unit/tools/folder.h"

static size_t most; /* bytes that one read gives */

/* In place of libc's. */
ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    if (lseek(fd, at, SEEK_SET) != at) {
        return -1;
    }
    return read(fd, p, n < most ? n : most);
}

static int set_up(void **state)
{
    most = SIZE_MAX;
    return folder_set_up(state);
}

static void put(struct dead *d, const char *event)
{
    struct dead_letter l = {.event = str_of(event),
                            .sink = STR("olap"),
                            .why = STR("no \"number\"\n\xff"),
                            .at = {STR("u"), STR("events"), 1, 0, 7},
                            .code = 27};
    struct err e = {""};

    bool tell;

    assert_true(dead_begin(d, &tell, &e));
    assert_true(dead_put(d, &l, &e));
    assert_true(dead_sync(d, &e));
}

static void write_file(const struct dead *d, const char *how, const char *text)
{
    FILE *f = fopen(d->path, how);

    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static size_t lines(const struct dead *d)
{
    FILE *f = fopen(d->path, "r");
    size_t n = 0;
    int c;

    assert_non_null(f);
    while ((c = fgetc(f)) != EOF) {
        n += c == '\n';
    }
    (void)fclose(f);
    return n;
}

static void what_was_not_journaled_is_put_again_in_its_place(void **state)
{
    struct dead d;
    struct err e;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    put(&d, "{\"a\":1}");
    dead_keep(&d);
    put(&d, "{\"a\":2}");
    dead_rewind(&d); /* the journal did not take it */
    put(&d, "{\"a\":2}");
    dead_keep(&d);
    assert_int_equal(2, lines(&d));
    dead_close(&d);
}

/* An attempt that ends before its first letter, because there is no room. */
static void a_letter_that_is_kept_is_not_taken_back(void **state)
{
    struct dead d;
    struct err e;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    put(&d, "{\"a\":1}");
    dead_keep(&d);
    put(&d, "{\"a\":2}");
    dead_keep(&d);
    dead_rewind(&d);
    dead_rewind(&d);
    assert_int_equal(2, lines(&d));
    dead_close(&d);
}

static void what_the_journal_does_not_know_is_cut_on_opening(void **state)
{
    struct dead d;
    struct err e;
    char mark[DEAD_MARK_BYTES];
    uint64_t known;

    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    put(&d, "{\"a\":1}");
    dead_keep(&d);
    known = d.kept;
    memcpy(mark, d.mark, sizeof mark);
    put(&d, "{\"a\":2}"); /* and then a crash */
    dead_close(&d);
    most = *state == NULL ? most : *(const size_t *)*state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, known, mark, &e));
    assert_int_equal(1, lines(&d));
    dead_close(&d);
}

static void it_is_cut_also_when_reads_come_in_parts(void **state)
{
    static size_t parts = 7;
    void *few = &parts;

    (void)state;
    what_the_journal_does_not_know_is_cut_on_opening(&few);
}

static void a_file_that_was_taken_away_is_begun_anew(void **state)
{
    struct dead d;
    struct err e;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    put(&d, "{\"a\":1}");
    dead_keep(&d);
    assert_int_equal(0, unlink(d.path));
    put(&d, "{\"a\":2}");
    assert_int_equal(1, lines(&d));
    dead_close(&d);
}

/* copytruncate, or an editor's new file: its text stays, letters follow it. */
static void a_file_that_is_deleted_while_it_grows_is_begun_anew(void **state)
{
    struct dead d;
    struct dead_letter l = {.event = STR("{}"),
                            .sink = STR("olap"),
                            .at = {STR("u"), STR("events"), 1, 0, 1}};
    struct err e = {""};
    bool tell;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_begin(&d, &tell, &e));
    assert_true(dead_put(&d, &l, &e));
    assert_int_equal(unlink(d.path), 0);
    assert_false(dead_sync(&d, &e));
    dead_rewind(&d);
    put(&d, "{}");
    assert_int_equal(access(d.path, F_OK), 0);
    dead_close(&d);
}

static void letters_go_to_the_end_of_the_file_that_is_there(void **state)
{
    struct dead d;
    struct err e;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    for (int i = 0; i < 3; i++) {
        put(&d, "{\"a\":1}");
        dead_keep(&d);
    }
    write_file(&d, "w", "");
    put(&d, "{\"a\":2}");
    dead_keep(&d);
    assert_int_equal(1, lines(&d));
    assert_int_equal(0, unlink(d.path));
    write_file(&d, "w", "one\ntwo\nthree\n");
    put(&d, "{\"a\":3}");
    dead_keep(&d);
    assert_int_equal(4, lines(&d));
    dead_close(&d);
}

/* The journal speaks of another file, or of one that others have written to. */
static void a_file_that_was_put_back_is_not_cut(void **state)
{
    char mark[DEAD_MARK_BYTES], away[4096];
    struct dead d;
    struct err e;
    uint64_t known;

    (void)state;
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, 0, "", &e));
    for (int i = 0; i < 3; i++) {
        put(&d, "{\"a\":1}");
        dead_keep(&d);
    }
    (void)snprintf(away, sizeof away, "%s.away", d.path);
    assert_int_equal(0, rename(d.path, away));
    put(&d, "{\"a\":2}");
    dead_keep(&d);
    known = d.kept;
    memcpy(mark, d.mark, sizeof mark);
    dead_close(&d);
    assert_int_equal(0, rename(away, d.path));
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, known, mark, &e));
    assert_int_equal(3, lines(&d));
    put(&d, "{\"a\":3}");
    dead_keep(&d);
    known = d.kept;
    memcpy(mark, d.mark, sizeof mark);
    write_file(&d, "a", "{\"a note\":1}\n");
    dead_close(&d);
    dead_init(&d, dir, "olap");
    assert_true(dead_open(&d, known, mark, &e));
    assert_int_equal(5, lines(&d));
    dead_close(&d);
}

static bool owes_all(void *arg, const struct position *at)
{
    (void)at;
    return arg != NULL;
}

/* Opens the file again after a crash: d's letters behind the first are not journaled. */
static size_t lines_after_a_crash(struct dead *d, const char *tail, bool owed)
{
    struct err e;
    char mark[DEAD_MARK_BYTES];
    uint64_t known;
    size_t n;

    dead_init(d, dir, "olap");
    assert_true(dead_open(d, 0, "", &e));
    put(d, "{\"a\":1}");
    dead_keep(d);
    known = d->kept;
    memcpy(mark, d->mark, sizeof mark);
    dead_close(d);
    write_file(d, "a", tail);
    dead_init(d, dir, "olap");
    d->owes = owes_all;
    d->arg = owed ? d : NULL;
    assert_true(dead_open(d, known, mark, &e));
    n = lines(d);
    put(d, "{\"a\":3}");
    n = 10 * n + lines(d);
    dead_close(d);
    assert_int_equal(0, unlink(d->path));
    return n;
}

#define BEGUN "{\"event\":{\"a\":2},\"sink\":\"olap\",\"stream\":\"events\""
#define WHOLE                                                                          \
    BEGUN ",\"why\":\"x\",\"position\":\"u/events/1.0/"                                \
          "9\",\"time\":1,\"generation\":1}"

/* An editor or a script may leave out the end of the last line. */
static void a_letter_without_the_end_of_its_line_is_kept_apart(void **state)
{
    static const struct {
        const char *tail;
        bool owed;
        size_t lines; /* before the next letter, and after it */
    } cases[] = {{WHOLE, false, 13},      {WHOLE, true, 12},
                 {WHOLE "\n", false, 23}, {WHOLE "\n", true, 12},
                 {BEGUN, false, 12},      {"{\"event\":{\"a\":{}", false, 12},
                 {"{\"ev", false, 12},    {"another's", false, 13}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dead d;

        assert_int_equal(cases[i].lines,
                         lines_after_a_crash(&d, cases[i].tail, cases[i].owed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_was_not_journaled_is_put_again_in_its_place, set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(a_letter_that_is_kept_is_not_taken_back, set_up,
                                        folder_tear_down),
        cmocka_unit_test_setup_teardown(
            what_the_journal_does_not_know_is_cut_on_opening, set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(letters_go_to_the_end_of_the_file_that_is_there,
                                        set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_is_deleted_while_it_grows_is_begun_anew, set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(it_is_cut_also_when_reads_come_in_parts, set_up,
                                        folder_tear_down),
        cmocka_unit_test_setup_teardown(
            a_letter_without_the_end_of_its_line_is_kept_apart, set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_put_back_is_not_cut, set_up,
                                        folder_tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_taken_away_is_begun_anew,
                                        set_up, folder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
