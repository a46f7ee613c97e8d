/* Postbacks of SKAdNetwork: attacks on ones that own keys have signed. */
#include "signature/skadnetwork.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "signature/keys.h"

enum { ALL = 0x3F, MODERN = 0x3C };

static EVP_PKEY *key, *weak;
static struct postback_rules rules = {.kind = POSTBACK_SKADNETWORK, .versions = ALL};
static struct verifier *verifier;
static struct signature_fault why;

static bool is_good(const char *object)
{
    struct str payload;

    why = (struct signature_fault){NULL, NULL, NULL};
    return postback_check(&rules, verifier, str_of(object), &payload, &why);
}

static void is_bad(const char *code, const char *field, const char *object)
{
    if (is_good(object)) {
        fail_msg("good: %s", object);
    }
    assert_string_equal(code, why.code);
    assert_string_equal(field, why.field);
}

static void use(const struct pin *pins, uint32_t n)
{
    verifier_free(verifier);
    memcpy(rules.pins, pins, n * sizeof *pins);
    rules.n_pins = n;
    verifier = verifier_new(rules.pins, n);
    assert_non_null(verifier);
}

/* members, without braces, and their signature of text, whose '|' is U+2063. */
static const char *signed_by(EVP_PKEY *by, const char *text, const char *members)
{
    static char out[8192];
    unsigned char der[80];
    char plain[4096], letters[160];
    size_t n = 0;

    for (; *text != '\0'; text++) {
        if (*text == '|') {
            memcpy(plain + n, "\xE2\x81\xA3", 3);
            n += 3;
        } else {
            plain[n++] = *text;
        }
    }
    n = key_sign(by, (struct str){plain, n}, der);
    letters[base64_write((struct str){(char *)der, n}, letters)] = '\0';
    (void)snprintf(out, sizeof out, "{%s,\"attribution-signature\":\"%s\"}", members,
                   letters);
    return out;
}

static const char text_4[] = "4.0|com.example|5239|525463029|6aafb7a5|false|1234567891|"
                             "1|true|0";
static const char members_4[] =
    "\"version\":\"4.0\",\"ad-network-id\":\"com.example\",\"source-identifier\":"
    "\"5239\",\"app-id\":525463029,\"transaction-id\":\"6aafb7a5\",\"redownload\":"
    "false,"
    "\"source-app-id\":1234567891,\"fidelity-type\":1,\"did-win\":true,"
    "\"postback-sequence-index\":0";

static int setup(void **state)
{
    struct pin pins[2];

    (void)state;
    key = EVP_EC_gen("P-256");
    weak = EVP_EC_gen("P-192");
    pins[0] = key_pin(key, "own");
    pins[1] = key_pin(weak, "own/weak");
    use(pins, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    postback_rules_fini(&rules);
    verifier_free(verifier);
    verifier = NULL;
    EVP_PKEY_free(key);
    EVP_PKEY_free(weak);
    rules.versions = ALL;
    return 0;
}

/* ---- each version's list ---- */

static void each_version_signs_its_own_list(void **state)
{
#define OLD                                                                            \
    "\"transaction-id\":\"t\",\"app-id\":3,\"campaign-id\":2,\"ad-network-id\":\"n\""
    (void)state;
    assert_true(is_good(signed_by(weak, "n|2|3|t", OLD)));
    assert_true(is_good(signed_by(weak, "2.0|n|2|3|t|true",
                                  OLD ",\"redownload\":true,\"version\":\"2.0\"")));
    assert_true(is_good(signed_by(key, "2.1|n|2|3|t|true|9",
                                  OLD ",\"redownload\":true,\"version\":\"2.1\","
                                      "\"source-app-id\":9")));
    assert_true(is_good(signed_by(key, "2.2|n|2|3|t|true|0",
                                  OLD ",\"redownload\":true,\"version\":\"2.2\","
                                      "\"fidelity-type\":0")));
    assert_true(is_good(signed_by(key, "3.0|n|2|3|t|false|1|false",
                                  OLD ",\"redownload\":false,\"version\":\"3.0\","
                                      "\"fidelity-type\":1,\"did-win\":false")));
    assert_true(is_good(signed_by(key, text_4, members_4)));
}

/* The downgrade to a key of fewer bits, and the reverse. */
static void a_version_is_signed_with_a_key_of_its_curve(void **state)
{
    (void)state;
    is_bad("bad_signature", "attribution-signature", signed_by(key, "n|2|3|t", OLD));
    is_bad("bad_signature", "attribution-signature",
           signed_by(weak, text_4, members_4));
    rules.versions = MODERN;
    is_bad("unknown_version", "version", signed_by(weak, "n|2|3|t", OLD));
    is_bad("unknown_version", "version",
           signed_by(weak, "2.0|n|2|3|t|true",
                     OLD ",\"redownload\":true,\"version\":\"2.0\""));
}

static void an_unknown_version_is_refused(void **state)
{
    static const char *const versions[] = {"\"1.0\"",  "\"4.1\"",       "\"4\"",
                                           "\"\"",     "4.0",           "null",
                                           "\"4.0 \"", "\"4.0\\u0000\""};
    char members[1024];

    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        (void)snprintf(members, sizeof members, "\"version\":%s%s", versions[i],
                       members_4 + strlen("\"version\":\"4.0\""));
        is_bad("unknown_version", "version", signed_by(key, text_4, members));
    }
}

/* ---- values ---- */

/* members_4 with from replaced by to. */
static const char *with(const char *from, const char *to)
{
    static char out[4096];
    const char *at = strstr(members_4, from);

    assert_non_null(at);
    (void)snprintf(out, sizeof out, "%.*s%s%s", (int)(at - members_4), members_4, to,
                   at + strlen(from));
    return out;
}

static void bad_value(const char *field, const char *from, const char *to)
{
    is_bad("bad_postback", field, signed_by(key, text_4, with(from, to)));
}

/* What is stored would be another value than the signed one. */
static void a_value_of_another_type_is_refused(void **state)
{
    (void)state;
    bad_value("app-id", "525463029", "\"525463029\"");
    bad_value("app-id", "525463029", "525463029.0");
    bad_value("app-id", "525463029", "5.25463029e8");
    bad_value("app-id", "525463029", "-525463029");
    bad_value("app-id", "525463029", "525463029525463029525");
    bad_value("app-id", "525463029", "null");
    bad_value("app-id", "525463029", "[525463029]");
    bad_value("source-identifier", "\"5239\"", "5239");
    bad_value("redownload", "false", "\"false\"");
    bad_value("redownload", "false", "0");
    bad_value("did-win", "true", "\"true\"");
    bad_value("did-win", "true", "1");
    bad_value("fidelity-type", "\"fidelity-type\":1", "\"fidelity-type\":\"1\"");
    bad_value("fidelity-type", "\"fidelity-type\":1", "\"fidelity-type\":true");
    bad_value("transaction-id", "\"6aafb7a5\"", "\"\"");
    bad_value("transaction-id", "\"6aafb7a5\"", "7");
    bad_value("ad-network-id", "\"com.example\"", "{}");
}

static void the_order_and_the_writing_of_keys_mean_nothing(void **state)
{
    (void)state;
    assert_true(is_good(signed_by(
        key, text_4,
        "\"postback-sequence-index\":0,\"did-win\" : true,\n\"fidelity-type\":1,"
        "\"source-app-id\":1234567891,\"redownload\":false,\"transaction\\u002did\":"
        "\"6\\u0061afb7a5\",\"app-id\":525463029,\"source-identifier\":\"5239\","
        "\"ad-network-id\":\"com\\u002eexample\",\"version\":\"4\\u002e0\","
        "\"conversion-value\":7,\"else\":{\"app-id\":1}")));
}

/* Two lists of values that make one text. */
static void a_separator_inside_a_value_is_refused(void **state)
{
    char long_text[400];

    (void)state;
    is_bad("bad_postback", "ad-network-id",
           signed_by(key, "4.0|n|1|3|t|false|1|true|0|5",
                     "\"version\":\"4.0\",\"ad-network-id\":\"n\xE2\x81\xA3"
                     "1\",\"source-identifier\":\"3\",\"app-id\":4,\"transaction-id\":"
                     "\"t\",\"redownload\":false,\"fidelity-type\":1,\"did-win\":true,"
                     "\"postback-sequence-index\":0"));
    bad_value("transaction-id", "6aafb7a5", "6aaf\\u2063b7a5");
    (void)snprintf(long_text, sizeof long_text, "%0300d", 7);
    bad_value("transaction-id", "6aafb7a5", long_text);
}

static void a_domain_is_no_app(void **state)
{
    (void)state;
    bad_value("source-domain", "\"source-app-id\":1234567891",
              "\"source-domain\":\"1234567891\"");
    assert_true(is_good(signed_by(
        key,
        "4.0|com.example|5239|525463029|6aafb7a5|false|"
        "7.example|1|true|0",
        with("\"source-app-id\":1234567891", "\"source-domain\":\"7.example\""))));
    bad_value("source-domain", "\"source-app-id\":1234567891",
              "\"source-app-id\":1234567891,\"source-domain\":\"a.example\"");
}

/* A reader would take them for signed. */
static void a_value_that_another_version_signs_is_refused(void **state)
{
    (void)state;
    is_bad("bad_postback", "did-win",
           signed_by(key, "2.1|n|2|3|t|true",
                     OLD ",\"redownload\":true,\"version\":\"2.1\",\"did-win\":true"));
    is_bad("bad_postback", "redownload",
           signed_by(weak, "n|2|3|t", OLD ",\"redownload\":true"));
    bad_value("campaign-id", "\"app-id\"", "\"campaign-id\":4,\"app-id\"");
    is_bad("bad_postback", "source-domain",
           signed_by(key, "3.0|n|2|3|t|false|1|false",
                     OLD
                     ",\"redownload\":false,\"version\":\"3.0\",\"fidelity-type\":1,"
                     "\"did-win\":false,\"source-domain\":\"a.example\""));
}

static void each_signed_value_is_needed(void **state)
{
    (void)state;
    bad_value("app-id", "\"app-id\":525463029,", "");
    bad_value("transaction-id", "\"transaction-id\":\"6aafb7a5\",", "");
    bad_value("did-win", "\"did-win\":true,", "");
    bad_value("postback-sequence-index", ",\"postback-sequence-index\":0", "");
    is_bad("bad_signature", "attribution-signature",
           signed_by(key, text_4, with("\"source-app-id\":1234567891,", "")));
    bad_value("app-id", "\"app-id\"", "\"app-id\":1,\"app-id\"");
    is_bad("unsigned", "attribution-signature", "{\"version\":\"4.0\"}");
    is_bad("unsigned", "attribution-signature", "{}");
}

/* ---- signatures ---- */

/* members_4 with the DER as its signature. */
static const char *with_der(const unsigned char *der, size_t n)
{
    static char out[4096];
    char letters[512];

    letters[base64_write((struct str){(const char *)der, n}, letters)] = '\0';
    (void)snprintf(out, sizeof out, "{%s,\"attribution-signature\":\"%s\"}", members_4,
                   letters);
    return out;
}

static size_t genuine(unsigned char der[80])
{
    static const char text[] = "4.0\xE2\x81\xA3"
                               "com.example\xE2\x81\xA3"
                               "5239\xE2\x81\xA3"
                               "525463029\xE2\x81\xA3"
                               "6aafb7a5\xE2\x81\xA3"
                               "false\xE2\x81\xA3"
                               "1234567891\xE2\x81\xA3"
                               "1\xE2\x81\xA3"
                               "true\xE2\x81\xA3"
                               "0";

    return key_sign(key, STR(text), der);
}

static BIGNUM *order(void)
{
    BIGNUM *n = NULL;

    (void)BN_hex2bn(&n,
                    "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
    return n;
}

static void negate_s(BIGNUM *r, BIGNUM *s)
{
    BIGNUM *n = order();

    (void)r;
    (void)BN_sub(s, n, s);
    BN_free(n);
}

static void add_order(BIGNUM *r, BIGNUM *s)
{
    BIGNUM *n = order();

    (void)s;
    (void)BN_add(r, r, n);
    BN_free(n);
}

static void zero_r(BIGNUM *r, BIGNUM *s)
{
    (void)s;
    BN_zero(r);
}

static void zero_s(BIGNUM *r, BIGNUM *s)
{
    (void)r;
    BN_zero(s);
}

static void order_s(BIGNUM *r, BIGNUM *s)
{
    BIGNUM *n = order();

    (void)r;
    (void)BN_copy(s, n);
    BN_free(n);
}

/* Apple's own have either s, so that both are one signature: what counts a postback once
 * is its transaction id. */
static void both_forms_of_s_are_good(void **state)
{
    unsigned char der[80], other[160];
    size_t n = genuine(der);

    (void)state;
    assert_true(is_good(with_der(der, n)));
    n = key_resign(der, n, negate_s, other);
    assert_true(is_good(with_der(other, n)));
}

static void numbers_out_of_range_are_no_signature(void **state)
{
    static void (*const changes[])(BIGNUM *, BIGNUM *) = {zero_r, zero_s, order_s,
                                                          add_order};
    unsigned char der[80], other[160];
    size_t n = genuine(der), m;

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        m = key_resign(der, n, changes[i], other);
        is_bad("bad_signature", "attribution-signature", with_der(other, m));
    }
    while (der[3] !=
           33) { /* until r has a zero before it, without which it is negative */
        n = genuine(der);
    }
    memmove(der + 4, der + 5, n - 5);
    der[1]--;
    der[3]--;
    is_bad("bad_signature", "attribution-signature", with_der(der, n - 1));
}

static void der_has_one_form(void **state)
{
    unsigned char der[80], other[160];
    size_t n = genuine(der);

    (void)state;
    memcpy(other, der, n);
    other[n] = 0; /* behind it */
    is_bad("bad_signature", "attribution-signature", with_der(other, n + 1));
    other[1]++; /* inside */
    is_bad("bad_signature", "attribution-signature", with_der(other, n + 1));
    is_bad("bad_signature", "attribution-signature", with_der(der, n - 1));
    /* A length of two bytes. */
    other[0] = 0x30;
    other[1] = 0x81;
    memcpy(other + 2, der + 1, n - 1);
    is_bad("bad_signature", "attribution-signature", with_der(other, n + 1));
    /* A zero before r. */
    memcpy(other, der, 4);
    other[1]++;
    other[3]++;
    other[4] = 0;
    memcpy(other + 5, der + 4, n - 4);
    is_bad("bad_signature", "attribution-signature", with_der(other, n + 1));
    for (size_t i = 0; i < n; i++) {
        der[i] ^= 1;
        is_bad("bad_signature", "attribution-signature", with_der(der, n));
        der[i] ^= 1;
    }
    assert_true(is_good(with_der(der, n)));
}

static void a_signature_that_is_none_is_refused(void **state)
{
    static const char *const values[] = {
        "\"\"",       "\"====\"",
        "\"MEUC\"",   "null",
        "7",          "\"-_-_\"",
        "\" \"",      "\"AAAA\"",
        "[\"MEUC\"]", "\"MEUCIGRmSMrqedNu6uaHyhVcifs118R5z\\nAB6c\""};
    char object[4096], *big = malloc((1 << 20) + 4096);
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        (void)snprintf(object, sizeof object, "{%s,\"attribution-signature\":%s}",
                       members_4, values[i]);
        is_bad("bad_signature", "attribution-signature", object);
    }
    n = (size_t)snprintf(big, 4096, "{%s,\"attribution-signature\":\"", members_4);
    memset(big + n, 'A', 1 << 20);
    memcpy(big + n + (1 << 20), "\"}", 3);
    is_bad("bad_signature", "attribution-signature", big);
    free(big);
}

static void another_key_is_not_trusted(void **state)
{
    EVP_PKEY *other = EVP_EC_gen("P-256");

    (void)state;
    is_bad("bad_signature", "attribution-signature",
           signed_by(other, text_4, members_4));
    EVP_PKEY_free(other);
    /* and a failed check leaves the verifier as it was */
    assert_true(is_good(signed_by(key, text_4, members_4)));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_version_signs_its_own_list),
        T(a_version_is_signed_with_a_key_of_its_curve),
        T(an_unknown_version_is_refused),
        T(a_value_of_another_type_is_refused),
        T(the_order_and_the_writing_of_keys_mean_nothing),
        T(a_separator_inside_a_value_is_refused),
        T(a_domain_is_no_app),
        T(a_value_that_another_version_signs_is_refused),
        T(each_signed_value_is_needed),
        T(both_forms_of_s_are_good),
        T(numbers_out_of_range_are_no_signature),
        T(der_has_one_form),
        T(a_signature_that_is_none_is_refused),
        T(another_key_is_not_trusted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
