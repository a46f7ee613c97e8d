/* Letters as their readers find them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "decode/scan.h"
#include "delivery/letters.h"
#include "unit/tools/folder.h"

/* {"event":{"a":[[…]]},"sink":"olap"}: the event is deep levels deep. */
static uint32_t read_event(uint32_t deep)
{
    static const char head[] = "{\"event\":{\"a\":", tail[] = "},\"sink\":\"olap\"}\n";
    size_t n = sizeof head - 1;
    char *line = calloc(1, 2 * deep + sizeof head + sizeof tail + SCAN_PAD);
    struct err e = {""};
    struct letters *l = letters_new(&e);
    struct letter x;
    uint32_t found;

    assert_non_null(l);
    memcpy(line, head, n);
    memset(line + n, '[', deep - 1);
    memset(line + n + deep - 1, ']', deep - 1);
    n += 2 * (deep - 1);
    memcpy(line + n, tail, sizeof tail - 1);
    found = letters_scan(l, (struct str){line, n + sizeof tail - 1});
    found = found == 1 && letters_get(l, 0, &x) ? (uint32_t)x.event.n : 0;
    letters_close(l);
    free(line);
    return found;
}

/* Its letter is one level deeper. */
static void an_event_as_deep_as_a_policy_may_allow_is_read(void **state)
{
    (void)state;
    assert_int_equal(6 + 2 * (SCAN_DEPTH_MAX - 1), read_event(SCAN_DEPTH_MAX));
    assert_int_equal(0, read_event(SCAN_DEPTH_MAX + 1));
}

#define LETTER "{\"event\":{},\"sink\":\"olap\"}"

/* How many letters of the file are read, and 10 if it ends in a part of a line. more: what is
 * written to it then, to be read on. */
static unsigned read_file(const char *text, const char *more)
{
    struct err e = {""};
    struct letters *l;
    struct letter x;
    char path[128];
    unsigned n = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/sink-olap.ndjson", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fflush(f);
    l = letters_open(path, &e);
    assert_non_null(l);
    while (letters_next(l, &x)) {
        n++;
    }
    (void)fputs(more, f);
    (void)fclose(f);
    assert_true(letters_go_to(l, letters_at(l), &e));
    while (letters_next(l, &x)) {
        n++;
    }
    assert_int_equal(0, letters_bad(l));
    n += letters_cut(l) ? 10 : 0;
    letters_close(l);
    return n;
}

/* People may put a letter back without it. */
static void the_last_letter_needs_no_end_of_its_line(void **state)
{
    (void)state;
    assert_int_equal(2, read_file(LETTER "\n" LETTER "\n", ""));
    assert_int_equal(2, read_file(LETTER "\n" LETTER, ""));
    assert_int_equal(11, read_file(LETTER "\n{\"event\":{},\"si", ""));
    assert_int_equal(10, read_file("{", ""));
    assert_int_equal(0, read_file("", ""));
    assert_int_equal(2, read_file(LETTER, "\n" LETTER "\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_as_deep_as_a_policy_may_allow_is_read),
        cmocka_unit_test_setup_teardown(the_last_letter_needs_no_end_of_its_line,
                                        folder_set_up, folder_tear_down),
    };

    return cmocka_run_group_tests_name("letters", tests, NULL, NULL);
}
