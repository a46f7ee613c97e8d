/* A text on its way out: whole characters, escaped for its place. */
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/log.h"
#include "base/text.h"
#include "base/utf8.h"

static bool is_utf8(struct str s)
{
    for (const char *p = s.p; p < s.p + s.n;) {
        unsigned n = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, s.p + s.n);

        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}

static void escapes_what_its_target_wants(void **state)
{
    static const struct {
        enum text_for to;
        const char *in, *out;
    } rows[] = {
        {TEXT_PLAIN, "a\"\\\n\x01\x7F", "a\"\\\n\x01\x7F"},
        {TEXT_LINE,
         "a\"\\\n\t\x7F"
         "b",
         "a\"\\   b"},
        {TEXT_JSON, "a\"\\\n\x01\x0B/", "a\\\"\\\\\\n\\u0001\\u000b/"},
        {TEXT_LOG, "a\"\\\n\t\x1B[31m", "a\\\"\\\\\\n  [31m"},
        {TEXT_LABEL, "a\"\\\n\r", "a\\\"\\\\\\n "},
        {TEXT_JSON, "caf\xC3\xA9 \xF0\x9F\x98\x80", "caf\xC3\xA9 \xF0\x9F\x98\x80"},
        {TEXT_JSON, "\xC3(\xFF", "\xEF\xBF\xBD(\xEF\xBF\xBD"},
        {TEXT_LOG, "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        /* U+009B begins a terminal's commands as ESC [ does. */
        {TEXT_LINE,
         "\xC2\x9B"
         "31m \xC2\xA0",
         " 31m \xC2\xA0"},
        {TEXT_JSON, "\xC2\x9B", "\xC2\x9B"},
        /* U+202E turns the rest of a line around; U+2066; U+2027 and U+206A do not. */
        {TEXT_LINE,
         "a\xE2\x80\xAE"
         "b\xE2\x81\xA6\xE2\x80\xA7",
         "a b \xE2\x80\xA7"},
        {TEXT_LOG, "\xE2\x80\xA8\xE2\x81\xAA", " \xE2\x81\xAA"},
        {TEXT_JSON, "\xE2\x80\xAE", "\xE2\x80\xAE"},
        {TEXT_LOG, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char out[128];

        assert_string_equal(text_z(rows[i].to, str_of(rows[i].in), out, sizeof out),
                            rows[i].out);
    }
}

static void cuts_between_characters_and_escapes(void **state)
{
    static const char in[] = "\xC3\xA9\"\x01\xF0\x9F\x98\x80\xFFz\n";

    (void)state;
    for (size_t room = 0; room <= sizeof in * 6; room++) {
        char out[sizeof in * 6 + 1], quoted[sizeof in * 6 + 3];
        size_t n = text_write(TEXT_JSON, STR(in), out, room);
        cJSON *v;

        assert_true(n <= room);
        assert_true(is_utf8((struct str){out, n}));
        (void)snprintf(quoted, sizeof quoted, "\"%.*s\"", (int)n, out);
        v = cJSON_Parse(quoted);
        assert_non_null(v);
        cJSON_Delete(v);
    }
}

static void cuts_no_character(void **state)
{
    const struct str s = STR("ab\xF0\x9F\x98\x80"
                             "c");
    const struct str wild = STR("ab\x80\x80\x80\x80\x80\x80");

    (void)state;
    assert_int_equal(text_cut(s, 100), 7);
    assert_int_equal(text_cut(s, 7), 7);
    assert_int_equal(text_cut(s, 6), 6);
    for (size_t max = 2; max < 6; max++) {
        assert_int_equal(text_cut(s, max), 2);
    }
    assert_int_equal(text_cut(s, 0), 0);
    assert_true(text_cut(wild, 7) >= 4);
}

static void survives_any_bytes(void **state)
{
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char in[24], out[6 * sizeof in];
        size_t n = (size_t)(rand_r(&seed) % (int)sizeof in);

        for (size_t i = 0; i < n; i++) {
            in[i] = (char)rand_r(&seed);
        }
        for (int to = TEXT_PLAIN; to <= TEXT_LABEL; to++) {
            size_t k = text_write((enum text_for)to, (struct str){in, n}, out,
                                  (size_t)(rand_r(&seed) % (int)sizeof out));

            assert_true(is_utf8((struct str){out, k}));
        }
    }
}

static void quotes_a_log_value_that_is_cut_inside_a_character(void **state)
{
    char out[10];

    (void)state;
    assert_string_equal(log_quote(out, sizeof out, "abcdef\xC3\xA9"), "\"abcdef\"");
    assert_string_equal(log_quote(out, sizeof out, "abcdef\""), "\"abcdef\"");
    assert_string_equal(log_quote(out, sizeof out, "abcde\""), "\"abcde\\\"\"");
}

/* Long texts are looked at in words. */
static void escapes_a_byte_at_any_place_of_a_long_text(void **state)
{
    static const char letters[] = "abcdefghijklmnopqrst";
    const size_t n = sizeof letters - 1;

    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        for (size_t at = 0; at < n; at++) {
            char text[sizeof letters], one[8], expected[32], out[160];
            size_t k, m;

            memcpy(text, letters, sizeof letters);
            text[at] = (char)c;
            k = text_write(TEXT_JSON, (struct str){text + at, 1}, one, sizeof one);
            memcpy(expected, letters, at);
            memcpy(expected + at, one, k);
            memcpy(expected + at + k, letters + at + 1, n - at - 1);
            m = text_write(TEXT_JSON, (struct str){text, n}, out, sizeof out);
            assert_int_equal(m, n - 1 + k);
            assert_memory_equal(out, expected, m);
            assert_int_equal(text_is_plain((struct str){text, n}),
                             c >= 0x20 && c != '"' && c != '\\' && c != 0x7F);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_its_target_wants),
        cmocka_unit_test(cuts_between_characters_and_escapes),
        cmocka_unit_test(cuts_no_character),
        cmocka_unit_test(escapes_a_byte_at_any_place_of_a_long_text),
        cmocka_unit_test(survives_any_bytes),
        cmocka_unit_test(quotes_a_log_value_that_is_cut_inside_a_character)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
