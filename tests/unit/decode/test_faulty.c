/* One event's fault inside a list is that event's, if its end is certain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "decode/scan.h"

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

/* An element of a list that is no JSON, but whose end is certain. */
static const struct {
    const char *text, *code;
    unsigned at; /* of the error, in text */
} faulty[] = {
    {"{\"id\":\"\\ud800\"}", "invalid_json", 7},
    {"{\"id\":\"\\ud800\",\"x\":\"],{\"}", "invalid_json", 7},
    {"{\"value\":NaN}", "invalid_json", 9},
    {"{\"value\":-Infinity}", "invalid_json", 10},
    {"{\"id\":\"a\xFF\"}", "invalid_json", 8},
    {"{\"id\":\"a\x01\"}", "invalid_json", 8},
    {"{\"id\":\"a\nb\"}", "invalid_json", 8},
    {"{\"id\":\"\\q\\\"\"}", "invalid_json", 7},
    {"{\"value\":01}", "invalid_json", 10},
    {"{\"value\":1.}", "invalid_json", 11},
    {"{\"value\":1,}", "invalid_json", 11},
    {"{\"value\"}", "invalid_json", 8},
    {"{\"p\":{\"page\":[tru]}}", "invalid_json", 14},
    {"{\"new\":{\"page\":[tru ] } }", "invalid_json", 16},
    {"{\"a\xC3\":1}", "invalid_json", 3},
    {"nul", "invalid_json", 0},
    {"-", "invalid_json", 1},
    {"\"\\udc00\"", "invalid_json", 1},
    {"[[],[}]", NULL, 0},
    {"{\"a\":[1}", NULL, 0},
    {"{\"a\":\"b}", NULL, 0},
    {"{\"a\":\"b}, {\"c\":\"d\"}", NULL, 0},
    {"{\"a\":x\"}, {\"b\":\"}", NULL, 0},
    {"{a:'}'}", NULL, 0},
    {"{\"a\":1 /* } */}", NULL, 0},
    {"{\"a\":1}}", NULL, 0},
    {"", NULL, 0},
    {"{\"a\":", NULL, 0},
    {"{\"a\":\"\\", NULL, 0},
    /* Whether \u takes the quote behind it is seen in two ways. */
    {"{\"a\":\"\\u\"}", NULL, 0},
    {"{\"a\":\"\\u12\\\"}", NULL, 0},
    {"{\"a\":\"\\u12x4\"}", "invalid_json", 6},
    /* Two elements without a comma between them. */
    {"{\"a\":tru}{\"b\":1}", NULL, 0},
    {"{\"a\":tru} {\"b\":1}", NULL, 0},
    {"{\"a\":tru}\"b\"", NULL, 0},
    {"\"\\udc00\" {}", NULL, 0},
    {"nul {}", NULL, 0},
    {"nul{}", NULL, 0},
    {"nul 1", NULL, 0},
};

static void leaves_the_neighbours_of_a_faulty_element_alone(void **state)
{
    static const char before[] = "[{\"id\":\"x\",\"value\":1},",
                      behind[] = " , {\"id\":\"y\",\"value\":2}]";

    (void)state;
    for (size_t i = 0; i < N_ELEMS(faulty); i++) {
        char text[200];
        struct scan_error se;
        enum scan_result r;

        (void)snprintf(text, sizeof text, "%s%s%s", before, faulty[i].text, behind);
        r = scan(SCAN_BATCH, text, strlen(text), &se);
        if (faulty[i].code == NULL) {
            assert_int_equal(r, SCAN_INVALID);
            assert_int_equal(batch.n, 0);
            continue;
        }
        if (r != SCAN_OK) {
            fail_msg("%s: %s at %zu", text, se.detail, se.at);
        }
        assert_int_equal(batch.n, 3);
        assert_int_equal(batch.events[0].fate, EVENT_ACCEPT);
        assert_int_equal(batch.events[2].fate, EVENT_ACCEPT);
        assert_true(batch.events[2].slots[1].num == 2);
        assert_int_equal(batch.events[1].fate, EVENT_REJECT);
        assert_string_equal(batch.events[1].code, faulty[i].code);
        assert_int_equal(batch.events[1].error_at, sizeof before + faulty[i].at);
        assert_int_equal(batch.events[0].error_at, 0);
    }
}

static void refuses_too_deep_an_element_alone(void **state)
{
    enum { LEVELS = 20000 };
    static char text[2 * LEVELS + 64];
    struct scan_error se;

    (void)state;
    for (int levels = 63; levels <= LEVELS; levels *= 17) {
        size_t n = (size_t)sprintf(text, "[{},{\"id\":");

        memset(text + n, '[', (size_t)levels);
        memset(text + n + levels, ']', (size_t)levels);
        (void)strcpy(text + n + 2 * levels, "},{}]");
        if (levels >= 17 * 17 * 63) {
            assert_int_equal(scan(SCAN_BATCH, text, strlen(text), &se), SCAN_TOO_DEEP);
            continue;
        }
        assert_int_equal(scan(SCAN_BATCH, text, strlen(text), &se), SCAN_OK);
        assert_int_equal(batch.n, 3);
        assert_int_equal(batch.events[1].fate,
                         levels == 63 ? EVENT_ACCEPT : EVENT_REJECT);
        assert_int_equal(batch.events[2].fate, EVENT_ACCEPT);
        if (levels > 63) {
            assert_string_equal(batch.events[1].code, "too_deep");
        }
    }
}

static void refuses_an_event_whose_escaped_keys_need_too_much_memory(void **state)
{
    struct arena small;
    struct event_batch b;
    struct scan_error se;
    static char text[20000];
    size_t n = (size_t)sprintf(text, "[{\"\\u0061\":1},{");

    (void)state;
    for (int i = 0; i < 600; i++) {
        n += (size_t)sprintf(text + n, "%s\"\\u0061%d\":%d", i > 0 ? "," : "", i, i);
    }
    n += (size_t)sprintf(text + n, "},{\"id\":\"z\"}]");
    arena_init(&small, 4096);
    event_batch_init(&b, &small);
    assert_int_equal(scan_body(&b, keys, SCAN_BATCH, &limits, text, n, &se), SCAN_OK);
    assert_int_equal(b.n, 3);
    assert_int_equal(b.events[0].fate, EVENT_ACCEPT);
    assert_int_equal(b.events[1].fate, EVENT_REJECT);
    assert_string_equal(b.events[1].code, "too_many_keys");
    assert_int_equal(b.events[2].fate, EVENT_ACCEPT);
    event_batch_fini(&b);
    arena_fini(&small);
}

static void refuses_bodies_whose_values_a_slot_cannot_hold(void **state)
{
    struct scan_error se;

    (void)state;
    assert_int_equal(
        scan_body(&batch, keys, SCAN_EVENT, &limits, "{}", SCAN_BODY_MAX, &se),
        SCAN_TOO_LONG);
    assert_int_equal(batch.n, 0);
}

/* What clients send by mistake: a body that is compressed and does not say so, another
 * encoding of the text, lines where the content type is JSON's. */
static void names_what_a_body_is(void **state)
{
    static const struct {
        enum scan_shape shape;
        const char *text, *why;
    } rows[] = {{SCAN_EVENT, "\x1F\x8B\x08",
                 "the body begins like gzip; name it in Content-Encoding"},
                {SCAN_BATCH, "\x1F\x8B\x08",
                 "the body begins like gzip; name it in Content-Encoding"},
                {SCAN_VALUES, "\x28\xB5\x2F\xFD\x01",
                 "the body begins like zstd; name it in Content-Encoding"},
                {SCAN_EVENT, "\xFF\xFE{", "the body begins like UTF-16; send UTF-8"},
                {SCAN_BATCH, "\xFE\xFF", "the body begins like UTF-16; send UTF-8"},
                {SCAN_EVENT, "\x1F", "expected a value"},
                {SCAN_EVENT, "{\"id\":\"\xFF\xFE\"}", "a string is not UTF-8"},
                {SCAN_BATCH, "{\"id\":1}\n{\"id\":2}\n",
                 "expected {\"events\":[...]} or an array; NDJSON has Content-Type: "
                 "application/x-ndjson"}};
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        assert_int_equal(scan(rows[i].shape, rows[i].text, strlen(rows[i].text), &se),
                         SCAN_INVALID);
        assert_string_equal(se.detail, rows[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_a_body_is),
        cmocka_unit_test(leaves_the_neighbours_of_a_faulty_element_alone),
        cmocka_unit_test(refuses_too_deep_an_element_alone),
        cmocka_unit_test(refuses_an_event_whose_escaped_keys_need_too_much_memory),
        cmocka_unit_test(refuses_bodies_whose_values_a_slot_cannot_hold)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
