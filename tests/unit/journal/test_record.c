/* A record's bytes: a written record is read, and no other bytes are. */
#include "journal/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static unsigned char bytes[RECORD_BYTES_MAX + 1];
static struct batch_range ranges[RECORD_RANGES_MAX];
static const struct batch_range two[2] = {{1, 2, 3, 4}, {5, 6, 7, 8}};

static size_t make(void)
{
    const struct record r = {.type = RECORD_PLAN,
                             .time_ms = -5,
                             .value = UINT64_MAX,
                             .id = STR("id"),
                             .stream = STR("events"),
                             .name = STR(""),
                             .ranges = two,
                             .n_ranges = 2};

    return record_encode(&r, bytes);
}

static enum record_result decode(size_t n)
{
    struct record r;
    size_t size;

    return record_decode(bytes, n, &r, ranges, &size);
}

static void what_was_written_is_read(void **state)
{
    size_t n = make(), size = 0;
    struct record r;

    (void)state;
    assert_int_equal(RECORD_OK, record_decode(bytes, n, &r, ranges, &size));
    assert_int_equal(n, size);
    assert_int_equal(RECORD_PLAN, r.type);
    assert_int_equal(-5, r.time_ms);
    assert_true(r.value == UINT64_MAX);
    assert_true(str_eq(r.id, STR("id")));
    assert_true(str_eq(r.stream, STR("events")));
    assert_int_equal(0, r.name.n);
    assert_int_equal(2, r.n_ranges);
    assert_memory_equal(two, r.ranges, sizeof two);
}

static void each_cut_is_short(void **state)
{
    size_t n = make();

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(RECORD_SHORT, decode(i));
    }
}

static void each_changed_bit_is_seen(void **state)
{
    size_t n = make();

    (void)state;
    for (size_t i = 0; i < 8 * n; i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_int_not_equal(RECORD_OK, decode(n));
        assert_int_not_equal(RECORD_NEWER, decode(n));
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    assert_int_equal(RECORD_OK, decode(n));
}

static void a_type_of_later_is_told_from_damage(void **state)
{
    struct record r = {.type = RECORD_N_TYPES};
    size_t n = record_encode(&r, bytes);

    (void)state;
    assert_int_equal(RECORD_NEWER, decode(n));
    r.type = RECORD_N_TYPES - 1;
    assert_int_equal(RECORD_OK, decode(record_encode(&r, bytes)));
    r.type = (enum record_type)0;
    assert_int_equal(RECORD_BAD, decode(record_encode(&r, bytes)));
}

static void the_largest_record_fills_its_bound(void **state)
{
    static struct batch_range many[RECORD_RANGES_MAX];
    char *text = calloc(1, RECORD_TEXT_MAX);
    const struct str s = {text, RECORD_TEXT_MAX};
    const struct record r = {.type = RECORD_DONE,
                             .id = s,
                             .stream = s,
                             .name = s,
                             .ranges = many,
                             .n_ranges = RECORD_RANGES_MAX};

    (void)state;
    assert_non_null(text);
    assert_int_equal(RECORD_BYTES_MAX, record_encode(&r, bytes));
    assert_int_equal(RECORD_OK, decode(RECORD_BYTES_MAX));
    /* One byte more than any record: bad at once, whatever follows. */
    bytes[0]++;
    assert_int_equal(RECORD_BAD, decode(RECORD_HEAD_BYTES));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read), cmocka_unit_test(each_cut_is_short),
        cmocka_unit_test(each_changed_bit_is_seen),
        cmocka_unit_test(a_type_of_later_is_told_from_damage),
        cmocka_unit_test(the_largest_record_fills_its_bound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
