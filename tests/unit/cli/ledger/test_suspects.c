/* Ids of which a destination may have too many or too few rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/ledger/suspects.h"

static struct suspects s;

static int set_up(void **state)
{
    (void)state;
    s = (struct suspects){.n = 0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    suspects_free(&s);
    return 0;
}

static void add(uint64_t print, int64_t here, int64_t there, int64_t unconfirmed)
{
    struct suspect *x = suspects_add(&s, print);

    x->here = here;
    x->there = there;
    x->unconfirmed = unconfirmed;
}

static bool differs(int64_t here, int64_t there, int64_t unconfirmed)
{
    const struct suspect x = {.here = here, .there = there, .unconfirmed = unconfirmed};

    return suspect_differs(&x);
}

/* Standard output while it tells the suspects. */
static void tell(char *text, size_t room)
{
    const struct tallies t = {.stream = "a\x1b"
                                        "b"};
    struct check_result r = {.missing = 0};
    int before = dup(STDOUT_FILENO);
    FILE *f = tmpfile();

    assert_non_null(f);
    (void)fflush(stdout);
    (void)dup2(fileno(f), STDOUT_FILENO);
    suspects_tell(&s, "none", &t, "rows", &r);
    (void)fflush(stdout);
    (void)dup2(before, STDOUT_FILENO);
    (void)close(before);
    rewind(f);
    text[fread(text, 1, room - 1, f)] = '\0';
    (void)fclose(f);
}

static void an_id_can_be_no_other_line_and_no_order_to_a_terminal(void **state)
{
    char text[512];

    (void)state;
    add(1, 1, 0, 0);
    s.list[0].id = mem_strdup("\x1b[2J\" rows=7\nmissing id=\"\xc2\x9b\x9b");
    s.list[0].where = mem_strdup("t\x1b/0@7");
    tell(text, sizeof text);
    assert_string_equal(text,
                        "missing id=\" [2J\\\" rows=7\\nmissing id=\\\" \xef\xbf\xbd\""
                        " accepted=1 rows=0 at=t /0@7\n");
}

/* An unconfirmed event may be there or not, and at most once. */
static void as_many_rows_as_events_are_right(void **state)
{
    (void)state;
    assert_false(differs(1, 1, 0));
    assert_true(differs(1, 0, 0));
    assert_true(differs(1, 2, 0));
    assert_true(differs(0, 1, 0));
    assert_false(differs(2, 1, 1));
    assert_false(differs(2, 2, 1));
    assert_true(differs(2, 0, 1));
    assert_true(differs(2, 3, 1));
    assert_false(differs(1, 0, 1));
    assert_true(differs(1, 2, 1));
}

static void the_halves_of_an_id_are_one_suspect(void **state)
{
    struct suspect *x;

    (void)state;
    add(1, 9, 9, 0); /* of an earlier part, which stays as it is */
    add(7, 1, 0, 0);
    s.list[s.n - 1].at = (struct entry){.print = 7, .seq = 5};
    add(3, 1, 1, 0);
    add(7, 0, 2, 0);
    s.list[s.n - 1].id = mem_strdup("e7");
    s.list[s.n - 1].where = mem_strdup("part 2");
    add(7, 2, 0, 1);
    s.list[s.n - 1].at = (struct entry){.print = 7, .seq = 6};
    suspects_join(&s, 1, false);
    assert_int_equal(3, s.n);
    assert_int_equal(9, s.list[0].here);
    assert_int_equal(3, s.list[1].print);
    x = &s.list[2];
    assert_int_equal(7, x->print);
    assert_int_equal(3, x->here);
    assert_int_equal(2, x->there);
    assert_int_equal(1, x->unconfirmed);
    assert_true(x->at.seq == 5 || x->at.seq == 6); /* one of its events names it */
    assert_string_equal("e7", x->id);
    assert_string_equal("part 2", x->where);
    assert_false(suspect_differs(x));
}

static void an_event_that_only_the_first_half_has_is_kept(void **state)
{
    (void)state;
    add(7, 1, 0, 0);
    s.list[0].at = (struct entry){.print = 7, .seq = 5};
    for (int i = 0; i < 3; i++) {
        add(7, 0, 1, 0);
    }
    suspects_join(&s, 0, true);
    assert_int_equal(1, s.n);
    assert_int_equal(5, s.list[0].at.seq);
}

static void only_those_that_differ_stay_if_asked_for(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        add(i, 1, i % 3 == 0 ? 0 : 1, 0);
    }
    suspects_join(&s, 0, true);
    assert_int_equal(667, s.n);
    assert_non_null(suspects_find(&s, 3));
    assert_null(suspects_find(&s, 4));
    suspects_cut(&s, 2);
    assert_non_null(suspects_find(&s, 3));
    assert_null(suspects_find(&s, 6));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_id_can_be_no_other_line_and_no_order_to_a_terminal),
        TEST(as_many_rows_as_events_are_right),
        TEST(the_halves_of_an_id_are_one_suspect),
        TEST(an_event_that_only_the_first_half_has_is_kept),
        TEST(only_those_that_differ_stay_if_asked_for)};

    return cmocka_run_group_tests_name("suspects", tests, NULL, NULL);
}
