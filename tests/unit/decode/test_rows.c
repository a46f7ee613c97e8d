/* Events that are arrays become objects; all else stays as it was sent. */
#include "decode/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "decode/envelope.h"

static struct arena arena;
static struct event_batch batch;
static struct params_room room;
static struct str keys[] = {STR("\"a\""), STR("\"b\""), STR("\"c\"")};
static const struct row_columns columns = {keys, N_ELEMS(keys)};

static enum scan_result write_text(const struct envelope *v, const char *text,
                                   size_t most, struct str *out, struct scan_error *se)
{
    static const struct scan_limits limits = {4, 6};
    static char body[4096];
    size_t n = strlen(text);

    assert_true(n + SCAN_PAD <= sizeof body);
    memcpy(body, text, n);
    memset(body + n, ']', SCAN_PAD);
    return rows_write(&columns, v, &limits, (struct str){body, n}, most, &room, &batch,
                      out, se);
}

static const struct {
    const char *body;
    const char *out; /* NULL: it is refused */
} rows[] = {{"[[1,\"x\"]]", "[{\"a\":1,\"b\":\"x\"}]"},
            {"[[1,\"x\",{\"t\":[1]}],[2]]",
             "[{\"a\":1,\"b\":\"x\",\"c\":{\"t\":[1]}},{\"a\":2}]"},
            {" [ [ 1 , \"x\" ] , [ 2 ] ] ", " [ {\"a\":1,\"b\":\"x\"} , {\"a\":2} ] "},
            {"[[]]", "[{}]"},
            {"[[ ]]", "[{}]"},
            {"[[null,2]]", "[{\"b\":2}]"},
            {"[[null,null]]", "[{}]"},
            {"[[1,null,[3,[4]]]]", "[{\"a\":1,\"c\":[3,[4]]}]"},
            {"[[1,2,3,4],[1]]", "[[1,2,3,4],{\"a\":1}]"},
            {"[[1,2,3,null]]", "[[1,2,3,null]]"},
            {"[{\"a\":[1]},5,\"x\",[1]]", "[{\"a\":[1]},5,\"x\",{\"a\":1}]"},
            {"[[1,NaN],[2]]", "[[1,NaN],{\"a\":2}]"},
            {"[[1,],[2]]", "[[1,],{\"a\":2}]"},
            {"[[[[[[[[1]]]]]]],[2]]", "[[[[[[[[1]]]]]]],{\"a\":2}]"},
            {"{\"events\":[[1]]}", "{\"events\":[{\"a\":1}]}"},
            {"{\"x\":[[1]],\"events\":[[1]],\"y\":[2]}",
             "{\"x\":[[1]],\"events\":[{\"a\":1}],\"y\":[2]}"},
            {"[]", "[]"},
            {"", ""},
            {"5", "5"},
            {"[[1]", NULL},
            {"[[1", NULL},
            {"[[1\"", NULL},
            {"[[1]]x", NULL},
            {"[[1] [2]]", NULL},
            {"[[1],[2],[3],[4],[5]]", NULL},
            {"{\"events\":{}}", NULL},
            {"{\"events\":[[1]],\"events\":[[1]]}", NULL}};

static void an_array_becomes_an_object(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct scan_error se = {0, ""};
        struct str out = {"", 0};
        enum scan_result r = write_text(NULL, rows[i].body, 1 << 16, &out, &se);

        if (rows[i].out == NULL) {
            if (r == SCAN_OK || se.at > strlen(rows[i].body)) {
                fail_msg("%s: %d, %.*s", rows[i].body, r, (int)out.n, out.p);
            }
        } else if (r != SCAN_OK || !str_eq(out, str_of(rows[i].out))) {
            fail_msg("%s: %d %s, %.*s", rows[i].body, r, se.detail, (int)out.n, out.p);
        }
    }
}

static void rows_lie_where_the_route_says(void **state)
{
    static const struct str fields[] = {STR("s[].l")};
    struct scan_error se;
    struct envelope *v;
    struct str out;
    struct err e;

    (void)state;
    v = envelope_new(STR("s[].v[]"), fields, 1, &e);
    assert_non_null(v);
    assert_int_equal(write_text(v,
                                "{\"v\":[[1]],\"s\":[{\"l\":[1],\"v\":[[1],[2]]},"
                                "{\"v\":[],\"l\":0},{\"w\":[[1]]}]}",
                                1 << 16, &out, &se),
                     SCAN_OK);
    assert_true(
        str_eq(out, STR("{\"v\":[[1]],\"s\":[{\"l\":[1],\"v\":[{\"a\":1},{\"a\":2}]},"
                        "{\"v\":[],\"l\":0},{\"w\":[[1]]}]}")));
    envelope_free(v);
}

static void a_longer_body_than_allowed_is_refused(void **state)
{
    static const char body[] = "[[1],[2]]", out_text[] = "[{\"a\":1},{\"a\":2}]";
    struct scan_error se;
    struct str out;

    (void)state;
    for (size_t most = 0; most <= sizeof out_text; most++) {
        enum scan_result r = write_text(NULL, body, most, &out, &se);

        assert_int_equal(r, most < sizeof out_text - 1 ? SCAN_TOO_LONG : SCAN_OK);
    }
}

static int start(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(room.p);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_becomes_an_object),
        cmocka_unit_test(rows_lie_where_the_route_says),
        cmocka_unit_test(a_longer_body_than_allowed_is_refused)};

    return cmocka_run_group_tests(tests, start, stop);
}
