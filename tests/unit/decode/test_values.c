/* Objects and arrays one behind the other are events, whatever stands between them. */
#include "decode/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;

static const struct {
    const char *body;
    int events; /* or an enum scan_result below 0 */
    const char *values;
} rows[] = {
    {"{\"v\":1}", 1, "1"},
    {"[{\"v\":1},{\"v\":2}]", 2, "1 2"},
    {"{\"v\":1}{\"v\":2}", 2, "1 2"},
    {"{\"v\":1} {\"v\":2}", 2, "1 2"},
    {"{\"v\":1}\n{\"v\":2}\n", 2, "1 2"},
    {"{\"v\":1}\r\n\r\n{\"v\":2}\r\n", 2, "1 2"},
    {"\n {\"v\":1}\t{\"v\":2}{\"v\":3} ", 3, "1 2 3"},
    {"{\n\"v\":\n1}\n{\"v\":2}", 2, "1 2"},
    {"[{\"v\":1}]{\"v\":2}[{\"v\":3},{\"v\":4}]", 4, "1 2 3 4"},
    {"[{\"v\":1}]\n[{\"v\":2}]", 2, "1 2"},
    {"[]", 0, ""},
    {"[][]{}", 1, "-"},
    {"[]{\"v\":1}[]", 1, "1"},
    {"{\"v\":\"}{\"}{\"v\":2}", 2, "}{ 2"},
    {"[{\"v\":1},5,{\"v\":2}]{\"v\":3}", 4, "1 ! 2 3"},
    {"[{\"v\":NaN},{\"v\":2}]{\"v\":3}", 3, "! 2 3"},
    {"{\"v\":1,\"v\":2}{\"v\":3}", 2, "! 3"},
    {"", -SCAN_INVALID, ""},
    {" ", -SCAN_INVALID, ""},
    {"{\"v\":1},{\"v\":2}", -SCAN_INVALID, ""},
    {"{\"v\":1}{\"v\":2", -SCAN_INVALID, ""},
    {"{\"v\":1}5", -SCAN_INVALID, ""},
    {"{\"v\":1}x", -SCAN_INVALID, ""},
    {"{\"v\":1}]", -SCAN_INVALID, ""},
    {"{\"v\":1}}", -SCAN_INVALID, ""},
    {"[{\"v\":1}", -SCAN_INVALID, ""},
    {"5", -SCAN_INVALID, ""},
    {"\"{}\"", -SCAN_INVALID, ""},
    {"null", -SCAN_INVALID, ""},
    {"{\"v\":NaN}{\"v\":2}", 2, "! 2"},
    {"{\"v\":1}\n{\"v\":,}\n[{\"v\":3}]", 3, "1 ! 3"},
    {"{\"v\":\"\\ud83d}{\"}{\"v\":2}{\"v\":\"\xFF\"}", 3, "! 2 !"},
    /* Not certain: a bracket, a quote or what is between two objects is missing. */
    {"{\"v\":{\"a\":1}{\"v\":2}}", -SCAN_INVALID, ""},
    {"{\"v\":[1 {\"v\":2}]}{\"v\":3}", -SCAN_INVALID, ""},
    {"{\"v\":NaN,{\"v\":2}", -SCAN_INVALID, ""},
    {"{\"v\":NaN},{\"v\":2}", -SCAN_INVALID, ""},
    {"{\"v\":NaN}x{\"v\":2}", -SCAN_INVALID, ""},
    {"{\"v\":\"a}{\"v\":2}", -SCAN_INVALID, ""},
    {"{\"v\":NaN]{\"v\":2}", -SCAN_INVALID, ""},
    {"{\"v\":1}\xEF\xBB\xBF{\"v\":2}", -SCAN_INVALID, ""},
    {"{}{}{}{}{}{}", -SCAN_TOO_MANY, ""},
    {"[{},{},{}][{},{},{}]", -SCAN_TOO_MANY, ""},
    {"{\"v\":[[[[[[[[1]]]]]]]]}{\"v\":2}", 2, "! 2"},
    {"{\"v\":[[[[[[[[1]]]]]]]}{\"v\":2}", -SCAN_TOO_DEEP, ""},
};

static enum scan_result read_text(const char *text)
{
    static const struct scan_limits limits = {5, 6};
    static char body[1024];
    struct scan_error se;

    memset(body, 0, sizeof body);
    memcpy(body, text, strlen(text));
    return scan_body(&batch, keys, SCAN_VALUES, &limits, body, strlen(text), &se);
}

static void values(char *out)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < batch.n; i++) {
        const struct slot *x = &batch.events[i].slots[0];

        strcat(out, i > 0 ? " " : "");
        if (batch.events[i].fate != EVENT_ACCEPT) {
            strcat(out, "!");
        } else if (x->tag == 0) {
            strcat(out, "-");
        } else {
            strncat(out, batch.body + x->off, x->tag >> 4);
        }
    }
}

static void each_body_is_its_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        enum scan_result r = read_text(rows[i].body);
        char got[256];

        values(got);
        if (rows[i].events < 0 ? r != (enum scan_result) - rows[i].events
                               : r != SCAN_OK || (int)batch.n != rows[i].events ||
                                     strcmp(got, rows[i].values) != 0) {
            fail_msg("%s: %d, %u events: %s", rows[i].body, (int)r, batch.n, got);
        }
    }
}

/* Where each event stands is where its text is. */
static void an_event_is_the_text_that_was_sent(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"v\": 1}[ {\"v\":2} ]\n{}"), SCAN_OK);
    assert_int_equal(batch.n, 3);
    assert_memory_equal(batch.body + batch.events[0].off, "{\"v\": 1}", 8);
    assert_int_equal(batch.events[0].len, 8);
    assert_memory_equal(batch.body + batch.events[1].off, "{\"v\":2}", 7);
    assert_int_equal(batch.events[2].len, 2);
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
        cmocka_unit_test(each_body_is_its_events),
        cmocka_unit_test(an_event_is_the_text_that_was_sent)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
