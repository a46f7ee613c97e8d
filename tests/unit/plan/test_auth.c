/* The keys that clients send, as they should and as they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/auth.h"
#include "plan/key_table.h"

static const struct auth_method bearer = {.kind = AUTH_BEARER};
static const struct auth_method basic = {.kind = AUTH_BASIC};
static const struct auth_method header = {.kind = AUTH_HEADER,
                                          .name = {"X-API-Key", 9}};
static const struct auth_method query = {.kind = AUTH_QUERY, .name = {"key", 3}};

/* key NULL: no credential, for the reason. */
static void gives(const struct auth_method *m, const char *name, struct str value,
                  enum auth_reason want, const char *key)
{
    const struct str_pair headers[] = {{str_of(name), value}};
    const struct policy_request q = {.headers = headers,
                                     .n_headers = m->kind == AUTH_QUERY ? 0 : 1,
                                     .query = m->kind == AUTH_QUERY ? value : STR("")};
    char room[KEY_TEXT_MAX];
    struct str got = {NULL, 0};

    assert_int_equal(auth_credential(m, &q, room, sizeof room, &got), want);
    if (key != NULL) {
        assert_int_equal(got.n, strlen(key));
        assert_memory_equal(got.p, key, got.n);
    }
}

static void reads_a_bearer_key(void **state)
{
    (void)state;
    gives(&bearer, "Authorization", STR("Bearer k1"), AUTH_OK, "k1");
    gives(&bearer, "authorization", STR("bEARER   k1  "), AUTH_OK, "k1");
    gives(&bearer, "authorization", STR("Bearer k1\t"), AUTH_OK, "k1");
    gives(&bearer, "authorization", STR("Bearer"), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer "), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer\tk1"), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer k1 k2"), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer k1, Bearer k1"), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer k1,k2"), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer k\0k"), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer k\x7F"), AUTH_MALFORMED, NULL);
    gives(&bearer, "authorization", STR("Bearer \xFF\xFE"), AUTH_OK, "\xFF\xFE");
    gives(&bearer, "authorization", STR("Bearerk1"), AUTH_MISSING, NULL);
    gives(&bearer, "authorization", STR("Basic azE6"), AUTH_MISSING, NULL);
    gives(&bearer, "authorization", STR(""), AUTH_MISSING, NULL);
    gives(&bearer, "authorization", (struct str){NULL, 0}, AUTH_MISSING, NULL);
    gives(&bearer, "x-api-key", STR("Bearer k1"), AUTH_MISSING, NULL);
}

static void reads_the_key_of_a_header(void **state)
{
    (void)state;
    gives(&header, "x-api-key", STR("k1"), AUTH_OK, "k1");
    gives(&header, "X-Api-Key", STR(" k1\t"), AUTH_OK, "k1");
    gives(&header, "x-api-key", STR("k1, k1"), AUTH_MALFORMED, NULL);
    gives(&header, "x-api-key", STR("k\0"), AUTH_MALFORMED, NULL);
    gives(&header, "x-api-key", STR(""), AUTH_MISSING, NULL);
    gives(&header, "x-api-key", STR("  "), AUTH_MISSING, NULL);
    gives(&header, "x-api-keys", STR("k1"), AUTH_MISSING, NULL);
}

static void reads_the_password_of_basic(void **state)
{
    (void)state;
    gives(&basic, "authorization", STR("Basic dXNlcjpr"), AUTH_OK, "k");    /* user:k */
    gives(&basic, "authorization", STR("basic  dTpwOnE="), AUTH_OK, "p:q"); /* u:p:q */
    gives(&basic, "authorization", STR("Basic dTpwOnE"), AUTH_OK, "p:q");
    gives(&basic, "authorization", STR("Basic azE6"), AUTH_OK, "k1");        /* k1: */
    gives(&basic, "authorization", STR("Basic Og=="), AUTH_MISSING, NULL);   /* : */
    gives(&basic, "authorization", STR("Basic azE="), AUTH_MALFORMED, NULL); /* k1 */
    gives(&basic, "authorization", STR("Basic dTpwOnE=="), AUTH_MALFORMED, NULL);
    gives(&basic, "authorization", STR("Basic dTpwOnE====="), AUTH_MALFORMED, NULL);
    gives(&basic, "authorization", STR("Basic ===="), AUTH_MALFORMED, NULL);
    gives(&basic, "authorization", STR("Basic dTpwO"), AUTH_MALFORMED, NULL);
    gives(&basic, "authorization", STR("Basic dT*wOnE="), AUTH_MALFORMED, NULL);
    gives(&basic, "authorization", STR("Basic"), AUTH_MALFORMED, NULL);
    gives(&basic, "authorization", STR("Bearer k1"), AUTH_MISSING, NULL);
}

static void reads_the_key_of_the_query(void **state)
{
    (void)state;
    gives(&query, "", STR("key=k1"), AUTH_OK, "k1");
    gives(&query, "", STR("a=1&%6Bey=%6b+1&b"), AUTH_OK, "k 1");
    gives(&query, "", STR("key=%zz%"), AUTH_OK, "%zz%");
    gives(&query, "", STR("key=a=b"), AUTH_OK, "a=b");
    gives(&query, "", STR("key=k1&key=k1"), AUTH_MALFORMED, NULL);
    gives(&query, "", STR("key=k1&k%65y="), AUTH_MALFORMED, NULL);
    gives(&query, "", STR("key="), AUTH_MISSING, NULL);
    gives(&query, "", STR("key"), AUTH_MISSING, NULL);
    gives(&query, "", STR("Key=k1&&=&"), AUTH_MISSING, NULL);
    gives(&query, "", STR(""), AUTH_MISSING, NULL);
}

static void takes_no_key_that_is_too_long(void **state)
{
    static char text[8192 + 4] = "key=";

    (void)state;
    memset(text + 4, 'k', 8192);
    gives(&query, "", (struct str){text, sizeof text}, AUTH_MALFORMED, NULL);
    memcpy(text, "Basic ", 6);
    gives(&basic, "authorization", (struct str){text, sizeof text}, AUTH_MALFORMED,
          NULL);
}

static void strips(const char *from, const char *to)
{
    const struct auth_plan a = {.methods = &query, .n = 1};
    size_t n = strlen(from);
    char *exact = malloc(n + 1); /* the address sanitizer sees one byte more */
    struct str got = auth_without_keys(&a, (struct str){from, n}, exact);

    assert_int_equal(got.n, strlen(to));
    assert_memory_equal(got.p, to, got.n);
    free(exact);
}

static void takes_keys_out_of_a_query(void **state)
{
    const struct auth_method both[] = {bearer, query};
    const struct auth_plan without = {.methods = &bearer, .n = 1},
                           with = {.methods = &query, .n = 1},
                           second = {.methods = both, .n = 2};

    (void)state;
    assert_false(auth_in_query(NULL));
    assert_false(auth_in_query(&without));
    assert_true(auth_in_query(&with));
    assert_true(auth_in_query(&second));
    strips("", "");
    strips("key=k1", "");
    strips("key=k1&a=b", "a=b");
    strips("a=b&key=k1", "a=b");
    strips("a=b&%6bey=k1&c", "a=b&c");
    strips("key=k1&key=k2&key", "");
    strips("a=key&b=key=1&keys=2", "a=key&b=key=1&keys=2");
    strips("&&key=k&", "");
}

static void tells_what_the_client_may_try(void **state)
{
    const struct auth_method both[] = {bearer, basic, query};
    char missing[AUTH_CHALLENGE_BYTES], wrong[AUTH_CHALLENGE_BYTES];

    (void)state;
    auth_challenges(both, 3, missing, wrong);
    assert_string_equal(
        missing, "WWW-Authenticate: Bearer realm=\"sluice\"\r\n"
                 "WWW-Authenticate: Basic realm=\"sluice\", charset=\"UTF-8\"\r\n");
    assert_string_equal(
        wrong, "WWW-Authenticate: Bearer realm=\"sluice\", error=\"invalid_token\"\r\n"
               "WWW-Authenticate: Basic realm=\"sluice\", charset=\"UTF-8\"\r\n");
    auth_challenges(&query, 1, missing, wrong);
    assert_string_equal(missing, "WWW-Authenticate: ApiKey realm=\"sluice\"\r\n");
    assert_string_equal(wrong, missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_bearer_key),
        cmocka_unit_test(reads_the_key_of_a_header),
        cmocka_unit_test(reads_the_password_of_basic),
        cmocka_unit_test(reads_the_key_of_the_query),
        cmocka_unit_test(takes_no_key_that_is_too_long),
        cmocka_unit_test(takes_keys_out_of_a_query),
        cmocka_unit_test(tells_what_the_client_may_try),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
