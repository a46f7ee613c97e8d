/* Files of keys: what is read of them, and what is refused before a token comes. */
#include "signature/jwk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "signature/tokens.h"

static struct jwks set;
static struct err e;

static bool read_set(const char *json)
{
    jwks_fini(&set);
    e.text[0] = '\0';
    return token_set(json, &set, &e);
}

static void bad(const char *json, const char *why)
{
    if (read_set(json)) {
        fail_msg("taken: %.300s", json);
    }
    if (strstr(e.text, why) == NULL) {
        fail_msg("%.100s: %s, expected %s", json, e.text, why);
    }
    assert_null(set.keys);
}

#define SET(...) token_text("{\"keys\":[" __VA_ARGS__)

static void keys_of_each_kind_are_read(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256"),
             *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *big = EVP_EC_gen("P-384");

    (void)state;
    assert_true(read_set(SET(
        "%s,%s , %s,%s,{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"},"
        "{\"kty\":\"new\"},%s]}",
        token_jwk_rsa(rsa, ",\"kid\":\"r\",\"alg\":\"RS256\",\"use\":\"sig\""),
        token_jwk_ec(ec, ",\"kid\":\"e\",\"key_ops\":[\"verify\"]"),
        token_jwk_ed(ed, ",\"kid\":\"e\""), token_jwk_secret(STR(TOKEN_SECRET), ""),
        token_jwk_rsa(rsa, ",\"kid\":\"x\",\"use\":\"enc\""))));
    assert_int_equal(4, set.n);
    assert_int_equal(3, set.n_other);
    assert_int_equal(JWS_RS256, set.keys[0].alg);
    assert_int_equal(JWS_ES256, set.keys[1].alg);
    assert_int_equal(JWS_EDDSA, set.keys[2].alg);
    assert_int_equal(JWS_HS256, set.keys[3].alg);
    assert_memory_equal("r", set.keys[0].kid, set.keys[0].n_kid);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ed);
    EVP_PKEY_free(big);
}

/* Neither is one of RSA for PS256 checked as RS256, nor one that only encrypts. */
static void keys_for_other_work_are_passed_over(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256");

    (void)state;
    assert_true(read_set(SET(
        "%s,%s,%s,%s,%s,%s]}", token_jwk_rsa(rsa, ",\"kid\":\"a\",\"alg\":\"PS256\""),
        token_jwk_rsa(rsa, ",\"kid\":\"b\",\"alg\":\"RS256\",\"use\":\"enc\""),
        token_jwk_ec(ec, ",\"kid\":\"c\",\"alg\":\"ECDH-ES\""),
        token_jwk_ec(ec, ",\"kid\":\"d\",\"key_ops\":[\"deriveKey\"]"),
        token_jwk_ec(ec, ",\"kid\":\"e\",\"alg\":7"),
        token_jwk_ec(ec, ",\"kid\":\"f\",\"alg\":\"ES256\""))));
    assert_int_equal(1, set.n);
    assert_int_equal(5, set.n_other);
    assert_memory_equal("f", set.keys[0].kid, 1);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

/* A private key in a file of public ones is a mistake that must not go unseen. */
static void private_keys_are_refused(void **state)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256");

    (void)state;
    bad(SET("%s]}", token_jwk_ec(ec, ",\"d\":\"AAAA\"")), "key 1 is a private key");
    bad(SET("{\"kty\":\"x\"},{\"kty\":\"RSA\",\"n\":\"AA\",\"p\":\"AA\"}]}"),
        "key 2 is a private key");
    bad(token_jwk_ec(ec, ",\"d\":\"AAAA\""), "is a private key");
    bad(SET("%s]}", token_jwk_ec(ec, ",\"\\u0064\":\"AAAA\"")), "private");
    EVP_PKEY_free(ec);
}

/* What anybody knows is no secret: a public key as the secret of HS256. */
static void a_public_key_is_no_secret(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    BIO *b = BIO_new(BIO_s_mem());
    char *pem;
    size_t n;

    (void)state;
    assert_int_equal(1, PEM_write_bio_PUBKEY(b, rsa));
    n = (size_t)BIO_get_mem_data(b, &pem);
    bad(SET("%s]}", token_jwk_secret((struct str){pem, n}, "")),
        "is the text of a PEM");
    BIO_free(b);
    EVP_PKEY_free(rsa);
}

static void weak_and_broken_keys_are_refused(void **state)
{
    EVP_PKEY *small = EVP_RSA_gen(1024), *large = EVP_RSA_gen(4352),
             *ec = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048);
    const char *n;
    char even[512];

    (void)state;
    bad(SET("%s]}", token_jwk_rsa(small, "")), "2048 to 4096 bits");
    bad(SET("%s]}", token_jwk_rsa(large, "")), "2048 to 4096 bits");
    n = token_number(rsa, OSSL_PKEY_PARAM_RSA_N, 0);
    bad(SET("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQ\"}]}", n), "no valid public key");
    bad(SET("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"Ag\"}]}", n), "no valid public key");
    bad(SET("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"\"}]}", n), "2048 to 4096 bits");
    (void)snprintf(even, sizeof even, "%s", n);
    even[strlen(even) - 1] = 'A';
    bad(SET("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\"}]}", even),
        "no valid public");
    bad(SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}]}",
            token_number(ec, OSSL_PKEY_PARAM_EC_PUB_X, 32),
            token_number(ec, OSSL_PKEY_PARAM_EC_PUB_X, 32)),
        "no valid public key");
    bad(SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}"),
        "32 bytes");
    bad(SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}"), "32 bytes");
    bad(SET("%s]}", token_jwk_secret(STR("31 bytes are too few for HS256."), "")),
        "less than 32 bytes");
    bad(SET("{\"kty\":\"oct\",\"k\":\"\"}]}"), "has no k");
    bad(SET("{\"kty\":\"oct\",\"k\":\"a secret=\"}]}"), "has no k");
    EVP_PKEY_free(small);
    EVP_PKEY_free(large);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
}

/* Keys for which everybody can sign: a secret that is one byte again and again, also as
 * it is padded for the digest, and points of Ed25519 of a small order, in each of their
 * spellings. */
static void keys_that_everybody_knows_are_refused(void **state)
{
    static const char *const points[] = {
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 0 */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 1 */
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "7P_______________________________________38", /* -1 */
        "7P________________________________________8",
        "7f_______________________________________38", /* p */
        "7f________________________________________8",
        "7v_______________________________________38", /* p + 1 */
        "7v________________________________________8",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o"};
    char secret[64];

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        bad(SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}]}", points[i]),
            "no valid public key");
    }
    for (int c = 0; c < 256; c += 51) {
        memset(secret, c, sizeof secret);
        bad(SET("%s]}", token_jwk_secret((struct str){secret, sizeof secret}, "")),
            "one byte again and again");
    }
    secret[40] = 'x';
    assert_true(read_set(
        SET("%s]}", token_jwk_secret((struct str){secret, sizeof secret}, ""))));
}

static void files_of_another_form_are_refused(void **state)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    char deep[4096];

    (void)state;
    bad("", "no JSON object");
    bad("[]", "no JSON object");
    bad("-----BEGIN PUBLIC KEY-----", "no JSON object");
    bad("{}", "has no \"keys\"");
    bad("{\"keys\":{}}", "one array");
    bad("{\"keys\":[],\"keys\":[]}", "one array");
    bad("{\"keys\":[]}", "has no key for");
    bad("{\"keys\":[7]}", "key 1 is no object");
    bad("{\"keys\":[{}]}", "key 1 has no kty");
    bad("{\"keys\":[{\"kty\":\"EC\",\"kty\":\"oct\"}]}", "has a member twice");
    bad(SET("%s,%s]}", token_jwk_ec(ec, ",\"kid\":\"a\""),
            token_jwk_ec(ec, ",\"kid\":\"a\"")),
        "key 2 has the kid and the type of an earlier key");
    bad(SET("%s]}", token_jwk_ec(ec, ",\"kid\":7")), "has a kid that is no text");
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    bad(token_text("{\"keys\":%s", deep), "no JSON object");
    EVP_PKEY_free(ec);
}

static void more_keys_than_32_are_refused(void **state)
{
    char json[65536];
    size_t n = (size_t)snprintf(json, sizeof json, "{\"keys\":[");

    (void)state;
    for (int i = 0; i < 33; i++) {
        n += (size_t)snprintf(
            json + n, sizeof json - n, "%s%s", i > 0 ? "," : "",
            token_jwk_secret(STR(TOKEN_SECRET), token_text(",\"kid\":\"%d\"", i)));
        if (i == 31) {
            char all[65536];

            (void)snprintf(all, sizeof all, "%s]}", json);
            assert_true(read_set(all));
            assert_int_equal(32, set.n);
        }
    }
    (void)snprintf(json + n, sizeof json - n, "]}");
    bad(json, "more than 32 keys");
}

/* An error shows nothing of a secret. */
static void an_error_tells_no_secret(void **state)
{
    (void)state;
    bad(SET("{\"kty\":\"oct\",\"k\":\"UExBTlRFRA\"}]}"), "less than 32 bytes");
    assert_null(strstr(e.text, "UExBTlRFRA"));
    assert_null(strstr(e.text, "PLANTED"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_each_kind_are_read),
        cmocka_unit_test(keys_for_other_work_are_passed_over),
        cmocka_unit_test(private_keys_are_refused),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(weak_and_broken_keys_are_refused),
        cmocka_unit_test(keys_that_everybody_knows_are_refused),
        cmocka_unit_test(files_of_another_form_are_refused),
        cmocka_unit_test(more_keys_than_32_are_refused),
        cmocka_unit_test(an_error_tells_no_secret),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    jwks_fini(&set);
    return failed;
}
