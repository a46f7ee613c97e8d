/* PROXY headers, cut at each byte: the client's address, or a reason; never a byte of what
 * follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "net/proxy_header.h"

enum { ROOM = 8192 };

struct bytes {
    size_t n;
    unsigned char p[ROOM];
};

static void put(struct bytes *b, const void *p, size_t n)
{
    assert_true(b->n + n <= sizeof b->p);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static struct bytes *text(struct bytes *b, const char *z)
{
    b->n = 0;
    put(b, z, strlen(z));
    return b;
}

/* Version 2, with that many zeros after the head. */
static struct bytes *numbers(struct bytes *b, unsigned command, unsigned family,
                             size_t n)
{
    const unsigned char head[] = {'\r',
                                  '\n',
                                  '\r',
                                  '\n',
                                  0,
                                  '\r',
                                  '\n',
                                  'Q',
                                  'U',
                                  'I',
                                  'T',
                                  '\n',
                                  (unsigned char)command,
                                  (unsigned char)family,
                                  (unsigned char)(n >> 8),
                                  (unsigned char)n};
    static const unsigned char zeros[ROOM / 2];

    b->n = 0;
    put(b, head, sizeof head);
    for (size_t left = n; left > 0;) {
        size_t some = left < sizeof zeros ? left : sizeof zeros;

        some = some < sizeof b->p - b->n ? some : sizeof b->p - b->n;
        if (some == 0) {
            break;
        }
        put(b, zeros, some);
        left -= some;
    }
    return b;
}

/* Fed in parts of that many bytes, each in memory of its own; taken: of all. */
static enum proxy_result feed(const struct bytes *b, size_t part,
                              struct proxy_header *h, size_t *taken)
{
    enum proxy_result r = PROXY_MORE;

    proxy_header_init(h);
    *taken = 0;
    while (r == PROXY_MORE && *taken < b->n) {
        size_t n = b->n - *taken < part ? b->n - *taken : part, used;
        unsigned char *own = test_malloc(n);

        memcpy(own, b->p + *taken, n);
        r = proxy_header_feed(h, own, n, &used);
        test_free(own);
        assert_true(used <= n);
        assert_true(r != PROXY_MORE || used == n);
        *taken += used;
    }
    return r;
}

/* However it is cut, and with bytes of the client behind it, which stay. */
static void assert_client(const struct bytes *header, const char *address)
{
    static struct bytes all;
    struct proxy_header h;
    char shown[ADDRESS_TEXT];
    size_t taken;

    all = *header;
    put(&all, "GET / HTTP/1.1\r\n", 16);
    for (size_t part = 1; part <= all.n; part += part < 64 ? 1 : 97) {
        assert_int_equal(PROXY_DONE, feed(&all, part, &h, &taken));
        assert_int_equal(header->n, taken);
        assert_int_equal(address != NULL, h.has_address);
        if (address != NULL) {
            address_show(&h.address, shown);
            assert_string_equal(address, shown);
        }
    }
    all.n = header->n - 1;
    assert_int_equal(PROXY_MORE, feed(&all, ROOM, &h, &taken));
}

static void assert_bad(const struct bytes *b, const char *why)
{
    struct proxy_header h;
    size_t taken;

    for (size_t part = 1; part <= b->n; part += part < 64 ? 1 : 97) {
        assert_int_equal(PROXY_BAD, feed(b, part, &h, &taken));
        assert_string_equal(why, h.why);
    }
}

static void a_line_has_the_client(void **state)
{
    static struct bytes b;

    (void)state;
    assert_client(text(&b, "PROXY TCP4 192.0.2.7 10.0.0.1 65535 0\r\n"), "192.0.2.7");
    assert_client(text(&b, "PROXY TCP6 2001:DB8::0007 ::1 1 8443\r\n"), "2001:db8::7");
    assert_client(text(&b, "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), "192.0.2.7");
    assert_client(text(&b, "PROXY UNKNOWN\r\n"), NULL);
    assert_client(text(&b, "PROXY UNKNOWN ff:: any thing at all\r\n"), NULL);
    assert_client(text(&b, "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void a_wrong_line_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"GET / HTTP/1.1\r\n", "there is none"},
        {"PROXYX", "there is none"},
        {"proxy TCP4", "there is none"},
        {"\r\n\r\n\nGET", "there is none"},
        {"PROXY \r\n", "its family is none of TCP4, TCP6, UNKNOWN"},
        {"PROXY TCP4\r\n", "it has no addresses of its family"},
        {"PROXY TCP5 192.0.2.7 10.0.0.1 1 2\r\n",
         "its family is none of TCP4, TCP6, UNKNOWN"},
        {"PROXY  TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
         "its family is none of TCP4, TCP6, UNKNOWN"},
        {"PROXY TCP4 ::1 ::1 1 2\r\n", "it has no addresses of its family"},
        {"PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n", "it has no addresses of its family"},
        {"PROXY TCP4 192.0.2.7  10.0.0.1 1 2\r\n", "it has no addresses of its family"},
        {"PROXY TCP4 192.0.2.007 10.0.0.1 1 2\r\n",
         "it has no addresses of its family"},
        {"PROXY TCP4 192.0.2.7 x 1 2\r\n", "it has no addresses of its family"},
        {"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "it has no addresses of its family"},
        {"PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n",
         "it has no ports from 0 to 65535"},
        {"PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n", "it has no ports from 0 to 65535"},
        {"PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n", "it has no ports from 0 to 65535"},
        {"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 \r\n", "it has no ports from 0 to 65535"},
        {"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n", "its line ends without CR"},
        {"PROXY UNKNOWN x\ry\r\n", "its line has a control character"},
        {"PROXY TCP4 192.0.2.7\t10.0.0.1", "its line has a control character"}};
    static struct bytes b;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        assert_bad(text(&b, rows[i][0]), rows[i][1]);
    }
    text(&b, "PROXY UNKNOWN ");
    while (b.n < 105) {
        put(&b, "x", 1);
    }
    put(&b, "\r\n", 2);
    assert_client(&b, NULL);
    b.n = 105;
    put(&b, "x\r\n", 3);
    assert_bad(&b, "its line is longer than 107 bytes");
}

static void numbers_have_the_client(void **state)
{
    static const unsigned char four[] = {192, 0, 2, 7}, six[] = {0x20, 1, 0xd, 0xb8};
    static struct bytes b;

    (void)state;
    memcpy(numbers(&b, 0x21, 0x11, 12)->p + 16, four, 4);
    assert_client(&b, "192.0.2.7");
    memcpy(numbers(&b, 0x21, 0x10, 12)->p + 16, four, 4);
    assert_client(&b, "192.0.2.7");
    memcpy(numbers(&b, 0x21, 0x11, 12 + 300)->p + 16, four, 4); /* with TLVs */
    assert_client(&b, "192.0.2.7");
    memcpy(numbers(&b, 0x21, 0x11, 4096)->p + 16, four, 4);
    assert_client(&b, "192.0.2.7");
    memcpy(numbers(&b, 0x21, 0x21, 36)->p + 16, six, 4);
    b.p[31] = 7;
    assert_client(&b, "2001:db8::7");
}

/* Health checks of the proxy itself, and families without an address. */
static void other_numbers_leave_the_connections_address(void **state)
{
    static struct bytes b;

    (void)state;
    assert_client(numbers(&b, 0x20, 0x00, 0), NULL);
    assert_client(numbers(&b, 0x20, 0x11, 12), NULL);
    assert_client(numbers(&b, 0x20, 0xff, 3), NULL); /* LOCAL: the rest is no matter */
    assert_client(numbers(&b, 0x21, 0x00, 0), NULL);
    assert_client(numbers(&b, 0x21, 0x01, 40), NULL);
    assert_client(numbers(&b, 0x21, 0x31, 216), NULL);
}

static void wrong_numbers_are_refused(void **state)
{
    static struct bytes b;

    (void)state;
    assert_bad(numbers(&b, 0x11, 0x11, 12), "its version or command is not known");
    assert_bad(numbers(&b, 0x31, 0x11, 12), "its version or command is not known");
    assert_bad(numbers(&b, 0x22, 0x11, 12), "its version or command is not known");
    assert_bad(numbers(&b, 0x21, 0x12, 12),
               "its family or transport is not known, or no stream");
    assert_bad(numbers(&b, 0x21, 0x41, 12),
               "its family or transport is not known, or no stream");
    assert_bad(numbers(&b, 0x21, 0x11, 11), "it is too short for its family");
    assert_bad(numbers(&b, 0x21, 0x21, 35), "it is too short for its family");
    assert_bad(numbers(&b, 0x21, 0x31, 215), "it is too short for its family");
    assert_bad(numbers(&b, 0x21, 0x11, 4097), "it is longer than 4112 bytes");
    assert_bad(numbers(&b, 0x20, 0x00, 65535), "it is longer than 4112 bytes");
    numbers(&b, 0x21, 0x11, 12)->p[11] = '\r';
    assert_bad(&b, "there is none");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_the_client),
        cmocka_unit_test(a_wrong_line_is_refused),
        cmocka_unit_test(numbers_have_the_client),
        cmocka_unit_test(other_numbers_leave_the_connections_address),
        cmocka_unit_test(wrong_numbers_are_refused)};

    return cmocka_run_group_tests_name("proxy_header", tests, NULL, NULL);
}
