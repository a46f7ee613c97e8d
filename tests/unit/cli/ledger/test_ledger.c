/* Which minute of a ledger an event is in: at its edges, with a clock that is set back,
 * and of a minute that more than one file of the index has. And what sinks had of a stream
 * that left the policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "cli/ledger/read.h"
#include "cli/ledger/show.h"
#include "delivery/places.h"
#include "index/builder.h"
#include "index/names.h"
#include "journal/journal.h"

#include "unit/tools/folder.h"

#define MINUTE INT64_C(60000)
#define NOW (INT64_C(29000000) * MINUTE)

static void make(const char *tail)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", dir, tail);
    assert_int_equal(0, mkdir(path, 0700));
}

static int set_up(void **state)
{
    char path[96];
    FILE *f;

    if (folder_set_up(state) != 0) {
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/EPOCH", dir);
    f = fopen(path, "w");
    if (f == NULL || fclose(f) != 0) {
        return 1;
    }
    make("sinks");
    make("st");
    make("st/index");
    return 0;
}

/* A file of one event for each of the n times. */
static void write_file(uint32_t worker, uint64_t first, const int64_t *walls,
                       uint32_t n)
{
    const struct index_place place = {"00000000-0000-0000-0000-000000000000", "st",
                                      "id", 1, worker};
    struct index_builder *b = index_builder_new(first);
    char path[128], folder[80], id[32];
    uint64_t bytes;
    struct err e;

    for (uint32_t i = 0; i < n; i++) {
        index_block(b, walls[i], 0);
        index_add(b, id,
                  (size_t)snprintf(id, sizeof id, "e%u.%lu", worker,
                                   (unsigned long)first + i));
    }
    (void)snprintf(folder, sizeof folder, "%s/st/index", dir);
    (void)index_path(path, sizeof path, folder, 1, worker, first);
    assert_true(index_write(b, &place, path, &bytes, &e));
    index_builder_free(b);
}

/* "MINUTE=EVENTS ..." of the period, minutes as from NOW. */
static const char *minutes(int64_t since_ms, int64_t until_ms)
{
    static char text[256];
    static struct ledger_stream l;
    size_t at = 0;
    struct err e;

    assert_true(ledger_read(dir, "st", since_ms, until_ms, &l, &e));
    assert_int_equal(0, l.tallies.n_unknown + l.tallies.n_unread +
                            l.tallies.index.n_damaged);
    text[0] = '\0';
    for (uint32_t i = 0; i < l.n_minutes; i++) {
        at +=
            (size_t)snprintf(text + at, sizeof text - at, "%s%ld=%lu", i > 0 ? " " : "",
                             (long)((l.minutes[i]->ms - NOW) / MINUTE),
                             (unsigned long)l.minutes[i]->accepted);
    }
    ledger_free(&l);
    return text;
}

static void an_event_at_the_edge_is_of_the_minute_that_begins(void **state)
{
    const int64_t walls[] = {NOW - 1, NOW, NOW + MINUTE - 1, NOW + MINUTE,
                             NOW + 2 * MINUTE};

    (void)state;
    write_file(0, 1, walls, 5);
    assert_string_equal("-1=1 0=2 1=1 2=1", minutes(0, INT64_MAX));
    assert_string_equal("0=2 1=1 2=1", minutes(NOW, INT64_MAX));
    assert_string_equal("0=2 1=1 2=1", minutes(NOW + MINUTE - 1, INT64_MAX));
    assert_string_equal("1=1 2=1", minutes(NOW + MINUTE, INT64_MAX));
    assert_string_equal("-1=1 0=2", minutes(0, NOW + MINUTE));
    assert_string_equal("-1=1 0=2", minutes(0, NOW + 2 * MINUTE - 1));
    assert_string_equal("-1=1 0=2 1=1", minutes(0, NOW + 2 * MINUTE));
    assert_string_equal("0=2", minutes(NOW, NOW + MINUTE));
    assert_string_equal("", minutes(NOW + 3 * MINUTE, INT64_MAX));
    assert_string_equal("", minutes(0, NOW - 1 - MINUTE));
}

static void a_minute_is_one_though_files_and_workers_share_it(void **state)
{
    const int64_t first[] = {NOW - 5, NOW + 10, NOW + 20}, second[] = {NOW + 30},
                  third[] = {NOW + MINUTE + 5}, other[] = {NOW + 15, NOW + 59999};

    (void)state;
    write_file(0, 1, first, 3);
    write_file(0, 4, second, 1);
    write_file(0, 5, third, 1);
    write_file(1, 1, other, 2);
    assert_string_equal("-1=1 0=5 1=1", minutes(0, INT64_MAX));
    assert_string_equal("0=5", minutes(NOW + 59999, NOW + MINUTE + 6));
}

static void a_clock_that_is_set_back_adds_to_the_minute_it_shows(void **state)
{
    const int64_t first[] = {NOW, NOW + 30 * MINUTE, NOW + 1},
                  second[] = {NOW - 20 * MINUTE, NOW + 30 * MINUTE + 1};

    (void)state;
    write_file(0, 1, first, 3);
    write_file(0, 4, second, 2);
    assert_string_equal("-20=1 0=2 30=2", minutes(0, INT64_MAX));
    assert_string_equal("0=2 30=2", minutes(NOW - 19 * MINUTE, INT64_MAX));
    assert_string_equal("-20=1 0=2", minutes(0, NOW + MINUTE));
}

/* ---- a stream that left the policy ---- */

/* The sink's journal knows no stream any more; its places have the first event that it met,
 * where that is not 1, and all from there up to before end, noted at now_ms. */
static void had(const char *sink, uint64_t first, uint64_t end, int64_t now_ms)
{
    static stats_cell unrecorded;
    const struct batch_range met = {.epoch = 1, .first = first, .n = 1},
                             its = {.epoch = 1, .first = first, .n = end - first};
    struct places p;
    char path[128];
    struct err e;
    struct journal *j;

    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", dir, sink);
    j = journal_open(path, NULL, NULL, &e);
    assert_non_null(j);
    journal_close(j);
    memset(&p, 0, sizeof p);
    places_init(&p, path, &unrecorded);
    if (first > 1) {
        places_note(&p, RECORD_START, STR("st"), STR(""), now_ms, 1, &met, 1);
    }
    places_note(&p, RECORD_DONE, STR("st"), STR("there"), now_ms, 1, &its, 1);
    places_fini(&p);
}

/* "SINK=CONFIRMED/NEVER_SEEN ...", and the number of minutes that differ. */
static const char *sinks(int64_t since_ms, int64_t until_ms)
{
    static char text[256];
    static struct ledger_stream l;
    uint32_t differ = 0;
    size_t at = 0;
    struct err e;

    assert_true(ledger_read(dir, "st", since_ms, until_ms, &l, &e));
    for (uint32_t k = 0; k < l.n_sinks; k++) {
        uint64_t confirmed = 0, unseen = 0;

        for (uint32_t i = 0; i < l.n_minutes; i++) {
            confirmed += l.minutes[i]->by[k].confirmed;
            unseen += l.minutes[i]->by[k].apart[SETTLED_BEFORE];
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "%s=%lu/%lu ",
                               l.sinks[k].sink, (unsigned long)confirmed,
                               (unsigned long)unseen);
    }
    for (uint32_t i = 0; i < l.n_minutes; i++) {
        differ += !ledger_all_agree(&l, l.minutes[i]);
    }
    (void)snprintf(text + at, sizeof text - at, "differ=%u", differ);
    ledger_free(&l);
    return text;
}

/* Two events in each of three minutes. */
static void write_three_minutes(void)
{
    int64_t walls[6];

    for (int i = 0; i < 6; i++) {
        walls[i] = NOW + i / 2 * MINUTE + i % 2;
    }
    write_file(0, 1, walls, 6);
}

static void a_sink_that_left_first_does_not_miss_what_came_then(void **state)
{
    (void)state;
    write_three_minutes();
    had("a", 1, 5, NOW + MINUTE + 9); /* it leaves in the midst of the period */
    had("b", 1, 7, NOW + 2 * MINUTE + 9);
    assert_string_equal("a=4/2 b=6/0 differ=0", sinks(0, INT64_MAX));
    assert_string_equal("b=2/0 differ=0", sinks(NOW + 2 * MINUTE, INT64_MAX));
    assert_string_equal("a=4/0 b=4/0 differ=0", sinks(0, NOW + 2 * MINUTE));
}

static void what_came_before_a_sink_differs_after_the_stream_left_it_too(void **state)
{
    (void)state;
    write_three_minutes();
    had("a", 1, 3, NOW + 9);
    had("b", 3, 7, NOW + 2 * MINUTE + 9);
    assert_string_equal("a=2/4 b=4/2 differ=1", sinks(0, INT64_MAX));
    assert_string_equal("b=4/0 differ=0", sinks(NOW + MINUTE, INT64_MAX));
}

static void what_no_sink_had_differs_for_the_last_one(void **state)
{
    (void)state;
    write_three_minutes();
    had("a", 1, 3, NOW + 9);
    had("b", 1, 5, NOW + MINUTE + 9);
    assert_string_equal("a=2/4 b=4/2 differ=1", sinks(0, INT64_MAX));
    assert_string_equal("a=0/2 b=0/2 differ=1", sinks(NOW + 2 * MINUTE, INT64_MAX));
}

/* The record that this was event 5's is gone: whether the sink had it, or left before, nobody
 * can tell. */
static void what_a_lost_record_was_of_is_in_doubt_for_a_sink_that_left(void **state)
{
    static const struct batch_range met = {.epoch = 1, .first = 9, .n = 1};
    static stats_cell unrecorded;
    char path[128], bytes[2048];
    struct places p;
    size_t n;
    FILE *f;

    (void)state;
    write_three_minutes();
    had("a", 1, 5, NOW + MINUTE + 9);
    had("b", 1, 7, NOW + 2 * MINUTE + 9);
    (void)snprintf(path, sizeof path, "%s/sinks/a.journal", dir);
    memset(&p, 0, sizeof p);
    places_init(&p, path, &unrecorded);
    places_note(&p, RECORD_START, STR("other"), STR(""), NOW + MINUTE + 9, 1, &met, 1);
    places_fini(&p);
    (void)snprintf(path, sizeof path, "%s/sinks/a.apart", dir);
    f = fopen(path, "r+");
    assert_non_null(f);
    n = fread(bytes, 1, sizeof bytes, f);
    assert_true(n > 0 && n < sizeof bytes);
    assert_int_equal(n, fwrite(bytes, 1, n, f)); /* a whole one, behind the damage */
    rewind(f);
    bytes[n / 2] = (char)~bytes[n / 2];
    assert_int_equal(n, fwrite(bytes, 1, n, f));
    assert_int_equal(0, fclose(f));
    assert_string_equal("a=4/0 b=6/0 differ=1", sinks(0, INT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_event_at_the_edge_is_of_the_minute_that_begins, set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(
            a_minute_is_one_though_files_and_workers_share_it, set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(
            a_clock_that_is_set_back_adds_to_the_minute_it_shows, set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(
            a_sink_that_left_first_does_not_miss_what_came_then, set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(
            what_came_before_a_sink_differs_after_the_stream_left_it_too, set_up,
            folder_tear_down),
        cmocka_unit_test_setup_teardown(what_no_sink_had_differs_for_the_last_one,
                                        set_up, folder_tear_down),
        cmocka_unit_test_setup_teardown(
            what_a_lost_record_was_of_is_in_doubt_for_a_sink_that_left, set_up,
            folder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
