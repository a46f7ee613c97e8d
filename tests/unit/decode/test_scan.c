#include "decode/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/edit.h"

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;
static const struct scan_limits limits = {1000, 64};

/* A copy at the very end of its memory but for the pad, for the sanitizers. */
static char *body;

static enum scan_result scan(enum scan_shape shape, const char *text, size_t n,
                             struct scan_error *se)
{
    free(body);
    body = calloc(1, n + SCAN_PAD);
    memcpy(body, text, n);
    return scan_body(&batch, keys, shape, &limits, body, n, se);
}

static int setup(void **state)
{
    const struct str paths[] = {STR("id"), STR("value"), STR("p.page"), STR("p"),
                                STR("flag")};
    struct err e;

    (void)state;
    arena_init(&arena, 64 << 20);
    event_batch_init(&batch, &arena);
    keys = scan_keys_new(paths, 5, &e);
    return keys == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(body);
    scan_keys_free(keys);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

/* clang-format off */
static const char *const good[] = {
    "{}", " { } ", "{\"a\":1}", "{\"a\":[]}", "{\"a\":[1,2,[3]]}",
    "{\"a\":-0}", "{\"a\":0.5}", "{\"a\":1e5}", "{\"a\":1E+5}", "{\"a\":-1.5e-3}",
    "{\"a\":true,\"b\":false,\"c\":null}", "{\"\":0}", "{\"a\":\"\"}",
    "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "{\"a\":\"\\u0041\"}",
    "{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\xC3\xA9\"}",
    "{\"a\":\"\xF0\x9F\x98\x80\"}", "{\"a\":\"\x7F\"}",
    "{\"a\" :\t1 ,\r\n\"b\":2}", "{\"a\":123456789012345678901234567890}",
    "{\"a\":1e400}", "{\"\\u0061\":1,\"b\":2}", "{\"a\":{\"a\":{\"a\":{}}}}"};

static const char *const bad[] = {
    "", " ", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}",
    "{'a':1}", "{\"a\":1 \"b\":2}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}",
    "{\"a\":+1}", "{\"a\":1e}", "{\"a\":1e+}", "{\"a\":-}", "{\"a\":--1}",
    "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":tru}",
    "{\"a\":nul}", "{\"a\":True}", "{\"a\":\"}", "{\"a\":\"\\x\"}",
    "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12G4\"}", "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\\udc00\"}", "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\n\"}",
    "{\"a\":\"\t\"}", "{\"a\":\"\x01\"}", "{\"a\":\"\x80\"}",
    "{\"a\":\"\xC0\x80\"}", "{\"a\":\"\xC3\"}", "{\"a\":\"\xED\xA0\x80\"}",
    "{\"a\":\"\xF4\x90\x80\x80\"}", "{\"a\":\"\xE0\x80\x80\"}",
    "{\"a\":\"\xFF\"}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}",
    "{\"a\":[1}", "{\"a\":{]}", "{\"a\":1}x", "{\"a\":1}{}", "[]", "1", "\"a\"",
    "null", "\xEF\xBB\xBF{}", "{\"a\":1/*c*/}", "{\"a\":1//c\n}", "{\"a\":1\x00}",
    "{\"a\":\"\\\"}", "{\"a\":\"b\"\"c\"}", "{\"a\"::1}", "{1:1}", "{null:1}"};
/* clang-format on */

static void takes_what_is_json(void **state)
{
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(good); i++) {
        if (scan(SCAN_EVENT, good[i], strlen(good[i]), &se) != SCAN_OK) {
            fail_msg("%s: %s at %zu", good[i], se.detail, se.at);
        }
        assert_int_equal(batch.n, 1);
    }
}

static void refuses_what_is_not(void **state)
{
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        if (scan(SCAN_EVENT, bad[i], strlen(bad[i]), &se) != SCAN_INVALID) {
            fail_msg("%s was taken", bad[i]);
        }
        assert_non_null(se.detail);
        assert_true(se.at <= strlen(bad[i]));
        assert_int_equal(batch.n, 0);
    }
}

static unsigned kind(unsigned event, unsigned slot)
{
    return batch.events[event].slots[slot].tag & 15;
}

static void fills_slots_in_any_order(void **state)
{
    static const char text[] =
        "[{\"id\":\"a\",\"value\":1.5,\"p\":{\"x\":1,\"page\":\"/\"}},"
        "{\"p\":{\"page\":\"\\u002f\"},\"value\":-2,\"id\":\"b\"},"
        "{\"flag\":true,\"id\":null},{\"p\":3,\"other\":{\"page\":1}},"
        "{\"i\\u0064\":\"escaped\"},"
        "{\"id\":\"c\",\"value\":2.5,\"p\":{\"x\":1,\"page\":\"/q\"}}]";
    struct scan_error se;

    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(scan(SCAN_BATCH, text, strlen(text), &se), SCAN_OK);
        assert_int_equal(batch.n, 6);
        assert_int_equal(kind(0, 0), SLOT_STRING);
        assert_true(batch.events[0].slots[1].num == 1.5);
        assert_int_equal(kind(0, 2), SLOT_STRING);
        assert_int_equal(kind(0, 3), SLOT_OBJECT);
        assert_int_equal(kind(1, 2), SLOT_ESCAPED);
        assert_true(batch.events[1].slots[1].num == -2);
        assert_int_equal(kind(2, 0), SLOT_NULL);
        assert_int_equal(kind(2, 4), SLOT_TRUE);
        assert_int_equal(kind(2, 1), SLOT_ABSENT);
        assert_int_equal(kind(3, 3), SLOT_NUMBER);
        assert_int_equal(kind(3, 2), SLOT_ABSENT);
        assert_int_equal(kind(4, 0), SLOT_STRING);
        assert_true(batch.events[5].slots[1].num == 2.5);
    }
}

static void finds_a_key_that_is_given_twice(void **state)
{
    static const char *const texts[] = {
        "[{\"id\":1,\"id\":2}]", "[{\"id\":1},{\"x\":1,\"y\":2,\"x\":3}]",
        "[{\"a\":1,\"\\u0061\":2}]", "[{\"p\":{\"z\":1,\"z\":2}}]"};
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        for (int round = 0; round < 3; round++) {
            const struct event *ev;

            assert_int_equal(scan(SCAN_BATCH, texts[i], strlen(texts[i]), &se),
                             SCAN_OK);
            ev = &batch.events[batch.n - 1];
            assert_int_equal(ev->fate, EVENT_REJECT);
            assert_string_equal(ev->code, "duplicate_key");
        }
    }
}

static void bounds_depth_and_count(void **state)
{
    char deep[400] = "{\"a\":";
    struct scan_limits few = {2, 64};
    struct scan_error se;

    (void)state;
    for (int i = 0; i < 64; i++) {
        (void)strcat(deep, "[");
    }
    assert_int_equal(scan(SCAN_EVENT, deep, strlen(deep), &se), SCAN_TOO_DEEP);
    free(body);
    body = calloc(1, 100);
    (void)strcpy(body, "[{},{},{}]");
    assert_int_equal(scan_body(&batch, keys, SCAN_BATCH, &few, body, 10, &se),
                     SCAN_TOO_MANY);
}

/* ---- against cJSON, on random text ---- */

static uint64_t seed = 88172645463325252u;

static unsigned dice(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static size_t random_value(char *out, int depth)
{
    static const char *const scalars[] = {"1",
                                          "-0.25",
                                          "1e3",
                                          "true",
                                          "false",
                                          "null",
                                          "\"x\"",
                                          "\"\\n\\u00e9\"",
                                          "\"caf\xC3\xA9\"",
                                          "123456789",
                                          "0.1",
                                          "\"\"",
                                          "9007199254740993"};
    size_t n = 0;
    unsigned count, what = dice(depth > 3 ? 4 : 6);

    if (what < 4) {
        return (size_t)sprintf(out, "%s", scalars[dice(N_ELEMS(scalars))]);
    }
    count = dice(5);
    out[n++] = what == 4 ? '{' : '[';
    for (unsigned i = 0; i < count; i++) {
        static const char *const names[] = {"id", "value", "p",   "page",    "flag",
                                            "a",  "bb",    "ccc", "i\\u0064"};

        n += i > 0 ? (size_t)sprintf(out + n, dice(4) == 0 ? " , " : ",") : 0;
        if (what == 4) {
            n += (size_t)sprintf(out + n, dice(8) == 0 ? "\"%s%u\" : " : "\"%s\":",
                                 names[dice(N_ELEMS(names))], i);
        }
        n += random_value(out + n, depth + 1);
    }
    out[n++] = what == 4 ? '}' : ']';
    return n;
}

static size_t random_event(char *out)
{
    static const char *const names[] = {"id", "value", "p", "flag", "x", "yy"};
    unsigned used = 0;
    size_t n = 0;

    out[n++] = '{';
    for (unsigned i = 0; i < dice(7); i++) {
        unsigned k = dice(N_ELEMS(names));

        if (used & 1u << k) {
            continue;
        }
        n += (size_t)sprintf(out + n, "%s\"%s\":", used != 0 ? "," : "", names[k]);
        used |= 1u << k;
        if (k == 2 && dice(2) == 0) {
            n += (size_t)sprintf(out + n, "{\"page\":");
            n += random_value(out + n, 3);
            out[n++] = '}';
        } else {
            n += random_value(out + n, 1);
        }
    }
    out[n++] = '}';
    return n;
}

static void compare_slot(const struct event *ev, unsigned i, const cJSON *want)
{
    const struct slot *x = &ev->slots[i];
    char text[4096];
    size_t n;

    if (want == NULL) {
        assert_int_equal(x->tag, SLOT_ABSENT);
        return;
    }
    switch (x->tag & 15) {
    case SLOT_NUMBER:
        assert_true(cJSON_IsNumber(want));
        assert_true(x->num == want->valuedouble);
        break;
    case SLOT_STRING:
    case SLOT_ESCAPED:
        assert_true(cJSON_IsString(want));
        n = scan_unescape(body + x->off, x->tag >> 4, text);
        text[n] = '\0';
        assert_string_equal(text, want->valuestring);
        break;
    case SLOT_TRUE:
        assert_true(cJSON_IsTrue(want));
        break;
    case SLOT_FALSE:
        assert_true(cJSON_IsFalse(want));
        break;
    case SLOT_NULL:
        assert_true(cJSON_IsNull(want));
        break;
    case SLOT_OBJECT:
        assert_true(cJSON_IsObject(want));
        break;
    default:
        assert_true(cJSON_IsArray(want));
    }
}

static void finds_what_cjson_finds(void **state)
{
    static char text[1 << 20];
    struct scan_error se;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t n = 0;
        unsigned count = 1 + dice(12);
        cJSON *all;

        text[n++] = '[';
        for (unsigned i = 0; i < count; i++) {
            n += i > 0 ? (size_t)sprintf(text + n, ",") : 0;
            n += random_event(text + n);
        }
        text[n++] = ']';
        text[n] = '\0';
        all = cJSON_ParseWithLength(text, n);
        assert_non_null(all);
        assert_int_equal(scan(SCAN_BATCH, text, n, &se), SCAN_OK);
        assert_int_equal(batch.n, cJSON_GetArraySize(all));
        for (unsigned i = 0; i < batch.n; i++) {
            const cJSON *o = cJSON_GetArrayItem(all, (int)i);
            const cJSON *p = cJSON_GetObjectItemCaseSensitive(o, "p");
            const struct event *ev = &batch.events[i];

            if (ev->fate == EVENT_REJECT) {
                continue; /* a nested key twice */
            }
            compare_slot(ev, 0, cJSON_GetObjectItemCaseSensitive(o, "id"));
            compare_slot(ev, 1, cJSON_GetObjectItemCaseSensitive(o, "value"));
            compare_slot(ev, 2,
                         cJSON_IsObject(p) ? cJSON_GetObjectItemCaseSensitive(p, "page")
                                           : NULL);
            compare_slot(ev, 3, p);
            compare_slot(ev, 4, cJSON_GetObjectItemCaseSensitive(o, "flag"));
        }
        cJSON_Delete(all);
    }
}

/* One byte changed: both refuse, or both take it, but where cJSON is known to be lax
 * (numbers, control characters, UTF-8, text after a NUL). */
static void takes_nothing_that_cjson_refuses(void **state)
{
    static char text[65536];
    struct scan_error se;
    unsigned taken = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t n = random_event(text);
        cJSON *o;

        text[dice((unsigned)n)] = "{}[]\",:0a\\ \x01\xC3"[dice(13)];
        text[n] = '\0';
        if (scan(SCAN_EVENT, text, n, &se) != SCAN_OK) {
            continue;
        }
        taken++;
        o = cJSON_ParseWithLength(text, n);
        if (o == NULL) {
            fail_msg("cJSON refuses %s", text);
        }
        cJSON_Delete(o);
    }
    assert_true(taken > 100);
}

static void splices_edits_where_keys_stand(void **state)
{
    static const struct {
        const char *event, *key, *value, *want;
    } rows[] = {{"{}", "a", "1", "{\"a\":1}"},
                {"{ }", "a", "1", "{ \"a\":1}"},
                {"{\"a\":1}", "a", "2", "{\"a\":2}"},
                {"{\"b\":[1,{\"a\":0}],\"a\":{\"a\":1},\"c\":3}", "a", "\"x\"",
                 "{\"b\":[1,{\"a\":0}],\"a\":\"x\",\"c\":3}"},
                {"{\"\\u0061\":1,\"b\":2}", "a", "3", "{\"a\":3,\"b\":2}"},
                {"{\"b\":\"a\"}", "a", "3", "{\"b\":\"a\",\"a\":3}"},
                {"{\"a\":1,\n\"b\":2}", "c", "3", "{\"a\":1, \"b\":2,\"c\":3}"},
                {"{\"a\":1,\"b\":2}", "a", NULL, "{\"b\":2}"},
                {"{\"a\":1}", "a", NULL, "{}"},
                {"{\"a\":1}", "q\"", "0", "{\"a\":1,\"q\\\"\":0}"}};
    struct scan_error se;
    size_t n_kept = 0;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows) * 3; i++) {
        const char *event = rows[i / 3].event, *value = rows[i / 3].value;
        char out[512];
        bool kept;
        size_t n;

        assert_int_equal(scan(SCAN_EVENT, event, strlen(event), &se), SCAN_OK);
        assert_true(edit_set(&batch, &batch.events[0], str_of(rows[i / 3].key),
                             str_of(value), value == NULL ? EDIT_REMOVE : EDIT_SET));
        n = edit_splice_kept(&batch, &batch.events[0], out, &kept);
        assert_true(n <= edit_bound(&batch, &batch.events[0]));
        n_kept += kept;
        for (size_t k = 0; kept && k + 1 < strlen(event); k++) {
            assert_int_equal(event[k] == '\n' ? ' ' : event[k], out[k]);
        }
        out[n] = '\0';
        assert_string_equal(out, rows[i / 3].want);
    }
    assert_in_range(n_kept, 3, 3 * 6);
}

static void splices_defaults_where_a_key_is_missing(void **state)
{
    static const struct {
        const char *event, *key, *want;
    } rows[] = {
        {"{}", "a", "{\"a\":9}"},
        {"{\"b\":1}", "a", "{\"b\":1,\"a\":9}"},
        {"{ \"a\" : 1.50 , \"b\":2}", "a", "{\"a\":1.50,\"b\":2}"},
        {"{\"a\":null}", "a", "{\"a\":null}"},
        {"{\"\\u0061\":1}", "a", "{\"\\u0061\":1}"},
        {"{\"b\":{\"a\":1},\"c\":\"a\"}", "a", "{\"b\":{\"a\":1},\"c\":\"a\",\"a\":9}"},
        {"{\"q\\\"\":1}", "q\"", "{\"q\\\"\":1}"}};
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows) * 3; i++) {
        const char *event = rows[i / 3].event;
        char out[512];

        assert_int_equal(scan(SCAN_EVENT, event, strlen(event), &se), SCAN_OK);
        assert_true(edit_set(&batch, &batch.events[0], str_of(rows[i / 3].key),
                             STR("9"), EDIT_DEFAULT));
        out[edit_splice(&batch, &batch.events[0], out)] = '\0';
        assert_string_equal(out, rows[i / 3].want);
        assert_true(edit_has_key(&batch, &batch.events[0], STR("\"a\"")) ==
                    (i / 3 >= 2 && i / 3 <= 4));
    }
}

static void takes_an_array_alone_where_only_that_will_do(void **state)
{
    struct scan_error se;

    (void)state;
    assert_int_equal(scan(SCAN_ARRAY, " [{},{\"id\":1}] ", 15, &se), SCAN_OK);
    assert_int_equal(batch.n, 2);
    assert_int_equal(scan(SCAN_ARRAY, "[]", 2, &se), SCAN_OK);
    assert_int_equal(scan(SCAN_ARRAY, "{\"events\":[]}", 13, &se), SCAN_INVALID);
    assert_string_equal(se.detail, "expected an array of events");
    assert_int_equal(scan(SCAN_ARRAY, "{\"a\"}", 5, &se), SCAN_INVALID);
    assert_string_equal(se.detail, "expected ':'");
}

static void checks_one_value_of_any_kind(void **state)
{
    static const char *const values[] = {"1",      " \"a\" ", "null",
                                         "[1,{}]", "{}",      "-1.5e3\n"};
    static const char *const others[] = {"",   " ",   "1 2",      "1,\"id\":2",
                                         "[1", "tru", "\"\x80\"", "{\"a\":01}"};
    struct scan_error se;
    char text[64 + SCAN_PAD];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(values) + N_ELEMS(others); i++) {
        bool fine = i < N_ELEMS(values);
        const char *z = fine ? values[i] : others[i - N_ELEMS(values)];

        memset(text, 0, sizeof text);
        memcpy(text, z, strlen(z));
        assert_int_equal(scan_value(&limits, text, strlen(z), &se),
                         fine ? SCAN_OK : SCAN_INVALID);
        assert_true(fine || se.at <= strlen(z));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_json),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(fills_slots_in_any_order),
        cmocka_unit_test(finds_a_key_that_is_given_twice),
        cmocka_unit_test(bounds_depth_and_count),
        cmocka_unit_test(finds_what_cjson_finds),
        cmocka_unit_test(takes_nothing_that_cjson_refuses),
        cmocka_unit_test(splices_edits_where_keys_stand),
        cmocka_unit_test(splices_defaults_where_a_key_is_missing),
        cmocka_unit_test(takes_an_array_alone_where_only_that_will_do),
        cmocka_unit_test(checks_one_value_of_any_kind)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
