/* Records of what a sink has not may leave only with a mark. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "delivery/places.h"
#include "journal/journal.h"
#include "unit/tools/folder.h"

enum { TWO_FILES = 2 * (PLACES_BYTES / PLACES_TEXT_MAX) + 1000 };

struct counts {
    uint32_t done, dead;
};

static char journal[128], text[PLACES_TEXT_MAX];
static stats_cell unrecorded;

static void on_record(void *arg, const struct record *r)
{
    struct counts *c = arg;

    c->done += r->type == RECORD_DONE;
    c->dead += r->type == RECORD_DEAD;
}

static const char *at(const char *tail)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/s%s", dir, tail);
    return path;
}

static struct doubt read_mark(const char *path)
{
    const int fd = open(path, O_RDONLY);
    struct doubt d = {.n = 0};

    if (fd >= 0) {
        places_read_mark(fd, &d);
        assert_int_equal(0, close(fd));
    }
    return d;
}

static int64_t cut_until(const char *path)
{
    struct doubt d = read_mark(path);
    const int64_t ms = d.until_ms;

    doubt_free(&d);
    return ms;
}

static bool is_cut(const char *path)
{
    struct doubt d = read_mark(path);
    const bool any = d.n > 0 || d.until_ms != 0;

    doubt_free(&d);
    return any;
}

static struct counts read_all(void)
{
    static const char *const tails[] = {PLACES_APART_OLD_TAIL, PLACES_APART_TAIL,
                                        PLACES_OLD_TAIL, PLACES_TAIL};
    struct counts c = {0};
    struct journal_scan scan;
    struct err e;

    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        (void)!journal_scan(at(tails[i]), on_record, &c, &scan, &e);
    }
    return c;
}

static void note(struct places *p, enum record_type type, uint32_t n)
{
    const struct batch_range range = {.epoch = 1, .worker = 0, .first = 7, .n = 1};

    for (uint32_t i = 0; i < n; i++) {
        places_note(p, type, str_of("events"), (struct str){text, sizeof text}, 1, 0,
                    &range, 1);
    }
}

static void begin(struct places *p)
{
    (void)snprintf(journal, sizeof journal, "%s/s.journal", dir);
    memset(text, 'x', sizeof text);
    unrecorded = 0;
    memset(p, 0, sizeof *p);
    places_init(p, journal, &unrecorded);
}

static void a_dead_event_outlives_all_that_are_confirmed(void **state)
{
    struct places p;
    struct counts c;

    (void)state;
    begin(&p);
    note(&p, RECORD_DEAD, 1);
    note(&p, RECORD_DONE, TWO_FILES);
    places_fini(&p);
    c = read_all();
    assert_int_equal(1, c.dead);
    assert_in_range(c.done, 1, TWO_FILES - 1);
    assert_false(is_cut(at(PLACES_CUT_TAIL)));
}

static void what_is_dropped_leaves_a_mark(void **state)
{
    struct places p;

    (void)state;
    begin(&p);
    note(&p, RECORD_DEAD, TWO_FILES / 2);
    assert_false(is_cut(at(PLACES_CUT_TAIL)));
    note(&p, RECORD_DEAD, TWO_FILES / 2);
    places_fini(&p);
    assert_true(read_all().dead < TWO_FILES);
    assert_true(is_cut(at(PLACES_CUT_TAIL)));
    assert_int_equal(0, cut_until(at(PLACES_CUT_TAIL))); /* by place, not by a clock */
}

static void nothing_is_dropped_where_no_mark_can_be_made(void **state)
{
    struct places p;

    (void)state;
    begin(&p);
    assert_int_equal(0, mkdir(at(PLACES_CUT_TAIL), 0700));
    note(&p, RECORD_DEAD, TWO_FILES);
    places_fini(&p);
    assert_int_equal(TWO_FILES, read_all().dead);
    assert_int_equal(0, rmdir(at(PLACES_CUT_TAIL)));
}

static void what_the_disk_does_not_take_leaves_a_mark(void **state)
{
    struct places p;

    (void)state;
    begin(&p);
    assert_int_equal(0, mkdir(at(PLACES_APART_TAIL), 0700));
    assert_int_equal(0, mkdir(at(PLACES_CUT_TAIL), 0700));
    note(&p, RECORD_DONE, 1);
    assert_int_equal(0, unrecorded);
    note(&p, RECORD_DEAD, 1); /* and no mark either, at first */
    assert_int_equal(1, unrecorded);
    assert_int_equal(0, rmdir(at(PLACES_CUT_TAIL)));
    assert_false(is_cut(at(PLACES_CUT_TAIL)));
    note(&p, RECORD_DONE, 1);
    assert_true(is_cut(at(PLACES_CUT_TAIL)));
    places_fini(&p);
    assert_int_equal(0, rmdir(at(PLACES_APART_TAIL)));
}

static void a_mark_is_tried_again_before_the_journal_forgets(void **state)
{
    struct places p;

    (void)state;
    begin(&p);
    assert_int_equal(0, mkdir(at(PLACES_APART_TAIL), 0700));
    assert_int_equal(0, mkdir(at(PLACES_CUT_TAIL), 0700));
    note(&p, RECORD_DEAD, 1);
    assert_false(places_sync(&p));
    assert_int_equal(0, rmdir(at(PLACES_CUT_TAIL)));
    assert_int_equal(0, rmdir(at(PLACES_APART_TAIL)));
    assert_true(places_sync(&p)); /* there is room again, and nothing to sync */
    assert_true(is_cut(at(PLACES_CUT_TAIL)));
    places_fini(&p);
}

static void a_mark_covers_what_was_accepted_just_before(void **state)
{
    struct places p;

    (void)state;
    begin(&p);
    assert_int_equal(0, mkdir(at(PLACES_APART_TAIL), 0700));
    for (int i = 0; i < 50; i++) {
        const int64_t accepted_ms = clock_wall_ms();
        FILE *f = fopen(at(PLACES_CUT_TAIL), "w"); /* the disk had no room for more */

        assert_non_null(f);
        assert_int_equal(0, fclose(f));
        /* Also where the file system keeps whole seconds. */
        assert_true(cut_until(at(PLACES_CUT_TAIL)) / 1000 > accepted_ms / 1000);
    }
    /* What that meant is in the next mark, too. */
    note(&p, RECORD_DEAD, 1);
    assert_true(cut_until(at(PLACES_CUT_TAIL)) > 0);
    places_fini(&p);
    assert_int_equal(0, rmdir(at(PLACES_APART_TAIL)));
}

static void all_go_with_the_sink(void **state)
{
    char other[128];
    struct places p;

    (void)state;
    begin(&p);
    note(&p, RECORD_DEAD, TWO_FILES);
    note(&p, RECORD_DONE, 1);
    places_fini(&p);
    (void)snprintf(other, sizeof other, "%s/t.journal", dir);
    places_move(journal, other);
    assert_int_equal(0, read_all().dead);
    (void)snprintf(other, sizeof other, "%s/t%s", dir, PLACES_CUT_TAIL);
    assert_true(is_cut(other));
    (void)snprintf(other, sizeof other, "%s/t.journal", dir);
    places_move_back(other, journal);
    assert_true(read_all().dead > 0);
    assert_false(places_former(journal));
    places_remove(journal);
    assert_int_equal(0, read_all().dead);
    assert_false(is_cut(at(PLACES_CUT_TAIL)));
    assert_true(places_former(journal)); /* it had some events */
    places_move(journal, other);
    assert_true(places_former(other));
    places_move_back(other, journal);
    assert_true(places_former(journal));
    assert_false(places_former(other));
    places_adopt(other, "s"); /* after a kill within such a move */
    assert_true(places_former(journal));
    assert_true(places_former(other));
    /* That of the new name's own stays there. */
    places_move_back(other, journal);
    places_note_former(other, other, PLACES_HAD_MAYBE);
    (void)unlink(at(PLACES_FORMER_TAIL));
    places_move(journal, other);
    places_move_back(other, journal);
    assert_false(places_former(journal));
    assert_true(places_former(other));
    places_note_former(journal, journal, PLACES_HAD_MAYBE);
    places_move(journal, other);
    places_move_back(other, journal);
    assert_true(places_former(journal) && places_former(other));
}

static void a_sink_that_had_no_event_is_no_former_one(void **state)
{
    struct places p;

    (void)state;
    (void)snprintf(journal, sizeof journal, "%s/s.journal", dir);
    places_init(&p, journal, &unrecorded);
    places_note(&p, RECORD_START, STR("events"), (struct str){NULL, 0}, 1, 1, NULL, 0);
    places_fini(&p);
    places_remove(journal);
    assert_false(places_former(journal));
    /* Nor one that has not even a journal. */
    places_note_former(journal, journal, PLACES_HAD_BY_JOURNAL);
    assert_false(places_former(journal));
}

static void no_record(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

/* Whether the journal with that record alone says that its sink had events. */
static bool had(struct record r)
{
    static const struct batch_range range = {1, 0, 1, 1};
    struct err e;
    struct journal *j;
    bool any;

    r.stream = STR("events");
    r.ranges = &range;
    j = journal_open(journal, no_record, NULL, &e);
    assert_non_null(j);
    assert_true(journal_append(j, &r, &e));
    journal_close(j);
    places_note_former(journal, journal, PLACES_HAD_BY_JOURNAL);
    any = places_former(journal);
    (void)unlink(at(PLACES_FORMER_TAIL));
    assert_int_equal(0, unlink(journal));
    return any;
}

static void a_journal_says_what_the_server_of_its_sink_may_have(void **state)
{
    (void)state;
    (void)snprintf(journal, sizeof journal, "%s/s.journal", dir);
    assert_false(had((struct record){.type = RECORD_START, .n_ranges = 1}));
    assert_false(had((struct record){.type = RECORD_FILE, .name = STR("f")}));
    assert_false(had((struct record){.type = RECORD_DEAD, .name = STR("mark")}));
    assert_false(had((struct record){.type = RECORD_SKIP, .n_ranges = 1}));
    assert_true(had((struct record){.type = RECORD_PLAN, .value = 1, .n_ranges = 1}));
    assert_true(had((struct record){.type = RECORD_DEAD, .n_ranges = 1}));
    assert_true(had((struct record){.type = RECORD_DONE, .n_ranges = 1}));
    assert_true(
        had((struct record){.type = RECORD_FILE, .name = STR("f"), .value = 9}));
    places_note_former(journal, journal, PLACES_HAD_MAYBE); /* one that was dropped */
    assert_true(places_former(journal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dead_event_outlives_all_that_are_confirmed,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(what_is_dropped_leaves_a_mark, folder_set_up,
                                        folder_tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_dropped_where_no_mark_can_be_made,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(what_the_disk_does_not_take_leaves_a_mark,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(
            a_mark_is_tried_again_before_the_journal_forgets, folder_set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(a_mark_covers_what_was_accepted_just_before,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(all_go_with_the_sink, folder_set_up,
                                        folder_tear_down),
        cmocka_unit_test_setup_teardown(a_sink_that_had_no_event_is_no_former_one,
                                        folder_set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(
            a_journal_says_what_the_server_of_its_sink_may_have, folder_set_up,
            folder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
