/* The numbers of a column, keys of addresses, and networks that are allowed or denied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/limit.h"

static void a_cell_is_a_number_or_nothing(void **state)
{
    static const struct {
        const char *cell;
        bool fraction;
        enum limit_kind kind;
        double v;
    } rows[] = {{"10", false, LIMIT_AMOUNT, 10},
                {"0.5", true, LIMIT_AMOUNT, 0.5},
                {"007", false, LIMIT_AMOUNT, 7},
                {"999999999999999", false, LIMIT_AMOUNT, 999999999999999},
                {"9999999999999999", false, LIMIT_UNSET, 0}, /* 16 digits */
                {"99999999999999999999999999", true, LIMIT_UNSET, 0},
                {"1.0000000000000001", true, LIMIT_UNSET, 0},
                {"0", false, LIMIT_ZERO, 0},
                {"0.0", true, LIMIT_ZERO, 0},
                {"unlimited", false, LIMIT_UNLIMITED, 0},
                {"0.5", false, LIMIT_UNSET, 0},
                {"", false, LIMIT_UNSET, 0},
                {"-1", true, LIMIT_UNSET, 0},
                {"+1", true, LIMIT_UNSET, 0},
                {" 1", true, LIMIT_UNSET, 0},
                {"1 ", true, LIMIT_UNSET, 0},
                {"1e3", true, LIMIT_UNSET, 0},
                {"1.", true, LIMIT_UNSET, 0},
                {".5", true, LIMIT_UNSET, 0},
                {"1.5.5", true, LIMIT_UNSET, 0},
                {"0x10", true, LIMIT_UNSET, 0},
                {"inf", true, LIMIT_UNSET, 0},
                {"nan", true, LIMIT_UNSET, 0},
                {"Unlimited", true, LIMIT_UNSET, 0}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        double v = 0;
        enum limit_kind kind = limit_number(str_of(rows[i].cell), rows[i].fraction, &v);

        if (kind != rows[i].kind || (kind == LIMIT_AMOUNT && v != rows[i].v)) {
            fail_msg("\"%s\": %d, %.17g", rows[i].cell, (int)kind, v);
        }
    }
}

static void a_request_without_a_row_has_no_number(void **state)
{
    struct limit_plan l = {.column = STR("n"), .unit_s = 60, .otherwise = -1};
    struct policy_request q = {0};
    struct limit_amount a;

    (void)state;
    assert_int_equal(limit_amount(&l, &q, &a), LIMIT_UNSET);
    assert_int_equal(limit_amount(&l, NULL, &a), LIMIT_UNSET);
    l.otherwise = 0.25;
    assert_int_equal(limit_amount(&l, &q, &a), LIMIT_AMOUNT);
    assert_true(a.amount == 0.25 && a.burst == 1);
    l.column = (struct str){NULL, 0};
    l.amount = 5000000;
    assert_int_equal(limit_amount(&l, NULL, &a), LIMIT_AMOUNT);
    assert_true(a.amount == 5000000 && a.burst == 1e6);
}

/* Whether two addresses share what a limit by "peer" gives. */
static bool same(const char *x, const char *y)
{
    char a[LIMIT_PEER_BYTES], b[LIMIT_PEER_BYTES];
    struct str p = limit_peer(str_of(x), a), q = limit_peer(str_of(y), b);

    return p.n == q.n && memcmp(p.p, q.p, p.n) == 0;
}

static void a_client_gets_no_more_by_other_addresses_of_its_network(void **state)
{
    (void)state;
    assert_true(same("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff"));
    assert_false(same("2001:db8::1", "2001:db8:0:1::1"));
    assert_true(same("::ffff:192.0.2.1", "192.0.2.1"));
    assert_true(same("::ffff:c000:201", "192.0.2.1"));
    assert_false(same("192.0.2.1", "192.0.2.2"));
    assert_false(same("::c000:201", "192.0.2.1"));
    assert_true(same("unix", "unix"));
    assert_false(same("unix", ""));
}

static struct subnet subnet(const char *text)
{
    struct subnet s;

    assert_null(address_read_network(str_of(text), &s.address, &s.prefix));
    return s;
}

static void deny_is_stronger_than_allow(void **state)
{
    const struct subnet inside[] = {subnet("10.0.0.0/8"), subnet("2001:db8::/32")};
    const struct subnet bad[] = {subnet("10.1.0.0/16"), subnet("::/0")};
    const struct networks_plan a = {.allow = {inside, 2, NULL, 0, false, true},
                                    .deny = {bad, 1, NULL, 0, false, true}};
    const struct networks_plan only_deny = {.deny = {bad, 2, NULL, 0, true, true}};
    const struct networks_plan only_local = {.allow = {NULL, 0, NULL, 0, true, true}};

    (void)state;
    assert_true(networks_allow_text(&a, STR("10.2.3.4")));
    assert_true(networks_allow_text(&a, STR("::ffff:10.2.3.4")));
    assert_true(networks_allow_text(&a, STR("2001:db8:1::1")));
    assert_false(networks_allow_text(&a, STR("10.1.3.4")));
    assert_false(networks_allow_text(&a, STR("::ffff:10.1.3.4")));
    assert_false(networks_allow_text(&a, STR("11.0.0.1")));
    assert_false(networks_allow_text(&a, STR("unix")));
    assert_false(networks_allow_text(&a, STR("")));
    assert_true(networks_allow_text(&only_deny, STR("10.2.3.4")));
    assert_false(networks_allow_text(&only_deny, STR("2001:db8::1")));
    assert_false(networks_allow_text(&only_deny, STR("unix")));
    assert_true(networks_allow_text(&only_deny, STR("unknown"))); /* in no network */
    assert_true(networks_allow_text(&only_local, STR("unix")));
    assert_false(networks_allow_text(&only_local, STR("127.0.0.1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_is_a_number_or_nothing),
        cmocka_unit_test(a_request_without_a_row_has_no_number),
        cmocka_unit_test(a_client_gets_no_more_by_other_addresses_of_its_network),
        cmocka_unit_test(deny_is_stronger_than_allow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
