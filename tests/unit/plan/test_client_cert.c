/* Which certificates of clients a route takes, and which texts its patterns stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/tls_peer.h"
#include "plan/client_cert.h"

static void matches(const char *pattern, const char *name, bool want)
{
    if (client_cert_matches(str_of(pattern), str_of(name)) != want) {
        fail_msg("%s and %s", pattern, name);
    }
}

static void a_name_fits_the_whole_of_its_pattern(void **state)
{
    (void)state;
    matches("CN=app7", "CN=app7", true);
    matches("CN=app7", "CN=app77", false);
    matches("CN=app7", "CN=app", false);
    matches("CN=app7", "O=x,CN=app7", false);
    matches("CN=app7", "cn=app7", false);
    matches("CN=app7", "", false);
    matches("", "CN=app7", false);
    matches("CN=app7,O=Example", "CN=app7", false);
    matches("CN=app7,O=Example", "CN=app7,O=Example", true);
}

static void a_star_stays_inside_of_one_value(void **state)
{
    (void)state;
    matches("CN=shop*", "CN=shop7", true);
    matches("CN=shop*", "CN=shop", true);
    matches("CN=shop*,O=Example", "CN=shop7,O=Example", true);
    matches("CN=*-eu,O=*", "CN=a-eu-eu,O=Example", true);
    matches("CN=*a*b*", "CN=xxaxaxbxaxb", true);
    matches("CN=*a*b", "CN=xxaxaxbxax", false);
    /* an attribute more, or a further value of the same one */
    matches("CN=shop*", "CN=shop7,OU=x", false);
    matches("CN=shop*", "CN=shop7+UID=x", false);
    matches("*", "CN=shop7,OU=x", false);
    matches("CN=*,O=Example", "CN=a,OU=b,O=Example", false);
    /* a comma that the client's own value has comes escaped */
    matches("CN=*,O=Example", "CN=a\\,O=Example", false);
    matches("CN=*,O=Example", "CN=a\\,O=x,O=Example", true);
    matches("CN=*,O=Example", "CN=a\\\\,O=Example", true);
    matches("CN=*,O=Example", "CN=a\\\\\\,O=Example", false);
    matches("CN=*", "CN=a\\", true);
}

static const struct tls_peer app7 = {.subject = "CN=app7,O=Example",
                                     .authority = "CN=senders",
                                     .fingerprint = "f7",
                                     .expires_s = 1000};

static const struct str subjects[] = {{"CN=x", 4}, {"CN=app*,O=Example", 17}};
static const struct str authorities[] = {{"CN=senders", 10}};
static const struct str others[] = {{"CN=others", 9}};
static const struct str prints[] = {{"f6", 2}, {"f7", 2}};

static void each_list_that_is_given_must_fit(void **state)
{
    const struct client_cert any = {0};
    struct client_cert c = {.subjects = subjects, .n_subjects = 2};

    (void)state;
    assert_int_equal(client_cert_check(&any, &app7, 0), AUTH_OK);
    assert_int_equal(client_cert_check(&c, &app7, 0), AUTH_OK);
    c.authorities = authorities;
    c.n_authorities = 1;
    c.fingerprints = prints;
    c.n_fingerprints = 2;
    assert_int_equal(client_cert_check(&c, &app7, 0), AUTH_OK);
    c.n_fingerprints = 1;
    assert_int_equal(client_cert_check(&c, &app7, 0), AUTH_UNKNOWN);
    c.n_fingerprints = 2;
    c.authorities = others;
    assert_int_equal(client_cert_check(&c, &app7, 0), AUTH_UNKNOWN);
    c.n_authorities = 0;
    c.n_subjects = 1;
    assert_int_equal(client_cert_check(&c, &app7, 0), AUTH_UNKNOWN);
}

static void a_connection_without_a_certificate_has_none(void **state)
{
    const struct client_cert any = {0};
    const struct tls_peer none = {.expires_s = 0};

    (void)state;
    assert_int_equal(client_cert_check(&any, NULL, 0), AUTH_MISSING);
    assert_int_equal(client_cert_check(&any, &none, 0), AUTH_MISSING);
}

/* The connection may be days older than the request. */
static void a_certificate_that_has_expired_since_its_handshake_is_refused(void **state)
{
    const struct client_cert any = {0};

    (void)state;
    assert_int_equal(client_cert_check(&any, &app7, 999), AUTH_OK);
    assert_int_equal(client_cert_check(&any, &app7, 1000), AUTH_EXPIRED);
}

/* What was cut off could make it another's. */
static void a_name_that_was_cut_fits_no_pattern(void **state)
{
    const struct client_cert c = {.subjects = subjects, .n_subjects = 2};
    const struct client_cert by = {.authorities = authorities, .n_authorities = 1};
    const struct client_cert any = {0};
    struct tls_peer cut = app7;

    (void)state;
    cut.subject_cut = true;
    assert_int_equal(client_cert_check(&c, &cut, 0), AUTH_UNKNOWN);
    assert_int_equal(client_cert_check(&by, &cut, 0), AUTH_OK);
    assert_int_equal(client_cert_check(&any, &cut, 0), AUTH_OK);
    cut = app7;
    cut.authority_cut = true;
    assert_int_equal(client_cert_check(&by, &cut, 0), AUTH_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_fits_the_whole_of_its_pattern),
        cmocka_unit_test(a_star_stays_inside_of_one_value),
        cmocka_unit_test(each_list_that_is_given_must_fit),
        cmocka_unit_test(a_connection_without_a_certificate_has_none),
        cmocka_unit_test(a_certificate_that_has_expired_since_its_handshake_is_refused),
        cmocka_unit_test(a_name_that_was_cut_fits_no_pattern),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
