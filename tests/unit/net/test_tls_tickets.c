/* The keys of session tickets on their way to the next process: each keeps its age. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "net/tls_tickets.h"

enum { OPENS_NOT = 0, OPENS = 1, OPENS_AND_GOES = 2 };

static const uint64_t S = 1000000000u;

static int ask(struct tls_tickets *t, uint64_t now_ns, unsigned char name[16],
               int seals)
{
    unsigned char iv[16] = {0};
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC *kind = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(kind);
    int rc = tls_tickets_seal(t, now_ns, name, iv, cipher, mac, seals);

    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(kind);
    EVP_CIPHER_CTX_free(cipher);
    return rc;
}

static struct tls_tickets *next_of(struct tls_tickets *t, uint64_t now_ns, bool *good)
{
    unsigned char bytes[TLS_TICKETS_BYTES];
    struct tls_tickets *next = tls_tickets_new();

    tls_tickets_pack(t, now_ns, bytes);
    *good = tls_tickets_unpack(next, now_ns, bytes);
    return next;
}

static void the_next_process_opens_what_both_keys_have_sealed(void **state)
{
    struct tls_tickets *t = tls_tickets_new(), *next;
    uint64_t now = clock_mono_ns();
    unsigned char first[16], second[16], third[16];
    bool good;

    (void)state;
    assert_int_equal(OPENS, ask(t, now, first, 1));
    tls_tickets_rotate(t, now);
    assert_int_equal(OPENS, ask(t, now, second, 1));
    next = next_of(t, now, &good);
    assert_true(good);
    assert_int_equal(OPENS_AND_GOES, ask(next, now, first, 0));
    assert_int_equal(OPENS, ask(next, now, second, 0));
    assert_int_equal(OPENS, ask(next, now, third, 1));
    assert_memory_equal(second, third, 16);
    tls_tickets_unref(t);
    tls_tickets_unref(next);
}

static void an_upgrade_makes_no_key_younger(void **state)
{
    struct tls_tickets *t = tls_tickets_new(), *next;
    uint64_t begin = clock_mono_ns() + S, now = begin;
    unsigned char first[16], name[16];
    bool good;

    (void)state;
    assert_int_equal(OPENS, ask(t, now, first, 1));
    for (int i = 0; i < 11; i++) { /* every ten minutes */
        now += TLS_TICKET_S / 6 * S;
        next = next_of(t, now, &good);
        assert_true(good);
        tls_tickets_unref(t);
        t = next;
        assert_int_equal(i < 5 ? OPENS : OPENS_AND_GOES, ask(t, now, first, 0));
        assert_int_equal(OPENS, ask(t, now, name, 1));
        assert_int_equal(i < 5 ? 0 : 1, memcmp(first, name, 16) != 0);
    }
    now += TLS_TICKET_S / 6 * S;
    next = next_of(t, now, &good);
    assert_int_equal(OPENS_NOT, ask(next, now, first, 0));
    tls_tickets_unref(t);
    tls_tickets_unref(next);
}

static void a_key_that_is_too_old_comes_over_for_nothing(void **state)
{
    struct tls_tickets *t = tls_tickets_new(), *next;
    uint64_t now = clock_mono_ns();
    unsigned char first[16];
    bool good;

    (void)state;
    assert_int_equal(OPENS, ask(t, now, first, 1));
    next = next_of(t, now + 2 * (uint64_t)TLS_TICKET_S * S, &good);
    assert_int_equal(OPENS_NOT,
                     ask(next, now + 2 * (uint64_t)TLS_TICKET_S * S, first, 0));
    tls_tickets_unref(t);
    tls_tickets_unref(next);
}

static void bytes_of_another_form_change_nothing(void **state)
{
    struct tls_tickets *t = tls_tickets_new(), *other = tls_tickets_new();
    uint64_t now = clock_mono_ns();
    unsigned char bytes[TLS_TICKETS_BYTES], first[16];

    (void)state;
    assert_int_equal(OPENS, ask(t, now, first, 1));
    memset(bytes, 0, sizeof bytes);
    assert_false(tls_tickets_unpack(t, now, bytes));
    tls_tickets_pack(other, now, bytes);
    bytes[0] ^= 1;
    assert_false(tls_tickets_unpack(t, now, bytes));
    bytes[0] ^= 1;
    for (unsigned char n = 0; n < 255; n++) {
        bytes[4] = n; /* how many keys there are */
        if (n != 1 && n != 2) {
            assert_false(tls_tickets_unpack(t, now, bytes));
        }
    }
    assert_int_equal(OPENS, ask(t, now, first, 0));
    bytes[4] = 1;
    memset(bytes + 8, 0xff, 8); /* older than the clock */
    assert_true(tls_tickets_unpack(t, now, bytes));
    assert_int_equal(OPENS_NOT, ask(t, now, first, 0));
    tls_tickets_unref(t);
    tls_tickets_unref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_process_opens_what_both_keys_have_sealed),
        cmocka_unit_test(an_upgrade_makes_no_key_younger),
        cmocka_unit_test(a_key_that_is_too_old_comes_over_for_nothing),
        cmocka_unit_test(bytes_of_another_form_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
