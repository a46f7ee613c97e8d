/* Networks have their addresses and no others; addresses are shown in one form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/attr.h"

static void a_network_has_its_own_addresses(void **state)
{
    static const struct {
        const char *network, *address;
        bool has;
    } rows[] = {{"10.0.0.0/8", "10.255.255.255", true},
                {"10.0.0.0/8", "11.0.0.0", false},
                {"10.0.0.0/8", "::ffff:10.1.2.3", true},
                {"::ffff:10.0.0.0/104", "10.1.2.3", true},
                {"10.0.0.0/8", "::a00:1", false},
                {"0.0.0.0/0", "255.255.255.255", true},
                {"0.0.0.0/0", "::1", false},
                {"::/0", "2001:db8::1", true},
                {"::/0", "10.0.0.1", false},
                {"192.0.2.1", "192.0.2.1", true},
                {"192.0.2.1", "192.0.2.0", false},
                {"192.0.2.2/31", "192.0.2.3", true},
                {"192.0.2.2/31", "192.0.2.4", false},
                {"2001:db8::/32", "2001:db8:ffff::1", true},
                {"2001:db8::/32", "2001:db9::", false},
                {"2001:db8::/64", "2001:db8::ffff:0:0:1", true},
                {"2001:db8::/64", "2001:db8:0:1::", false},
                {"2001:db8::/65", "2001:db8::7fff:0:0:1", true},
                {"2001:db8::/65", "2001:db8::8000:0:0:1", false},
                {"2001:db8::1", "2001:db8::1", true},
                {"2001:db8::1", "2001:db8::2", false}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct subnet n;
        struct address a;

        assert_null(
            address_read_network(str_of(rows[i].network), &n.address, &n.prefix));
        assert_true(address_read(str_of(rows[i].address), &a));
        assert_int_equal(rows[i].has, address_in(&a, &n));
        assert_int_equal(rows[i].has, address_in_any(&a, &n, 1));
        assert_false(address_in_any(&a, &n, 0));
    }
}

static void an_address_is_shown_in_its_canonical_form(void **state)
{
    static const char *const rows[][2] = {
        {"192.0.2.7", "192.0.2.7"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:0db8:0000:0001:0000:0000:0000:0000", "2001:db8:0:1::"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"fe80:0:0:0:1:0:0:1", "fe80::1:0:0:1"}};
    char out[ADDRESS_TEXT];

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct address a;

        assert_true(address_read(str_of(rows[i][0]), &a));
        address_show(&a, out);
        assert_string_equal(rows[i][1], out);
    }
}

static void loopback_is_this_machine(void **state)
{
    static const struct {
        const char *text;
        bool is;
    } rows[] = {{"127.0.0.1", true},       {"127.255.0.9", true}, {"::1", true},
                {"128.0.0.1", false},      {"::2", false},        {"10.0.0.1", false},
                {"::ffff:127.0.0.1", true}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct address a;

        assert_true(address_read(str_of(rows[i].text), &a));
        assert_int_equal(rows[i].is, address_is_loopback(&a));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_has_its_own_addresses),
        cmocka_unit_test(an_address_is_shown_in_its_canonical_form),
        cmocka_unit_test(loopback_is_this_machine)};

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
