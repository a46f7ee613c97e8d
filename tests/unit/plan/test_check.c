/* Numbers and times that a schema lets in fit the columns that its own CREATE TABLE
 * has for them. A value equal to a bound is let in, the next beyond it is not. */
#include "plan/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/utf8.h"

static const int64_t NOW = 1763900000000;

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;

/* The code for {"f":value}; "" when it is accepted. */
static const char *code_of(const struct field *f, const char *value)
{
    static const struct scan_limits limits = {10, 64};
    struct field own = *f;
    struct schema schema = {.fields = &own, .n_fields = 1, .keys = keys};
    struct scan_error se;
    static char body[1024];
    int n = snprintf(body, sizeof body - SCAN_PAD, "{\"f\":%s}", value);

    own.path = STR("f");
    assert_int_equal(scan_body(&batch, keys, SCAN_EVENT, &limits, body, (size_t)n, &se),
                     SCAN_OK);
    check_events(&schema, &batch, NOW);
    return batch.events[0].fate == EVENT_ACCEPT ? "" : batch.events[0].code;
}

struct row {
    const char *value, *code;
};

static void expect(const struct field *f, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *code = code_of(f, rows[i].value);

        if (strcmp(code, rows[i].code) != 0) {
            fail_msg("%s: \"%s\", expected \"%s\"", rows[i].value, code, rows[i].code);
        }
    }
}

static void is(const struct field *f, const char *value, const char *code)
{
    const struct row row = {value, code};

    expect(f, &row, 1);
}

static void an_int_is_what_an_int64_column_reads(void **state)
{
    static const struct row rows[] = {
        {"0", ""},
        {"-1", ""},
        {"21234567890", ""},
        {"9223372036854775807", ""},
        {"-9223372036854775808", ""},
        {"9223372036854775808", "too_large"},
        {"-9223372036854775809", "too_small"},
        {"12345678901234567890", "too_large"},
        {"1234567890123456789012345678901234567890", "too_large"},
        {"-99999999999999999999", "too_small"},
        {"21234567890.0", "wrong_type"},
        {"1e3", "wrong_type"},
        {"1E+3", "wrong_type"},
        {"1.5", "wrong_type"},
        {"1.00000000000000000001", "wrong_type"},
        {"1e-400", "wrong_type"},
        {"1e400", "too_large"},
        {"\"1\"", "wrong_type"}};
    const struct field f = {.type = FIELD_INT};

    (void)state;
    expect(&f, rows, N_ELEMS(rows));
    (void)code_of(&f, "1.00000000000000000001");
    assert_string_equal(batch.events[0].message,
                        "f: expected an integer, got a fraction");
    (void)code_of(&f, "5.0");
    assert_string_equal(batch.events[0].message,
                        "f: expected an integer without a decimal point and "
                        "without an exponent");
}

static void a_time_is_whole_milliseconds_and_never_seconds(void **state)
{
    static const struct row rows[] = {
        {"1763900000000", ""},
        {"100000000000", ""},
        {"\"1970-01-01T00:00:01Z\"", ""},
        {"\"1970-01-01T02:00:00\\u002B01:00\"", ""},
        {"\"1970-01-01T02:00:00\\u002C01:00\"", "bad_time"},
        {"1763900000", "bad_time"},
        {"0", "bad_time"},
        {"1763900000000.5", "bad_time"},
        {"1763900000000.0", "bad_time"},
        {"1.7639e12", "bad_time"},
        {"1763900000000000", "bad_time"},
        {"-1", "bad_time"}};
    struct field f = {.type = FIELD_TIME, .max_age_ms = -1, .max_skew_ms = -1};

    (void)state;
    expect(&f, rows, N_ELEMS(rows));
    f.max_age_ms = 86400000;
    assert_string_equal(code_of(&f, "1763900000"), "too_old");
}

static void a_time_may_be_as_old_and_as_early_as_its_bounds(void **state)
{
    struct field f = {.type = FIELD_TIME, .max_age_ms = 1000, .max_skew_ms = 500};

    (void)state;
    assert_string_equal(code_of(&f, "1763899999000"), "");
    assert_string_equal(code_of(&f, "1763899998999"), "too_old");
    assert_string_equal(code_of(&f, "1763900000500"), "");
    assert_string_equal(code_of(&f, "1763900000501"), "in_future");
    f.max_age_ms = f.max_skew_ms = 0; /* now or never, which is not "any time" */
    assert_string_equal(code_of(&f, "1763900000000"), "");
    assert_string_equal(code_of(&f, "1763899999999"), "too_old");
    assert_string_equal(code_of(&f, "1763900000001"), "in_future");
}

/* Of every length, for texts of eight bytes and more are read in words. */
static void a_digit_counts_at_every_place(void **state)
{
    static const char odd[] = ".eE";
    const struct field f = {.type = FIELD_INT};

    (void)state;
    for (size_t n = 1; n <= 18; n++) {
        char text[32];

        (void)snprintf(text, sizeof text, "%.*s", (int)n, "123456789123456789");
        assert_string_equal(code_of(&f, text), "");
        for (size_t at = 1; at + 1 < n; at++) {
            for (const char *c = odd; *c != '\0'; c++) {
                text[at] = *c;
                /* Of 1E234 and more a double knows nothing. */
                assert_string_not_equal(code_of(&f, text), "");
            }
            text[at] = "123456789123456789"[at];
        }
    }
}

static void a_character_of_two_bytes_counts_once_at_every_place(void **state)
{
    (void)state;
    for (int n = 2; n <= 40; n++) {
        for (int at = 0; at <= n - 2; at++) {
            const struct field least = {.type = FIELD_STR, .has_min = true, .min = n};
            const struct field most = {
                .type = FIELD_STR, .has_max = true, .max = n - 2};
            char text[64];

            /* n bytes, n - 1 characters */
            (void)snprintf(text, sizeof text, "\"%.*s\xC3\xA9%.*s\"", at,
                           "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop", n - 2 - at,
                           "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop");
            assert_string_equal(code_of(&least, text), "too_short");
            assert_string_equal(code_of(&most, text), "too_long");
        }
    }
}

static void an_enum_has_its_value_however_it_is_escaped(void **state)
{
    static char value[2 * 50 + 1], text[6 * 50 + 3] = "\"";
    const struct str values[] = {STR("a"), {value, 2 * 50}};
    const struct field f = {.type = FIELD_ENUM, .values = values, .n_values = 2};

    (void)state;
    for (int i = 0; i < 50; i++) {
        (void)strcat(value, "\xC3\xA9");
        (void)strcat(text, "\\u00E9");
    }
    (void)strcat(text, "\"");
    assert_string_equal(code_of(&f, text), "");
    text[strlen(text) - 2] = '8';
    assert_string_equal(code_of(&f, text), "not_in_enum");
    assert_string_equal(code_of(&f, "\"\\u0061\""), "");
}

static void a_list_of_an_enum_is_cut_between_two_characters(void **state)
{
    struct str values[60];
    char names[60][16];
    const struct field f = {.type = FIELD_ENUM, .values = values, .n_values = 60};

    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        for (int i = 0; i < 60; i++) {
            (void)snprintf(names[i], sizeof names[i], "%.*s\xC3\xA9\xE2\x82\xAC%d",
                           shift, "xyz", i);
            values[i] = str_of(names[i]);
        }
        assert_string_equal(code_of(&f, "\"\xC3\xA9t\xC3\xA9\""), "not_in_enum");
        for (const char *p = batch.events[0].message; *p != '\0';) {
            unsigned n = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, p + strlen(p));

            assert_true(n > 0);
            p += n;
        }
    }
}

static void numbers_may_equal_their_bounds(void **state)
{
    struct field f = {.has_min = true, .min = -2, .has_max = true, .max = 7};
    const enum field_type types[] = {FIELD_INT, FIELD_NUM};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(types); i++) {
        f.type = types[i];
        is(&f, "7", "");
        is(&f, "8", "too_large");
        is(&f, "-2", "");
        is(&f, "-3", "too_small");
    }
    is(&f, "7.0", "");
    is(&f, "7.0000001", "too_large");
    is(&f, "-2.0000001", "too_small");
}

static void texts_may_be_as_long_and_as_short_as_their_bounds(void **state)
{
    const struct field f = {
        .type = FIELD_STR, .has_min = true, .min = 2, .has_max = true, .max = 4};

    (void)state;
    is(&f, "\"ab\"", "");
    is(&f, "\"a\"", "too_short");
    is(&f, "\"abcd\"", "");
    is(&f, "\"abcde\"", "too_long");
    is(&f, "\"a\\u00e9\\n\\\"\"", "");
    is(&f, "\"a\\u00e9\\n\\\"b\"", "too_long");
    is(&f, "\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"", "");
    is(&f, "\"\\n\"", "too_short");
}

static int setup(void **state)
{
    const struct str paths[] = {STR("f")};
    struct err e;

    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    keys = scan_keys_new(paths, 1, &e);
    return keys == NULL;
}

static int teardown(void **state)
{
    (void)state;
    scan_keys_free(keys);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

/* 9999-12-31 and 1970-01-01, sent as texts, were stored so. Most senders' dates that
 * mean never and unknown are these. */
static void a_time_that_was_stored_is_read_again(void **state)
{
    static const struct row rows[] = {
        {"253402300799999", ""}, {"100000000000000", ""}, {"0", ""}, {"86399999", ""},
        {"1763900000000", ""},   {"253402300800000", ""}, /* microseconds */
        {"-1", "bad_time"},      {"0.5", "bad_time"}};
    static const double ms[] = {253402300799999., 1e14,           0,
                                86399999.,        1763900000000., 253402300800.};

    (void)state;
    batch.stored = true;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        for (enum instant_unit u = INSTANT_S; u <= INSTANT_AUTO; u++) {
            const struct field f = {
                .type = FIELD_TIME, .unit = u, .max_age_ms = -1, .max_skew_ms = -1};

            is(&f, rows[i].value, rows[i].code);
            if (i < N_ELEMS(ms)) {
                assert_true(batch.events[0].slots[0].num == ms[i]);
            }
        }
    }
    batch.stored = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_may_equal_their_bounds),
        cmocka_unit_test(texts_may_be_as_long_and_as_short_as_their_bounds),
        cmocka_unit_test(an_int_is_what_an_int64_column_reads),
        cmocka_unit_test(a_time_is_whole_milliseconds_and_never_seconds),
        cmocka_unit_test(a_time_may_be_as_old_and_as_early_as_its_bounds),
        cmocka_unit_test(a_digit_counts_at_every_place),
        cmocka_unit_test(a_character_of_two_bytes_counts_once_at_every_place),
        cmocka_unit_test(a_time_that_was_stored_is_read_again),
        cmocka_unit_test(an_enum_has_its_value_however_it_is_escaped),
        cmocka_unit_test(a_list_of_an_enum_is_cut_between_two_characters)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
