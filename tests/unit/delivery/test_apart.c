/* What is dead, skipped or lost stays so when a crash comes between the journal and its
 * note, or takes the note; and readers miss none of it while files rotate. */
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
#include "delivery/places.h"
#include "journal/journal.h"
#include "unit/tools/folder.h"

enum { NOTES_MAX = 64 };

static char journal_path[128], apart_path[128];
static stats_cell unrecorded;
static uint32_t n_syncs, fail_syncs;
static uint64_t noted[NOTES_MAX]; /* the first of each range that a record names */
static uint32_t n_noted;
static const char *rotate_at_open; /* renamed once it is opened */

int fdatasync(int fd)
{
    (void)fd;
    n_syncs++;
    if (fail_syncs > 0) {
        fail_syncs--;
        errno = EIO;
        return -1;
    }
    return 0;
}

static void on_noted(void *arg, const struct record *r)
{
    (void)arg;
    for (uint32_t i = 0; i < r->n_ranges && n_noted < NOTES_MAX; i++) {
        noted[n_noted++] = r->ranges[i].first;
    }
    if (rotate_at_open != NULL) {
        char old[160];

        (void)snprintf(old, sizeof old, "%s.1", rotate_at_open);
        assert_int_equal(0, rename(rotate_at_open, old));
        rotate_at_open = NULL;
    }
}

static int64_t read_all(void)
{
    struct doubt gone;
    struct err e;
    int64_t ms;

    n_noted = 0;
    assert_true(places_read(journal_path, on_noted, NULL, &gone, &e));
    ms = gone.until_ms + gone.n;
    doubt_free(&gone);
    return ms;
}

static struct places begin(void)
{
    struct places p;

    (void)snprintf(journal_path, sizeof journal_path, "%s/s.journal", dir);
    (void)snprintf(apart_path, sizeof apart_path, "%s/s.apart", dir);
    unrecorded = 0;
    n_syncs = fail_syncs = 0;
    memset(&p, 0, sizeof p);
    places_init(&p, journal_path, &unrecorded);
    return p;
}

static void note(struct places *p, enum record_type type, uint64_t first)
{
    const struct batch_range r = {.epoch = 1, .first = first, .n = 1};

    places_note(p, type, STR("st"), STR("why"), 1000, 0, &r, 1);
}

/* Events 5 (dead), 6 and 7 (lost) end in the journal; 8 is delivered. */
static void write_journal(void)
{
    const struct batch_range dead = {.epoch = 1, .first = 5, .n = 1},
                             lost = {.epoch = 1, .first = 6, .n = 2},
                             done = {.epoch = 1, .first = 8, .n = 1};
    struct record r = {.type = RECORD_DEAD,
                       .value = 77,
                       .stream = STR("st"),
                       .ranges = &dead,
                       .n_ranges = 1};
    struct err e;
    struct journal *j = journal_open(journal_path, NULL, NULL, &e);

    assert_non_null(j);
    assert_true(journal_append(j, &r, &e));
    r.type = RECORD_SKIP;
    r.value = 1;
    r.ranges = &lost;
    assert_true(journal_append(j, &r, &e));
    r.type = RECORD_DONE;
    r.value = 0;
    r.ranges = &done;
    assert_true(journal_append(j, &r, &e));
    r = (struct record){.type = RECORD_DEAD, .value = 80}; /* of a replay */
    assert_true(journal_append(j, &r, &e));
    journal_close(j);
}

static void what_is_unnoted_is_noted_once(void **state)
{
    struct places p = begin();

    (void)state;
    write_journal();
    note(&p, RECORD_DEAD, 5);
    for (int i = 0; i < 2; i++) {
        places_mend(&p, journal_path);
        assert_int_equal(0, read_all());
        assert_int_equal(2, n_noted);
        assert_int_equal(5, noted[0]);
        assert_int_equal(6, noted[1]);
    }
    places_fini(&p);
}

static void a_torn_note_is_cut_and_noted_again(void **state)
{
    static const char zeros[3000];
    struct places p = begin();
    struct stat st;
    FILE *f;

    (void)state;
    write_journal();
    note(&p, RECORD_DEAD, 5);
    places_fini(&p);
    assert_int_equal(0, stat(apart_path, &st));
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            assert_int_equal(0, truncate(apart_path, st.st_size - 3));
        } else {
            f = fopen(apart_path, "a");
            assert_non_null(f);
            assert_int_equal(sizeof zeros, fwrite(zeros, 1, sizeof zeros, f));
            assert_int_equal(0, fclose(f));
        }
        assert_int_equal(0, read_all()); /* the journal still tells it */
        p = begin();
        places_mend(&p, journal_path);
        note(&p, RECORD_DEAD, 9);
        places_fini(&p);
        assert_int_equal(0, read_all());
        assert_int_equal(9, noted[n_noted - 1]);
    }
}

static void damage_is_told(void **state)
{
    struct places p = begin();
    struct stat st;
    FILE *f;

    (void)state;
    note(&p, RECORD_DEAD, 5);
    note(&p, RECORD_DEAD, 6);
    places_fini(&p);
    assert_int_equal(0, read_all());
    assert_int_equal(0, stat(apart_path, &st));
    f = fopen(apart_path, "r+");
    assert_non_null(f);
    assert_int_equal(0, fseek(f, st.st_size - 10, SEEK_SET)); /* the last, but whole */
    assert_int_equal('x', fputc('x', f));
    assert_int_equal(0, fclose(f));
    assert_true(read_all() > 0);
    assert_int_equal(1, n_noted);
}

static void damage_may_be_of_any_event_until_it_is_mended(void **state)
{
    static const struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct places p = begin();
    struct doubt gone;
    struct err e;
    FILE *f;

    (void)state;
    write_journal();
    note(&p, RECORD_DEAD, 5);
    note(&p, RECORD_SKIP, 20);
    places_fini(&p);
    f = fopen(apart_path, "r+");
    assert_non_null(f);
    assert_int_equal(0, fseek(f, 40, SEEK_SET));
    assert_true(fputc('x', f) == 'x');
    assert_int_equal(0, fclose(f));
    assert_int_equal(0, utimensat(AT_FDCWD, apart_path, past, 0));

    n_noted = 0;
    assert_true(places_read(journal_path, on_noted, NULL, &gone, &e));
    assert_true(doubt_end(&gone, "st", 1, 0, INT64_MAX) == UINT64_MAX);
    doubt_free(&gone);

    /* Then of what came before the journal was read, whatever the clock says. */
    p = begin();
    places_mend(&p, journal_path);
    places_fini(&p);
    n_noted = 0;
    assert_true(places_read(journal_path, on_noted, NULL, &gone, &e));
    assert_true(doubt_end(&gone, "st", 1, 7, 5000000) == UINT64_MAX);
    assert_true(doubt_end(&gone, "st", 2, 0, 5000000) == 0);
    doubt_free(&gone);
    assert_int_equal(20, noted[0]); /* and what is whole stays */
    assert_int_equal(3, n_noted);   /* with what the journal knows */
}

static void it_is_synced_before_the_journal_forgets(void **state)
{
    struct places p = begin();

    (void)state;
    note(&p, RECORD_DONE, 1);
    (void)places_sync(&p);
    assert_int_equal(0, n_syncs); /* there is nothing apart */
    note(&p, RECORD_DEAD, 2);
    (void)places_sync(&p);
    assert_int_equal(1, n_syncs);
    note(&p, RECORD_DONE, 3);
    (void)places_sync(&p);
    assert_int_equal(1, n_syncs);
    places_fini(&p);
    places_init(&p, journal_path, &unrecorded); /* the process before may not have */
    (void)places_sync(&p);
    assert_int_equal(2, n_syncs);
    assert_int_equal(0, read_all());
    note(&p, RECORD_SKIP, 4);
    fail_syncs = 1;
    (void)places_sync(&p);
    assert_true(read_all() > 0);
    assert_int_equal(1, unrecorded);
    places_fini(&p);
}

static void a_reader_misses_nothing_that_rotates(void **state)
{
    struct places p = begin();

    (void)state;
    note(&p, RECORD_DEAD, 5);
    places_fini(&p);
    rotate_at_open = apart_path;
    (void)read_all();
    assert_int_equal(5, noted[0]);
    (void)read_all();
    assert_int_equal(1, n_noted);
    assert_int_equal(5, noted[0]);
}

static void an_unreadable_file_is_an_error(void **state)
{
    struct places p = begin();
    struct doubt gone;
    struct err e;

    (void)state;
    places_fini(&p);
    assert_int_equal(0, mkdir(apart_path, 0700));
    assert_false(places_read(journal_path, on_noted, NULL, &gone, &e));
    assert_non_null(strstr(e.text, apart_path));
    doubt_free(&gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_unnoted_is_noted_once, folder_set_up,
                                        folder_tear_down),
        cmocka_unit_test_setup_teardown(a_torn_note_is_cut_and_noted_again,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(damage_may_be_of_any_event_until_it_is_mended,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(damage_is_told, folder_set_up,
                                        folder_tear_down),
        cmocka_unit_test_setup_teardown(it_is_synced_before_the_journal_forgets,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(a_reader_misses_nothing_that_rotates,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(an_unreadable_file_is_an_error, folder_set_up,
                                        folder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
