/* The same rows have the same name, however they came into their batch; other rows
 * have another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sink/remote/insert.h"

static struct sink sink = {.conf = {.origin = "olap", .spool_uuid = "uuid"}};

static void make(struct insert *i, struct batch *b, const struct batch_range *ranges,
                 uint32_t n)
{
    memset(i, 0, sizeof *i);
    memset(b, 0, sizeof *b);
    for (uint32_t k = 0; k < n; k++) {
        b->ranges[b->n_ranges++] = ranges[k];
        b->n += (uint32_t)ranges[k].n;
    }
    i->sink = &sink;
    i->batch = b;
}

static const char *token(const struct insert *i, uint32_t first, uint32_t n)
{
    static char out[300];

    parts_token(i, first, n, out, sizeof out);
    return out;
}

static void what_is_left_of_a_batch_is_named_as_its_part_was(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}, {3, 1, 7, 10}};
    /* Rows 0..4 but for 2 are in the table: a restart finds these. */
    static const struct batch_range left[] = {{3, 0, 102, 1}, {3, 0, 105, 5},
                                              {3, 1, 7, 10}};
    struct insert i;
    struct batch b;
    char before[300];

    (void)state;
    make(&i, &b, planned, 2);
    (void)strcpy(before, token(&i, 5, 15));
    assert_memory_equal("uuid:olap:3.0.105+15-", before, 21);
    make(&i, &b, left, 3);
    assert_int_equal(16, b.n);
    assert_string_not_equal(before, token(&i, 0, 16));
    parts_refuse(&i, 0); /* the poison, again */
    assert_string_equal(before, token(&i, 0, 16));
    free(i.refused);
}

static void other_rows_have_another_name(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}, {3, 1, 7, 10}};
    struct insert i;
    struct batch b;
    char one[300];

    (void)state;
    make(&i, &b, planned, 2);
    parts_refuse(&i, 4);
    (void)strcpy(one, token(&i, 0, 20));
    assert_string_equal(one, token(&i, 0, 20));
    /* As many rows, with the same first one. */
    i.refused[0] = 5;
    assert_string_not_equal(one, token(&i, 0, 20));
    i.refused[0] = 19;
    assert_string_not_equal(one, token(&i, 0, 20));
    free(i.refused);
}

static void rows_refused_alone_are_tried_again_when_it_was_the_table(void **state)
{
    static const struct batch_range planned[] = {{3, 0, 100, 10}};
    struct insert i;
    struct batch b;

    (void)state;
    make(&i, &b, planned, 1);
    i.parts[0] = (struct insert_part){5, 5}; /* 2..4 are in the table but for 3 */
    i.parts[1] = (struct insert_part){1, 1};
    i.parts[2] = (struct insert_part){0, 1};
    i.n_parts = 3;
    parts_refuse(&i, 0);
    parts_refuse(&i, 1);
    parts_refuse(&i, 3);
    parts_refuse(&i, 6);
    parts_set_aside(&i);
    assert_int_equal(1, i.n_parts);
    assert_int_equal(2, i.n_aside);
    parts_forgive(&i);
    assert_int_equal(0, i.n_aside);
    assert_int_equal(3, i.n_parts);
    assert_int_equal(0, i.parts[2].first);
    assert_int_equal(1, i.parts[1].first);
    assert_int_equal(1, i.n_refused);
    assert_int_equal(3, i.refused[0]);
    free(i.refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_refused_alone_are_tried_again_when_it_was_the_table),
        cmocka_unit_test(what_is_left_of_a_batch_is_named_as_its_part_was),
        cmocka_unit_test(other_rows_have_another_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
