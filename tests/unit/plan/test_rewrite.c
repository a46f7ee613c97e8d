/* What is stored of a value is its canonical form, and what has it already stays as it
 * was sent, byte for byte. */
#include "plan/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/err.h"
#include "decode/edit.h"
#include "plan/check.h"

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;
static struct path parts;
static bool rewrites = true;

/* What is stored of an event whose field is a.f; "" when it is refused. */
static const char *stored(const struct field *f, const char *event)
{
    static const struct scan_limits limits = {10, 64};
    struct field own = *f;
    struct schema schema = {
        .fields = &own, .n_fields = 1, .rewrites = rewrites, .keys = keys};
    static char body[1024], out[4096];
    struct scan_error se;
    int n = snprintf(body, sizeof body - SCAN_PAD, "%s", event);

    own.path = STR("a.f");
    own.key = STR("\"a\"");
    own.path_parts = &parts;
    own.rewrites = rewrites;
    own.max_age_ms = own.max_skew_ms = -1;
    assert_int_equal(scan_body(&batch, keys, SCAN_EVENT, &limits, body, (size_t)n, &se),
                     SCAN_OK);
    check_events(&schema, &batch, 0);
    if (batch.events[0].fate != EVENT_ACCEPT) {
        return "";
    }
    out[edit_splice(&batch, &batch.events[0], out)] = '\0';
    return out;
}

static void expect(const struct field *f, const char *sent, const char *want)
{
    char event[512], full[512];
    const char *got;

    (void)snprintf(event, sizeof event, "{\"x\":1, \"a\":{\"f\":%s},\"y\":[ 2 ]}",
                   sent);
    got = stored(f, event);
    /* An event that changes is written anew, without the space between its tokens. */
    (void)snprintf(full, sizeof full, "{\"x\":1,\"a\":{\"f\":%s},\"y\":[ 2 ]}", want);
    if (strcmp(got, want[0] == '\0'           ? ""
                    : strcmp(sent, want) == 0 ? event
                                              : full) != 0) {
        fail_msg("%s: %s", sent, got);
    }
}

static void a_text_ends_behind_a_character(void **state)
{
    const struct field f = {.type = FIELD_STR, .cut = 3};

    (void)state;
    expect(&f, "\"abc\"", "\"abc\"");
    expect(&f, "\"abcd\"", "\"abc\"");
    expect(&f, "\"\"", "\"\"");
    expect(&f, "\"\xC3\xA4\xC3\xB6\xC3\xBC\"", "\"\xC3\xA4\xC3\xB6\xC3\xBC\"");
    expect(&f, "\"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\"", "\"\xC3\xA4\xC3\xB6\xC3\xBC\"");
    expect(&f, "\"a\xE2\x82\xAC\xF0\x9D\x84\x9Ex\"",
           "\"a\xE2\x82\xAC\xF0\x9D\x84\x9E\"");
    expect(&f, "\"\\ud834\\udd1e\\u00e9\\n!\"", "\"\\ud834\\udd1e\\u00e9\\n\"");
    expect(&f, "\"\\\\\\\\\\\\\\\\\"", "\"\\\\\\\\\\\\\"");
    expect(&f, "\"\\\"\\\"\\\"\\\"\"", "\"\\\"\\\"\\\"\"");
    expect(&f, "\"\\u0041\\u0042\\u0043\\u0044\"", "\"\\u0041\\u0042\\u0043\"");
    assert_int_equal(batch.n_cut, 1);
    expect(&f, "5", "");
}

static void a_number_is_digits(void **state)
{
    struct field f = {.type = FIELD_INT, .range = {64, false}};

    (void)state;
    expect(&f, "9223372036854775807", "9223372036854775807");
    expect(&f, "-5", "-5");
    expect(&f, "-0", "0");
    expect(&f, "1.0", "");
    f.converts = true;
    expect(&f, "1.0", "1");
    expect(&f, "-1.20e1", "-12");
    expect(&f, "\"007\"", "7");
    expect(&f, "\"\\u002d7\"", "-7");
    expect(&f, "\"x\"", "");
    f.range = (struct whole_range){8, true};
    expect(&f, "255", "255");
    expect(&f, "256", "");
    expect(&f, "\"2.55e2\"", "255");
}

/* A field that is stored as it was sent, but for this. */
static void minus_zero_is_zero_without_bits(void **state)
{
    const struct field f = {.type = FIELD_INT}, n = {.type = FIELD_NUM};

    (void)state;
    rewrites = false;
    expect(&f, "-0", "0");
    expect(&f, "0", "0");
    expect(&f, "-1", "-1");
    expect(&f, "-18446744073709551616", "");
    expect(&f, "null", "null");
    expect(&n, "-0", "-0");
    rewrites = true;
}

static void a_number_comes_out_of_its_quotes(void **state)
{
    struct field f = {.type = FIELD_NUM, .has_max = true, .max = 1e9};
    char text[400] = "\"";

    (void)state;
    expect(&f, "\"12.5\"", "");
    f.converts = true;
    expect(&f, "\"12.5\"", "12.5");
    expect(&f, "12.50", "12.50");
    expect(&f, "\"-007.10\"", "-7.10");
    expect(&f, "\"+.5e1\"", "0.5e1");
    expect(&f, "\"\\u0031\\u002E5\"", "1.5");
    expect(&f, "\"1e9\"", "1e9");
    expect(&f, "\"1e10\"", "");
    expect(&f, "\"1e999\"", "");
    expect(&f, "null", "null");
    for (size_t i = 0; i < 3; i++) {
        static const char *const none[] = {"\"\"", "\"12,5\"", "true"};

        expect(&f, none[i], "");
    }
    expect(&f, "\" 1\"", "");
    expect(&f, "\"0x10\"", "");
    expect(&f, "\"NaN\"", "");
    memset(text + 1, '1', 257);
    (void)strcpy(text + 258, "\"");
    expect(&f, text, "");
}

static void a_truth_comes_out_of_its_quotes(void **state)
{
    struct field f = {.type = FIELD_BOOL};

    (void)state;
    expect(&f, "\"true\"", "");
    expect(&f, "1", "");
    f.converts = true;
    expect(&f, "true", "true");
    expect(&f, "false", "false");
    expect(&f, "\"TRUE\"", "true");
    expect(&f, "\"f\\u0061lse\"", "false");
    expect(&f, "\"1\"", "true");
    expect(&f, "0", "false");
    expect(&f, "1", "true");
    expect(&f, "null", "null");
    expect(&f, "1.0", "");
    expect(&f, "2", "");
    expect(&f, "\"yes\"", "");
    expect(&f, "[]", "");
}

static void a_time_is_milliseconds(void **state)
{
    struct field f = {.type = FIELD_TIME, .unit = INSTANT_AUTO, .formats = 63};

    (void)state;
    expect(&f, "1763900000123", "1763900000123");
    expect(&f, "1763900000123.0", "1763900000123");
    expect(&f, "1763900000", "1763900000000");
    expect(&f, "1763900000123456", "1763900000123");
    expect(&f, "\"2025-11-23T12:13:20Z\"", "1763900000000");
    expect(&f, "\"1970-01-01\"", "0");
    expect(&f, "\"1969-12-31\"", "");
    f.unit = INSTANT_US;
    expect(&f, "1763900000123", "");
    expect(&f, "1763900000123456", "1763900000123");
}

/* An event that was stored before comes again in a replay. */
static void what_was_stored_is_milliseconds(void **state)
{
    const struct field f = {.type = FIELD_TIME, .unit = INSTANT_S};

    (void)state;
    expect(&f, "1763900000000", "");
    batch.stored = 1;
    expect(&f, "1763900000000", "1763900000000");
    batch.stored = 0;
}

/* Four fields of two objects; an object in between has none. */
static void one_object_is_written_once_for_all_its_fields(void **state)
{
    static const struct str paths[] = {STR("p.b"), STR("p.q.a"), STR("t"),
                                       STR("p.a\\.b")};
    static const char *const events[][2] = {
        {"{\"p\":{\"b\":1763900000,\"q\":{\"x\":[1],\"a\":1763900001},\"a.b\":"
         "1763900003},"
         "\"t\":1763900002}",
         "{\"p\":{\"b\":1763900000000,\"q\":{\"x\":[1],\"a\":1763900001000},"
         "\"a.b\":1763900003000},\"t\":1763900002000}"},
        {"{\"p\":{\"q\":{\"a\":1763900001},\"\\u0062\":1763900000,\"z\":7}}",
         "{\"p\":{\"q\":{\"a\":1763900001000},\"\\u0062\":1763900000000,\"z\":7}}"},
        {"{\"p\":{\"q\":{},\"b\":1763900000000}}",
         "{\"p\":{\"q\":{},\"b\":1763900000000}}"},
        {"{\"p\":{}}", "{\"p\":{}}"}};
    static const struct scan_limits limits = {10, 64};
    static struct path read[4];
    struct field fields[4];
    struct schema schema = {.fields = fields, .n_fields = 4, .rewrites = true};
    struct scan_error se;
    struct err e;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_true(path_parse(paths[i], &read[i]));
        fields[i] = (struct field){.path = paths[i],
                                   .type = FIELD_TIME,
                                   .unit = INSTANT_AUTO,
                                   .rewrites = true,
                                   .max_age_ms = -1,
                                   .max_skew_ms = -1,
                                   .key = i == 2 ? STR("\"t\"") : STR("\"p\""),
                                   .path_parts = &read[i]};
    }
    schema.keys = scan_keys_new(paths, 4, &e);
    for (size_t i = 0; i < N_ELEMS(events); i++) {
        static char body[512], out[1024];

        memset(body, 0, sizeof body);
        memcpy(body, events[i][0], strlen(events[i][0]));
        assert_int_equal(scan_body(&batch, schema.keys, SCAN_EVENT, &limits, body,
                                   strlen(events[i][0]), &se),
                         SCAN_OK);
        check_events(&schema, &batch, 0);
        assert_int_equal(batch.events[0].fate, EVENT_ACCEPT);
        out[edit_splice(&batch, &batch.events[0], out)] = '\0';
        assert_string_equal(out, events[i][1]);
        assert_true(batch.events[0].n_edits <= 2);
    }
    scan_keys_free(schema.keys);
}

static int setup(void **state)
{
    const struct str path = STR("a.f");
    struct err e;

    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    keys = scan_keys_new(&path, 1, &e);
    return keys == NULL || !path_parse(path, &parts);
}

static int teardown(void **state)
{
    (void)state;
    event_batch_fini(&batch);
    arena_fini(&arena);
    scan_keys_free(keys);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_ends_behind_a_character),
        cmocka_unit_test(a_number_is_digits),
        cmocka_unit_test(one_object_is_written_once_for_all_its_fields),
        cmocka_unit_test(minus_zero_is_zero_without_bits),
        cmocka_unit_test(a_number_comes_out_of_its_quotes),
        cmocka_unit_test(a_truth_comes_out_of_its_quotes),
        cmocka_unit_test(a_time_is_milliseconds),
        cmocka_unit_test(what_was_stored_is_milliseconds)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
