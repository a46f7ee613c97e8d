/* The meaning of an answer to an INSERT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sink/http/internal.h"

static enum sink_verdict_kind kind_of(struct transfer_answer a)
{
    struct endpoint p = {0};

    return protocol_clickhouse.classify(&p, &a, false).kind;
}

/* A server says nothing, or gives a summary: words are a proxy's. */
static void only_a_server_that_had_all_of_it_has_taken_it(void **state)
{
    struct transfer_answer a = {.status = 200, .sent = true};

    (void)state;
    assert_int_equal(SINK_OK, kind_of(a));
    a.sent = false;
    assert_int_equal(SINK_MAYBE, kind_of(a));
    a.sent = true;
    a.body = STR("<html>Welcome</html>");
    assert_int_equal(SINK_MAYBE, kind_of(a));
    a.summary = true;
    assert_int_equal(SINK_OK, kind_of(a));
    a.exception = 241;
    assert_int_equal(SINK_SPLIT, kind_of(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_server_that_had_all_of_it_has_taken_it)};

    return cmocka_run_group_tests_name("clickhouse", tests, NULL, NULL);
}
