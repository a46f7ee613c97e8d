/* The answers to senders of other origins: browsers and web hooks. */
#include "ingest/cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ingest/webhook.h"

static const char *const origins[] = {"https://a.example", "https://b.example"};
static const struct cors_plan some = {
    .origins = origins, .n_origins = 2, .headers = "Content-Type", .max_age_s = 60};
static const struct cors_plan any = {.any = true, .headers = "X-Key"};
static char out[CORS_BYTES];

static const char *answer(const struct cors_plan *c, const char *origin)
{
    cors_answer(c, origin == NULL ? (struct str){NULL, 0} : str_of(origin), out);
    return out;
}

static void only_an_origin_of_the_list_is_let_in(void **state)
{
    (void)state;
    assert_string_equal("Access-Control-Allow-Origin: https://b.example\r\n"
                        "Access-Control-Expose-Headers: Retry-After\r\n"
                        "Vary: Origin\r\n",
                        answer(&some, "https://b.example"));
    assert_string_equal("", answer(&some, "https://b.example.evil"));
    assert_string_equal("", answer(&some, "https://b.exampl"));
    assert_string_equal("", answer(&some, "null"));
    assert_string_equal("", answer(&some, ""));
    assert_string_equal("", answer(&some, NULL));
    assert_string_equal("", answer(&any, NULL));
    assert_string_equal("Access-Control-Allow-Origin: *\r\n"
                        "Access-Control-Expose-Headers: Retry-After\r\n",
                        answer(&any, "https://evil"));
}

static void a_preflight_lists_the_method_and_headers(void **state)
{
    struct cors_plan own = some;

    (void)state;
    own.credentials = true;
    assert_false(cors_preflight(&own, STR("https://c"), STR("POST"), out));
    assert_string_equal("", out);
    assert_true(cors_preflight(&own, STR("https://a.example"), STR("POST"), out));
    assert_non_null(strstr(out, "Access-Control-Allow-Credentials: true\r\n"));
    assert_non_null(strstr(out, "Access-Control-Allow-Methods: POST\r\n"));
    assert_non_null(strstr(out, "Access-Control-Allow-Headers: Content-Type\r\n"));
    assert_non_null(strstr(out, "Access-Control-Max-Age: 60\r\n"));
}

static bool grant(const struct webhook_plan *w, const char *origin)
{
    const struct str_pair header = {STR("WebHook-Request-Origin"), str_of(origin)};
    const struct policy_request q = {.headers = &header, .n_headers = 1};

    return webhook_grant(w, &q, out);
}

static void a_web_hook_is_granted_to_those_that_are_welcome(void **state)
{
    const char *const names[] = {"grid.example"};
    struct webhook_plan w = {.origins = names, .n_origins = 1};
    const struct policy_request none = {.n_headers = 0};

    (void)state;
    assert_true(grant(&w, "GRID.example"));
    assert_string_equal("Allow: POST\r\nWebHook-Allowed-Origin: GRID.example\r\n"
                        "WebHook-Allowed-Rate: *\r\n",
                        out);
    assert_false(grant(&w, "grid.example.evil"));
    assert_false(grant(&w, "grid.exampl"));
    assert_false(webhook_grant(&w, &none, out));
    w.any = true;
    w.rate = UINT32_MAX;
    assert_true(grant(&w, "other"));
    assert_string_equal("Allow: POST\r\nWebHook-Allowed-Origin: *\r\n"
                        "WebHook-Allowed-Rate: 4294967295\r\n",
                        out);
    assert_false(webhook_grant(&w, &none, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_an_origin_of_the_list_is_let_in),
        cmocka_unit_test(a_preflight_lists_the_method_and_headers),
        cmocka_unit_test(a_web_hook_is_granted_to_those_that_are_welcome)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
