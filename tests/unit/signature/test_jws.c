/* Postbacks of AdAttributionKit: attacks on a JWS of an own key. */
#include "signature/jws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "signature/keys.h"

static EVP_PKEY *key, *second;
static struct postback_rules rules = {.kind = POSTBACK_ADATTRIBUTIONKIT};
static struct verifier *verifier;
static struct signature_fault why;
static struct str payload;

static const char good_header[] = "{\"kid\":\"own/0\",\"alg\":\"ES256\"}";
static const char good_payload[] = "{\"postback-identifier\":\"p1\",\"did-win\":true}";

static bool is_good_object(const char *object)
{
    why = (struct signature_fault){NULL, NULL, NULL};
    payload = (struct str){NULL, 0};
    return postback_check(&rules, verifier, str_of(object), &payload, &why);
}

static bool is_good(const char *jws)
{
    char *object = malloc(strlen(jws) + 64);
    bool good;

    (void)sprintf(object, "{\"x\":1,\"jws-string\":\"%s\"}", jws);
    good = is_good_object(object);
    free(object);
    return good;
}

static void is_bad(const char *code, const char *jws)
{
    if (is_good(jws)) {
        fail_msg("good: %.300s", jws);
    }
    assert_string_equal(code, why.code);
    assert_string_equal("jws-string", why.field);
}

/* header.payload.signature, signed by the key. */
static const char *signed_by(EVP_PKEY *by, const char *header, const char *claims)
{
    static char out[65536];
    unsigned char der[80], raw[64];
    size_t n = key_url(str_of(header), out);

    out[n++] = '.';
    n += key_url(str_of(claims), out + n);
    key_raw(der, key_sign(by, (struct str){out, n}, der), raw);
    out[n++] = '.';
    (void)key_url((struct str){(char *)raw, 64}, out + n);
    return out;
}

static int setup(void **state)
{
    (void)state;
    key = EVP_EC_gen("P-256");
    second = EVP_EC_gen("P-256");
    rules.pins[0] = key_pin(key, "own/0");
    rules.pins[1] = key_pin(second, "own/1");
    rules.n_pins = 2;
    verifier = verifier_new(rules.pins, 2);
    return verifier == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    postback_rules_fini(&rules);
    verifier_free(verifier);
    EVP_PKEY_free(key);
    EVP_PKEY_free(second);
    return 0;
}

static void a_jws_is_good_for_the_key_of_its_kid(void **state)
{
    char text[256];
    size_t n;

    (void)state;
    for (int i = 0; i < 200; i++) { /* r or s of few bytes among them */
        assert_true(is_good(signed_by(key, good_header, good_payload)));
    }
    assert_true(base64url_read(
        (struct str){strchr(signed_by(key, good_header, good_payload), '.') + 1,
                     payload.n},
        text, &n));
    assert_memory_equal(good_payload, text, n);
    assert_true(is_good(signed_by(
        second, "{\"typ\":\"JWT\",\"alg\":\"\\u0045S256\",\"kid\":\"own\\/1\"} ",
        "{}")));
    is_bad("bad_signature", signed_by(second, good_header, good_payload));
    is_bad("unknown_key",
           signed_by(key, "{\"kid\":\"own/2\",\"alg\":\"ES256\"}", good_payload));
    is_bad("unknown_key", signed_by(key, "{\"kid\":\"\",\"alg\":\"ES256\"}", "{}"));
}

/* alg says none, HMAC with the public key, another curve. */
static void the_header_does_not_choose_the_algorithm(void **state)
{
    static const char *const headers[] = {
        "{\"kid\":\"own/0\",\"alg\":\"none\"}",
        "{\"kid\":\"own/0\",\"alg\":\"HS256\"}",
        "{\"kid\":\"own/0\",\"alg\":\"ES384\"}",
        "{\"kid\":\"own/0\",\"alg\":\"es256\"}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256 \"}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\\u0000\"}",
        "{\"kid\":\"own/0\",\"alg\":\"\"}",
        "{\"kid\":\"own/0\",\"alg\":null}",
        "{\"kid\":\"own/0\",\"alg\":[\"ES256\"]}",
        "{\"kid\":\"own/0\"}",
        "{\"alg\":\"ES256\"}",
        "{\"kid\":7,\"alg\":\"ES256\"}",
        "{\"kid\":null,\"alg\":\"ES256\"}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\",\"alg\":\"none\"}",
        "{\"kid\":\"own/0\",\"alg\":\"none\",\"alg\":\"ES256\"}",
        "{\"kid\":\"own/1\",\"alg\":\"ES256\",\"kid\":\"own/0\"}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\",\"\\u006bid\":\"own/0\"}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\",\"crit\":[\"x\"]}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\",\"\\u0063rit\":[]}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\",\"b64\":false}",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\"}x",
        "{\"kid\":\"own/0\",\"alg\":\"ES256\"",
        "[{\"kid\":\"own/0\",\"alg\":\"ES256\"}]",
        "\"ES256\"",
        "{\"a\":{\"a\":{\"a\":{\"a\":{}}}},\"kid\":\"own/0\",\"alg\":\"ES256\"}",
        "null",
        "",
    };
    char unsigned_[512], *end;

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        is_bad("bad_signature", signed_by(key, headers[i], good_payload));
    }
    (void)snprintf(unsigned_, sizeof unsigned_, "%s",
                   signed_by(key, headers[0], good_payload));
    end = strrchr(unsigned_, '.');
    end[1] = '\0';
    is_bad("bad_signature", unsigned_);
}

/* A key that came with the signature would be trusted for nothing. */
static void keys_inside_the_header_are_not_used(void **state)
{
    EVP_PKEY *other = EVP_EC_gen("P-256");

    (void)state;
    is_bad("bad_signature",
           signed_by(other,
                     "{\"kid\":\"own/0\",\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\"},"
                     "\"jku\":\"http://127.0.0.1/\"}",
                     good_payload));
    EVP_PKEY_free(other);
}

static void other_forms_are_refused(void **state)
{
    char good[1024], text[1200], *first, *last;

    (void)state;
    (void)snprintf(good, sizeof good, "%s", signed_by(key, good_header, good_payload));
    first = strchr(good, '.');
    last = strrchr(good, '.');
#define BAD(...)                                                                       \
    do {                                                                               \
        (void)snprintf(text, sizeof text, __VA_ARGS__);                                \
        is_bad("bad_signature", text);                                                 \
    } while (0)
    assert_true(is_good(good));
    BAD("%s.", good);
    BAD("%s.%s", good, last + 1);
    BAD(".%s", good);
    BAD(" %s", good);
    BAD("%s ", good);
    BAD("%s=", good);
    BAD("%s==", good);
    BAD("%sA", good);
    BAD("%.*s.%s", (int)(last - good), good, "");
    BAD("%.*s", (int)(last - good), good);
    BAD("%.*s..%s", (int)(first - good), good, last + 1);
    BAD("%.*s=%s", (int)(first - good), good, first);
    BAD("%.*s %s", (int)(first - good), good, first);
    BAD("%.*s+%s", (int)(last - good), good, last);
    BAD("..");
    BAD(".");
    BAD("%s", "");
    BAD("a.b.c");
}

/* The unused bits of the last letter: another text of one signature. */
static void the_signature_has_one_writing(void **state)
{
    char text[1024];
    size_t n;

    (void)state;
    n = (size_t)snprintf(text, sizeof text, "%s",
                         signed_by(key, good_header, good_payload));
    text[n - 1]++;
    is_bad("bad_signature", text);
}

static void zeros_and_numbers_beyond_the_order_are_no_signature(void **state)
{
    char text[1024], *at;
    unsigned char raw[64];

    (void)state;
    (void)snprintf(text, sizeof text, "%s", signed_by(key, good_header, good_payload));
    at = strrchr(text, '.') + 1;
    memset(raw, 0, sizeof raw);
    (void)key_url((struct str){(char *)raw, 64}, at);
    is_bad("bad_signature", text);
    memset(raw, 0xFF, sizeof raw);
    (void)key_url((struct str){(char *)raw, 64}, at);
    is_bad("bad_signature", text);
    raw[63] = raw[31] = 1;
    memset(raw, 0, 31);
    memset(raw + 32, 0, 31);
    (void)key_url((struct str){(char *)raw, 64}, at);
    is_bad("bad_signature", text);
}

static void a_large_one_is_refused_unread(void **state)
{
    char *text = malloc((1 << 20) + 1);

    (void)state;
    memset(text, 'A', 1 << 20);
    text[1 << 20] = '\0';
    is_bad("bad_signature", text);
    text[40] = '.';
    text[(1 << 20) - 87] = '.';
    is_bad("bad_signature", text);
    assert_non_null(strstr(why.message, "16384"));
    text[2000] = '\0';
    text[1900] = text[1999 - 86] = '.'; /* its header is too long */
    text[40] = 'A';
    is_bad("bad_signature", text);
    free(text);
}

static void the_field_is_a_text(void **state)
{
    (void)state;
    assert_false(is_good_object("{\"jws-string\":null}"));
    assert_string_equal("bad_signature", why.code);
    assert_false(is_good_object("{\"jws-string\":[\"a.b.c\"]}"));
    assert_string_equal("bad_signature", why.code);
    assert_false(is_good_object("{\"a\":{\"jws-string\":\"a.b.c\"}}"));
    assert_string_equal("unsigned", why.code);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_jws_is_good_for_the_key_of_its_kid),
        T(the_header_does_not_choose_the_algorithm),
        T(keys_inside_the_header_are_not_used),
        T(other_forms_are_refused),
        T(the_signature_has_one_writing),
        T(zeros_and_numbers_beyond_the_order_are_no_signature),
        T(a_large_one_is_refused_unread),
        T(the_field_is_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
