/* Which lines of JSON count as the same, and which changes are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"
#include "cli/replay/changes.h"

static void blanks_outside_of_texts_make_no_difference(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {{"{\"a\":1}", "{\"a\":1}", true},
                {"{\"a\":1}", "{ \"a\" :\t1 }  ", true},
                {"{\"a\":1}", "{\"a\":2}", false},
                {"{\"a\":1}", "{\"a\":1", false},
                {"{\"a\":1}", "{\"a\":1}}", false},
                {"{\"a\":\"x y\"}", "{\"a\":\"xy\"}", false},
                {"{\"a\":\"x y\"}", "{\"a\": \"x y\"}", true},
                /* A quote behind a backslash ends no text. */
                {"{\"a\":\"\\\" x\"}", "{\"a\":\"\\\"x\"}", false},
                {"{\"a\":\"\\\\\", \"b\":1}", "{\"a\":\"\\\\\",\"b\":1}", true},
                {"{\"a\":\"\\n\"}", "{\"a\":\"\\t\"}", false},
                {"", "  ", true}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        assert_int_equal(rows[i].same,
                         changes_same_line(str_of(rows[i].a), str_of(rows[i].b)));
        assert_int_equal(rows[i].same,
                         changes_same_line(str_of(rows[i].b), str_of(rows[i].a)));
    }
}

static char *printed(const struct changes *c)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    changes_print(c, f);
    (void)fclose(f);
    return text;
}

static void an_event_with_two_changes_counts_once(void **state)
{
    struct changes *c = changes_new(1);
    char *text;

    (void)state;
    changes_seen(c, 3);
    changes_add(c, CHANGE_EDITED, "", STR("{\"a\":1}"), STR("{\"a\":2}"), true);
    changes_add(c, CHANGE_ROUTED, "x -> y", STR("{\"a\":1}"), (struct str){NULL, 0},
                false);
    assert_int_equal(3, changes_events(c));
    assert_int_equal(1, changes_changed(c));
    text = printed(c);
    assert_string_equal("           2  unchanged\n"
                        "           1  edited\n"
                        "    - {\"a\":1}\n"
                        "    + {\"a\":2}\n"
                        "           1  routed: x -> y\n"
                        "      {\"a\":1}\n",
                        text);
    free(text);
    changes_free(c);
}

static void causes_without_end_share_a_row(void **state)
{
    struct changes *c = changes_new(0);
    char *text;
    int lines = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char what[32];

        (void)snprintf(what, sizeof what, "code_%d", i);
        changes_add(c, CHANGE_REFUSED, what, STR("{}"), (struct str){NULL, 0}, true);
    }
    changes_seen(c, 1000);
    text = printed(c);
    for (const char *p = text; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(65, lines); /* and the unchanged */
    assert_non_null(strstr(text, "       937  refused: and others\n"));
    free(text);
    changes_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_outside_of_texts_make_no_difference),
        cmocka_unit_test(an_event_with_two_changes_counts_once),
        cmocka_unit_test(causes_without_end_share_a_row)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
