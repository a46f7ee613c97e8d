/* Which texts a format takes. */
#include "plan/text_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"

static const struct {
    enum text_format format;
    const char *text;
    bool ok;
} rows[] = {
    {TEXT_UUID, "123e4567-e89b-12d3-a456-426614174000", true},
    {TEXT_UUID, "123E4567-E89B-12D3-A456-426614174000", true},
    {TEXT_UUID, "00000000-0000-0000-0000-000000000000", true},
    {TEXT_UUID, "123e4567e89b12d3a456426614174000", false},
    {TEXT_UUID, "{123e4567-e89b-12d3-a456-426614174000}", false},
    {TEXT_UUID, "123e4567-e89b-12d3-a456-42661417400", false},
    {TEXT_UUID, "123e4567-e89b-12d3-a456-4266141740000", false},
    {TEXT_UUID, "123e4567-e89b-12d3-a456-42661417400g", false},
    {TEXT_UUID, "123e4567-e89b-12d3-a4561426614174000", false},
    {TEXT_UUID, "", false},
    {TEXT_IP, "192.0.2.1", true},
    {TEXT_IP, "255.255.255.255", true},
    {TEXT_IP, "::", true},
    {TEXT_IP, "2001:db8::1", true},
    {TEXT_IP, "::ffff:192.0.2.1", true},
    {TEXT_IP, "2001:0db8:0000:0000:0000:0000:0000:0001", true},
    {TEXT_IP, "256.0.0.1", false},
    {TEXT_IP, "192.0.2", false},
    {TEXT_IP, "192.0.2.01", false},
    {TEXT_IP, "192.0.2.1:80", false},
    {TEXT_IP, "fe80::1%eth0", false},
    {TEXT_IP, "[::1]", false},
    {TEXT_IP, "1:2:3:4:5:6:7:8:9", false},
    {TEXT_IP, "", false},
    {TEXT_URL, "https://shop.example", true},
    {TEXT_URL, "https://shop.example/a?utm_source=x&utm_term=a|b#top", true},
    {TEXT_URL, "http://[2001:db8::1]:8080/", true},
    {TEXT_URL, "myapp://open/item/7", true},
    {TEXT_URL, "android-app://com.example.app/https/x", true},
    {TEXT_URL, "https://müller.example/ü", true},
    {TEXT_URL, "shop.example/a", false},
    {TEXT_URL, "https:/shop.example", false},
    {TEXT_URL, "https://", false},
    {TEXT_URL, "https:///path", false},
    {TEXT_URL, "https://shop.example/a b", false},
    {TEXT_URL, "https://shop.example/\n", false},
    {TEXT_URL, "https://shop.example/<script>", false},
    {TEXT_URL, "://shop.example", false},
    {TEXT_URL, "1https://shop.example", false},
    {TEXT_URL, "mailto:ann@shop.example", false},
    {TEXT_URL, "", false},
    {TEXT_EMAIL, "ann@shop.example", true},
    {TEXT_EMAIL, "ann.b+tag@sub.shop.example", true},
    {TEXT_EMAIL, "o'neil_{x}@shop.example", true},
    {TEXT_EMAIL, "ann@müller.example", true},
    {TEXT_EMAIL, "ann@shop", false},
    {TEXT_EMAIL, "ann", false},
    {TEXT_EMAIL, "@shop.example", false},
    {TEXT_EMAIL, "ann@", false},
    {TEXT_EMAIL, "ann@@shop.example", false},
    {TEXT_EMAIL, "ann@shop..example", false},
    {TEXT_EMAIL, "ann@.example", false},
    {TEXT_EMAIL, "ann@shop.example.", false},
    {TEXT_EMAIL, "ann@-shop.example", false},
    {TEXT_EMAIL, "ann@shop-.example", false},
    {TEXT_EMAIL, ".ann@shop.example", false},
    {TEXT_EMAIL, "ann.@shop.example", false},
    {TEXT_EMAIL, "a..b@shop.example", false},
    {TEXT_EMAIL, "a b@shop.example", false},
    {TEXT_EMAIL, "Ann <ann@shop.example>", false},
    {TEXT_EMAIL, "ann@shop.example,bob@shop.example", false},
    {TEXT_EMAIL, "", false},
};

static void a_format_takes_these_and_no_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        if (text_has_format(rows[i].format, str_of(rows[i].text)) != rows[i].ok) {
            fail_msg("\"%s\"", rows[i].text);
        }
    }
}

static void a_long_text_is_none_of_them(void **state)
{
    static char text[1 << 16];
    struct str s = {text, sizeof text};

    (void)state;
    memset(text, 'a', sizeof text);
    text[64] = '@';
    text[sizeof text - 3] = '.';
    assert_false(text_has_format(TEXT_EMAIL, s));
    assert_false(text_has_format(TEXT_UUID, s));
    assert_false(text_has_format(TEXT_IP, s));
    assert_false(text_has_format(TEXT_URL, s));
    assert_false(text_has_format(TEXT_IP, (struct str){"192.0.2.1\0x", 11}));
}

static void words_are_the_policy_s(void **state)
{
    (void)state;
    assert_int_equal(text_format_of(STR("uuid")), TEXT_UUID);
    assert_int_equal(text_format_of(STR("email")), TEXT_EMAIL);
    assert_int_equal(text_format_of(STR("mail")), TEXT_ANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_format_takes_these_and_no_others),
        cmocka_unit_test(a_long_text_is_none_of_them),
        cmocka_unit_test(words_are_the_policy_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
