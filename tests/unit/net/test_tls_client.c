/* The facts of a client's certificate: whose authority has signed it, also of a session
 * that is resumed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "unit/tools/certs.h"
#include "unit/tools/tls_client.h"

static char *dir;
static struct certs_made ca, other_ca, ec, client;

static int set_up(void **state)
{
    (void)state;
    dir = certs_folder();
    ca = certs_make(dir, (struct certs_wish){.name = "ca", .ca = true});
    other_ca = certs_make(dir, (struct certs_wish){.name = "other", .ca = true});
    ec = certs_make(dir, (struct certs_wish){.name = "ec"});
    client = certs_make(dir, (struct certs_wish){.name = "app", .by = &ca});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    certs_free(&ca);
    certs_free(&other_ca);
    certs_free(&ec);
    certs_free(&client);
    (void)rmdir(dir);
    free(dir);
    return 0;
}

static struct tls_context *asking(enum tls_client mode, const struct certs_made *by,
                                  struct tls_tickets *tickets)
{
    struct err e;
    struct tls_context *c = tls_context_new(
        &(struct tls_options){
            .files = &(struct tls_files){.cert = ec.cert_path, .key = ec.key_path},
            .n_files = 1,
            .client = mode,
            .ca = by->cert_path},
        tickets, &e);

    assert_non_null(c);
    return c;
}

/* An authority can give one below it any name, also that of another authority. */
static void
the_authority_is_that_of_the_listener_whatever_those_below_are_named(void **state)
{
    struct certs_made both = ca, fake, leaf;
    struct tls_context *c;

    (void)state;
    fake =
        certs_make(dir, (struct certs_wish){.name = "ca", .by = &other_ca, .ca = true});
    leaf = certs_make(dir, (struct certs_wish){.name = "leaf", .by = &fake});
    (void)snprintf(both.cert_path, sizeof both.cert_path, "%s/both.pem", dir);
    certs_write_cert(both.cert_path, ca.cert, other_ca.cert);
    c = asking(TLS_CLIENT_REQUIRED, &both, NULL);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_pairing p;

        tls_client_open(&p, c);
        (void)SSL_set_max_proto_version(p.client, version);
        assert_int_equal(1, SSL_use_certificate(p.client, leaf.cert));
        assert_int_equal(1, SSL_use_PrivateKey(p.client, leaf.key));
        assert_int_equal(1, SSL_add1_chain_cert(p.client, fake.cert));
        tls_client_shake(&p);
        assert_int_equal(TLS_DONE, p.step);
        assert_string_equal("CN=other", tls_session_peer(p.server)->authority);
        assert_false(tls_session_peer(p.server)->authority_cut);
        tls_client_close(&p);
    }
    tls_context_unref(c);
    (void)unlink(both.cert_path);
    certs_free(&leaf);
    certs_free(&fake);
    certs_write_cert(ca.cert_path, ca.cert, NULL); /* of the same name */
    certs_write_key(ca.key_path, ca.key);
}

static struct tls_peer told; /* of the last client */

/* The session of a client at c, to be resumed; with m as its certificate. */
static SSL_SESSION *session_at(struct tls_context *c, int version,
                               const struct certs_made *m, SSL_SESSION *before,
                               bool *resumed)
{
    struct tls_pairing p;
    SSL_SESSION *session;
    char byte;

    tls_client_open(&p, c);
    (void)SSL_set_min_proto_version(p.client, version);
    (void)SSL_set_max_proto_version(p.client, version);
    if (m != NULL) {
        assert_int_equal(1, SSL_use_certificate(p.client, m->cert));
        assert_int_equal(1, SSL_use_PrivateKey(p.client, m->key));
    }
    if (before != NULL) {
        assert_int_equal(1, SSL_set_session(p.client, before));
    }
    tls_client_shake(&p);
    assert_true(tls_client_shaken(&p));
    assert_int_equal(0, tls_client_read(&p, &byte, 1));
    told = *tls_session_peer(p.server);
    *resumed = told.resumed;
    session = SSL_get1_session(p.client);
    assert_int_equal(0, SSL_SESSION_get_max_early_data(session));
    (void)SSL_shutdown(p.client);
    tls_client_close(&p);
    return session;
}

static void a_resumed_session_has_its_clients_certificate_and_authority(void **state)
{
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_context *c = asking(TLS_CLIENT_REQUIRED, &ca, tickets);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        bool resumed;
        SSL_SESSION *s = session_at(c, version, &client, NULL, &resumed), *next;
        struct tls_peer first = told;

        assert_true(first.expires_s > 0);
        for (int i = 0; i < 3; i++) { /* each with the ticket of the one before */
            tls_tickets_rotate(tickets, clock_mono_ns());
            next = session_at(c, version, &client, s, &resumed);
            assert_true(resumed);
            assert_string_equal("CN=ca", told.authority);
            assert_false(told.authority_cut);
            assert_string_equal(first.subject, told.subject);
            assert_string_equal(first.fingerprint, told.fingerprint);
            assert_int_equal(first.expires_s, told.expires_s);
            SSL_SESSION_free(s);
            s = next;
        }
        SSL_SESSION_free(s);
    }
    tls_context_unref(c);
    tls_tickets_unref(tickets);
}

static void shows(struct certs_made *m, enum tls_step want, struct tls_context *c)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_pairing p;

        tls_client_open(&p, c);
        (void)SSL_set_max_proto_version(p.client, version);
        assert_int_equal(1, SSL_use_certificate(p.client, m->cert));
        assert_int_equal(1, SSL_use_PrivateKey(p.client, m->key));
        tls_client_shake(&p);
        assert_int_equal(want, p.step);
        tls_client_close(&p);
    }
    certs_free(m);
}

/* The authority that gives servers their certificates may be the same. */
static void a_certificate_for_servers_is_none_of_a_client(void **state)
{
    struct tls_context *c = asking(TLS_CLIENT_REQUIRED, &ca, NULL);
    struct certs_made server = certs_make(
        dir, (struct certs_wish){.name = "s", .by = &ca, .usage = "serverAuth"});
    struct certs_made both = certs_make(
        dir,
        (struct certs_wish){.name = "b", .by = &ca, .usage = "serverAuth,clientAuth"});

    (void)state;
    shows(&server, TLS_FAILED, c);
    shows(&both, TLS_DONE, c);
    tls_context_unref(c);
}

static void a_client_key_of_more_than_4096_bits_is_refused(void **state)
{
    struct tls_context *c = asking(TLS_CLIENT_REQUIRED, &ca, NULL);
    struct certs_made large = certs_make(
        dir,
        (struct certs_wish){.name = "l", .by = &ca, .rsa_bits = 4104, .rsa_primes = 4});
    struct certs_made largest = certs_make(
        dir,
        (struct certs_wish){.name = "m", .by = &ca, .rsa_bits = 4096, .rsa_primes = 4});

    (void)state;
    shows(&large, TLS_FAILED, c);
    shows(&largest, TLS_DONE, c);
    tls_context_unref(c);
}

static void a_session_without_a_certificate_is_none_where_one_is_required(void **state)
{
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_context *optional = asking(TLS_CLIENT_OPTIONAL, &ca, tickets),
                       *required = asking(TLS_CLIENT_REQUIRED, &ca, tickets);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        bool resumed;
        SSL_SESSION *s = session_at(optional, version, NULL, NULL, &resumed), *next;

        next = session_at(optional, version, NULL, s, &resumed);
        assert_true(resumed);
        SSL_SESSION_free(next);
        next = session_at(required, version, &client, s, &resumed);
        assert_false(resumed);
        assert_string_equal("CN=app", told.subject);
        SSL_SESSION_free(next);
        SSL_SESSION_free(s);
    }
    tls_context_unref(optional);
    tls_context_unref(required);
    tls_tickets_unref(tickets);
}

/* A client that shows its certificate again is refused, so its ticket must not help. */
static void a_session_ends_with_its_clients_certificate(void **state)
{
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_context *c = asking(TLS_CLIENT_OPTIONAL, &ca, tickets);
    SSL_SESSION *sessions[2], *next;
    struct certs_made brief =
        certs_make(dir, (struct certs_wish){.name = "brief", .by = &ca, .to_s = 4});
    const time_t over = time(NULL) + 4;
    bool resumed;

    (void)state;
    for (int i = 0; i < 2; i++) {
        sessions[i] = session_at(c, TLS1_2_VERSION + i, &brief, NULL, &resumed);
    }
    while (time(NULL) <= over) {
        (void)usleep(50000);
    }
    for (int i = 0; i < 2; i++) {
        next = session_at(c, TLS1_2_VERSION + i, NULL, sessions[i], &resumed);
        assert_false(resumed);
        assert_string_equal("", told.subject);
        SSL_SESSION_free(next);
        SSL_SESSION_free(sessions[i]);
    }
    certs_free(&brief);
    tls_context_unref(c);
    tls_tickets_unref(tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_authority_is_that_of_the_listener_whatever_those_below_are_named),
        cmocka_unit_test(a_resumed_session_has_its_clients_certificate_and_authority),
        cmocka_unit_test(a_certificate_for_servers_is_none_of_a_client),
        cmocka_unit_test(a_client_key_of_more_than_4096_bits_is_refused),
        cmocka_unit_test(a_session_without_a_certificate_is_none_where_one_is_required),
        cmocka_unit_test(a_session_ends_with_its_clients_certificate),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
