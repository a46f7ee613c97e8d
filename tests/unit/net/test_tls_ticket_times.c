/* The keys of session tickets over time: which one seals, and which ones open. */
#include "net/tls_tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "base/clock.h"

static const uint64_t PERIOD_NS = (uint64_t)TLS_TICKET_S * 1000000000u;

struct ticket {
    unsigned char name[16], iv[EVP_MAX_IV_LENGTH];
};

/* What tls_tickets_seal says; sealing writes *x, opening reads it. */
static int at(struct tls_tickets *t, uint64_t now_ns, struct ticket *x, int seals)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    int rc = tls_tickets_seal(t, now_ns, x->name, x->iv, cipher, mac, seals);

    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
    EVP_CIPHER_CTX_free(cipher);
    return rc;
}

enum { NOT_OPENED = 0, OPENED = 1, OPENED_AND_RENEWED = 2 };

static void a_key_seals_for_one_period_and_opens_for_two(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    const uint64_t now = clock_mono_ns();
    struct ticket first, same, second;

    (void)state;
    assert_int_equal(1, at(t, now, &first, 1));
    assert_int_equal(OPENED, at(t, now + 1, &first, 0));
    assert_int_equal(1, at(t, now + PERIOD_NS / 2, &same, 1));
    assert_memory_equal(first.name, same.name, sizeof first.name);
    /* The key began before now, and is over for new tickets at now and a period. */
    assert_int_equal(1, at(t, now + PERIOD_NS, &second, 1));
    assert_memory_not_equal(first.name, second.name, sizeof first.name);
    assert_int_equal(OPENED_AND_RENEWED, at(t, now + PERIOD_NS, &first, 0));
    assert_int_equal(OPENED, at(t, now + PERIOD_NS, &second, 0));
    assert_int_equal(OPENED_AND_RENEWED, at(t, now + 2 * PERIOD_NS - 1, &first, 0));
    assert_int_equal(NOT_OPENED, at(t, now + 2 * PERIOD_NS, &first, 0));
    assert_int_equal(OPENED_AND_RENEWED, at(t, now + 2 * PERIOD_NS, &second, 0));
    tls_tickets_unref(t);
}

static void a_key_that_nobody_asked_for_is_gone(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    const uint64_t now = clock_mono_ns();
    struct ticket x;

    (void)state;
    assert_int_equal(1, at(t, now, &x, 1));
    assert_int_equal(NOT_OPENED, at(t, now + 3 * PERIOD_NS, &x, 0));
    tls_tickets_unref(t);
}

static void a_reload_changes_the_key_and_opens_what_the_one_before_sealed(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    const uint64_t now = clock_mono_ns();
    struct ticket x, y, none;

    (void)state;
    assert_int_equal(1, at(t, now, &x, 1));
    tls_tickets_rotate(t, now + 1);
    assert_int_equal(OPENED_AND_RENEWED, at(t, now + 2, &x, 0));
    assert_int_equal(1, at(t, now + 2, &y, 1));
    assert_memory_not_equal(x.name, y.name, sizeof x.name);
    tls_tickets_rotate(t, now + 3);
    assert_int_equal(NOT_OPENED, at(t, now + 4, &x, 0));
    assert_int_equal(OPENED_AND_RENEWED, at(t, now + 4, &y, 0));
    memset(&none, 0, sizeof none);
    assert_int_equal(NOT_OPENED, at(t, now + 4, &none, 0));
    tls_tickets_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_seals_for_one_period_and_opens_for_two),
        cmocka_unit_test(a_key_that_nobody_asked_for_is_gone),
        cmocka_unit_test(a_reload_changes_the_key_and_opens_what_the_one_before_sealed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
