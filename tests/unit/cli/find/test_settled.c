/* What ledger and find count as confirmed of a sink that lost bytes, began late, or was
 * delivered to again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/boot.h"
#include "base/err.h"
#include "cli/find/fates.h"
#include "cli/find/settled.h"
#include "delivery/places.h"
#include "journal/journal.h"

#include "unit/tools/folder.h"

enum { EPOCH = 5 };

static stats_cell unrecorded;
static struct journal *journal;
static struct places places;
static char journal_path[128];
static int64_t now_ms, wall_ms = 500; /* of events */

static int set_up(void **state)
{
    char path[96];
    struct err e;

    if (folder_set_up(state) != 0) {
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/sinks", dir);
    (void)snprintf(journal_path, sizeof journal_path, "%s/s.journal", path);
    if (mkdir(path, 0700) != 0) {
        return 1;
    }
    journal = journal_open(journal_path, NULL, NULL, &e);
    places_init(&places, journal_path, &unrecorded);
    now_ms = 1000;
    return journal == NULL;
}

static int tear_down(void **state)
{
    journal_close(journal);
    places_fini(&places);
    return folder_tear_down(state);
}

/* ---- what the sink writes ---- */

static void put(enum record_type type, uint64_t value, const char *name, uint64_t first,
                uint64_t n)
{
    const struct batch_range range = {.epoch = EPOCH, .first = first, .n = n};
    const struct record r = {.type = type,
                             .value = value,
                             .stream = STR("st"),
                             .name = str_of(name),
                             .ranges = &range,
                             .n_ranges = first != 0};
    struct err e;

    assert_true(journal_append(journal, &r, &e));
}

static void note_in(uint32_t epoch, enum record_type type, uint64_t value,
                    uint64_t first, uint64_t n)
{
    const struct batch_range range = {.epoch = epoch, .first = first, .n = n};

    places_note(&places, type, STR("st"), STR("there"), now_ms++, value, &range,
                first != 0);
}

static void note(enum record_type type, uint64_t value, uint64_t first, uint64_t n)
{
    note_in(EPOCH, type, value, first, n);
}

/* ---- what is said of it ---- */

static struct settled_counts count_in(uint32_t epoch, uint64_t first, uint32_t n)
{
    struct settled_counts c = {.confirmed = 0};
    struct settled s;
    struct err e;

    assert_true(settled_read(dir, "s", "st", &s, &e));
    settled_count(&s, epoch, 0, first, n, wall_ms, epoch != EPOCH, &c);
    settled_free(&s);
    return c;
}

static void is_in(uint32_t epoch, uint64_t seq, const char *word)
{
    const struct sighting g = {.stream = "st",
                               .epoch = epoch,
                               .seq = seq,
                               .wall_ms = wall_ms,
                               .seen = epoch == EPOCH};
    struct settled_counts c = count_in(epoch, seq, 1);
    const char *counted = c.confirmed                ? "confirmed"
                          : c.pending                ? "pending"
                          : c.settled                ? "settled"
                          : c.apart[SETTLED_DEAD]    ? "dead"
                          : c.apart[SETTLED_SKIPPED] ? "skipped"
                          : c.apart[SETTLED_LOST]    ? "lost"
                          : c.apart[SETTLED_REFUSED] ? "refused"
                                                     : "never_seen";
    struct fates f;
    struct err e;

    assert_true(fates_read(dir, &g, 1, &f, &e));
    assert_string_equal(word, fate_word(fate_of(&f, 0, 0)->kind));
    fates_free(&f);
    assert_string_equal(word, counted);
}

static void is(uint64_t seq, const char *word)
{
    is_in(EPOCH, seq, word);
}

/* The journal, written again, with all done up to next. */
static void forget(uint64_t next)
{
    put(RECORD_START, 0, "", next, 0);
}

static void begin(void)
{
    put(RECORD_START, 0, "", 0, 0);
}

/* ---- the tests ---- */

static void what_a_power_cut_took_from_a_file_is_pending(void **state)
{
    (void)state;
    begin();
    put(RECORD_FILE, 0, "f-1", 0, 0);
    put(RECORD_FILE, 600, "f-1", 1, 6);
    put(RECORD_FILE, 1000, "f-1", 7, 4);
    note(RECORD_DONE, 1, 7, 4);
    is(10, "confirmed");
    assert_int_equal(10, count_in(EPOCH, 1, 12).confirmed);
    put(RECORD_FILE, 700, "f-1", 7, 1); /* it went back to 600 */
    is(6, "confirmed");
    is(7, "confirmed");
    is(10, "pending"); /* though its place is noted */
    assert_int_equal(7, count_in(EPOCH, 1, 12).confirmed);
    assert_int_equal(5, count_in(EPOCH, 1, 12).pending);
    put(RECORD_FILE, 700, "f-1", 8, 2); /* the same end: 7 is not in it any more */
    is(7, "pending");
    is(8, "confirmed");
    put(RECORD_SEAL, 700, "f-1", 0, 0);
    is(9, "confirmed");
    put(RECORD_FILE, 100, "f-2", 10, 1);
    is(9, "confirmed");
    is(10, "confirmed");
    put(RECORD_SEAL, 0, "f-2", 0, 0); /* nothing in it counts */
    is(9, "confirmed");
    is(10, "pending");
}

static void a_file_that_lost_its_events_has_them_no_more(void **state)
{
    (void)state;
    begin();
    put(RECORD_FILE, 600, "f-1", 1, 6);
    note(RECORD_DONE, 1, 1, 6);
    put(RECORD_FILE, 0, "f-1", 0, 0); /* back to its beginning; the spool has 1 to 3 */
    put(RECORD_SKIP, 1, "", 4, 3);
    note(RECORD_SKIP, 1, 4, 3);
    put(RECORD_FILE, 300, "f-1", 1, 3);
    note(RECORD_DONE, 1, 1, 3);
    is(3, "confirmed");
    is(4, "lost");
    forget(7);
    is(3, "confirmed");
    is(4, "lost");
    is(6, "lost");
}

static void a_dead_event_that_is_sent_again_is_confirmed_and_counted_once(void **state)
{
    struct settled_counts c;

    (void)state;
    begin();
    note(RECORD_DEAD, 1, 2, 1); /* the journal's record of it went with the power */
    is(2, "pending");
    put(RECORD_DONE, 0, "", 1, 1);
    c = count_in(EPOCH, 1, 2);
    assert_int_equal(1, c.confirmed);
    assert_int_equal(1, c.pending);
    assert_int_equal(0, c.apart[SETTLED_DEAD]);
    put(RECORD_DONE, 0, "", 2, 1);
    note(RECORD_DONE, 2, 2, 1);
    is(2, "confirmed");
    forget(3);
    is(2, "confirmed");
    assert_int_equal(2, count_in(EPOCH, 1, 2).confirmed);
    note(RECORD_DEAD, 1, 1, 2); /* a later word */
    is(2, "dead");
    assert_int_equal(2, count_in(EPOCH, 1, 2).apart[SETTLED_DEAD]);
    assert_int_equal(0, count_in(EPOCH, 1, 2).confirmed);
}

static void what_was_gone_before_a_sink_began_was_never_seen(void **state)
{
    (void)state;
    note_in(EPOCH, RECORD_START, EPOCH, 4, 1); /* all it met was a shard, from 4 on */
    begin();
    put(RECORD_START, 0, "", 4, 0);
    is(3, "never_seen");
    is(4, "pending");
    put(RECORD_DONE, 0, "", 4, 1);
    is(4, "confirmed");
    is_in(EPOCH - 1, 1, "never_seen");
    is_in(EPOCH + 1, 1, "confirmed"); /* it came, and went when all was done */
    assert_int_equal(3, count_in(EPOCH, 1, 4).apart[SETTLED_BEFORE]);
    assert_int_equal(9, count_in(EPOCH - 1, 1, 9).apart[SETTLED_BEFORE]);
}

static void what_was_there_when_it_began_is_confirmed_after_it_went(void **state)
{
    struct settled_counts c;

    (void)state;
    note_in(EPOCH - 1, RECORD_START, EPOCH, 3, 1);
    begin();
    is_in(EPOCH - 1, 2, "never_seen");
    is_in(EPOCH - 1, 3, "confirmed");
    is_in(EPOCH - 2, 3, "never_seen");
    note_in(EPOCH - 1, RECORD_DEAD, 1, 10, 1);
    c = count_in(EPOCH - 1, 1, 10); /* one row on both sides of its beginning */
    assert_int_equal(2, c.apart[SETTLED_BEFORE]);
    assert_int_equal(7, c.confirmed);
    assert_int_equal(1, c.apart[SETTLED_DEAD]);
    put(RECORD_RETIRE, EPOCH, "", 1, 0); /* all of the shard is still its own */
    c = count_in(EPOCH - 1, 1, 10);
    assert_int_equal(2, c.apart[SETTLED_BEFORE]);
    assert_int_equal(7, c.confirmed);
    assert_int_equal(1, c.apart[SETTLED_DEAD]);
}

static void a_sink_without_a_meeting_is_as_it_was(void **state)
{
    (void)state;
    begin();
    is_in(EPOCH - 1, 2, "confirmed");
}

static void before_a_second_beginning_nobody_can_tell(void **state)
{
    (void)state;
    note_in(EPOCH - 2, RECORD_START, EPOCH - 2, 3, 1);
    note_in(EPOCH - 2, RECORD_DONE, 1, 3, 2);
    note_in(EPOCH - 2, RECORD_DEAD, 1, 5, 1);
    note_in(EPOCH, RECORD_START, EPOCH, 4, 1);
    begin();
    put(RECORD_START, 0, "", 4, 0);
    is_in(EPOCH - 3, 1, "never_seen");
    is_in(EPOCH - 2, 2, "never_seen");
    is_in(EPOCH - 2, 4, "confirmed");
    is_in(EPOCH - 2, 5, "dead");
    is_in(EPOCH - 2, 6, "settled");
    is_in(EPOCH - 1, 6, "settled");
    is(3, "settled");
}

static void a_gap_while_the_stream_was_elsewhere_was_never_seen(void **state)
{
    (void)state;
    begin();
    put(RECORD_DONE, 0, "", 1, 9);
    note(RECORD_SKIP, PLACES_NOT_ITS_OWN, 4, 3);
    is(3, "confirmed");
    is(4, "never_seen");
    is(6, "never_seen");
    is(7, "confirmed");
}

static void what_was_lost_after_it_was_planned_nobody_knows(void **state)
{
    (void)state;
    begin();
    note(RECORD_SKIP, PLACES_UNSURE, 2, 3);
    put(RECORD_DONE, 0, "", 1, 5);
    is(1, "confirmed");
    is(3, "settled");
    note(RECORD_DONE, 1, 3, 1); /* a part of the batch that has a place */
    is(3, "confirmed");
    is(4, "settled");
    is(5, "confirmed");
}

static void what_came_while_the_stream_led_elsewhere_was_never_seen(void **state)
{
    struct settled_counts c;

    (void)state;
    note_in(EPOCH - 1, RECORD_START, EPOCH - 1, 1, 1);
    begin();
    put(RECORD_START, 0, "", 1, 0);
    put(RECORD_RETIRE, EPOCH, "", 3, 0); /* it gets events 1 and 2 of this shard */
    put(RECORD_DONE, 0, "", 1, 1);
    is(1, "confirmed");
    is(2, "pending");
    is(3, "never_seen");
    c = count_in(EPOCH, 1, 9);
    assert_int_equal(1, c.confirmed);
    assert_int_equal(1, c.pending);
    assert_int_equal(7, c.apart[SETTLED_BEFORE]);
    put(RECORD_DONE, 0, "", 5, 2); /* whatever it has taken, it has */
    c = count_in(EPOCH, 1, 9);
    assert_int_equal(3, c.confirmed);
    assert_int_equal(5, c.apart[SETTLED_BEFORE]);
    is(5, "confirmed");
    is_in(EPOCH + 1, 1, "never_seen");
    assert_int_equal(9, count_in(EPOCH + 1, 1, 9).apart[SETTLED_BEFORE]);
    is_in(EPOCH - 1, 1, "confirmed");
    put(RECORD_RETIRE, EPOCH - 1, "", 0, 0); /* no shard of that epoch leads to it */
    is_in(EPOCH - 1, 1, "never_seen");
    put(RECORD_RETIRE, 0, "", 0, 0); /* the stream leads to it again */
    is_in(EPOCH - 1, 1, "confirmed");
    is(3, "pending");
}

static void no_clock_ends_a_doubt(void **state)
{
    struct places p;

    (void)state;
    begin();
    put(RECORD_START, 0, "", 1, 0);
    note_in(EPOCH - 1, RECORD_DEAD, 0, 4, 1);
    note(RECORD_DEAD, 0, 4, 1);
    put(RECORD_DONE, 0, "", 1, 9);
    is(4, "dead");
    is(3, "confirmed");
    /* Its records are gone with a disk that takes no more of them, at a time that comes
     * after all events, whose clock was right. */
    {
        char apart[160];

        places_fini(&places);
        (void)snprintf(apart, sizeof apart, "%s/sinks/s.apart", dir);
        places_init(&p, journal_path, &unrecorded);
        places_mend(&p, journal_path);
        assert_int_equal(0, unlink(apart));
        assert_int_equal(0, mkdir(apart, 0700));
        places_note(&p, RECORD_DEAD, STR("st"), STR("why"), now_ms, 0,
                    &(struct batch_range){.epoch = EPOCH, .first = 5, .n = 1}, 1);
        places_fini(&p);
        assert_int_equal(0, rmdir(apart));
        places_init(&places, journal_path, &unrecorded);
    }
    is_in(EPOCH - 1, 1, "settled");
    is(4, "settled");
    is(5, "settled");
    is(6, "confirmed");  /* nothing beyond was noted ever */
    wall_ms = INT64_MAX; /* accepted while the clock was ahead */
    is(4, "settled");
    is(6, "confirmed");
    wall_ms = 500;
}

static void put_frame(uint64_t length, const char *synced, uint64_t first)
{
    const struct batch_range range = {.epoch = EPOCH, .first = first, .n = 1};
    const struct record r = {.type = RECORD_FILE,
                             .value = length,
                             .id = str_of(synced),
                             .stream = STR("st"),
                             .name = STR("f.ndjson"),
                             .ranges = &range,
                             .n_ranges = 1};
    struct err e;

    assert_true(journal_append(journal, &r, &e));
}

static void put_head(int64_t boot)
{
    const struct record r = {.type = RECORD_HEAD, .value = 1, .time_ms = boot};
    struct err e;

    assert_true(journal_append(journal, &r, &e));
}

static void what_a_restart_may_have_taken_from_a_file_is_pending(void **state)
{
    (void)state;
    begin();
    put_head(boot_number() + 1);
    put(RECORD_START, 0, "", 1, 0);
    put_frame(10, "", 1);
    put_frame(20, RECORD_FILE_SYNCED, 2);
    put_frame(30, "", 3);
    note(RECORD_DONE, 0, 3, 1);
    is(1, "confirmed");
    is(2, "confirmed");
    is(3, "pending");
    put_head(boot_number()); /* it has started since */
    is(3, "confirmed");
    put_head(boot_number() + 1);
    is(3, "pending");
    put(RECORD_SEAL, 30, "f.ndjson", 0, 0);
    is(3, "confirmed");
    put_head(0); /* of an earlier version */
    is(3, "confirmed");
}

static void what_a_shard_took_with_it_is_lost(void **state)
{
    (void)state;
    begin();
    note_in(EPOCH - 1, RECORD_SKIP, 1, 8, UINT64_MAX - 1 - 8);
    is_in(EPOCH - 1, 7, "confirmed");
    is_in(EPOCH - 1, 8, "lost");
    is_in(EPOCH - 1, UINT64_C(1) << 40, "lost");
}

static void what_a_failed_sync_left_is_refused(void **state)
{
    (void)state;
    begin();
    put(RECORD_SKIP, RECORD_SKIP_VOID, "", 1, 3);
    is(2, "refused");
    note(RECORD_SKIP, RECORD_SKIP_VOID, 1, 3);
    is(2, "refused");
    forget(5);
    is(3, "refused");
    is(4, "confirmed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_power_cut_took_from_a_file_is_pending,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_failed_sync_left_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_lost_its_events_has_them_no_more,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_dead_event_that_is_sent_again_is_confirmed_and_counted_once, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            what_was_gone_before_a_sink_began_was_never_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_was_there_when_it_began_is_confirmed_after_it_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sink_without_a_meeting_is_as_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(before_a_second_beginning_nobody_can_tell,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_gap_while_the_stream_was_elsewhere_was_never_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_lost_after_it_was_planned_nobody_knows,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_came_while_the_stream_led_elsewhere_was_never_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_clock_ends_a_doubt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_a_restart_may_have_taken_from_a_file_is_pending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_shard_took_with_it_is_lost, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
