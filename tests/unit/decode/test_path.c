/* Paths as texts, and the values that they find in an object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "decode/path.h"

static const char object[] =
    "{\"a\":{\"b\":1,\"b\":2},\"list\":[10,[20,30],{\"id\":\"x\"}],\"u.v\":4,\"\":5,"
    "\"a\":{\"c\":6},\"n\":null}";

/* value NULL: it is a path, and leads nowhere. */
static const struct {
    const char *path, *value;
} good[] = {
    {"a.b", "1"},      {"a.c", "6"}, /* of the first copy that has the whole path */
    {"list[1]", "10"}, {"list[2][2]", "30"}, {"list[3].id", "\"x\""},
    {"list[4]", NULL}, {"list.id", NULL},    {"a[1]", NULL},
    {"u\\.v", "4"},    {"u.v", NULL},        {"", "5"},
    {"n", "null"},     {"n.x", NULL},        {"list[999999999]", NULL},
};

static const char *const bad[] = {
    "list[0]",     "list[",    "list[]",           "list[1",    "list[x]",
    "list[-1]",    "list[1]]", "list[1]x",         "list[1]2]", "list[1]x2]",
    "list[1] [2]", "a\\",      "list[1234567890]",
};

static void a_path_leads_to_its_value_or_nowhere(void **state)
{
    const struct str text = {object, sizeof object - 1};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(good); i++) {
        struct member m;
        struct path p;

        assert_true(path_parse(str_of(good[i].path), &p));
        if (!walk_find(text, str_of(good[i].path), &m)) {
            assert_null(good[i].value);
            continue;
        }
        assert_non_null(good[i].value);
        assert_int_equal(strlen(good[i].value), m.value.n);
        assert_memory_equal(good[i].value, m.value.p, m.value.n);
    }
}

static void what_is_no_path_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        struct path p;

        if (path_parse(str_of(bad[i]), &p)) {
            fail_msg("\"%s\" is taken for a path", bad[i]);
        }
    }
}

static void parts_and_bytes_have_a_bound(void **state)
{
    char text[PATH_BYTES_MAX + 1];
    struct path p;

    (void)state;
    memset(text, 'k', sizeof text);
    assert_true(path_parse((struct str){text, PATH_BYTES_MAX}, &p));
    assert_false(path_parse((struct str){text, PATH_BYTES_MAX + 1}, &p));
    for (size_t i = 1; i < sizeof text; i += 2) {
        text[i] = '.';
    }
    assert_true(path_parse((struct str){text, 2 * PATH_PARTS_MAX - 1}, &p));
    assert_int_equal(PATH_PARTS_MAX, p.n);
    assert_false(path_parse((struct str){text, 2 * PATH_PARTS_MAX + 1}, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_its_value_or_nowhere),
        cmocka_unit_test(what_is_no_path_is_refused),
        cmocka_unit_test(parts_and_bytes_have_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
