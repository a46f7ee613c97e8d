/* Events in lists of lists, and the values that each of them lies beside. */
#include "decode/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;

/* Of b[].c[].d[]: the top's "t", b's "x.y", c's "z". */
static const struct str fields[] = {STR("t"), STR("b[].c[].z"), STR("b[].x.y")};

static const struct {
    const char *body;
    const char *got; /* each event: its v, then t, z, y; or the error's detail */
} rows[] = {
    {"{\"b\":[{\"c\":[{\"d\":[{\"v\":1}]}]}]}", "1--- "},
    {"{\"t\":7,\"b\":[{\"x\":{\"y\":8},\"c\":[{\"z\":9,\"d\":[{\"v\":1},{\"v\":2}]}]}]"
     "}",
     "1798 2798 "},
    /* The values may stand behind the lists. */
    {"{\"b\":[{\"c\":[{\"d\":[{\"v\":1}],\"z\":9}],\"x\":{\"y\":8}}],\"t\":7}",
     "1798 "},
    {"{\"t\":0,\"b\":[{\"x\":{\"y\":1},\"c\":[{\"z\":1,\"d\":[{\"v\":1}]},{\"z\":2,"
     "\"d\":[]},"
     "{\"d\":[{\"v\":3}]}]},{\"c\":[{\"z\":4,\"d\":[{\"v\":4}]}]},{\"x\":{\"y\":5}}]}",
     "1011 30-1 404- "},
    {"{\"b\":[]}", ""},
    {"{\"b\":[{}]}", ""},
    {"{\"b\":[{\"c\":[]},{\"c\":[{}]},{\"q\":[[{}]]}]}", ""},
    {"{ \"b\" : [ { \"c\" : [ { \"d\" : [ { \"v\" : 1 } ] , \"z\" : 2 } ] } ] }",
     "1-2- "},
    {"{\"b\":[{\"c\":[{\"d\":[{\"v\":1},7,{\"v\":NaN},{\"v\":4}]}]}]}",
     "1--- ! ! 4--- "},
    /* Encoders leave empty lists out. A key is something that would be lost. */
    {"{}", ""},
    {" { } ", ""},
    {"{\"x\":{}}", "expected an object with the events at \"b[].c[].d[]\""},
    {"[]", "expected an object with the events at \"b[].c[].d[]\""},
    {"{\"b\":{}}", "expected an array at \"b\""},
    {"{\"b\":[5]}", "expected objects in the array at \"b\""},
    {"{\"b\":[[]]}", "expected objects in the array at \"b\""},
    /* Encoders write an empty list as null. */
    {"{\"b\":[{\"c\":null},{\"c\":[{\"d\":null,\"z\":5},{\"d\":[{\"v\":1}]}]}]}",
     "1--- "},
    {"{\"b\":null}", ""},
    {"{\"b\":[{\"c\":nul}]}", "expected a value"},
    {"{\"b\":[null]}", "expected objects in the array at \"b\""},
    {"{\"b\":[{\"c\":[{\"d\":{}}]}]}", "expected an array at \"b[].c[].d\""},
    {"{\"b\":[{\"c\":[],\"c\":[]}]}", "\"b[].c\" is given twice"},
    {"{\"b\":[{\"x\":{\"y\":1,\"y\":2},\"c\":[]}]}",
     "a key of the envelope is given twice"},
    {"{\"b\":[{\"c\":[{\"d\":[{\"v\":1}]}]}", "expected ',' or ']'"},
    {"{\"b\":[{\"c\":[{\"d\":[{\"v\":1}]}],}]}", "expected a key in quotes"},
    {"{\"b\":[{}{}]}", "expected ',' or ']'"},
    {"{\"b\":[{},]}", "expected a value"},
    {"{\"b\":[{\"c\":[{\"d\":[{},{},{},{},{},{}]}]}]}",
     "the body has more events than max_events allows"},
};

static char value(const struct slot *x)
{
    return (x->tag & 15) == SLOT_ABSENT ? '-' : batch.body[x->off];
}

/* The value of field i that event k lies beside. */
static char beside(uint32_t i, uint32_t k)
{
    char c = value(&batch.envelope[i]);

    for (uint32_t r = 0; r < batch.n_runs; r++) {
        const struct envelope_run *x = &batch.runs[r];

        if (x->place == i && k >= x->first && k < x->end) {
            c = value(&x->value);
        }
    }
    return c;
}

static void read_body(const struct envelope *v, const char *text, char *out)
{
    static const struct scan_limits limits = {5, 64};
    static char body[1024];
    struct scan_error se;

    memset(body, 0, sizeof body);
    memcpy(body, text, strlen(text));
    out[0] = '\0';
    if (scan_enveloped(&batch, keys, v, &limits, body, strlen(text), &se) != SCAN_OK) {
        strcpy(out, se.detail);
        return;
    }
    for (uint32_t k = 0; k < batch.n; k++) {
        const struct event *ev = &batch.events[k];

        out += ev->fate != EVENT_ACCEPT
                   ? sprintf(out, "! ")
                   : sprintf(out, "%c%c%c%c ", value(&ev->slots[0]), beside(0, k),
                             beside(1, k), beside(2, k));
    }
}

static void each_event_has_the_values_beside_it(void **state)
{
    struct err e;
    struct envelope *v = envelope_new(STR("b[].c[].d[]"), fields, 3, &e);

    (void)state;
    assert_non_null(v);
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char got[512];

        read_body(v, rows[i].body, got);
        if (strcmp(got, rows[i].got) != 0) {
            fail_msg("%s: \"%s\", expected \"%s\"", rows[i].body, got, rows[i].got);
        }
    }
    envelope_free(v);
}

static void a_list_of_its_own_is_the_same_as_a_plain_path(void **state)
{
    struct err e;
    struct envelope *plain = envelope_new(STR("a.d"), fields, 1, &e);
    struct envelope *list = envelope_new(STR("a.d[]"), fields, 1, &e);
    char one[64], other[64];

    (void)state;
    read_body(plain, "{\"a\":{\"d\":[{\"v\":1}]},\"t\":5}", one);
    read_body(list, "{\"a\":{\"d\":[{\"v\":1}]},\"t\":5}", other);
    assert_string_equal(one, "15-- ");
    assert_string_equal(other, "15-- ");
    envelope_free(plain);
    envelope_free(list);
}

static void what_stands_for_an_object_on_the_way_holds_no_events_unseen(void **state)
{
    static const struct {
        const char *body, *got;
    } ways[] = {
        {"{\"a\":[{\"o\":{\"d\":[{\"v\":1}]}},{\"o\":{}},{}]}", "1--- "},
        {"{\"a\":[{\"o\":null},{\"o\":{\"d\":[{\"v\":2}]}}]}", "2--- "},
        {"{\"a\":[{\"o\":[{\"d\":[{\"v\":1}]}]}]}", "expected an array at \"a[].o.d\""},
        {"{\"a\":[{\"o\":\"d\"}]}", "expected an array at \"a[].o.d\""},
        /* A value beside them may be of any kind. */
        {"{\"a\":[{\"x\":5,\"o\":{\"d\":[{\"v\":3}]}}]}", "3--- "},
    };
    const struct str beside_it = STR("a[].x.y");
    struct err e;
    struct envelope *v = envelope_new(STR("a[].o.d[]"), &beside_it, 1, &e);

    (void)state;
    assert_non_null(v);
    for (size_t i = 0; i < N_ELEMS(ways); i++) {
        char got[512];

        memset(batch.envelope, 0, sizeof batch.envelope);
        read_body(v, ways[i].body, got);
        assert_string_equal(ways[i].got, got);
    }
    envelope_free(v);
}

static void paths_that_can_t_be_are_refused(void **state)
{
    static const struct {
        const char *events, *field;
    } bad[] = {{"a[].b", NULL},        {"a[]b[]", NULL},
               {"a[].", NULL},         {"a[].b[].c[].d[].e[].f[].g[].h[].i[]", NULL},
               {"a[].b[]", "a"},       {"a[].b[]", "a[].b"},
               {"a[].b[]", "a[].b.c"}, {"a[].b[]", "a[].b[].c"},
               {"a[].b[]", "x[].y"},   {"a[].b.c[]", "a[].b"}};
    struct err e;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        struct str field = str_of(bad[i].field);

        if (envelope_new(str_of(bad[i].events), &field, bad[i].field != NULL, &e) !=
            NULL) {
            fail_msg("%s, %s", bad[i].events, bad[i].field);
        }
    }
}

static int setup(void **state)
{
    const struct str path = STR("v");
    struct err e;

    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    keys = scan_keys_new(&path, 1, &e);
    return keys == NULL;
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
        cmocka_unit_test(each_event_has_the_values_beside_it),
        cmocka_unit_test(a_list_of_its_own_is_the_same_as_a_plain_path),
        cmocka_unit_test(what_stands_for_an_object_on_the_way_holds_no_events_unseen),
        cmocka_unit_test(paths_that_can_t_be_are_refused)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
