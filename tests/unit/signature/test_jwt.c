/* Tokens: the vectors of the standards, good ones of each kind, and forged ones. */
#include "signature/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "signature/jwt_fixture.h"
#include "signature/public_key.h"

static void a_token_of_each_algorithm_is_good(void **state)
{
    (void)state;
    good(token_of(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", CLAIMS));
    good(token_of(ed, "{\"alg\":\"EdDSA\",\"kid\":\"d\"}", CLAIMS));
    good(token_of(NULL, "{\"alg\":\"HS256\",\"kid\":\"h\"}", CLAIMS));
    good(token_of(ec2, "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"e2\"}", CLAIMS));
    for (int i = 0; i < 200; i++) { /* r or s of few bytes among them */
        good(es(claims_with(",\"exp\":1700000060,\"jti\":\"%d\"", i)));
    }
}

#define JOE                                                                            \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"                 \
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

/* RFC 7515, A.1 to A.3; RFC 8037, A.4 with the payload of no JSON. */
static void the_tokens_of_the_standards_are_good(void **state)
{
    struct evp_pkey_st *key;
    struct checker *c;
    char x[32], raw[64];
    size_t n;

    (void)state;
    start(
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr"
        "_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},"
        "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26"
        "mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG"
        "6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo"
        "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmo"
        "udF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
        "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uP"
        "HvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}");
    assert_true(check_at("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE
                         ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                         1300819379));
    assert_true(check_at("eyJhbGciOiJSUzI1NiJ9." JOE ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__"
                         "dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
                         "lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB-"
                         "-f_nZLgrnbyTyWzO75v"
                         "RK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
                         "xi12jzDwusC-eOkHWE"
                         "sqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98"
                         "rqVt5AXLIhWkWywlVm"
                         "tVrBp0igcN_IoypGlUPQGe77Rw",
                         1300819379));
    assert_true(check_at("eyJhbGciOiJFUzI1NiJ9." JOE
                         ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfT"
                         "jDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
                         1300819379));
    assert_true(
        base64url_read(STR("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), x, &n));
    key = public_key_ed25519(x);
    c = checker_new(JWS_EDDSA, key);
    assert_true(
        base64url_read(STR("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR"
                           "4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
                       raw, &n));
    assert_true(checker_check(
        c, STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
        (struct str){raw, n}));
    raw[5] = (char)(raw[5] ^ 1);
    assert_false(checker_check(
        c, STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
        (struct str){raw, n}));
    checker_free(c);
    public_key_free(key);
}

/* In any writing, with the signature of a real key or with none. */
static void none_is_no_algorithm(void **state)
{
    static const char *const words[] = {"none",  "None",  "NONE",  "nOnE",
                                        "",      "null",  "HS384", "RS384",
                                        "PS256", "es256", "ES256K"};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (int kid = 0; kid < 2; kid++) {
            const char *header =
                token_text("{\"alg\":\"%s\"%s}", words[i], kid ? ",\"kid\":\"e\"" : "");
            const char *token = token_of(ec, header, CLAIMS);

            bad("bad_token", token);
            bad("bad_token",
                token_text("%.*s", (int)(strrchr(token, '.') + 1 - token), token));
            bad("bad_token",
                token_text("%.*s", (int)(strrchr(token, '.') - token), token));
        }
    }
    bad("bad_token", token_of(ec, "{\"alg\":null,\"kid\":\"e\"}", CLAIMS));
    bad("bad_token", token_of(ec, "{\"alg\":[\"ES256\"],\"kid\":\"e\"}", CLAIMS));
    bad("bad_token", token_of(ec, "{\"kid\":\"e\"}", CLAIMS));
}

/* A key is of one algorithm; the header can't make it another one. */
static void the_header_does_not_choose_what_a_key_is_for(void **state)
{
    (void)state;
    bad("unknown_key", token_of(NULL, "{\"alg\":\"HS256\",\"kid\":\"r\"}", CLAIMS));
    bad("unknown_key", token_of(rsa, "{\"alg\":\"RS256\",\"kid\":\"e\"}", CLAIMS));
    bad("bad_token", token_of(rsa, "{\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS));
    bad("bad_token", token_of(rsa, "{\"alg\":\"HS256\",\"kid\":\"h\"}", CLAIMS));
    bad("bad_token", token_of(ec, "{\"alg\":\"EdDSA\",\"kid\":\"d\"}", CLAIMS));
    bad("bad_token", token_of(ec, "{\"alg\":\"RS256\",\"kid\":\"r\"}", CLAIMS));
    rules.algs = 1u << JWS_RS256;
    bad("bad_token", es(CLAIMS));
    good(token_of(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", CLAIMS));
}

/* HMAC with the bytes of the public key, as a verifier of any kind would take it. */
static void a_public_key_signs_nothing(void **state)
{
    BIO *b = BIO_new(BIO_s_mem());
    char token[8192];
    unsigned char raw[HMAC_BYTES];
    struct hmac_key k;
    struct str input;
    char *pem;
    size_t n;

    (void)state;
    start(token_text("{\"keys\":[%s]}", token_jwk_rsa(rsa, ",\"kid\":\"r\"")));
    assert_int_equal(1, PEM_write_bio_PUBKEY(b, rsa));
    n = (size_t)BIO_get_mem_data(b, &pem);
    hmac_key_init(&k, (struct str){pem, n});
    for (int kid = 0; kid < 2; kid++) {
        n = key_url(
            str_of(kid ? "{\"alg\":\"HS256\",\"kid\":\"r\"}" : "{\"alg\":\"HS256\"}"),
            token);
        token[n++] = '.';
        n += key_url(str_of(CLAIMS), token + n);
        input = (struct str){token, n};
        hmac_sign(&k, &input, 1, raw);
        token[n++] = '.';
        (void)key_url((struct str){(char *)raw, sizeof raw}, token + n);
        bad("unknown_key", token);
    }
    BIO_free(b);
}

static void the_key_is_the_one_that_kid_names(void **state)
{
    (void)state;
    bad("bad_token", token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e2\"}", CLAIMS));
    bad("unknown_key", token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e3\"}", CLAIMS));
    bad("unknown_key", token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"\"}", CLAIMS));
    bad("unknown_key", token_of(ec, "{\"alg\":\"ES256\"}", CLAIMS)); /* there are two */
    good(token_of(rsa, "{\"alg\":\"RS256\"}", CLAIMS));              /* there is one */
    bad("bad_token", token_of(ec, "{\"alg\":\"ES256\",\"kid\":7}", CLAIMS));
    bad("bad_token", token_of(ec, "{\"alg\":\"ES256\",\"kid\":null}", CLAIMS));
    bad("unknown_key", token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"../../e\"}", CLAIMS));
    bad("bad_token",
        token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e2\",\"kid\":\"e\"}", CLAIMS));
    bad("bad_token",
        token_of(ec, "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS));
    bad("bad_token",
        token_of(ec, "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS));
    bad("bad_token",
        token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e\",\"\\u006bid\":\"e\"}", CLAIMS));
    bad("bad_token",
        token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e\",\"crit\":[\"exp\"]}", CLAIMS));
    bad("bad_token",
        token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e\",\"b64\":false}", CLAIMS));
}

static void a_key_without_a_name_is_none_that_a_token_names(void **state)
{
    (void)state;
    start(token_text("{\"keys\":[%s]}", token_jwk_ec(ec, "")));
    good(token_of(ec, "{\"alg\":\"ES256\"}", CLAIMS));
    bad("unknown_key", token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS));
    bad("unknown_key", token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"\"}", CLAIMS));
}

/* Each byte of it counts, also the last. */
static void a_digest_is_compared_to_its_end(void **state)
{
    const char *right = token_of(NULL, "{\"alg\":\"HS256\",\"kid\":\"h\"}", CLAIMS);
    char token[2048];
    size_t n = strlen(right);

    (void)state;
    good(right);
    for (size_t i = n - 43; i < n - 1; i++) {
        (void)snprintf(token, sizeof token, "%s", right);
        token[i] = token[i] == 'A' ? 'B' : 'A';
        bad("bad_token", token);
    }
}

static void a_key_inside_the_token_is_not_used(void **state)
{
    EVP_PKEY *own = EVP_EC_gen("P-256");
    const char *jwk = token_jwk_ec(own, "");

    (void)state;
    bad("bad_token",
        token_of(own, token_text("{\"alg\":\"ES256\",\"kid\":\"e\",\"jwk\":%s}", jwk),
                 CLAIMS));
    bad("unknown_key",
        token_of(own, token_text("{\"alg\":\"ES256\",\"jwk\":%s}", jwk), CLAIMS));
    bad("bad_token",
        token_of(own,
                 "{\"alg\":\"ES256\",\"kid\":\"e\",\"jku\":\"http://127.0.0.1/\","
                 "\"x5u\":\"http://127.0.0.1/\",\"x5c\":[\"AAAA\"]}",
                 CLAIMS));
    EVP_PKEY_free(own);
}

static void other_writings_of_a_token_are_refused(void **state)
{
    char token[2048], *first, *last;

    (void)state;
    (void)snprintf(token, sizeof token, "%s", es(CLAIMS));
    first = strchr(token, '.');
    last = strrchr(token, '.');
    good(token);
    bad("bad_token", token_text("%s=", token));
    bad("bad_token", token_text("%s==", token));
    bad("bad_token", token_text("%s ", token));
    bad("bad_token", token_text(" %s", token));
    bad("bad_token", token_text("%s\n", token));
    bad("bad_token", token_text("%s.", token));
    bad("bad_token", token_text("%s.x", token));
    bad("bad_token", token_text("%s, %s", token, token));
    bad("bad_token", token_text("%.*s=%s", (int)(first - token), token, first));
    bad("bad_token", token_text("%.*s %s", (int)(last - token), token, last));
    bad("bad_token", token_text("%.*s+%s", (int)(last - token), token, last));
    bad("bad_token", token_text("%.*s..%s", (int)(first - token), token, last + 1));
    bad("bad_token", token_text("%.*s", (int)(last - token), token));
    bad("bad_token", "");
    bad("bad_token", ".");
    bad("bad_token", "..");
    bad("bad_token", "a.b.c");
    token[strlen(token) - 1]++; /* unused bits of the last letter */
    bad("bad_token", token);
}

/* The token with another signature. */
static const char *resigned(const char *token, const void *raw, size_t n)
{
    char url[2048];

    (void)key_url((struct str){raw, n}, url);
    return token_text("%.*s%s", (int)(strrchr(token, '.') + 1 - token), token, url);
}

static void a_signature_of_es256_is_two_numbers_in_range(void **state)
{
    /* The order of P-256. */
    static const unsigned char order[32] = {
        0xFF, 0xFF, 0xFF, 0xFF, 0,    0,    0,    0,    0xFF, 0xFF, 0xFF,
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17,
        0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};
    unsigned char raw[64] = {0}, der[80];
    const char *token = es(CLAIMS);
    size_t n =
        key_sign(ec, (struct str){token, (size_t)(strrchr(token, '.') - token)}, der);

    (void)state;
    bad("bad_token", resigned(token, der, n));
    bad("bad_token", resigned(token, raw, 64));
    bad("bad_token", resigned(token, raw, 0));
    bad("bad_token", resigned(token, raw, 63));
    key_raw(der, n, raw);
    good(resigned(token, raw, 64));
    memset(raw, 0, 32);
    bad("bad_token", resigned(token, raw, 64));
    key_raw(der, n, raw);
    memset(raw + 32, 0, 32);
    bad("bad_token", resigned(token, raw, 64));
    memcpy(raw + 32, order, 32);
    bad("bad_token", resigned(token, raw, 64));
    key_raw(der, n, raw);
    memcpy(raw, order, 32);
    bad("bad_token", resigned(token, raw, 64));
    memset(raw, 0xFF, 64);
    bad("bad_token", resigned(token, raw, 64));
}

static void a_signature_of_rs256_is_as_long_as_its_key(void **state)
{
    char token[2048];
    unsigned char raw[513] = {0};
    size_t n;

    (void)state;
    (void)snprintf(token, sizeof token, "%s",
                   token_of(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", CLAIMS));
    assert_true(base64url_read(str_of(strrchr(token, '.') + 1), (char *)raw + 1, &n));
    assert_int_equal(256, n);
    good(resigned(token, raw + 1, 256));
    bad("bad_token", resigned(token, raw, 257)); /* a zero before it */
    bad("bad_token", resigned(token, raw + 1, 255));
    bad("bad_token", resigned(token, raw + 1, 0));
    bad("bad_token", resigned(token, raw, 512));
    bad("bad_token", resigned(token, raw, 513));
    memset(raw, 0, sizeof raw);
    bad("bad_token", resigned(token, raw, 256));
    raw[255] = 1; /* 1 to any power is 1 */
    bad("bad_token", resigned(token, raw, 256));
}

static void a_changed_payload_is_not_signed(void **state)
{
    char token[2048], other[1024];
    const char *dot;

    (void)state;
    (void)snprintf(token, sizeof token, "%s", es(CLAIMS));
    dot = strchr(token, '.');
    (void)key_url(
        STR("{\"iss\":\"me\",\"aud\":\"us\",\"sub\":\"root\",\"exp\":1700000060}"),
        other);
    bad("bad_token",
        token_text("%.*s.%s%s", (int)(dot - token), token, other, strrchr(token, '.')));
    good(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JWT_TEST(a_token_of_each_algorithm_is_good),
        JWT_TEST(the_tokens_of_the_standards_are_good),
        JWT_TEST(none_is_no_algorithm),
        JWT_TEST(the_header_does_not_choose_what_a_key_is_for),
        JWT_TEST(a_public_key_signs_nothing),
        JWT_TEST(the_key_is_the_one_that_kid_names),
        JWT_TEST(a_key_without_a_name_is_none_that_a_token_names),
        JWT_TEST(a_digest_is_compared_to_its_end),
        JWT_TEST(a_key_inside_the_token_is_not_used),
        JWT_TEST(other_writings_of_a_token_are_refused),
        JWT_TEST(a_signature_of_es256_is_two_numbers_in_range),
        JWT_TEST(a_signature_of_rs256_is_as_long_as_its_key),
        JWT_TEST(a_changed_payload_is_not_signed),
    };

    return jwt_run(tests, sizeof tests / sizeof *tests);
}
