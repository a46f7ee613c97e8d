/* The same rows have the same name, however they came into their batch; other rows
 * have another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "journal/journal.h"
#include "sink/http/upload.h"

static const struct sink_stream streams[] = {{.name = "views"}, {.name = "clicks"}};
static struct sink sink = {
    .conf = {.origin = "olap", .spool_uuid = "uuid", .streams = streams}};

static void make(struct upload *u, struct batch *b, const struct batch_range *ranges,
                 uint32_t n)
{
    memset(u, 0, sizeof *u);
    memset(b, 0, sizeof *b);
    for (uint32_t k = 0; k < n; k++) {
        b->ranges[b->n_ranges++] = ranges[k];
        b->n += (uint32_t)ranges[k].n;
    }
    u->sink = &sink;
    u->batch = b;
}

static const char *token(const struct upload *u, uint32_t first, uint32_t n)
{
    static char out[300];

    bisect_token(u, first, n, out, sizeof out);
    return out;
}

static void a_part_is_named_as_it_was_by_the_process_before(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}, {3, 1, 7, 10}};
    /* Rows 0..4 are in the table, and the journal has the rest as a plan of its own. */
    static const struct batch_range left[] = {{3, 0, 105, 5}, {3, 1, 7, 10}};
    struct upload i;
    struct batch b;
    char before[300];

    (void)state;
    make(&i, &b, planned, 2);
    (void)strcpy(before, token(&i, 5, 15));
    assert_memory_equal("uuid:olap:3.0.105+15-", before, 21);
    assert_string_not_equal(before, token(&i, 0, 20));
    make(&i, &b, left, 2);
    assert_int_equal(15, b.n);
    assert_string_equal(before, token(&i, 0, 15));
}

static void other_rows_have_another_name(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}, {3, 1, 7, 10}};
    /* As many rows, with the same first one. */
    static const struct batch_range others[] = {{3, 0, 100, 9}, {3, 1, 7, 11}};
    struct upload i;
    struct batch b;
    char one[300];

    (void)state;
    make(&i, &b, planned, 2);
    (void)strcpy(one, token(&i, 0, 20));
    assert_string_equal(one, token(&i, 0, 20));
    assert_string_not_equal(one, token(&i, 0, 19));
    assert_string_not_equal(one, token(&i, 1, 19));
    make(&i, &b, others, 2);
    assert_string_not_equal(one, token(&i, 0, 20));
}

static void the_same_places_of_another_stream_have_another_name(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}};
    struct upload i;
    struct batch b;
    char one[300];

    (void)state;
    make(&i, &b, planned, 1);
    (void)strcpy(one, token(&i, 0, 10));
    b.stream = 1;
    assert_string_not_equal(one, token(&i, 0, 10));
}

static void rows_under_suspicion_are_tried_again(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}};
    struct upload i;
    struct batch b;

    (void)state;
    make(&i, &b, planned, 1);
    bisect_put(&i, 5, 5, 0);
    i.suspects = test_malloc(2 * sizeof *i.suspects);
    i.suspects[0] = 0;
    i.suspects[1] = 3;
    i.n_suspects = 2;
    search_forgive(&i);
    assert_int_equal(0, i.n_suspects);
    assert_int_equal(3, i.n_parts);
    assert_int_equal(0, i.parts[0].first);
    assert_int_equal(3, i.parts[1].first);
    assert_int_equal(1, i.parts[1].n);
    assert_int_equal(5, i.parts[2].first); /* in hand as before: it may be there */
    test_free(i.suspects);
    free(i.parts);
}

/* The largest goes first; while no row has passed, one row from the middle of it. */
static void most_rows_arrive_soon(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}};
    struct upload i;
    struct batch b;

    (void)state;
    make(&i, &b, planned, 1);
    bisect_put(&i, 4, 5, 0);
    bisect_put(&i, 0, 4, 0);
    search_choose(&i);
    assert_int_equal(0, i.parts[1].first); /* nothing was refused */
    i.n_refusals = 1;
    search_choose(&i);
    assert_int_equal(4, i.parts[1].first);
    assert_int_equal(5, i.parts[1].n);
    free(i.parts);
}

/* A server that remembers refused batches must not know them by their name. */
static void letters_that_are_sent_again_have_another_name(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}};
    struct upload i;
    struct batch b;
    char one[300], two[300];

    (void)state;
    make(&i, &b, planned, 1);
    (void)strcpy(one, token(&i, 0, 10));
    b.replay = 77;
    (void)strcpy(two, token(&i, 0, 10));
    assert_string_not_equal(one, two);
    b.replay = 78;
    assert_string_not_equal(two, token(&i, 0, 10));
}

static void ignore(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

static void expect_part(const struct upload *u, uint32_t k, uint32_t first, uint32_t n)
{
    assert_int_equal(first, u->parts[k].first);
    assert_int_equal(n, u->parts[k].n);
}

/* The part that is tried next is the last one. */
static void a_row_is_singled_out_and_each_row_is_in_one_part(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}};
    char path[] = "/tmp/sluice-test-XXXXXX";
    int fd = mkstemp(path);
    struct journal *j;
    struct upload i;
    struct batch b;
    struct err e;

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    j = journal_open(path, ignore, NULL, &e);
    assert_non_null(j);
    sink.conf.journal = &j;
    make(&i, &b, planned, 1);
    bisect_put(&i, 0, 10, 0);
    bisect_single_out(&i, 3);
    assert_int_equal(3, i.n_parts);
    expect_part(&i, 0, 4, 6);
    expect_part(&i, 1, 3, 1);
    expect_part(&i, 2, 0, 3);
    bisect_halve(&i);
    assert_int_equal(4, i.n_parts);
    expect_part(&i, 2, 1, 2);
    expect_part(&i, 3, 0, 1);
    i.n_parts = 1;
    bisect_single_out(&i, 9); /* the last one: none is behind it */
    assert_int_equal(2, i.n_parts);
    expect_part(&i, 0, 9, 1);
    expect_part(&i, 1, 4, 5);
    free(i.parts);
    sink.conf.journal = NULL;
    journal_close(j);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_under_suspicion_are_tried_again),
        cmocka_unit_test(most_rows_arrive_soon),
        cmocka_unit_test(a_part_is_named_as_it_was_by_the_process_before),
        cmocka_unit_test(other_rows_have_another_name),
        cmocka_unit_test(the_same_places_of_another_stream_have_another_name),
        cmocka_unit_test(letters_that_are_sent_again_have_another_name),
        cmocka_unit_test(a_row_is_singled_out_and_each_row_is_in_one_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
