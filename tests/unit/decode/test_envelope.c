/* Events at a path in an object, and the values around them. */
#include "decode/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"

static struct arena arena;
static struct event_batch batch;
static char *body;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(body);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

static struct envelope *made(const char *events, const char *const *fields)
{
    struct str paths[ENVELOPE_FIELDS_MAX];
    struct envelope *v;
    struct err e;
    unsigned n = 0;

    for (; fields[n] != NULL; n++) {
        paths[n] = str_of(fields[n]);
    }
    v = envelope_new(str_of(events), paths, n, &e);
    assert_non_null(v);
    return v;
}

static enum scan_result scan_as(const struct envelope *v, enum scan_shape shape,
                                const char *text, struct scan_error *se)
{
    static const struct scan_limits limits = {1000, 8};
    size_t n = strlen(text);

    free(body);
    body = calloc(1, n + SCAN_PAD);
    memcpy(body, text, n);
    return shape == SCAN_VALUES
               ? scan_maybe_enveloped(&batch, NULL, v, &limits, body, n, se)
               : scan_enveloped(&batch, NULL, v, &limits, body, n, se);
}

static enum scan_result scan(const struct envelope *v, const char *text,
                             struct scan_error *se)
{
    return scan_as(v, SCAN_BATCH, text, se);
}

/* The envelope's values and the events, with '|' between them. */
static const char *shown(unsigned n_fields)
{
    static char out[1024];
    size_t n = 0;

    for (unsigned i = 0; i < n_fields; i++) {
        const struct slot *x = &batch.envelope[i];

        n += (size_t)snprintf(out + n, sizeof out - n, "%.*s|", (int)(x->tag >> 4),
                              body + x->off);
    }
    for (uint32_t i = 0; i < batch.n; i++) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%.*s|",
                              (int)batch.events[i].len, body + batch.events[i].off);
    }
    return out;
}

static void finds_events_and_values_in_any_order(void **state)
{
    static const char *const fields[] = {"sent", "ctx", "ctx.app.name", NULL};
    static const struct {
        const char *events, *text, *want;
    } rows[] = {
        {"batch", "{\"batch\":[{\"a\":1},{\"a\":2}]}", "|||{\"a\":1}|{\"a\":2}|"},
        {"batch", "{\"batch\":[]}", "|||"},
        {"batch", " { \"sent\" : 1.50 , \"batch\" : [ {} ] , \"x\" : [{}] } ",
         "1.50|||{}|"},
        {"batch", "{\"batch\":[{}],\"sent\":\"now\"}", "now|||{}|"},
        {"batch", "{\"ctx\":{\"app\":{\"v\":1,\"name\":\"n\\u00e9\"}},\"batch\":[{}]}",
         "|{\"app\":{\"v\":1,\"name\":\"n\\u00e9\"}}|n\\u00e9|{}|"},
        {"batch", "{\"ctx\":null,\"batch\":[{}]}", "|null||{}|"},
        {"b\"q", "{\"b\\\"q\":[{}]}", "|||{}|"},
        {"batch", "{\"\\u0062atch\":[{}]}", "|||{}|"},
        {"d.list", "{\"d\":{\"n\":0,\"list\":[{\"a\":[]}]},\"sent\":true}",
         "true|||{\"a\":[]}|"},
        {"a.b.c", "{\"a\":{\"b\":{\"c\":[{}]}}}", "|||{}|"}};
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct envelope *v = made(rows[i].events, fields);

        assert_int_equal(scan(v, rows[i].text, &se), SCAN_OK);
        assert_string_equal(shown(3), rows[i].want);
        envelope_free(v);
    }
}

/* {"batch":[...]}, [...] or one event, on one route. */
static void takes_events_without_their_envelope(void **state)
{
    static const char *const fields[] = {"sent", NULL};
    static const struct {
        const char *text, *want;
    } rows[] = {{"{\"sent\":1,\"batch\":[{\"a\":1},{}]}", "1|{\"a\":1}|{}|"},
                {"{\"batch\":[]}", "|"},
                {"{\"sent\":1,\"a\":[{}]}", "|{\"sent\":1,\"a\":[{}]}|"},
                {" [{\"a\":1}, {\"sent\":2}]", "|{\"a\":1}|{\"sent\":2}|"},
                {"{\"a\":1}\n{\"sent\":2}[{}]", "|{\"a\":1}|{\"sent\":2}|{}|"},
                {"{}", "|{}|"}};
    static const char *const bad[] = {
        "{\"batch\":{}}", "{\"batch\":[]}{}", "1",
        "{\"a\":1}1",     "{\"a\":",          "{\"sent\":1,}"};
    struct envelope *v = made("batch", fields);
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(scan_as(v, SCAN_VALUES, rows[i].text, &se), SCAN_OK);
        assert_string_equal(shown(1), rows[i].want);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(scan_as(v, SCAN_VALUES, bad[i], &se), SCAN_INVALID);
        assert_int_equal(batch.n, 0);
    }
    envelope_free(v);
}

static void refuses_a_batch_that_stands_as_an_event(void **state)
{
    static const char *const fields[] = {NULL};
    static const struct {
        const char *text;
        bool refused;
    } rows[] = {{"[{\"d\":{\"list\":[{\"a\":1}]}}]", true},
                {"{\"a\":1}{\"d\":{\"x\":[],\"list\":[]}}", true},
                {"[{\"\\u0064\":{\"l\\u0069st\":[1]}}]", true},
                {"[{\"d\":{\"list\":1}}]", false},
                {"[{\"d\":[{\"list\":[]}]}]", false},
                {"[{\"d\":{\"x\":{\"list\":[]}},\"list\":[]}]", false},
                {"[{\"x\":\"\\n\",\"y\":\"d\",\"z\":[\"list\",[]]}]", false},
                {"{\"d\":{\"list\":[{\"d\":{\"list\":[]}}]}}", false}};
    struct envelope *v = made("d.list", fields);
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct event *last;

        assert_int_equal(scan_as(v, SCAN_VALUES, rows[i].text, &se), SCAN_OK);
        last = &batch.events[batch.n - 1];
        assert_int_equal(rows[i].refused ? EVENT_REJECT : EVENT_ACCEPT, last->fate);
        if (rows[i].refused) {
            assert_string_equal("batch_as_event", last->code);
            assert_non_null(strstr(last->message, "\"d.list\""));
        }
    }
    envelope_free(v);
}

static void refuses_what_is_no_such_envelope(void **state)
{
    static const char *const fields[] = {"sent", "d.k", NULL};
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"{}", "expected an object with the events at \"d.list\""},
        {"[{}]", "expected an object with the events at \"d.list\""},
        {"1", "expected an object with the events at \"d.list\""},
        {"{\"list\":[{}]}", "expected an object with the events at \"d.list\""},
        {"{\"d\":[{\"list\":[]}]}", "expected an object with the events at \"d.list\""},
        {"{\"d\":{\"list\":{}}}", "expected an array at \"d.list\""},
        {"{\"d\":{\"list\":[],\"list\":[]}}", "\"d.list\" is given twice"},
        {"{\"d\":{\"list\":[]},\"d\":1}", "a key of the envelope is given twice"},
        {"{\"d\":{\"list\":[]},\"sent\":1,\"sent\":2}",
         "a key of the envelope is given twice"},
        {"{\"d\":{\"list\":[],\"k\":0,\"\\u006b\":0}}",
         "a key of the envelope is given twice"},
        {"{\"d\":{\"list\":[{}]}", "expected ',' or '}'"},
        {"{\"d\":{\"list\":[{}]}} x",
         "expected the end of the body after the JSON value"},
        {"{\"d\" {}}", "expected ':'"},
        {"{\"x\":01,\"d\":{\"list\":[]}}", "a number may not begin with 0"},
        {"{\"x\":\"\x80\",\"d\":{\"list\":[]}}", "a string is not UTF-8"},
        {"{\"d\":{\"list\":[{\"a\":\"b}]}}", "a string has no closing quote"},
        {"", "the body is empty"}};
    struct envelope *v = made("d.list", fields);
    struct scan_error se;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(scan(v, rows[i].text, &se), SCAN_INVALID);
        assert_string_equal(se.detail, rows[i].why);
        assert_true(se.at <= strlen(rows[i].text));
        assert_int_equal(batch.n, 0);
    }
    assert_int_equal(scan(v, "{\"x\":[[[[[[[[[1]]]]]]]]],\"d\":{\"list\":[]}}", &se),
                     SCAN_TOO_DEEP);
    envelope_free(v);
}

static void refuses_a_faulty_event_of_an_envelope_alone(void **state)
{
    static const char *const fields[] = {"sent", NULL};
    static const char *const codes[] = {NULL, "invalid_json", "too_deep", NULL};
    struct envelope *v = made("d.list", fields);
    struct scan_error se;

    (void)state;
    assert_int_equal(scan(v,
                          "{\"d\":{\"list\":[{},{\"a\":\"\x80\"},"
                          "{\"a\":[[[[[[[[1]]]]]]]]},{}]},\"sent\":1}",
                          &se),
                     SCAN_OK);
    assert_int_equal(batch.n, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(batch.events[i].fate,
                         codes[i] == NULL ? EVENT_ACCEPT : EVENT_REJECT);
        if (codes[i] != NULL) {
            assert_string_equal(batch.events[i].code, codes[i]);
        }
    }
    assert_int_equal(batch.envelope[0].tag & 15, SLOT_NUMBER);
    envelope_free(v);
}

static void bounds_the_number_of_events(void **state)
{
    static const char *const none[] = {NULL};
    static const struct scan_limits two = {2, 8};
    static const char text[] =
        "{\"e\":[{},{},{}]}" /* and the pad: */
        "                                                                ";
    struct envelope *v = made("e", none);
    struct scan_error se;

    (void)state;
    assert_int_equal(scan_enveloped(&batch, NULL, v, &two, text, 16, &se),
                     SCAN_TOO_MANY);
    envelope_free(v);
}

static void refuses_paths_that_hold_the_events(void **state)
{
    static const char *const bad[] = {"d", "d.list", "d.list.x"};
    struct err e;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct str path = str_of(bad[i]);

        assert_null(envelope_new(STR("d.list"), &path, 1, &e));
        assert_non_null(strstr(e.text, "holds the events or lies in them"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_events_and_values_in_any_order),
        cmocka_unit_test(takes_events_without_their_envelope),
        cmocka_unit_test(refuses_a_batch_that_stands_as_an_event),
        cmocka_unit_test(refuses_what_is_no_such_envelope),
        cmocka_unit_test(refuses_a_faulty_event_of_an_envelope_alone),
        cmocka_unit_test(bounds_the_number_of_events),
        cmocka_unit_test(refuses_paths_that_hold_the_events)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
