/* Texts that are public keys, and texts that are not. */
#include "signature/pin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "signature/keys.h"

static void is_bad(const char *expected, const char *text)
{
    struct pin p;
    const char *why = NULL;

    if (pin_read(str_of(text), &p, &why)) {
        fail_msg("a key: %s", text);
    }
    assert_null(p.key);
    assert_string_equal(expected, why);
}

static char *pem_of(EVP_PKEY *key, bool private)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *data, *out;
    long n;

    if (private) {
        (void)PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
    } else {
        (void)PEM_write_bio_PUBKEY(b, key);
    }
    n = BIO_get_mem_data(b, &data);
    out = strndup(data, (size_t)n);
    BIO_free(b);
    return out;
}

static void a_pem_and_base64_are_one_key(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *weak = EVP_EC_gen("P-192");
    char *pem = pem_of(key, false), text[512], spaced[600];
    struct pin a, b;
    const char *why;

    (void)state;
    key_text(key, text);
    assert_true(pin_read(str_of(pem), &a, &why));
    (void)snprintf(spaced, sizeof spaced, " %.30s\r\n\t%s\n", text, text + 30);
    assert_true(pin_read(str_of(spaced), &b, &why));
    assert_int_equal(1, EVP_PKEY_eq(a.key, b.key));
    assert_int_equal(PIN_P256, a.curve);
    pin_fini(&a);
    pin_fini(&b);
    key_text(weak, text);
    assert_true(pin_read(str_of(text), &a, &why));
    assert_int_equal(PIN_P192, a.curve);
    pin_fini(&a);
    free(pem);
    EVP_PKEY_free(key);
    EVP_PKEY_free(weak);
}

static void other_keys_are_refused(void **state)
{
    static const char *const curves[] = {"P-384", "secp256k1", "P-224"};
    char text[512], *pem;
    EVP_PKEY *key;

    (void)state;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        key = EVP_EC_gen(curves[i]);
        key_text(key, text);
        is_bad("is not of the curve P-256", text);
        EVP_PKEY_free(key);
    }
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    key_text(key, text);
    is_bad("is not of the curve P-256", text);
    EVP_PKEY_free(key);
    key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    key_text(key, text);
    is_bad("is not of the curve P-256", text);
    EVP_PKEY_free(key);
    key = EVP_EC_gen("P-256");
    pem = pem_of(key, true);
    is_bad("is a PEM, but of no public key: expected BEGIN PUBLIC KEY", pem);
    free(pem);
    EVP_PKEY_free(key);
}

static void texts_that_are_no_key_are_refused(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    char text[512], changed[2200], *pem = pem_of(key, false);
    size_t n;

    (void)state;
    key_text(key, text);
    is_bad("is neither a PEM nor base64", "");
    is_bad("is neither a PEM nor base64", "secret");
    is_bad("is no public key: expected a SubjectPublicKeyInfo", "c2VjcmV0");
    /* Bytes behind it, a point that is not on the curve, the end missing. */
    n = strlen(text);
    (void)snprintf(changed, sizeof changed, "%.*sAAAA", (int)n, text);
    memcpy(changed + n - 2, "AA", 2);
    is_bad("is no public key: expected a SubjectPublicKeyInfo", changed);
    (void)snprintf(changed, sizeof changed, "%s", text);
    changed[60] = changed[60] == 'A' ? 'B' : 'A';
    is_bad("is no public key: expected a SubjectPublicKeyInfo", changed);
    (void)snprintf(changed, sizeof changed, "%.40s", text);
    is_bad("is no public key: expected a SubjectPublicKeyInfo", changed);
    (void)snprintf(changed, sizeof changed, "%.60s", pem);
    is_bad("has no END PUBLIC KEY", changed);
    (void)snprintf(changed, sizeof changed, "%s%s", pem, pem);
    is_bad("has more than one key", changed);
    memset(changed, 'A', sizeof changed - 1);
    changed[sizeof changed - 1] = '\0';
    is_bad("is longer than a public key", changed);
    free(pem);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pem_and_base64_are_one_key),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(texts_that_are_no_key_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
