/* Tokens that are signed well: their times, issuers, audiences, sizes and claims, and the
 * memory of those that were good. */
#include "signature/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "signature/jwt_fixture.h"

static void times_are_kept_to_the_second(void **state)
{
    const char *token =
        token_text("%s", es(claims_with(",\"exp\":1700000060,\"nbf\":1699999990")));

    (void)state;
    assert_true(check_at(token, NOW + 59));
    assert_false(check_at(token, NOW + 60));
    assert_string_equal("expired_token", why.code);
    assert_true(check_at(token, NOW - 10));
    assert_false(check_at(token, NOW - 11));
    assert_string_equal("early_token", why.code);
    rules.leeway_s = 30;
    assert_true(check_at(token, NOW + 89));
    assert_false(check_at(token, NOW + 90));
    assert_true(check_at(token, NOW - 40));
    assert_false(check_at(token, NOW - 41));
}

static void an_exp_of_another_kind_is_no_time(void **state)
{
    static const char *const values[] = {"\"1700000060\"",
                                         "-1700000060",
                                         "1.7e9",
                                         "1700000060e0",
                                         "9223372036854775808",
                                         "18446744073709551615",
                                         "1e400",
                                         "null",
                                         "true",
                                         "[1700000060]",
                                         "{}",
                                         "\"\"",
                                         "1000000000000000",
                                         "-0",
                                         "1700000060.5e1"};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        bad("bad_token", es(claims_with(",\"exp\":%s", values[i])));
        bad("bad_token", es(claims_with(",\"exp\":1700000060,\"nbf\":%s", values[i])));
    }
    bad("bad_token", es(claims_with("%s", "")));
    bad("bad_token", es(claims_with(",\"exp\":1,\"exp\":1700000060")));
    bad("bad_token", es(claims_with(",\"exp\":1700000060,\"\\u0065xp\":1700000061")));
    bad("expired_token", es(claims_with(",\"exp\":0")));
    bad("expired_token", es(claims_with(",\"exp\":1700000000.9")));
    good(es(claims_with(",\"exp\":1700000001.9")));
    good(es(claims_with(",\"exp\":999999999999")));
    bad("early_token", es(claims_with(",\"exp\":1700000060,\"nbf\":1700000001")));
}

static void issuer_and_audience_are_those_of_the_route(void **state)
{
    static const struct {
        const char *code, *claims;
    } cases[] = {
        {NULL, "\"iss\":\"me\",\"aud\":[\"x\",7,{\"a\":[\"y\"]},\"us\"]"},
        {NULL, "\"iss\":\"m\\u0065\",\"aud\":\"u\\u0073\""},
        {"wrong_audience", "\"iss\":\"me\""},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":\"them\""},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":\"us2\""},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":\"u\""},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":\"US\""},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":[]"},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":[[\"us\"]]"},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":{\"us\":\"us\"}"},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":[\"them\",\"us \"]"},
        {"wrong_audience", "\"iss\":\"me\",\"aud\":null"},
        {"wrong_issuer", "\"aud\":\"us\""},
        {"wrong_issuer", "\"iss\":\"you\",\"aud\":\"us\""},
        {"wrong_issuer", "\"iss\":[\"me\"],\"aud\":\"us\""},
        {"wrong_issuer", "\"iss\":\"me\\u0000\",\"aud\":\"us\""},
        {"bad_token", "\"iss\":\"you\",\"iss\":\"me\",\"aud\":\"us\""},
        {"bad_token", "\"iss\":\"me\",\"aud\":\"us\",\"aud\":\"us\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *token = es(token_text("{%s,\"exp\":1700000060}", cases[i].claims));

        if (cases[i].code == NULL) {
            good(token);
        } else {
            bad(cases[i].code, token);
        }
    }
}

/* What is wrong but for its times and its signature is not kept as good. */
static void a_token_that_was_refused_is_refused_again(void **state)
{
    static const struct {
        const char *code, *claims;
    } cases[] = {
        {"wrong_issuer", "{\"aud\":\"us\",\"exp\":1700000060}"},
        {"wrong_audience", "{\"iss\":\"me\",\"exp\":1700000060}"},
        {"bad_token", "{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1700000060,\"sub\":1,"
                      "\"sub\":2}"},
    };

    (void)state;
    rules.claims[rules.n_claims++] = STR("sub");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *token = strdup(es(cases[i].claims)); /* each signature is another */

        bad(cases[i].code, token);
        bad(cases[i].code, token);
        free(token);
    }
}

static void a_large_or_deep_token_is_refused(void **state)
{
    char *text = calloc(1, 1 << 20);

    (void)state;
    memset(text, 'A', (1 << 20) - 1);
    bad("bad_token", text);
    text[100] = text[5000] = '.';
    bad("bad_token", text);
    text[8193] = '\0';
    bad("bad_token", text);
    text[8192] = '\0';
    bad("bad_token", text);
    /* Signed well, so that the depth is what is refused. */
    memset(text, '[', 5000);
    text[5000] = '\0';
    bad("bad_token", es(token_text("{\"a\":%s", text)));
    bad("bad_token", es(text));
    bad("bad_token", token_of(ec, text, CLAIMS));
    text[700] = '\0';
    bad("bad_token",
        token_of(ec, token_text("{\"alg\":\"ES256\",\"a\":%s", text), CLAIMS));
    bad("bad_token", es("{"));
    bad("bad_token", es("[]"));
    bad("bad_token", es("\"x\""));
    bad("bad_token", es("{\"iss\":\"me\"}x"));
    bad("bad_token", es("{\"iss\":\"\xFF\"}"));
    free(text);
}

static void a_token_that_was_good_is_not_checked_again(void **state)
{
    char token[2048];
    const char *first;

    (void)state;
    (void)snprintf(token, sizeof token, "%s", es(CLAIMS));
    good(token);
    assert_int_equal(0, jwt_hits(verifier));
    good(token);
    good(token);
    assert_int_equal(2, jwt_hits(verifier));
    assert_false(check_at(token, NOW + 60));
    assert_string_equal("expired_token", why.code);
    /* What was refused is not remembered as good. */
    first =
        token_text("%s", token_of(ec2, "{\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS));
    bad("bad_token", first);
    bad("bad_token", first);
}

static void the_cache_keeps_its_size(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * JWT_CACHE_TOKENS; i++) {
        const char *token = token_of(NULL, "{\"alg\":\"HS256\",\"kid\":\"h\"}",
                                     claims_with(",\"exp\":%d", NOW + 1 + i));

        good(token);
        good(token);
        assert_int_equal(i + 1, jwt_hits(verifier));
    }
}

static void a_key_that_a_reload_took_away_is_not_in_its_cache(void **state)
{
    char token[2048];

    (void)state;
    (void)snprintf(token, sizeof token, "%s", es(CLAIMS));
    good(token);
    start(token_text("{\"keys\":[%s]}", token_jwk_ec(ec2, ",\"kid\":\"e2\"")));
    bad("unknown_key", token);
}

static void a_claim_is_read_of_a_good_token(void **state)
{
    char token[4096], *text = calloc(1, 300);
    struct str s;

    (void)state;
    memset(text, 'x', 257);
    (void)snprintf(
        token, sizeof token, "%s",
        es(claims_with(",\"exp\":1700000060,\"sub\":\"u\\u00e9\",\"n\":1.50,"
                       "\"t\":true,\"f\":false,\"l\":[1],\"o\":{},\"z\":null,"
                       "\"max\":\"%.256s\",\"long\":\"%s\"",
                       text, text)));
    good(token);
    assert_int_equal(JWT_TEXT, jwt_claim(verifier, str_of(token), STR("sub"), &s));
    assert_true(str_eq(STR("u\xC3\xA9"), s));
    assert_int_equal(JWT_NUMBER, jwt_claim(verifier, str_of(token), STR("n"), &s));
    assert_true(str_eq(STR("1.50"), s));
    assert_int_equal(JWT_TRUE, jwt_claim(verifier, str_of(token), STR("t"), &s));
    assert_int_equal(JWT_FALSE, jwt_claim(verifier, str_of(token), STR("f"), &s));
    assert_int_equal(JWT_NOTHING, jwt_claim(verifier, str_of(token), STR("l"), &s));
    assert_int_equal(JWT_NOTHING, jwt_claim(verifier, str_of(token), STR("o"), &s));
    assert_int_equal(JWT_NOTHING, jwt_claim(verifier, str_of(token), STR("z"), &s));
    assert_int_equal(JWT_NOTHING, jwt_claim(verifier, str_of(token), STR("no"), &s));
    assert_int_equal(JWT_TEXT, jwt_claim(verifier, str_of(token), STR("max"), &s));
    assert_int_equal(JWT_NOTHING, jwt_claim(verifier, str_of(token), STR("long"), &s));
    rules.claims[rules.n_claims++] = STR("sub");
    bad("bad_token",
        es(claims_with(",\"exp\":1700000060,\"sub\":\"a\",\"sub\":\"b\"")));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JWT_TEST(times_are_kept_to_the_second),
        JWT_TEST(an_exp_of_another_kind_is_no_time),
        JWT_TEST(issuer_and_audience_are_those_of_the_route),
        JWT_TEST(a_token_that_was_refused_is_refused_again),
        JWT_TEST(a_large_or_deep_token_is_refused),
        JWT_TEST(a_token_that_was_good_is_not_checked_again),
        JWT_TEST(the_cache_keeps_its_size),
        JWT_TEST(a_key_that_a_reload_took_away_is_not_in_its_cache),
        JWT_TEST(a_claim_is_read_of_a_good_token),
    };

    return jwt_run(tests, sizeof tests / sizeof *tests);
}
