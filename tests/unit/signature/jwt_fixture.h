/* jwt_fixture.h: a verifier of fresh keys for each test, and what is expected of a token at
 * one time.
 *
 * Behind cmocka.h. Errors: fail the test. */
#pragma once

#include "signature/tokens.h"

enum { NOW = 1700000000 };

static EVP_PKEY *rsa, *ec, *ec2, *ed;
static struct jwt_rules rules;
static struct jwt_verifier *verifier;
static struct signature_fault why;

#define CLAIMS "{\"iss\":\"me\",\"aud\":\"us\",\"sub\":\"u1\",\"exp\":1700000060}"

static bool check_at(const char *token, int64_t now)
{
    why = (struct signature_fault){NULL, NULL, NULL};
    return jwt_check(verifier, str_of(token), now, &why);
}

static void good(const char *token)
{
    if (!check_at(token, NOW)) {
        fail_msg("%s: %.200s", why.message, token);
    }
}

static void bad(const char *code, const char *token)
{
    if (check_at(token, NOW)) {
        fail_msg("taken: %.300s", token);
    }
    if (strcmp(code, why.code) != 0) {
        fail_msg("%s (%s), expected %s: %.300s", why.code, why.message, code, token);
    }
}

static void start(const char *set)
{
    struct err e;

    jwt_verifier_free(verifier);
    jwt_rules_fini(&rules);
    rules = (struct jwt_rules){.algs = (1u << JWS_ALGS) - 1, .leeway_s = 0};
    if (!token_set(set, &rules.keys, &e)) {
        fail_msg("%s", e.text);
    }
    verifier = jwt_verifier_new(&rules);
    assert_non_null(verifier);
}

static int setup(void **state)
{
    (void)state;
    start(token_text(
        "{\"keys\":[%s,%s,%s,%s,%s]}", token_jwk_rsa(rsa, ",\"kid\":\"r\""),
        token_jwk_ec(ec, ",\"kid\":\"e\""), token_jwk_ec(ec2, ",\"kid\":\"e2\""),
        token_jwk_ed(ed, ",\"kid\":\"d\""),
        token_jwk_secret(STR(TOKEN_SECRET), ",\"kid\":\"h\"")));
    rules.issuers[rules.n_issuers++] = STR("me");
    rules.audiences[rules.n_audiences++] = STR("us");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    jwt_verifier_free(verifier);
    verifier = NULL;
    jwt_rules_fini(&rules);
    return 0;
}

static inline const char *claims_with(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
static inline const char *claims_with(const char *fmt, ...)
{
    char more[2048];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(more, sizeof more, fmt, ap);
    va_end(ap);
    return token_text("{\"iss\":\"me\",\"aud\":\"us\"%s}", more);
}

static inline const char *es(const char *claims)
{
    return token_of(ec, "{\"alg\":\"ES256\",\"kid\":\"e\"}", claims);
}

/* A group of tests with fresh keys. */
static inline int jwt_run(const struct CMUnitTest *tests, size_t n)
{
    int failed;

    rsa = EVP_RSA_gen(2048);
    ec = EVP_EC_gen("P-256");
    ec2 = EVP_EC_gen("P-256");
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    failed = _cmocka_run_group_tests("jwt", tests, n, NULL, NULL);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ec2);
    EVP_PKEY_free(ed);
    return failed;
}

#define JWT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
