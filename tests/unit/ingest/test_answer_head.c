/* The lines of an answer that its status asks for. */
#include "ingest/answer_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char out[HEAD_BYTES];

static const char *refusal(int status, double wait_ms)
{
    const struct refused no = {
        .status = status, .wait_ms = wait_ms, .allow = "POST, PUT"};

    answer_head_refused(&no, NULL, "Retry-After: 9\r\n", "X: y\r\n", out);
    return out;
}

static void a_refusal_says_what_its_status_asks_for(void **state)
{
    (void)state;
    assert_string_equal("X: y\r\n", refusal(422, 5000));
    assert_string_equal("Allow: POST, PUT\r\nX: y\r\n", refusal(405, 0));
    assert_string_equal("WWW-Authenticate: Basic realm=\"sluice\"\r\nX: y\r\n",
                        refusal(401, 0));
    assert_string_equal("Retry-After: 9\r\nX: y\r\n", refusal(429, 0));
    assert_string_equal("Retry-After: 1\r\nX: y\r\n", refusal(429, 1));
    assert_string_equal("Retry-After: 1\r\nX: y\r\n", refusal(429, 1000));
    assert_string_equal("Retry-After: 2\r\nX: y\r\n", refusal(429, 1001));
}

static void an_outcome_has_the_type_of_its_own_answer(void **state)
{
    const struct answer_plan own = {.status = 200, .type = "text/plain"};
    struct outcome o = {.status = 202};

    (void)state;
    assert_string_equal("X: y\r\n",
                        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
    o.status = 429;
    assert_string_equal("R: 1\r\nX: y\r\n",
                        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
    o.status = 401;
    assert_string_equal("WWW-Authenticate: Basic realm=\"sluice\"\r\nX: y\r\n",
                        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
    o.unverified = true;
    assert_string_equal(
        "WWW-Authenticate: Postback-Signature realm=\"sluice\"\r\nX: y\r\n",
        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
    o = (struct outcome){.status = 200, .answer = &own};
    assert_string_equal("Content-Type: text/plain\r\nX: y\r\n",
                        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
}

/* http knows a type of the owner's by the first line. */
static void the_type_of_a_refusal_comes_first(void **state)
{
    const struct refused_body own = {.type_line = "Content-Type: text/plain\r\n"};
    const struct refused no = {.status = 401, .allow = ""};
    struct outcome o = {.status = 400, .refused_body = &own};

    (void)state;
    answer_head_refused(&no, &own, "R: 1\r\n", "X: y\r\n", out);
    assert_string_equal("Content-Type: text/plain\r\n"
                        "WWW-Authenticate: Basic realm=\"sluice\"\r\nX: y\r\n",
                        out);
    assert_string_equal("Content-Type: text/plain\r\nX: y\r\n",
                        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
    o.status = 429;
    assert_string_equal("Content-Type: text/plain\r\nR: 1\r\nX: y\r\n",
                        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
    o.status = 401;
    assert_string_equal("Content-Type: text/plain\r\n"
                        "WWW-Authenticate: Basic realm=\"sluice\"\r\nX: y\r\n",
                        answer_head_outcome(&o, "R: 1\r\n", "X: y\r\n", out));
}

static void only_a_route_with_cors_has_its_lines(void **state)
{
    const struct cors_plan cors = {.any = true, .headers = ""};
    const struct route with = {.cors = &cors}, without = {.cors = NULL};
    const struct str_pair origin = {STR("Origin"), STR("https://a")};
    const struct policy_request q = {.headers = &origin, .n_headers = 1};

    (void)state;
    answer_head_common(NULL, &q, out);
    assert_string_equal("", out);
    answer_head_common(&without, &q, out);
    assert_string_equal("", out);
    answer_head_common(&with, &q, out);
    assert_string_equal("Access-Control-Allow-Origin: *\r\n"
                        "Access-Control-Expose-Headers: Retry-After\r\n",
                        out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_says_what_its_status_asks_for),
        cmocka_unit_test(an_outcome_has_the_type_of_its_own_answer),
        cmocka_unit_test(the_type_of_a_refusal_comes_first),
        cmocka_unit_test(only_a_route_with_cors_has_its_lines)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
