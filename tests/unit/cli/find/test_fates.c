/* What find says of an event whose sink is done with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "cli/find/fates.h"
#include "journal/journal.h"

#include "unit/tools/folder.h"

enum { ACCEPTED_MS = 1000 };

static stats_cell unrecorded;

static void path_of(char path[128], const char *tail)
{
    (void)snprintf(path, 128, "%s/sinks/s%s", dir, tail);
}

/* The sink began at its first event, and its journal counts events 5 to 9 among the done. */
static void write_journal(void)
{
    const struct batch_range begin = {.epoch = 1, .first = 1, .n = 1};
    const struct batch_range done = {.epoch = 1, .first = 5, .n = 5};
    char path[128];
    struct err e;
    struct journal *j;

    (void)snprintf(path, sizeof path, "%s/sinks", dir);
    assert_int_equal(0, mkdir(path, 0700));
    path_of(path, ".journal");
    j = journal_open(path, NULL, NULL, &e);
    assert_non_null(j);
    assert_true(journal_append(j,
                               &(struct record){.type = RECORD_START,
                                                .stream = STR("events"),
                                                .ranges = &begin,
                                                .n_ranges = 1},
                               &e));
    assert_true(journal_append(j,
                               &(struct record){.type = RECORD_DONE,
                                                .stream = STR("events"),
                                                .ranges = &done,
                                                .n_ranges = 1},
                               &e));
    journal_close(j);
}

static enum fate_kind fate(void)
{
    const struct sighting event = {
        .stream = "events", .epoch = 1, .seq = 7, .wall_ms = ACCEPTED_MS};
    struct fates f;
    enum fate_kind kind;
    struct err e;

    assert_true(fates_read(dir, &event, 1, &f, &e));
    assert_int_equal(1, f.n_sinks);
    kind = fate_of(&f, 0, 0)->kind;
    fates_free(&f);
    return kind;
}

static void note(enum record_type type)
{
    const struct batch_range range = {.epoch = 1, .first = 7, .n = 1};
    char path[128];
    struct places p = {.untold = false};

    path_of(path, ".journal");
    places_init(&p, path, &unrecorded);
    places_note(&p, type, STR("events"), STR("there"), ACCEPTED_MS, 0, &range, 1);
    places_fini(&p);
}

static void cut(void)
{
    char path[128];
    FILE *f;

    path_of(path, PLACES_CUT_TAIL);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(0, fclose(f));
}

static void a_dead_event_is_dead_though_the_journal_counts_it_done(void **state)
{
    (void)state;
    write_journal();
    assert_int_equal(FATE_CONFIRMED, fate());
    note(RECORD_DEAD);
    assert_int_equal(FATE_DEAD, fate());
    note(RECORD_DONE); /* its letter was sent once more */
    assert_int_equal(FATE_CONFIRMED, fate());
}

static void without_its_record_nobody_can_tell(void **state)
{
    (void)state;
    write_journal();
    cut();
    assert_int_equal(FATE_SETTLED, fate());
    note(RECORD_DONE);
    assert_int_equal(FATE_CONFIRMED, fate());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_dead_event_is_dead_though_the_journal_counts_it_done, folder_set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(without_its_record_nobody_can_tell,
                                        folder_set_up, folder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
