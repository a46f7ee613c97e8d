#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "cli/replay/when.h"
#include "decode/scan.h"

enum { OTHERWISE = 7 };

static void an_event_has_its_time_as_a_number_or_a_text(void **state)
{
    static const char lines[] = "{\"at\":1700000000000}\n"
                                "{\"at\":\"2023-11-14T22:13:20Z\"}\n"
                                "{\"at\":\"yesterday\"}\n"
                                "{\"at\":-1}\n"
                                "{\"at\":1e15}\n"
                                "{\"at\":1e300}\n"
                                "{\"at\":999999999999999}\n"
                                "{\"at\":null}\n"
                                "{}\n";
    static const int64_t times[] = {1700000000000,   1700000000000, OTHERWISE,
                                    OTHERWISE,       OTHERWISE,     OTHERWISE,
                                    999999999999999, OTHERWISE,     OTHERWISE};
    enum { N = sizeof times / sizeof *times };
    char body[sizeof lines + SCAN_PAD] = {0};
    struct err e;
    struct when *w = when_new("at", &e);

    (void)state;
    assert_non_null(w);
    memcpy(body, lines, sizeof lines - 1);
    when_read(w, (struct str){body, sizeof lines - 1}, N);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(times[i], when_of(w, i, OTHERWISE));
    }
    assert_int_equal(OTHERWISE, when_of(w, N, OTHERWISE));
    when_free(w);
}

/* A line that is not an event would move the times of later lines. */
static void no_time_is_known_of_lines_that_are_not_as_many(void **state)
{
    static const char lines[] = "{\"at\":1700000000000}\n\n";
    char body[sizeof lines + SCAN_PAD] = {0};
    struct err e;
    struct when *w = when_new("at", &e);

    (void)state;
    memcpy(body, lines, sizeof lines - 1);
    when_read(w, (struct str){body, sizeof lines - 1}, 2);
    assert_int_equal(OTHERWISE, when_of(w, 0, OTHERWISE));
    when_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_has_its_time_as_a_number_or_a_text),
        cmocka_unit_test(no_time_is_known_of_lines_that_are_not_as_many)};

    return cmocka_run_group_tests_name("when", tests, NULL, NULL);
}
