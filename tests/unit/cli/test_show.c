/* Numbers for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/show.h"

static void numbers_are_rounded_for_people(void **state)
{
    char out[SHOW_BYTES];

    (void)state;
    assert_string_equal(show_count(out, 0), "0");
    assert_string_equal(show_count(out, 812), "812");
    assert_string_equal(show_count(out, 999.6), "1.0 k");
    assert_string_equal(show_count(out, 12345), "12.3 k");
    assert_string_equal(show_count(out, 123456), "123 k");
    assert_string_equal(show_count(out, 5e15), "5000 T");
    assert_string_equal(show_rate(out, .44), "0.4");
    assert_string_equal(show_rate(out, 61.2), "61");
    assert_string_equal(show_bytes(out, 312 * 1048576.), "312 MiB");
    assert_string_equal(show_bytes(out, 1023), "1023 B");
    assert_string_equal(show_bytes(out, 1023.6), "1.0 KiB");
    assert_string_equal(show_bytes(out, 1.5 * 1073741824), "1.5 GiB");
    assert_string_equal(show_seconds(out, .82), "820 ms");
    assert_string_equal(show_seconds(out, 12), "12 s");
    assert_string_equal(show_seconds(out, 725), "12 min");
    assert_string_equal(show_seconds(out, 3600 * 3 + 60 * 20 + 5), "3 h 20 min");
    assert_string_equal(show_seconds(out, 86400 * 4 + 3600 * 6), "4 d 6 h");
}

static void a_terminal_gets_no_commands_of_strangers(void **state)
{
    static const char text[] = "a\033[2J\r\x7F \xC2\x9B"
                               "2J \xC3\x9B\n";
    char out[sizeof text], last_of_parts[sizeof text];
    unsigned char last = 0;

    (void)state;
    show_tame(out, text, sizeof text - 1, &last);
    out[sizeof text - 1] = '\0';
    assert_string_equal(out, "a [2J   \xC2\xA0"
                             "2J \xC3\x9B\n");
    last = 0;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        show_tame(last_of_parts + i, text + i, 1, &last);
    }
    assert_memory_equal(out, last_of_parts, sizeof text - 1);
}

static void a_line_is_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(show_fit("abc", 5), 3);
    assert_int_equal(show_fit("abc", 2), 2);
    assert_int_equal(show_fit("abc", 0), 0);
    assert_int_equal(show_fit("\xC3\xA4\xC3\xB6", 1), 2);
    /* Two columns each. */
    assert_int_equal(show_fit("a\xE6\xBC\xA2\xE6\xBC\xA2", 4), 4);
    assert_int_equal(show_fit("a\xE6\xBC\xA2\xE6\xBC\xA2", 5), 7);
    assert_int_equal(show_fit("\xF0\x9F\x98\x80", 1), 0);
}

static void colours_are_for_terminals_alone(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    (void)setenv("TERM", "xterm", 1);
    assert_false(show_colours(ends[1]));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_rounded_for_people),
        cmocka_unit_test(a_terminal_gets_no_commands_of_strangers),
        cmocka_unit_test(a_line_is_cut_between_characters),
        cmocka_unit_test(colours_are_for_terminals_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
