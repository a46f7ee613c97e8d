/* Events without the members that no path names, and the slots of the others. */
#include "decode/named.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/scan.h"

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;
static char out[4096];

static const struct str paths[] = {STR("id"),      STR("p.page"),   STR("p.q.x"),
                                   STR("all"),     STR("all.in.y"), STR("a\\.b"),
                                   STR("\xC3\xA9")};
enum { N_PATHS = sizeof paths / sizeof *paths, AT = 100 };

static int setup(void **state)
{
    struct err e;

    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    keys = scan_keys_new(paths, N_PATHS, &e);
    return keys == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    scan_keys_free(keys);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

static struct event *scan(const char *text)
{
    static const struct scan_limits limits = {1, 64};
    static char body[4096 + SCAN_PAD];
    struct scan_error se;

    memset(body, 0, sizeof body);
    memcpy(body, text, strlen(text));
    assert_int_equal(
        SCAN_OK, scan_body(&batch, keys, SCAN_EVENT, &limits, body, strlen(text), &se));
    assert_int_equal(EVENT_ACCEPT, batch.events[0].fate);
    return &batch.events[0];
}

static void becomes(const char *want, const char *text)
{
    struct event *ev = scan(text);
    uint32_t before = ev->len, n = named_write(keys, &batch, ev, out, AT);

    assert_int_equal(strlen(want), n);
    assert_memory_equal(want, out, n);
    assert_true(n <= before);
    assert_int_equal(AT, ev->off);
    assert_int_equal(n, ev->len);
    assert_int_equal(0, ev->flags & EVENT_PREDICTED);
}

static void only_what_a_path_names_is_written(void **state)
{
    (void)state;
    becomes("{}", "{}");
    becomes("{}", " { \"x\" : 1 } ");
    becomes("{\"id\":1}", "{\"x\":1,\"id\":1,\"y\":{\"id\":2}}");
    becomes("{\"id\":null}", "{\"id\": null ,\"Id\":1,\"id \":2}");
    becomes(
        "{\"p\":{\"page\":\"a\\\"}\",\"q\":{\"x\":[1, {\"y\":2}]}}}",
        "{\"p\":{\"m\":1,\"page\":\"a\\\"}\",\"q\":{\"y\":1,\"x\":[1, {\"y\":2}]}}}");
    becomes("{\"p\":{\"q\":{}}}", "{\"p\":{\"q\":{\"z\":1},\"id\":1}}");
    becomes("{\"a.b\":1,\"\xC3\xA9\":2}",
            "{\"a.b\":1,\"a\":{\"b\":3},\"\xC3\xA9\":2,\"\xC3\xA8\":4}");
}

static void a_named_value_stays_whole(void **state)
{
    (void)state;
    becomes("{\"all\":{ \"z\":1,\"in\":{\"y\":2,\"w\":3}}}",
            "{\"all\":{ \"z\":1,\"in\":{\"y\":2,\"w\":3}},\"in\":1}");
    becomes("{\"all\":[{\"z\":1}]}", "{\"all\":[{\"z\":1}]}");
}

/* Something else stands where the paths have an object. */
static void a_step_that_is_no_object_is_not_named(void **state)
{
    (void)state;
    becomes("{}", "{\"p\":\"ann@example.org\"}");
    becomes("{}", "{\"p\":[{\"page\":1}]}");
    becomes("{\"id\":1}", "{\"p\":null,\"id\":1}");
    becomes("{\"p\":{}}", "{\"p\":{\"q\":7}}");
}

static void an_escaped_key_is_the_key_it_stands_for(void **state)
{
    (void)state;
    becomes("{\"\\u0069d\":1,\"p\":{\"p\\u0061ge\":2}}",
            "{\"\\u0069d\":1,\"m\\u0061il\":3,\"p\":{\"p\\u0061ge\":2}}");
    becomes("{\"\\u00e9\":1}", "{\"\\u00e9\":1,\"\\u00e8\":2}");
}

static void slot_is(unsigned i, const char *want, double num)
{
    const struct slot *x = &batch.events[0].slots[i];

    assert_int_equal(strlen(want), x->tag >> 4);
    assert_memory_equal(want, out + (x->off - AT), strlen(want));
    assert_true(x->num == num);
}

static void slots_lie_where_their_values_went(void **state)
{
    struct event *ev =
        scan("{\"x\":[1,2],\"all\":{\"u\":0,\"in\":{\"y\":7}},\"id\":\"i\","
             "\"p\":{\"m\":1,\"q\":{\"n\":0,\"x\":2.5},\"page\":\"\\n\"}}");

    (void)state;
    (void)named_write(keys, &batch, ev, out, AT);
    slot_is(0, "i", 0);
    slot_is(1, "\\n", 0);
    slot_is(2, "2.5", 2.5);
    slot_is(3, "{\"u\":0,\"in\":{\"y\":7}}", 0);
    slot_is(4, "7", 7);
    assert_int_equal(SLOT_ABSENT, ev->slots[5].tag & 15);
}

static void other_is(const char *want, const char *text)
{
    char path[NAMED_PATH_BYTES];
    struct event *ev = scan(text);

    assert_int_equal(want != NULL, named_find_other(keys, &batch, ev, path));
    if (want != NULL) {
        assert_string_equal(want, path);
    }
}

static void the_first_that_is_not_named_is_told_by_its_path(void **state)
{
    char text[700], want[NAMED_PATH_BYTES] = "p.q.";

    (void)state;
    other_is(NULL, "{}");
    other_is(NULL, "{\"id\":1,\"p\":{\"q\":{\"x\":{\"z\":1}}},\"all\":{\"z\":1}}");
    other_is("z", "{\"id\":1,\"z\":{\"id\":1},\"y\":1}");
    other_is("p.q.z", "{\"p\":{\"page\":1,\"q\":{\"x\":1,\"z\":2}},\"y\":1}");
    other_is("p", "{\"p\":[]}");
    other_is("p.q", "{\"p\":{\"q\":null}}");
    other_is("y", "{\"p\":{\"q\":{}},\"y\":1}");
    /* A key without end is cut. */
    (void)strcpy(text, "{\"p\":{\"q\":{\"");
    memset(text + strlen(text), 'k', 600);
    (void)strcpy(text + 612, "\":1}}}");
    memset(want + 4, 'k', sizeof want - 5);
    other_is(want, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_a_path_names_is_written),
        cmocka_unit_test(a_named_value_stays_whole),
        cmocka_unit_test(a_step_that_is_no_object_is_not_named),
        cmocka_unit_test(an_escaped_key_is_the_key_it_stands_for),
        cmocka_unit_test(slots_lie_where_their_values_went),
        cmocka_unit_test(the_first_that_is_not_named_is_told_by_its_path),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
