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
    assert_string_equal(show_s(0), "s");
    assert_string_equal(show_s(1), "");
    assert_string_equal(show_s(2), "s");
    assert_string_equal(show_rate(out, .44), "0.4");
    assert_string_equal(show_rate(out, 61.2), "61");
    assert_string_equal(show_rate(out, 0), "0");
    assert_string_equal(show_rate(out, 2 / 60.), "0.03");
    assert_string_equal(show_rate(out, 1 / 3600.), "<0.01");
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

/* What show_words, show_line and show_json write of text; for free(). */
static char *shown(char how, const char *text, size_t n)
{
    char *out = NULL;
    size_t room = 0;
    FILE *f = open_memstream(&out, &room);

    assert_non_null(f);
    if (how == 'w') {
        show_words(f, text);
    } else if (how == 'l') {
        show_line(f, "<%s>", text);
    } else {
        show_json(f, (struct str){text, n});
    }
    (void)fclose(f);
    return out;
}

static void check_shown(char how, const char *text, size_t n, const char *expected)
{
    char *out = shown(how, text, n);

    assert_string_equal(out, expected);
    free(out);
}

#define EVIL                                                                           \
    "a\033[2J\r\x7F \xC2\x9B"                                                          \
    "2J \x9B \xC3\x9B\xC2\xA0\nb"

static void texts_of_others_are_no_commands(void **state)
{
    (void)state;
    check_shown('w', EVIL, 0, "a [2J    2J \xEF\xBF\xBD \xC3\x9B\xC2\xA0\nb\n");
    check_shown('l', EVIL, 0, "<a [2J    2J \xEF\xBF\xBD \xC3\x9B\xC2\xA0 b>\n");
    check_shown('w', "", 0, "\n");
    check_shown('w', "a\n\nb\n", 0, "a\n\nb\n");
}

static void json_keeps_its_value(void **state)
{
    static const char text[] =
        "{\"a\":\t\"\033\x7F\xC2\x9B\xC2\xA0 \xC3\x9B\x9B\0\xC2\"}";

    (void)state;
    check_shown('j', text, sizeof text - 1,
                "{\"a\":\t\"\\u001b\\u007f\\u009b\xC2\xA0 \xC3\x9B\xEF\xBF\xBD\\u0000"
                "\xEF\xBF\xBD\"}\n");
    check_shown('j', "{}\n", 3, "{}\n");
    check_shown('j', "\xC2", 1, "\xEF\xBF\xBD\n");
    check_shown('j', "", 0, "\n");
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
        cmocka_unit_test(texts_of_others_are_no_commands),
        cmocka_unit_test(json_keeps_its_value),
        cmocka_unit_test(a_line_is_cut_between_characters),
        cmocka_unit_test(colours_are_for_terminals_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
