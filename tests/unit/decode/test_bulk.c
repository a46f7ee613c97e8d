/* Lines in pairs: which are events, which are refused, which refuse the body; and the
 * values that events get from their actions. */
#include "decode/envelope.h"

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

static struct arena arena;
static struct event_batch batch;
static struct envelope *envelope;

/* Reads text from memory of its very size, so that a byte too far is found. */
static enum scan_result read_text(const char *text, struct scan_error *se)
{
    static const struct scan_limits limits = {6, 8};
    static char body[4096];
    size_t n = strlen(text);

    assert_true(n + SCAN_PAD <= sizeof body);
    memcpy(body, text, n);
    memset(body + n, '}', SCAN_PAD); /* what is behind is not believed */
    return scan_enveloped(&batch, NULL, envelope, &limits, body, n, se);
}

/* "code" or the event's text, for each. */
static void show(char *out, size_t room)
{
    size_t n = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < batch.n; i++) {
        const struct event *ev = &batch.events[i];

        n += (size_t)snprintf(
            out + n, room - n, "%s%.*s", i > 0 ? "|" : "",
            ev->fate == EVENT_REJECT ? (int)strlen(ev->code) : (int)ev->len,
            ev->fate == EVENT_REJECT ? ev->code : batch.body + ev->off);
    }
}

static const struct {
    const char *body;
    const char *events; /* NULL: the body is refused */
} rows[] = {
    {"{\"index\":{}}\n{\"n\":1}\n", "{\"n\":1}"},
    {"{\"index\":{}}\n{\"n\":1}", "{\"n\":1}"},
    {"{\"create\":{}}\r\n{\"n\":1}\r\n", "{\"n\":1}"},
    {" { \"index\" : { } } \n {\"n\":1} \n", "{\"n\":1}"},
    {"\n\n{\"index\":{}}\n{}\n\n\n{\"index\":{}}\n{}\n\n", "{}|{}"},
    {"{\"index\":{\"a\":{\"b\":[1]},\"_id\":\"x\"}}\n{}", "{}"},
    {"{\"index\":{}}\n{\"n\":}\n{\"index\":{}}\n{\"n\":2}\n", "invalid_json|{\"n\":2}"},
    {"{\"index\":{}}\n[1]\n{\"index\":{}}\n{}\n", "invalid_json|{}"},
    {"{\"index\":{}}\n{}{}\n{\"index\":{}}\n{}\n", "invalid_json|{}"},
    {"{\"index\":{}}\n{\"a\":1,\"a\":2}\n", "duplicate_key"},
    {"{\"index\":{}}\n{\"a\":[[[[[[[[[1]]]]]]]]]}\n{\"index\":{}}\n{}", "too_deep|{}"},
    {"{\"index\":{}}", "missing_event"},
    {"{\"index\":{}}\n", "missing_event"},
    {"{\"index\":{}}\n\n{\"index\":{}}\n{}\n", "missing_event|{}"},
    {"{\"delete\":{}}\n{\"index\":{}}\n{}\n", "unsupported_action|{}"},
    {"{\"delete\":{}}", "unsupported_action"},
    {"{\"update\":{}}\n{\"doc\":{}}\n{\"index\":{}}\n{}\n", "unsupported_action|{}"},
    {"{\"update\":{}}\nno JSON\n{\"index\":{}}\n{}\n", "unsupported_action|{}"},
    {"{\"update\":{}}", "missing_event"},
    {"{\"index\":{},\"attempts\":0}\n{\"n\":1}\n", "{\"n\":1}"},
    {"{\"index\":{} , \"a\" : {\"index\":[1]} , \"b\":null }\n{}\n", "{}"},
    {"{\"delete\":{},\"attempts\":0}\n{\"index\":{}}\n{}\n", "unsupported_action|{}"},
    {"", NULL},
    {"\n", NULL},
    {"{}\n{}\n", NULL},
    {"{\"n\":1}\n", NULL},
    {"{\"index\":{}}\n{}\n{\"n\":1}\n", NULL},
    {"{\"index\":{}}\n{}\n{\"index\":{}", NULL},
    {"{\"index\":{}}\n{}\n{\"index\"", NULL},
    {"{\"index\":{}}\n{}\n{\"index\":{\"_id\":\"", NULL},
    {"{\"index\":{}} {}\n{}\n", NULL},
    {"{\"index\":{},\"create\":{}}\n{}\n", NULL},
    {"{\"index\":{},\"a\":1,\"delete\":{}}\n{}\n", NULL},
    {"{\"index\":{},}\n{}\n", NULL},
    {"{\"index\":{},\"a\"}\n{}\n", NULL},
    {"{\"index\":{},\"a\":}\n{}\n", NULL},
    {"{\"index\":{},\"a\":1\n{}\n", NULL},
    {"{\"index\":{},\"a\":1,\n{}\n", NULL},
    {"{\"index\":{},\"a\":[[[[[[[[[1]]]]]]]]]}\n{}\n", NULL},
    {"{\"index\":1}\n{}\n", NULL},
    {"{\"index\":null}\n{}\n", NULL},
    {"{\"index\":[]}\n{}\n", NULL},
    {"{\"Index\":{}}\n{}\n", NULL},
    {"{\"\\u0069ndex\":{}}\n{}\n", NULL},
    {"{\"index\":{\"_id\":\"a\",\"_id\":\"b\"}}\n{}\n", NULL},
    {"{\"index\":\n{}}\n{}\n", NULL},
    {"{\"index\":{\n}}\n{}\n", NULL},
    {"[{\"index\":{}}]\n", NULL},
    {"\"index\"\n{}\n", NULL},
    {"{\"index\":{}}\n{}\n{\"index\":{}}\n{}\n{\"index\":{}}\n{}\n{\"index\":{}}\n{}\n"
     "{\"index\":{}}\n{}\n{\"index\":{}}\n{}\n{\"index\":{}}\n{}\n",
     NULL}};

static void each_pair_of_lines_is_an_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct scan_error se = {0, NULL};
        enum scan_result r = read_text(rows[i].body, &se);
        char text[512];

        show(text, sizeof text);
        if (rows[i].events == NULL) {
            if (r == SCAN_OK || se.at > strlen(rows[i].body) || se.detail == NULL) {
                fail_msg("%s: taken as %s", rows[i].body, text);
            }
        } else if (r != SCAN_OK || strcmp(text, rows[i].events) != 0) {
            fail_msg("%s: %d %s %s", rows[i].body, r, text,
                     r == SCAN_OK ? "" : se.detail);
        }
    }
}

static void a_body_cut_off_anywhere_is_read_to_its_end(void **state)
{
    static const char whole[] =
        "{\"index\":{\"_id\":\"1\",\"a\":{\"b\":[null,true]}}}\n{\"n\":\"\\u00e9\"}\n"
        "{\"delete\":{\"_id\":2}}\n{\"create\":{}}\n{\"n\":-1.5e3}\n";
    char text[sizeof whole];

    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        struct scan_error se;

        memcpy(text, whole, n);
        text[n] = '\0';
        if (read_text(text, &se) != SCAN_OK) {
            assert_true(se.at <= n);
        }
    }
}

static void an_event_gets_its_own_actions_values(void **state)
{
    static const char body[] = "{\"index\":{\"_id\":\"1\",\"a\":{\"b\":2}}}\n{}\n"
                               "{\"create\":{}}\n{}\n"
                               "{\"delete\":{\"\\u005fid\":3}}\n";
    struct scan_error se;
    char text[256];
    size_t n = 0;

    (void)state;
    assert_int_equal(read_text(body, &se), SCAN_OK);
    for (uint32_t i = 0; i < batch.n_runs; i++) {
        const struct envelope_run *x = &batch.runs[i];

        assert_int_equal(x->end, x->first + 1);
        n += (size_t)snprintf(text + n, sizeof text - n, "%u.%u=%.*s ", x->first,
                              x->place, (int)(x->value.tag >> 4),
                              batch.body + x->value.off);
    }
    /* What an action has not is told, too: its event must not have it either. */
    assert_string_equal(text, "0.0=1 0.2=2 0.1=index 1.0= 1.2= 1.1=create "
                              "2.0=3 2.2= 2.1=delete ");
}

static void fields_of_an_action_are_paths(void **state)
{
    static const struct str twice[] = {STR("a"), STR("a")};
    struct str many[ENVELOPE_FIELDS_MAX + 1];
    struct envelope *v;
    struct err e;

    (void)state;
    assert_null(envelope_bulk_new(twice, 2, &e));
    for (unsigned i = 0; i < N_ELEMS(many); i++) {
        many[i] = STR("x");
    }
    assert_null(envelope_bulk_new(many, N_ELEMS(many), &e));
    v = envelope_bulk_new(NULL, 0, &e);
    assert_non_null(v);
    assert_true(envelope_is_bulk(v));
    envelope_free(v);
}

static int start(void **state)
{
    static const struct str fields[] = {STR("_id"), STR("$action"), STR("a.b")};
    struct err e;

    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    envelope = envelope_bulk_new(fields, N_ELEMS(fields), &e);
    return envelope == NULL;
}

static int stop(void **state)
{
    (void)state;
    envelope_free(envelope);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pair_of_lines_is_an_event),
        cmocka_unit_test(a_body_cut_off_anywhere_is_read_to_its_end),
        cmocka_unit_test(an_event_gets_its_own_actions_values),
        cmocka_unit_test(fields_of_an_action_are_paths)};

    return cmocka_run_group_tests(tests, start, stop);
}
