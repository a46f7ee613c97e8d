/* Where a redirect may lead: no url leads to another host than those of the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/location.h"

static const struct str list[] = {STR("shop.example"), STR("alt.example:8443"),
                                  STR("*.apps.example"), STR("xn--bcher-kva.example"),
                                  STR("10.0.0.1")};
static const struct location_hosts hosts = {list, N_ELEMS(list)};

/* Taken, as the Location that it becomes. */
static const char *const good[][2] = {
    {"https://shop.example", "https://shop.example"},
    {"http://shop.example", "http://shop.example"},
    {"https://shop.example/", "https://shop.example/"},
    {"https://shop.example/a/b?c=d&e#f", "https://shop.example/a/b?c=d&e#f"},
    {"https://shop.example?q", "https://shop.example?q"},
    {"https://shop.example#f", "https://shop.example#f"},
    {"HTTPS://Shop.EXAMPLE/Path", "https://shop.example/Path"},
    {"https://shop.example:443/", "https://shop.example:443/"},
    {"http://shop.example:80/", "http://shop.example:80/"},
    {"https://alt.example:8443/x", "https://alt.example:8443/x"},
    {"http://alt.example:8443/x", "http://alt.example:8443/x"},
    {"https://a.apps.example/", "https://a.apps.example/"},
    {"https://a.b-c.apps.example/", "https://a.b-c.apps.example/"},
    {"https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"},
    {"http://10.0.0.1/", "http://10.0.0.1/"},
    {"https://shop.example/?u=https://evil.example/",
     "https://shop.example/?u=https://evil.example/"},
    {"https://shop.example//evil.example/", "https://shop.example//evil.example/"},
    {"https://shop.example/@evil.example", "https://shop.example/@evil.example"},
    {"https://shop.example/a b", "https://shop.example/a%20b"},
    {"https://shop.example/\\evil.example", "https://shop.example/%5Cevil.example"},
    {"https://shop.example/caf\xC3\xA9", "https://shop.example/caf%C3%A9"},
    {"https://shop.example/\xff", "https://shop.example/%FF"},
    {"https://shop.example/?a={b}|\"<>^`",
     "https://shop.example/?a=%7Bb%7D%7C%22%3C%3E%5E%60"},
    {"https://shop.example/%0d%0aSet-Cookie:x",
     "https://shop.example/%0d%0aSet-Cookie:x"},
    {"https://shop.example/%", "https://shop.example/%"},
    {"https://shop.example/..//%2e%2e/", "https://shop.example/..//%2e%2e/"},
};

static const char *const bad[] = {
    /* No absolute url of http or https. */
    "",
    "/",
    "/path",
    "path",
    "shop.example",
    "shop.example/path",
    "//shop.example/",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "\\\\evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "https:",
    "https:/",
    "https://",
    "https:shop.example",
    "https:/shop.example",
    "https:///shop.example",
    "https:///evil.example",
    "https:\\\\shop.example",
    "https:/\\shop.example",
    "http:///",
    "http://",
    "https://?shop.example",
    "https://#shop.example",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    "javascript://shop.example/%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://shop.example/",
    "ws://shop.example/",
    "intent://shop.example/",
    "blob:https://shop.example/",
    "about:blank",
    "myapp://open",
    "httpss://shop.example/",
    "htt\tps://shop.example/",
    "https ://shop.example/",
    " https://shop.example/",
    "\thttps://shop.example/",
    "\nhttps://shop.example/",
    "\x01https://shop.example/",
    "%68ttps://shop.example/",
    "view-source:https://shop.example/",
    /* Another host. */
    "https://evil.example/",
    "https://shop.example.evil.example/",
    "https://evilshop.example/",
    "https://shop.exampl/",
    "https://shop.examplee/",
    "https://example/",
    "https://www.shop.example/",
    "https://shop-example/",
    "https://apps.example/",
    "https://evilapps.example/",
    "https://.apps.example/",
    "https://a..apps.example/",
    "https://*.apps.example/",
    "https://apps.example.evil.example/",
    /* Userinfo, backslashes and other signs in the host. */
    "https://shop.example@evil.example/",
    "https://evil.example@shop.example/",
    "https://user:pass@shop.example/",
    "https://@shop.example/",
    "https://shop.example:@evil.example/",
    "https://shop.example:443@evil.example/",
    "https://shop.example%40evil.example/",
    "https://shop.example\\@evil.example/",
    "https://evil.example\\shop.example/",
    "https://shop.example\\.evil.example/",
    "https://evil.example%2f.apps.example/",
    "https://evil.example%00.apps.example/",
    "https://evil.example;.apps.example/",
    "https://evil.example,a.apps.example/",
    "https://evil.example&a.apps.example/",
    "https://evil.example a.apps.example/",
    "https://evil.example\ta.apps.example/",
    "https://[::1]/",
    "https://[shop.example]/",
    "https://shop.example\t/",
    "https://shop.exa\nmple/",
    "https://shop.example\r\nSet-Cookie: a=b",
    /* Dots and other letters that look like the list's. */
    "https://shop.example./",
    "https://shop.example../",
    "https://shop..example/",
    "https://.shop.example/",
    "https://shop\xE3\x80\x82"
    "example/",
    "https://shop\xEF\xBC\x8E"
    "example/",
    "https://shop.ex\xD0\xB0mple/",
    "https://shop%2Eexample/",
    "https://b\xC3\xBC"
    "cher.example/",
    "https://evil\xE2\x84\x80.apps.example/",
    "https://shop.example\xE2\x80\x8B/",
    "https://xn--shp-0qa.example/",
    /* Ports. */
    "https://shop.example:8443/",
    "https://shop.example:80/",
    "http://shop.example:443/",
    "https://shop.example:/",
    "https://shop.example:0/",
    "https://shop.example:99999/",
    "https://shop.example:000443/",
    "https://shop.example:443x/",
    "https://shop.example:+443/",
    "https://shop.example:443:443/",
    "https://alt.example/",
    "https://alt.example:443/",
    "https://alt.example:84430/",
    /* Numbers that some read as an address. */
    "http://167772161/",
    "http://0x0a000001/",
    "http://012.0.0.1/",
    "http://10.1/",
    "http://10.0.0.1./",
    "http://10.0.0.01/",
    /* Header injection. */
    "https://shop.example/\r\nSet-Cookie: a=b",
    "https://shop.example/\n",
    "https://shop.example/\r",
    "https://shop.example/a\tb",
    "https://shop.example/\x7f",
    "https://shop.example/?\x1f",
};

static void each_good_url_becomes_its_location(void **state)
{
    char out[LOCATION_MAX + 1];
    const char *why;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(good); i++) {
        assert_true(location_write(hosts, str_of(good[i][0]), out, &why));
        assert_string_equal(good[i][1], out);
    }
}

static void each_bad_url_is_refused_with_a_reason(void **state)
{
    char out[LOCATION_MAX + 1];
    const char *why;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bad); i++) {
        why = NULL;
        if (location_write(hosts, str_of(bad[i]), out, &why)) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_non_null(why);
    }
}

static void a_nul_byte_hides_nothing(void **state)
{
    static const char inside[] = "https://shop.example\0.evil.example/";
    static const char behind[] = "https://shop.example/\0x";
    char out[LOCATION_MAX + 1];
    const char *why;

    (void)state;
    assert_false(
        location_write(hosts, (struct str){inside, sizeof inside - 1}, out, &why));
    assert_false(
        location_write(hosts, (struct str){behind, sizeof behind - 1}, out, &why));
}

/* Also where much of it has to be escaped. */
static void a_location_has_at_most_2048_bytes(void **state)
{
    char url[LOCATION_MAX + 2], out[LOCATION_MAX + 1];
    const char *why;

    (void)state;
    (void)snprintf(url, sizeof url, "https://shop.example/");
    memset(url + 21, 'x', sizeof url - 21);
    assert_true(location_write(hosts, (struct str){url, LOCATION_MAX}, out, &why));
    assert_int_equal(LOCATION_MAX, strlen(out));
    assert_false(location_write(hosts, (struct str){url, LOCATION_MAX + 1}, out, &why));
    url[30] = ' ';
    assert_false(location_write(hosts, (struct str){url, LOCATION_MAX}, out, &why));
    assert_true(location_write(hosts, (struct str){url, LOCATION_MAX - 2}, out, &why));
    memset(url + 21, ' ', 1000);
    assert_false(location_write(hosts, (struct str){url, 1021}, out, &why));
}

static void without_a_list_any_plain_host_is_taken(void **state)
{
    const struct location_hosts none = {NULL, 0};
    char out[LOCATION_MAX + 1];
    const char *why;

    (void)state;
    assert_true(location_write(none, STR("https://a.b:99/c"), out, &why));
    assert_false(location_write(none, STR("https://a@b/c"), out, &why));
    assert_false(location_write(none, STR("javascript:x"), out, &why));
}

static void a_part_of_a_url_keeps_only_what_means_nothing(void **state)
{
    char out[64];
    size_t n;

    (void)state;
    n = location_escape(STR("aZ09-._~ /?#@:%&=+\r\n\xC3\xA9"), out);
    out[n] = '\0';
    assert_string_equal("aZ09-._~%20%2F%3F%23%40%3A%25%26%3D%2B%0D%0A%C3%A9", out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_good_url_becomes_its_location),
        cmocka_unit_test(each_bad_url_is_refused_with_a_reason),
        cmocka_unit_test(a_nul_byte_hides_nothing),
        cmocka_unit_test(a_location_has_at_most_2048_bytes),
        cmocka_unit_test(without_a_list_any_plain_host_is_taken),
        cmocka_unit_test(a_part_of_a_url_keeps_only_what_means_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
