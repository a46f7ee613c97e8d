/* The answer to a request that is refused as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/hooked.h"

static struct hooked h;

static int set_up(void **state)
{
    (void)state;
    hooked_open(&h, NULL, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hooked_close(&h);
    return 0;
}

static bool decide(const char *text, struct refused *no)
{
    char body[256 + SCAN_PAD] = "";

    (void)strcpy(body, text);
    return decide_body(h.state, &policy_plan(h.policy)->routes[0], SCAN_BATCH, &h.req,
                       (struct str){body, strlen(body)}, &h.batch, NULL, &h.raised, no);
}

/* The byte that a client looks for is one of its own bytes. */
static void an_offset_counts_a_byte_order_mark(void **state)
{
    struct refused no;

    (void)state;
    assert_false(decide("[{\"a\":1},,]", &no));
    assert_int_equal(400, no.status);
    assert_int_equal(9, no.error.offset);
    assert_false(decide("\xEF\xBB\xBF[{\"a\":1},,]", &no));
    assert_int_equal(400, no.status);
    assert_int_equal(12, no.error.offset);
    assert_true(decide("\xEF\xBB\xBF[{\"a\":1}]", &no));
    assert_int_equal(1, h.batch.n);
}

/* Never before the token is there. */
static void a_wait_is_whole_seconds_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(1, decide_retry_s(0));
    assert_int_equal(1, decide_retry_s(1));
    assert_int_equal(1, decide_retry_s(1000));
    assert_int_equal(2, decide_retry_s(1000.5));
    assert_int_equal(60, decide_retry_s(59001));
    assert_int_equal(86400, decide_retry_s(86400000));
    assert_int_equal(86400, decide_retry_s(1e15));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_offset_counts_a_byte_order_mark, set_up,
                                        tear_down),
        cmocka_unit_test(a_wait_is_whole_seconds_rounded_up)};

    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
