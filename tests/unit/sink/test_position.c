/* The names of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "sink/position.h"

static const struct position a = {STR("3f-a"), STR("events"), 4294967295u, 1023,
                                  18446744073709551615ull};

static void what_is_written_is_read(void **state)
{
    char text[POSITION_MAX];
    struct position b;

    (void)state;
    assert_int_equal(strlen("3f-a/events/4294967295.1023/18446744073709551615"),
                     position_write(&a, text));
    assert_true(position_read(str_of(text), &b));
    assert_true(str_eq(a.uuid, b.uuid) && str_eq(a.stream, b.stream));
    assert_true(a.epoch == b.epoch && a.worker == b.worker && a.seq == b.seq);
}

static void two_streams_have_two_names(void **state)
{
    char text[2][POSITION_MAX];
    struct position b = a;

    (void)state;
    b.stream = STR("audit");
    (void)position_write(&a, text[0]);
    (void)position_write(&b, text[1]);
    assert_string_not_equal(text[0], text[1]);
}

static void the_longest_fits(void **state)
{
    char uuid[37], stream[65], text[POSITION_MAX];
    struct position b = a;

    (void)state;
    memset(uuid, 'a', 36);
    memset(stream, 's', 64);
    b.uuid = (struct str){uuid, 36};
    b.stream = (struct str){stream, 64};
    b.worker = UINT32_MAX;
    assert_true(position_write(&b, text) < POSITION_MAX - 1);
    assert_true(position_read(str_of(text), &b));
    assert_int_equal(UINT32_MAX, b.worker);
}

static void a_name_of_an_older_version_is_read(void **state)
{
    struct position b;

    (void)state;
    assert_true(position_read(STR("3f-a/7.2/19"), &b));
    assert_null(b.stream.p);
    assert_true(b.epoch == 7 && b.worker == 2 && b.seq == 19);
}

static void nothing_else_is_one(void **state)
{
    static const struct str bad[] = {STR(""),
                                     STR("/"),
                                     STR("a"),
                                     STR("a/1.2"),
                                     STR("a/1.2/"),
                                     STR("a/1/3"),
                                     STR("a//1.2/3"),
                                     STR("/s/1.2/3"),
                                     STR("a/s/1.2/3/4"),
                                     STR("a/s/1.2/3 "),
                                     STR("a/s/1.2x/3"),
                                     STR("a/s/-1.2/3"),
                                     STR("a/s/4294967296.0/1"),
                                     STR("a/s/1.0/18446744073709551616"),
                                     {NULL, 0}};
    struct position b;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        assert_false(position_read(bad[i], &b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(two_streams_have_two_names),
        cmocka_unit_test(the_longest_fits),
        cmocka_unit_test(a_name_of_an_older_version_is_read),
        cmocka_unit_test(nothing_else_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
