/* Signatures of web hooks, as their senders document them, and forged ones. */
#include "signature/hmac_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64.h"

enum { NOW = 1531420618 };

static struct hmac_form form;
static struct signature_fault why;

static void make(const char *format, const char *text, bool has_stamp,
                 const char *secret)
{
    const char *of, *no;

    hmac_form_fini(&form);
    if (!hmac_form_read(str_of(format), str_of(text), has_stamp, &form, &of, &no)) {
        fail_msg("%s: %s %s", format, of, no);
    }
    form.window_s = 300;
    form.n_secrets = 1;
    hmac_key_init(&form.secrets[0], str_of(secret));
}

static bool check(const char *value, const char *stamp, const char *body, int64_t now)
{
    const struct hmac_sent sent = {str_of(value), str_of(stamp), str_of(body)};

    why = (struct signature_fault){NULL, NULL, NULL};
    return hmac_form_check(&form, &sent, now, &why);
}

#define GOOD(value, stamp, body) assert_true(check(value, stamp, body, NOW))
#define BAD(want, value, stamp, body)                                                  \
    do {                                                                               \
        assert_false(check(value, stamp, body, NOW));                                  \
        assert_string_equal(want, why.code);                                           \
    } while (0)

/* The hex digest of the text by the secret. */
static const char *hex_of(const char *secret, const char *text)
{
    static char out[2 * HMAC_BYTES + 1];
    unsigned char digest[HMAC_BYTES];
    const struct str part = str_of(text);
    struct hmac_key k;

    hmac_key_init(&k, str_of(secret));
    hmac_sign(&k, &part, 1, digest);
    for (int i = 0; i < HMAC_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    return out;
}

static const char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *text(const char *fmt, ...)
{
    static char out[4][4096];
    static unsigned turn;
    va_list ap;

    turn = (turn + 1) % 4;
    va_start(ap, fmt);
    (void)vsnprintf(out[turn], sizeof out[turn], fmt, ap);
    va_end(ap);
    return out[turn];
}

/* RFC 4231, 4.2 to 4.4 and 4.7. */
static void a_digest_is_the_one_of_the_standard(void **state)
{
    char key[132];

    (void)state;
    memset(key, 0x0b, 20);
    key[20] = '\0';
    assert_string_equal(
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        hex_of(key, "Hi There"));
    assert_string_equal(
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        hex_of("Jefe", "what do ya want for nothing?"));
    memset(key, 0xaa, 131);
    key[131] = '\0';
    assert_string_equal(
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        hex_of(key, "Test Using Larger Than Block-Size Key - Hash Key First"));
    /* By openssl dgst: a key of as many bytes as a block is not hashed, one more is. */
    memset(key, 'k', 65);
    key[65] = '\0';
    assert_string_equal(
        "75092ca3ee2b307470c227697b42b3e65376aa3bae98fb5a1f7b7536daa9588a",
        hex_of(key, "x"));
    key[64] = '\0';
    assert_string_equal(
        "f91c4c403625fb06910ef93999265bbd2d62baeaec6ff36455498cc124fe3e66",
        hex_of(key, "x"));
}

/* "Validating webhook deliveries" of GitHub's documentation: its test values. */
static void a_digest_in_hex_is_taken_as_github_documents_it(void **state)
{
    static const char digest[] =
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    (void)state;
    make("sha256={hex}", "{body}", false, "It's a Secret to Everybody");
    GOOD(text("sha256=%s", digest), NULL, "Hello, World!");
    BAD("bad_signature", text("sha256=%s", digest), NULL, "Hello, World");
    BAD("bad_signature", text("sha256=%s", digest), NULL, "");
    BAD("unsigned", NULL, NULL, "Hello, World!");
    BAD("bad_signature", "", NULL, "Hello, World!");
    BAD("bad_signature", "sha256=", NULL, "Hello, World!");
    BAD("bad_signature", digest, NULL, "Hello, World!");
    BAD("bad_signature", text("sha1=%s", digest), NULL, "Hello, World!");
    BAD("bad_signature", text("SHA256=%s", digest), NULL, "Hello, World!");
    BAD("bad_signature", text("sha256=%s ", digest), NULL, "Hello, World!");
    BAD("bad_signature", text("sha256=%.63s", digest), NULL, "Hello, World!");
    BAD("bad_signature", text("sha256=%s0", digest), NULL, "Hello, World!");
    BAD("bad_signature", text("sha256=g%s", digest + 1), NULL, "Hello, World!");
    /* The header sent twice: http hands over one list. */
    BAD("bad_signature", text("sha256=%s, sha256=%s", digest, digest), NULL,
        "Hello, World!");
}

/* Each byte of the digest counts: the first, the last and those between. */
static void a_digest_with_one_wrong_bit_is_refused(void **state)
{
    char digest[2 * HMAC_BYTES + 1];

    (void)state;
    make("{hex}", "{body}", false, "secret-of-16-bytes");
    (void)snprintf(digest, sizeof digest, "%s", hex_of("secret-of-16-bytes", "x"));
    GOOD(digest, NULL, "x");
    for (int i = 0; i < 2 * HMAC_BYTES; i++) {
        char was = digest[i];

        digest[i] = was == '0' ? '1' : '0';
        BAD("bad_signature", digest, NULL, "x");
        digest[i] = was;
    }
}

/* "Verifying requests from Slack" of its documentation: its example. */
static void a_time_in_a_header_of_its_own_is_taken_as_slack_documents_it(void **state)
{
    static const char body[] =
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
        "channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name="
        "roadrunner&"
        "command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
        "commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        "trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    static const char good[] =
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    (void)state;
    make("v0={hex}", "v0:{timestamp}:{body}", true, "8f742231b10e8888abcd99yyyzzz85a5");
    GOOD(good, "1531420618", body);
    BAD("bad_signature", good, "1531420619", body);
    BAD("bad_signature", good, "01531420618", body);
    BAD("bad_signature", good, "1531420618 ", body);
    BAD("bad_signature", good, "+1531420618", body);
    BAD("bad_signature", good, "", body);
    BAD("unsigned", good, NULL, body);
    BAD("unsigned", NULL, "1531420618", body);
    assert_true(check(good, "1531420618", body, NOW + 300));
    assert_true(check(good, "1531420618", body, NOW - 300));
    assert_false(check(good, "1531420618", body, NOW + 301));
    assert_string_equal("expired", why.code);
    assert_false(check(good, "1531420618", body, NOW - 301));
    assert_string_equal("expired", why.code);
}

/* "Verify webhook signatures manually" of Stripe's documentation: the steps. */
static void a_list_with_a_time_is_taken_as_stripe_documents_it(void **state)
{
    char d[65], old[65];

    (void)state;
    make("t={timestamp},v1={hex}", "{timestamp}.{body}", false, "whsec_test_secret");
    (void)snprintf(d, sizeof d, "%s",
                   hex_of("whsec_test_secret", "1531420618.{\"a\":1}"));
    (void)snprintf(old, sizeof old, "%s",
                   hex_of("whsec_old_secret", "1531420618.{\"a\":1}"));
    GOOD(text("t=1531420618,v1=%s", d), NULL, "{\"a\":1}");
    GOOD(text("v1=%s,t=1531420618", d), NULL, "{\"a\":1}");
    GOOD(text("t=1531420618,v1=%s,v1=%s,v0=%s", old, d, old), NULL, "{\"a\":1}");
    GOOD(text("t=1531420618,v1=%s,,x", d), NULL, "{\"a\":1}");
    /* Another scheme counts for nothing. */
    BAD("bad_signature", text("t=1531420618,v0=%s", d), NULL, "{\"a\":1}");
    BAD("bad_signature", text("t=1531420618,v1=%s", old), NULL, "{\"a\":1}");
    BAD("bad_signature", text("t=1531420618,xv1=%s", d), NULL, "{\"a\":1}");
    BAD("bad_signature", text("v1=%s", d), NULL, "{\"a\":1}");
    BAD("bad_signature", "t=1531420618", NULL, "{\"a\":1}");
    BAD("bad_signature", text("t=1531420617,v1=%s", d), NULL, "{\"a\":1}");
    BAD("bad_signature", text("t=1531420618,t=1531420618,v1=%s", d), NULL, "{\"a\":1}");
    BAD("bad_signature", text("t=9999999999999,v1=%s", d), NULL, "{\"a\":1}");
    BAD("bad_signature", text("t=-1,v1=%s", d), NULL, "{\"a\":1}");
    BAD("bad_signature", text("t=,v1=%s", d), NULL, "{\"a\":1}");
    assert_false(check(text("t=1531420618,v1=%s", d), NULL, "{\"a\":1}", NOW + 301));
    assert_string_equal("expired", why.code);
    /* What is no real signature is not called expired. */
    assert_false(check(text("t=1531420618,v1=%s", old), NULL, "{\"a\":1}", NOW + 301));
    assert_string_equal("bad_signature", why.code);
}

/* Whoever reads " 1531420618" as that number signs another text. */
static void a_time_has_digits_alone(void **state)
{
    static const char *const bad[] = {
        " 1531420618", "1531420618 ",  "15314 20618", "+1531420618",
        "-1531420618", "1531420618.0", "0x5b47a3ca",  "",
    };

    (void)state;
    make("{hex}", "{timestamp}.{body}", true, "k");
    GOOD(hex_of("k", "1531420618.x"), "1531420618", "x");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        BAD("bad_signature", hex_of("k", text("%s.x", bad[i])), bad[i], "x");
    }
}

static void more_signatures_than_eight_are_refused(void **state)
{
    char value[1024];
    size_t n = (size_t)snprintf(value, sizeof value, "t=1531420618");

    (void)state;
    make("t={timestamp},v1={hex}", "{timestamp}.{body}", false, "k");
    for (int i = 0; i < 8; i++) {
        n += (size_t)snprintf(value + n, sizeof value - n, ",v1=%s",
                              hex_of(i < 7 ? "no" : "k", "1531420618.x"));
    }
    GOOD(value, NULL, "x");
    (void)snprintf(value + n, sizeof value - n, ",v1=%s", hex_of("k", "1531420618.x"));
    BAD("bad_signature", value, NULL, "x");
}

/* Shopify's documentation: the base64 of the digest of the body. */
static void a_digest_in_base64_has_one_writing(void **state)
{
    unsigned char digest[HMAC_BYTES];
    struct str part = STR("{\"id\":1}");
    struct hmac_key k;
    char value[64];
    size_t n;

    (void)state;
    make("{base64}", "{body}", false, "shpss_secret");
    hmac_key_init(&k, STR("shpss_secret"));
    hmac_sign(&k, &part, 1, digest);
    n = base64_write((struct str){(char *)digest, HMAC_BYTES}, value);
    value[n] = '\0';
    GOOD(value, NULL, part.p);
    BAD("bad_signature", text("%s=", value), NULL, part.p);
    BAD("bad_signature", text("%.*s", (int)n - 1, value), NULL, part.p);
    value[n - 2]++; /* the unused bits of the last letter */
    BAD("bad_signature", value, NULL, part.p);
    BAD("bad_signature", hex_of("shpss_secret", part.p), NULL, part.p);
}

static void either_secret_is_good_while_they_are_rotated(void **state)
{
    (void)state;
    make("{hex}", "{body}", false, "new");
    form.n_secrets = 2;
    hmac_key_init(&form.secrets[1], STR("old"));
    GOOD(hex_of("new", "x"), NULL, "x");
    GOOD(hex_of("old", "x"), NULL, "x");
    BAD("bad_signature", hex_of("older", "x"), NULL, "x");
    form.n_secrets = 0;
    BAD("bad_signature", hex_of("new", "x"), NULL, "x");
}

static void a_form_that_could_be_forged_is_no_form(void **state)
{
    static const struct {
        const char *format, *text;
        bool stamp;
        const char *of;
    } cases[] = {
        {"", "{body}", false, "format"},
        {"sha256=", "{body}", false, "format"},
        {"{hex}x", "{body}", false, "format"},
        {"{hex}{hex}", "{body}", false, "format"},
        {"{body}{hex}", "{body}", false, "format"},
        {"t={timestamp},v1={hex},v2={hex}", "{timestamp}.{body}", false, "format"},
        {"t={timestamp},t={hex}", "{timestamp}.{body}", false, "format"},
        {"t={timestamp},{hex}", "{timestamp}.{body}", false, "format"},
        {"{timestamp},v1={hex}", "{timestamp}.{body}", false, "format"},
        {"v0={hex},v1={hex}", "{body}", false, "format"},
        {"t={timestamp},v1={hex}", "{timestamp}.{body}", true, "format"},
        {"{hex}", "", false, "signed"},
        {"{hex}", "x", false, "signed"},
        {"{hex}", "{body}{body}", false, "signed"},
        {"{hex}", "{bodies}", false, "signed"},
        {"{hex}", "{body}}", false, "signed"},
        {"{hex}", "{timestamp}{timestamp}{body}", true, "signed"},
        {"{hex}", "a{body}b{timestamp}c{", true, "signed"},
        {"{hex}", "{timestamp}.{body}", false, "signed"},
        {"{hex}", "{body}", true, "signed"},
        {"t={timestamp},v1={hex}", "{body}", false, "signed"},
    };
    const char *of, *no;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (hmac_form_read(str_of(cases[i].format), str_of(cases[i].text),
                           cases[i].stamp, &form, &of, &no)) {
            fail_msg("taken: %s %s", cases[i].format, cases[i].text);
        }
        assert_string_equal(cases[i].of, of);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_is_the_one_of_the_standard),
        cmocka_unit_test(a_digest_in_hex_is_taken_as_github_documents_it),
        cmocka_unit_test(a_digest_with_one_wrong_bit_is_refused),
        cmocka_unit_test(a_time_in_a_header_of_its_own_is_taken_as_slack_documents_it),
        cmocka_unit_test(a_list_with_a_time_is_taken_as_stripe_documents_it),
        cmocka_unit_test(a_time_has_digits_alone),
        cmocka_unit_test(more_signatures_than_eight_are_refused),
        cmocka_unit_test(a_digest_in_base64_has_one_writing),
        cmocka_unit_test(either_secret_is_good_while_they_are_rotated),
        cmocka_unit_test(a_form_that_could_be_forged_is_no_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
