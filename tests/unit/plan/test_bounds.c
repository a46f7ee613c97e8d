/* A value equal to a bound is let in, the next beyond it is not. */
#include "plan/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/err.h"

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;

static void expect(const struct field *f, const char *value, const char *code)
{
    static const struct scan_limits limits = {10, 64};
    static char body[1024];
    struct field own = *f;
    struct schema schema = {.fields = &own, .n_fields = 1, .keys = keys};
    int n = snprintf(body, sizeof body - SCAN_PAD, "{\"f\":%s}", value);
    struct scan_error se;
    const char *got;

    own.path = STR("f");
    assert_int_equal(
        scan_body(&batch, keys, SCAN_EVENT, &limits, body, (size_t)n, &se),
        SCAN_OK);
    check_events(&schema, &batch, 1763900000000);
    got = batch.events[0].fate == EVENT_ACCEPT ? "" : batch.events[0].code;
    if (strcmp(got, code) != 0) {
        fail_msg("%s: \"%s\", expected \"%s\"", value, got, code);
    }
}

static void numbers_may_equal_their_bounds(void **state)
{
    struct field f = {.has_min = true, .min = -2, .has_max = true, .max = 7};
    const enum field_type types[] = {FIELD_INT, FIELD_NUM};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(types); i++) {
        f.type = types[i];
        expect(&f, "7", "");
        expect(&f, "8", "too_large");
        expect(&f, "-2", "");
        expect(&f, "-3", "too_small");
    }
    expect(&f, "7.0", "");
    expect(&f, "7.0000001", "too_large");
    expect(&f, "-2.0000001", "too_small");
}

static void texts_may_be_as_long_and_as_short_as_their_bounds(void **state)
{
    const struct field f = {.type = FIELD_STR,
                            .has_min = true, .min = 2,
                            .has_max = true, .max = 4};

    (void)state;
    expect(&f, "\"ab\"", "");
    expect(&f, "\"a\"", "too_short");
    expect(&f, "\"abcd\"", "");
    expect(&f, "\"abcde\"", "too_long");
    expect(&f, "\"a\\u00e9\\n\\\"\"", "");
    expect(&f, "\"a\\u00e9\\n\\\"b\"", "too_long");
    expect(&f, "\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"", "");
    expect(&f, "\"\\n\"", "too_short");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_may_equal_their_bounds),
        cmocka_unit_test(texts_may_be_as_long_and_as_short_as_their_bounds)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
