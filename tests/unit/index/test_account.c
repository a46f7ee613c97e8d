/* The account of an index: what is noted comes back from its text, a text that is damaged
 * in any byte does not, and no event that may have been stored is left untold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "index/account.h"

static char told[2000];

static void on_part(void *arg, const struct index_run *part,
                    const struct index_account_hole *h)
{
    (void)arg;
    (void)sprintf(told + strlen(told), "%u.%u/%lu-%lu%s ", part->epoch, part->worker,
                  (unsigned long)part->first, (unsigned long)part->end,
                  h == NULL                  ? ""
                  : h->why == ACCOUNT_OFF    ? "off"
                  : h->why == ACCOUNT_DISK   ? "disk"
                  : h->why == ACCOUNT_UNREAD ? "unread"
                                             : "gone");
}

static const char *missing(const struct index_account *a, const struct index_run *runs,
                           uint32_t n)
{
    told[0] = '\0';
    index_account_missing(a, runs, n, on_part, NULL);
    return told;
}

static void add_hole(struct index_account *a, uint32_t epoch, uint64_t first,
                     uint64_t end, enum index_account_why why, int64_t until_ms)
{
    index_account_add_hole(a,
                           &(struct index_account_hole){
                               {epoch, 0, first, end}, until_ms - 10, until_ms, why});
}

static struct index_account filled(void)
{
    struct index_account a;

    index_account_init(&a, 3, 1000);
    (void)snprintf(a.uuid, sizeof a.uuid, "3f-uuid");
    index_account_note_epoch(&a, 3, "a.\"b\\\n% ~\x7f\xc3\xa4", 1000);
    index_account_note_epoch(&a, 4, NULL, 2000);
    index_account_note_epoch(&a, 4, "event_id", 2500);
    index_account_note_shard(&a, 3, 0, 1)->end = 101;
    index_account_note_shard(&a, 3, 1, 7)->end = 0;
    add_hole(&a, 3, 20, 30, ACCOUNT_DISK, 1500);
    add_hole(&a, 4, 1, 11, ACCOUNT_OFF, 2500);
    index_account_add_gap(&a, &(struct index_account_gap){1, 2, 5, 999});
    a.until = 5;
    a.until_ms = 3000;
    return a;
}

static void comes_back_from_its_text(void **state)
{
    struct index_account a = filled(), b;
    size_t n, m;
    char *text = index_account_text(&a, &n), *again;
    struct err e;

    (void)state;
    assert_true(index_account_parse(&b, text, n, &e));
    again = index_account_text(&b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(text, again, n);
    assert_string_equal("a.\"b\\\n% ~\x7f\xc3\xa4", index_account_field_of(&b, 3));
    assert_string_equal("event_id", index_account_field_of(&b, 4));
    assert_null(index_account_field_of(&b, 5));
    assert_int_equal(2, b.n_holes);
    assert_int_equal(1, b.n_gaps);
    free(text);
    free(again);
    index_account_free(&a);
    index_account_free(&b);
}

static void is_not_believed_when_damaged_or_cut(void **state)
{
    struct index_account a = filled(), b;
    size_t n;
    char *text = index_account_text(&a, &n);
    struct err e;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 1;
        assert_false(index_account_parse(&b, text, n, &e));
        assert_int_equal(0, b.n_shards + b.n_holes + b.n_epochs);
        text[i] ^= 1;
        assert_false(index_account_parse(&b, text, i, &e));
    }
    free(text);
    index_account_free(&a);
}

/* The text with another line and the checksum that it has then. */
static bool takes(const char *line)
{
    struct index_account a, b;
    char text[600];
    size_t n;
    char *whole;
    struct err e;
    bool ok;

    index_account_init(&a, 1, 5);
    (void)snprintf(a.uuid, sizeof a.uuid, "x");
    a.until = 1;
    /* A field is written as it is: a line break in it begins the line. */
    index_account_note_epoch(&a, 1, "f", 5);
    whole = index_account_text(&a, &n);
    whole[n - 13] = '\0';
    (void)snprintf(text, sizeof text, "%s%s\n", whole, line);
    free(whole);
    index_account_free(&a);
    n = strlen(text);
    (void)snprintf(text + n, sizeof text - n, "crc %08x\n", crc32c(0, text, n));
    ok = index_account_parse(&b, text, n + 13, &e);
    index_account_free(&b);
    return ok;
}

static void takes_no_line_that_is_none(void **state)
{
    static const char *const good[] = {"shard 1.0 1 5", "hole 1.0 1 2 3 4 off",
                                       "gap 1 1 0 0", "epoch 2 9 off",
                                       "epoch 2 9 on x y%25"};
    static const char *const bad[] = {"",
                                      "shard 1.0 1 5 ",
                                      "shard 1.0 0 5",
                                      "shard 1.0 1",
                                      "hole 1.0 1 2 3 4 offf",
                                      "hole 1.0 1 2 3 4 ",
                                      "hole 1.0 2 2 3 4 off",
                                      "hole 1.0 0 2 3 4 off",
                                      "gap 2 1 0 0",
                                      "gap 1 1 0",
                                      "epoch 2 9 of",
                                      "epoch 2 9 off x",
                                      "epoch 2 9 on ",
                                      "epoch 2 9 on %",
                                      "epoch 2 9 on %0",
                                      "epoch 2 9 on %00",
                                      "until 0 0",
                                      "begin 0 0",
                                      "begin 2 0",
                                      "x"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(takes(good[i]));
    }
    for (size_t i = 1; i < sizeof bad / sizeof *bad; i++) {
        if (takes(bad[i])) {
            fail_msg("takes \"%s\"", bad[i]);
        }
    }
}

static bool takes_lines(size_t n_lines)
{
    static const char head[] = "sluice index account 1\nuuid x\nbegin 1 5\nuntil 1 5\n";
    static const char line[] = "gap 1 1 5 5\n";
    const size_t n = strlen(head) + n_lines * strlen(line);
    char *text = malloc(n + 16);
    struct index_account a;
    struct err e;
    bool ok;

    (void)strcpy(text, head);
    for (size_t i = 0; i < n_lines; i++) {
        memcpy(text + strlen(head) + i * strlen(line), line, strlen(line));
    }
    (void)snprintf(text + n, 16, "crc %08x\n", crc32c(0, text, n));
    ok = index_account_parse(&a, text, n + 13, &e);
    assert_true(ok || strstr(e.text, "lines") != NULL);
    index_account_free(&a);
    free(text);
    return ok;
}

static void takes_no_more_lines_than_are_written(void **state)
{
    (void)state;
    assert_true(takes_lines(3 * ACCOUNT_LINES_MAX + ACCOUNT_GAPS_MAX));
    assert_false(takes_lines(3 * ACCOUNT_LINES_MAX + ACCOUNT_GAPS_MAX + 1));
    assert_false(takes_lines(500000));
}

static void misses_what_no_run_has(void **state)
{
    const struct index_run runs[] = {
        {3, 0, 5, 10}, {3, 0, 8, 20}, {3, 0, 40, 60}, {4, 2, 3, 4}};
    struct index_account a;

    (void)state;
    assert_string_equal("3.0/20-40 ", missing(NULL, runs, 4));
    index_account_init(&a, 4, 0);
    /* A shard that is older than the account has no beginning. */
    assert_string_equal("3.0/20-40 4.2/1-3 ", missing(&a, runs, 4));
    a.begin = 3;
    assert_string_equal("3.0/1-5 3.0/20-40 4.2/1-3 ", missing(&a, runs, 4));
    index_account_note_shard(&a, 3, 0, 5)->end = 71;
    index_account_note_shard(&a, 3, 1, 1)->end = 1;
    index_account_note_shard(&a, 3, 2, 4)->end = 9;
    index_account_note_shard(&a, 4, 2, 3);
    assert_string_equal("3.0/20-40 3.0/60-71 3.2/4-9 ", missing(&a, runs, 4));
    assert_string_equal("3.0/5-71 3.2/4-9 ", missing(&a, runs, 0));
    index_account_free(&a);
}

static void tells_the_parts_of_holes(void **state)
{
    const struct index_run runs[] = {{3, 0, 1, 10}, {3, 0, 25, 40}};
    struct index_account a;

    (void)state;
    index_account_init(&a, 3, 0);
    add_hole(&a, 3, 5, 15, ACCOUNT_DISK, 100);
    add_hole(&a, 3, 20, 22, ACCOUNT_GONE, 100);
    add_hole(&a, 3, 38, 45, ACCOUNT_UNREAD, 100);
    add_hole(&a, 7, 1, 3, ACCOUNT_OFF, 100);
    assert_string_equal(
        "3.0/10-15disk 3.0/15-20 3.0/20-22gone 3.0/22-25 3.0/40-45unread "
        "7.0/1-3off ",
        missing(&a, runs, 2));
    /* What was removed for its age is not missed, but holes stay until they are old. */
    index_account_drop(&a, 3, 0, 40);
    index_account_drop(&a, 2, 0, 40);
    assert_null(index_account_shard_of(&a, 2, 0));
    assert_string_equal("3.0/10-15disk 3.0/20-22gone 3.0/40-45unread 7.0/1-3off ",
                        missing(&a, runs, 2));
    index_account_free(&a);
}

static void joins_holes_that_follow(void **state)
{
    struct index_account a;

    (void)state;
    index_account_init(&a, 3, 0);
    add_hole(&a, 3, 5, 15, ACCOUNT_DISK, 100);
    add_hole(&a, 3, 15, 16, ACCOUNT_DISK, 90);
    add_hole(&a, 3, 16, 17, ACCOUNT_OFF, 90);
    assert_int_equal(2, a.n_holes);
    assert_int_equal(100, a.holes[0].until_ms);
    assert_string_equal("3.0/5-16disk 3.0/16-17off ", missing(&a, NULL, 0));
    index_account_free(&a);
}

static void joins_holes_of_workers_that_take_turns(void **state)
{
    struct index_account a;

    (void)state;
    index_account_init(&a, 3, 0);
    for (uint64_t i = 0; i < 2ull * ACCOUNT_LINES_MAX; i++) {
        for (uint32_t worker = 0; worker < 2; worker++) {
            const int64_t ms = 1000 + (int64_t)i;

            index_account_add_hole(
                &a,
                &(struct index_account_hole){
                    {3, worker, 1 + i * 10, 11 + i * 10}, ms, ms + 5, ACCOUNT_DISK});
        }
    }
    assert_int_equal(2, a.n_holes);
    assert_int_equal(0, a.n_gaps);
    assert_int_equal(1000, a.holes[1].since_ms);
    assert_int_equal(1004 + 2 * ACCOUNT_LINES_MAX, a.holes[1].until_ms);
    assert_string_equal("3.0/1-81921disk 3.1/1-81921disk ", missing(&a, NULL, 0));
    index_account_free(&a);
}

/* Adds a hole for each part that none tells, as the indexer does. */
static void on_part_note(void *arg, const struct index_run *part,
                         const struct index_account_hole *h)
{
    if (part->epoch == 3) {
        on_part(NULL, part, h);
    }
    if (h == NULL) {
        index_account_add_hole(
            arg, &(struct index_account_hole){*part, 0, 100, ACCOUNT_GONE});
    }
}

/* The list of holes moves then: it grows, or gives its first one away. */
static void tells_holes_while_others_are_added(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= ACCOUNT_LINES_MAX; n++) {
        struct index_account a;

        if (n > 40 && n < ACCOUNT_LINES_MAX) {
            continue;
        }
        index_account_init(&a, 3, 0);
        index_account_note_shard(&a, 3, 0, 1)->end = 31;
        for (uint32_t i = 0; i < n; i++) {
            add_hole(&a, i == 1 ? 3 : 100 + i, 10, i == 1 ? 20 : 30, ACCOUNT_DISK, 100);
        }
        told[0] = '\0';
        index_account_missing(&a, NULL, 0, on_part_note, &a);
        assert_string_equal("3.0/1-10 3.0/10-20disk 3.0/20-31 ", told);
        index_account_free(&a);
    }
}

static void forgets_holes_that_are_old(void **state)
{
    const struct index_run runs[] = {{3, 0, 1, 10}, {3, 0, 30, 40}};
    struct index_account a;

    (void)state;
    index_account_init(&a, 3, 120);
    add_hole(&a, 3, 10, 30, ACCOUNT_DISK, 100);
    add_hole(&a, 4, 1, 2, ACCOUNT_OFF, 200);
    index_account_add_gap(&a, &(struct index_account_gap){1, 2, 5, 150});
    assert_false(index_account_expire(&a, 100));
    assert_true(index_account_expire(&a, 101));
    assert_string_equal("4.0/1-2off ", missing(&a, runs, 2));
    assert_int_equal(1, a.n_gaps);
    assert_false(index_account_expire(&a, 120));
    assert_int_equal(3, a.begin);
    assert_true(index_account_expire(&a, 121)); /* what was before it */
    assert_int_equal(1, a.begin);
    assert_false(index_account_expire(&a, 121));
    assert_true(index_account_expire(&a, 201));
    assert_int_equal(0, a.n_gaps);
    assert_string_equal("", missing(&a, runs, 2));
    index_account_free(&a);
}

static void forgets_shards_of_which_nothing_is_left(void **state)
{
    const struct index_run runs[] = {{4, 0, 1, 10}};
    struct index_account a;

    (void)state;
    index_account_init(&a, 3, 0);
    for (uint32_t epoch = 3; epoch <= 6; epoch++) {
        index_account_note_epoch(&a, epoch, "f", 5);
        index_account_note_shard(&a, epoch, 0, 1)->end = 10;
    }
    add_hole(&a, 5, 3, 4, ACCOUNT_GONE, 100);
    index_account_tidy(&a, 6, runs, 1);
    assert_int_equal(3, a.n_shards);
    assert_null(index_account_shard_of(&a, 3, 0));
    assert_null(index_account_field_of(&a, 3));
    assert_non_null(index_account_field_of(&a, 4));
    index_account_free(&a);
}

static void doubts_epochs_of_which_shards_went_unnoted(void **state)
{
    struct index_run there[] = {{3, 1, 1, 9}};
    struct index_account a;

    (void)state;
    index_account_init(&a, 3, 7);
    index_account_note_epoch(&a, 3, "f", 7);
    index_account_note_shard(&a, 3, 0, 1);
    index_account_note_shard(&a, 3, 1, 1);
    index_account_note_shard(&a, 3, 2, 1)->end = 5;
    index_account_close(&a, 2, there, 0, 50); /* its own last segment stays */
    assert_int_equal(0, a.n_gaps);
    index_account_close(&a, 4, there, 1, 50);
    assert_int_equal(1, a.n_gaps);
    assert_int_equal(3, a.gaps[0].first);
    assert_int_equal(7, a.gaps[0].since_ms);
    assert_int_equal(50, a.gaps[0].until_ms);
    index_account_close(&a, 4, there, 1, 60); /* once */
    assert_int_equal(1, a.n_gaps);
    /* Without an index no shard is noted when it begins. */
    index_account_note_epoch(&a, 4, NULL, 70);
    a.until = 4;
    index_account_close(&a, 4, NULL, 0,
                        80);       /* the next process sees all that there is */
    assert_int_equal(1, a.n_gaps); /* 3.1 went, too, of the epoch that is in doubt */
    a.n_gaps = 0;
    index_account_close(&a, 5, NULL, 0, 80);
    assert_int_equal(1, a.n_gaps);
    assert_int_equal(4, a.gaps[0].last);
    a.n_gaps = 0;
    there[0].epoch = 4;
    index_account_close(&a, 5, there, 1, 80);
    assert_int_equal(0, a.n_gaps);
    index_account_free(&a);
}

static void stays_small(void **state)
{
    struct index_account a;
    size_t n;

    (void)state;
    index_account_init(&a, 1, 0);
    for (uint32_t i = 1; i <= 2 * ACCOUNT_LINES_MAX; i++) {
        index_account_note_epoch(&a, i, i % 2 == 0 ? NULL : "f", 5);
        index_account_note_shard(&a, i, 0, 1)->end = 10;
        add_hole(&a, i, 3, 4, ACCOUNT_GONE, 100);
    }
    assert_int_equal(ACCOUNT_LINES_MAX, a.n_epochs);
    assert_int_equal(ACCOUNT_LINES_MAX, a.n_shards);
    assert_int_equal(ACCOUNT_LINES_MAX, a.n_holes);
    assert_int_equal(ACCOUNT_GAPS_MAX, a.n_gaps);
    assert_int_equal(1, a.gaps[0].first);
    assert_int_equal(ACCOUNT_LINES_MAX, a.gaps[ACCOUNT_GAPS_MAX - 1].last);
    free(index_account_text(&a, &n));
    assert_true(n < ACCOUNT_BYTES_MAX);
    index_account_free(&a);
}

/* The process that wrote its files could not write the account. */
static void misses_no_first_files_of_a_shard_that_was_not_noted(void **state)
{
    const struct index_run rest[] = {{2, 0, 11, 20}, {2, 0, 22, 30}};
    struct index_account a;

    (void)state;
    index_account_init(&a, 1, 5);
    a.until = 4;
    index_account_drop(&a, 2, 0, 11);
    assert_string_equal("2.0/20-22 ", missing(&a, rest, 2));
    index_account_close(&a, 3, rest, 2, 50);
    assert_int_equal(0, a.n_gaps);
    index_account_drop(&a, 2, 0, 30);
    assert_string_equal("", missing(&a, NULL, 0));
    index_account_drop(&a, 4, 1, 5);
    assert_int_equal(0, index_account_shard_of(&a, 4, 1)->end);
    index_account_drop(&a, 5, 0, 9);
    assert_null(index_account_shard_of(&a, 5, 0));
    index_account_free(&a);
}

/* A full disk cuts a mark, and the next process writes its own after it. */
static void reads_marks_after_one_that_is_cut(void **state)
{
    char dir[] = "/tmp/sluice-test-XXXXXX", path[64], mark[64];
    struct index_account a;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/index/ACCOUNT", dir);
    (void)snprintf(mark, sizeof mark, "%s/index.unrecorded", dir);
    index_account_init(&a, 3, 0);
    index_account_mark(path, 3, 50); /* it is in the account */
    index_account_mark(path, 4, 70);
    assert_int_equal(0, truncate(mark, 8)); /* "\n3 50\n\n4" */
    index_account_mark(path, 5, 90);
    index_account_read_marks(&a, path, UINT32_MAX, 100);
    assert_int_equal(1, a.n_gaps);
    assert_int_equal(5, a.gaps[0].first);
    assert_int_equal(5, a.gaps[0].last);
    assert_int_equal(90, a.gaps[0].since_ms);
    assert_int_equal(100, a.gaps[0].until_ms);
    index_account_unmark(path);
    index_account_read_marks(&a, path, UINT32_MAX, 100);
    assert_int_equal(1, a.n_gaps);
    assert_int_equal(0, rmdir(dir));
    index_account_free(&a);
}

static void knows_why_a_file_is_missing(void **state)
{
    struct index_account a;

    (void)state;
    index_account_init(&a, 1, 0);
    index_account_note_epoch(&a, 1, "f", 10);
    index_account_note_epoch(&a, 2, NULL, 20);
    index_account_note_epoch(&a, 3, NULL, 30);
    index_account_note_epoch(&a, 3, "f", 35);
    index_account_note_epoch(&a, 3, "f", 36);
    assert_int_equal(ACCOUNT_UNREAD,
                     index_account_why(&a, &(struct index_run){1, 0, 5, 6}));
    assert_int_equal(ACCOUNT_OFF,
                     index_account_why(&a, &(struct index_run){2, 0, 5, 6}));
    assert_int_equal(ACCOUNT_OFF,
                     index_account_why(&a, &(struct index_run){3, 0, 1, 6}));
    assert_int_equal(ACCOUNT_GONE,
                     index_account_why(&a, &(struct index_run){3, 0, 7, 9}));
    assert_int_equal(ACCOUNT_GONE,
                     index_account_why(&a, &(struct index_run){4, 0, 1, 9}));
    assert_int_equal(4, a.n_epochs);
    assert_int_equal(20, index_account_since(&a, 2));
    assert_int_equal(30, index_account_end(&a, 2));
    assert_int_equal(0, index_account_end(&a, 3));
    index_account_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_from_its_text),
        cmocka_unit_test(is_not_believed_when_damaged_or_cut),
        cmocka_unit_test(takes_no_line_that_is_none),
        cmocka_unit_test(takes_no_more_lines_than_are_written),
        cmocka_unit_test(misses_what_no_run_has),
        cmocka_unit_test(tells_the_parts_of_holes),
        cmocka_unit_test(joins_holes_that_follow),
        cmocka_unit_test(joins_holes_of_workers_that_take_turns),
        cmocka_unit_test(tells_holes_while_others_are_added),
        cmocka_unit_test(forgets_holes_that_are_old),
        cmocka_unit_test(forgets_shards_of_which_nothing_is_left),
        cmocka_unit_test(doubts_epochs_of_which_shards_went_unnoted),
        cmocka_unit_test(stays_small),
        cmocka_unit_test(misses_no_first_files_of_a_shard_that_was_not_noted),
        cmocka_unit_test(reads_marks_after_one_that_is_cut),
        cmocka_unit_test(knows_why_a_file_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
