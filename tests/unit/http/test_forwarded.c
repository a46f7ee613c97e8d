/* Whose request it is, from what proxies wrote and what a client made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "http/forwarded.h"

static struct subnet trusted[3];

static int setup(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        if (address_read_network(str_of(texts[i]), &trusted[i].address,
                                 &trusted[i].prefix) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* The value in memory of its own, so that a read behind it is seen. */
static const char *client(bool list, const char *value, size_t n)
{
    static char shown[ADDRESS_TEXT];
    char *own = malloc(n == 0 ? 1 : n);
    struct address a;
    bool found;

    memcpy(own, value, n);
    found = forwarded_client(list, (struct str){own, n}, trusted, N_ELEMS(trusted), &a);
    free(own);
    if (found) {
        address_show(&a, shown);
    }
    return found ? shown : "";
}

struct row {
    const char *value, *client; /* "": the connection's own */
};

static void assert_rows(bool list, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = client(list, rows[i].value, strlen(rows[i].value));

        if (strcmp(rows[i].client, got) != 0) {
            fail_msg("%s: %s, not %s", rows[i].value, got, rows[i].client);
        }
    }
}

static void x_forwarded_for_is_read_from_the_right(void **state)
{
    static const struct row rows[] = {
        {"203.0.113.9", "203.0.113.9"},
        {" 203.0.113.9\t", "203.0.113.9"},
        {"1.1.1.1, 203.0.113.9", "203.0.113.9"},
        {"1.1.1.1,203.0.113.9,10.0.0.1", "203.0.113.9"},
        {"1.1.1.1, 10.0.0.2, 203.0.113.9, 10.0.0.1, 192.0.2.3", "203.0.113.9"},
        {"10.0.0.3, 10.0.0.2", "10.0.0.3"},
        {"203.0.113.9:4711", "203.0.113.9"},
        {"203.0.113.9:_x", "203.0.113.9"},
        {"[2001:DB9::7]:443", "2001:db9::7"},
        {"[2001:db9::7]", "2001:db9::7"},
        {"2001:db9::7", "2001:db9::7"},
        {"203.0.113.9, 2001:db8::1", "203.0.113.9"},
        {"203.0.113.9, [2001:db8::1]:80", "203.0.113.9"},
        {"::ffff:203.0.113.9", "203.0.113.9"},
        {"203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9"},
        {"unknown", ""},
        {"1.1.1.1, unknown", ""},
        {"1.1.1.1, unknown, 10.0.0.1", "10.0.0.1"},
        {"1.1.1.1, garbage, 10.0.0.2, 10.0.0.1", "10.0.0.2"},
        {"", ""},
        {",", ""},
        {",203.0.113.9", "203.0.113.9"},
        {"203.0.113.9,", ""},
        {"1.1.1.1,,10.0.0.1", "10.0.0.1"},
        {"fe80::1%eth0", ""},
        {"[fe80::1%25eth0]:80", ""},
        {"\"203.0.113.9\"", ""},
        {"for=203.0.113.9", ""},
        {"203.0.113.256", ""},
        {"203.0.113.9:", ""},
        {"203.0.113.9:x", ""},
        {"203.0.113.9:123456", ""},
        {"203.0.113.9 10.0.0.1", ""},
        {"[203.0.113.9]", ""},
        {"[2001:db9::7", ""},
        {"2001:db9::7]", ""},
        {"[2001:db9::7]x", ""},
        {"[]", ""},
        {"[]:80", ""},
        {"0x7f.1", ""},
        {"2130706433", ""},
        {"unix:", ""}};

    (void)state;
    assert_rows(false, rows, N_ELEMS(rows));
}

static void forwarded_is_read_from_the_right(void **state)
{
    static const struct row rows[] = {
        {"for=203.0.113.9", "203.0.113.9"},
        {"For=203.0.113.9", "203.0.113.9"},
        {"for=\"203.0.113.9\"", "203.0.113.9"},
        {"for=\"203.0.113.9:4711\"", "203.0.113.9"},
        {"for=\"[2001:DB9::7]:443\"", "2001:db9::7"},
        {"for=\"[2001:db9::7]\"", "2001:db9::7"},
        {"for=\"\\[2001:db9::7\\]\"", "2001:db9::7"},
        {"for=203.0.113.9;proto=https;by=10.0.0.1;host=\"a,b\"", "203.0.113.9"},
        {"proto=https ; for=203.0.113.9", "203.0.113.9"},
        {"for=1.1.1.1, for=203.0.113.9, for=10.0.0.1", "203.0.113.9"},
        {"for=1.1.1.1, for=203.0.113.9;host=\"x, for=9.9.9.9\"", "203.0.113.9"},
        {"for=10.0.0.2, for=\"[2001:db8::1]\"", "10.0.0.2"},
        {"for=_hidden", ""},
        {"for=unknown", ""},
        {"for=1.1.1.1, for=_hidden", ""},
        {"for=1.1.1.1, for=_hidden, for=10.0.0.1", "10.0.0.1"},
        {"for=1.1.1.1, by=10.0.0.1", ""},
        {"for=1.1.1.1, proto=http, for=10.0.0.1", "10.0.0.1"},
        {"for=1.1.1.1;for=2.2.2.2", ""},
        {"203.0.113.9", ""},
        {"for = 203.0.113.9", ""},
        {"for=", ""},
        {"for", ""},
        {"=203.0.113.9", ""},
        {"for=203.0.113.9;", ""},
        {"for=203.0.113.9 x", ""},
        {"for=\"203.0.113.9", ""},
        {"for=203.0.113.9\"", ""},
        {"for=\"203.0.113.9\\", ""},
        {"for=\"203.0.113.9\"x", ""},
        {"for=[2001:db9::7]", ""},
        {"", ""},
        {",", ""},
        /* A client left a quote open; the proxy's own part holds all the same. */
        {"for=6.6.6.6;x=\", for=203.0.113.9", "203.0.113.9"},
        {"for=\"6.6.6.6, for=203.0.113.9", "203.0.113.9"},
        {"for=6.6.6.6;x=\", for=\"[2001:db9::7]\"", "2001:db9::7"},
        {"for=6.6.6.6;x=\"\\\", for=203.0.113.9;by=\"_x\"", "203.0.113.9"},
        {"for=6.6.6.6;x=\\\", for=10.0.0.1", "10.0.0.1"},
        {"for=6.6.6.6, x=\"\\\\\", for=203.0.113.9", "203.0.113.9"}};

    (void)state;
    assert_rows(true, rows, N_ELEMS(rows));
}

static void put(char *out, size_t *n, const char *z)
{
    memcpy(out + *n, z, strlen(z));
    *n += strlen(z);
}

/* All trusted, so that each is looked at; then one that is not, and stops it. */
static void ten_thousand_entries_are_read(void **state)
{
    char *value = malloc(10001 * 20);
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        put(value, &n, i == 0 ? "10.0.0.3" : ", 10.0.0.1");
    }
    assert_string_equal("10.0.0.3", client(false, value, n));
    put(value, &n, ",203.0.113.9");
    assert_string_equal("203.0.113.9", client(false, value, n));
    n = 0;
    for (int i = 0; i < 10000; i++) {
        put(value, &n, i == 0 ? "for=10.0.0.3" : ", for=\"10.0.0.1\"");
    }
    assert_string_equal("10.0.0.3", client(true, value, n));
    n = 0;
    for (int i = 0; i < 10000; i++) {
        put(value, &n, i == 9999 ? "\"" : "\\");
    }
    assert_string_equal("", client(true, value, n));
    free(value);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(x_forwarded_for_is_read_from_the_right),
        cmocka_unit_test(forwarded_is_read_from_the_right),
        cmocka_unit_test(ten_thousand_entries_are_read)};

    return cmocka_run_group_tests_name("forwarded", tests, setup, NULL);
}
