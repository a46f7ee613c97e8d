/* Handshakes with an OpenSSL client: who gets in, with which certificate, and who is
 * refused for what. */
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
static struct certs_made ca, other_ca, ec, rsa, b, client, expired, stranger, self;
static struct tls_context *plain;

static int set_up(void **state)
{
    (void)state;
    dir = certs_folder();
    ca = certs_make(dir, (struct certs_wish){.name = "ca", .ca = true});
    other_ca = certs_make(dir, (struct certs_wish){.name = "other", .ca = true});
    ec = certs_make(dir, (struct certs_wish){.name = "ec", .hosts = "DNS:a.example"});
    rsa = certs_make(
        dir,
        (struct certs_wish){.name = "rsa", .hosts = "DNS:a.example", .rsa_bits = 2048});
    b = certs_make(dir, (struct certs_wish){.name = "b", .hosts = "DNS:*.b.example"});
    client = certs_make(dir, (struct certs_wish){.name = "app 7, \"x\"", .by = &ca});
    expired = certs_make(
        dir, (struct certs_wish){
                 .name = "expired", .by = &ca, .from_days = -9, .to_days = -2});
    stranger = certs_make(dir, (struct certs_wish){.name = "app", .by = &other_ca});
    self = certs_make(dir, (struct certs_wish){.name = "self"});
    plain = tls_client_context(&ec, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_context_unref(plain);
    certs_free(&ca);
    certs_free(&other_ca);
    certs_free(&ec);
    certs_free(&rsa);
    certs_free(&b);
    certs_free(&client);
    certs_free(&expired);
    certs_free(&stranger);
    certs_free(&self);
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

/* ---- versions, ciphers, names ---- */

static void versions_1_2_and_1_3_are_spoken_and_older_ones_refused(void **state)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION,
                                   TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(versions); i++) {
        struct tls_pairing p;

        tls_client_open(&p, plain);
        (void)SSL_set_min_proto_version(p.client, versions[i]);
        (void)SSL_set_max_proto_version(p.client, versions[i]);
        tls_client_shake(&p);
        assert_int_equal(i >= 2, tls_client_shaken(&p));
        if (i < 2) {
            assert_int_equal(TLS_FAILURE_VERSION, p.why);
        } else {
            assert_string_equal(i == 2 ? "TLSv1.2" : "TLSv1.3",
                                tls_session_peer(p.server)->version);
            assert_null(SSL_get_current_compression(p.client));
        }
        tls_client_close(&p);
    }
}

static void a_listener_of_1_3_alone_refuses_1_2(void **state)
{
    struct err e;
    struct tls_context *c = tls_context_new(
        &(struct tls_options){
            .files = &(struct tls_files){.cert = ec.cert_path, .key = ec.key_path},
            .n_files = 1,
            .only_1_3 = true},
        NULL, &e);
    struct tls_pairing p;

    (void)state;
    tls_client_open(&p, c);
    (void)SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
    tls_client_shake(&p);
    assert_int_equal(TLS_FAILED, p.step);
    assert_int_equal(TLS_FAILURE_VERSION, p.why);
    tls_client_close(&p);
    tls_context_unref(c);
}

static void ciphers_without_forward_secrecy_are_refused(void **state)
{
    static const char *const weak[] = {"AES128-SHA", "AES128-GCM-SHA256",
                                       "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
                                       "DHE-RSA-AES128-GCM-SHA256"};
    struct tls_context *by_rsa = tls_client_context(&rsa, NULL);

    (void)state;
    for (size_t i = 0; i < 2 * N_ELEMS(weak); i++) {
        struct tls_pairing p;

        tls_client_open(&p, i % 2 == 0 ? plain : by_rsa);
        (void)SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
        assert_int_equal(1, SSL_set_cipher_list(p.client, weak[i / 2]));
        tls_client_shake(&p);
        assert_int_equal(TLS_FAILED, p.step);
        assert_int_equal(TLS_FAILURE_CIPHER, p.why);
        tls_client_close(&p);
    }
    tls_context_unref(by_rsa);
}

/* Whether the client got the certificate of m. */
static bool got(struct tls_context *c, const char *host, const char *algorithms,
                const struct certs_made *m)
{
    struct tls_pairing p;
    bool same;

    tls_client_open(&p, c);
    (void)SSL_set_tlsext_host_name(p.client, host);
    assert_int_equal(1, SSL_set1_sigalgs_list(p.client, algorithms));
    tls_client_shake(&p);
    assert_true(tls_client_shaken(&p));
    assert_string_equal(host == NULL ? "" : host, tls_session_peer(p.server)->host);
    same = X509_cmp(SSL_get0_peer_certificate(p.client), m->cert) == 0;
    tls_client_close(&p);
    return same;
}

static void a_client_gets_the_certificate_of_its_host_and_of_its_kind(void **state)
{
    struct tls_files files[] = {{.cert = ec.cert_path, .key = ec.key_path},
                                {.cert = rsa.cert_path, .key = rsa.key_path},
                                {.cert = b.cert_path, .key = b.key_path}};
    struct err e;
    struct tls_context *c =
        tls_context_new(&(struct tls_options){.files = files, .n_files = 3}, NULL, &e);
    static const char ecdsa[] = "ECDSA+SHA256", pss[] = "RSA-PSS+SHA256";

    (void)state;
    assert_non_null(c);
    assert_true(got(c, NULL, ecdsa, &ec));
    assert_true(got(c, NULL, pss, &rsa));
    assert_true(got(c, "a.example", ecdsa, &ec));
    assert_true(got(c, "a.example", pss, &rsa));
    assert_true(got(c, "x.b.example", ecdsa, &b));
    assert_true(got(c, "c.example", ecdsa, &ec));
    tls_context_unref(c);
}

static void protocols_without_http_1_1_are_refused(void **state)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1", h2[] = "\x02h2";
    const unsigned char *chosen;
    struct tls_pairing p;
    unsigned n;

    (void)state;
    tls_client_open(&p, plain);
    (void)SSL_set_alpn_protos(p.client, both, sizeof both - 1);
    tls_client_shake(&p);
    assert_true(tls_client_shaken(&p));
    SSL_get0_alpn_selected(p.client, &chosen, &n);
    assert_int_equal(8, n);
    assert_memory_equal("http/1.1", chosen, 8);
    tls_client_close(&p);

    tls_client_open(&p, plain);
    (void)SSL_set_alpn_protos(p.client, h2, sizeof h2 - 1);
    tls_client_shake(&p);
    assert_int_equal(TLS_FAILURE_PROTOCOL, p.why);
    tls_client_close(&p);
}

/* ---- certificates of clients ---- */

/* How the handshake ended: TLS_FAILURES if well. */
static enum tls_failure with(struct tls_context *c, const struct certs_made *m,
                             struct tls_peer *peer)
{
    enum tls_failure end = TLS_FAILURES;

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_pairing p;
        enum tls_failure now;

        tls_client_open(&p, c);
        (void)SSL_set_max_proto_version(p.client, version);
        if (m != NULL) {
            assert_int_equal(1, SSL_use_certificate(p.client, m->cert));
            assert_int_equal(1, SSL_use_PrivateKey(p.client, m->key));
        }
        tls_client_shake(&p);
        now = p.step == TLS_DONE ? TLS_FAILURES : p.why;
        assert_true(version == TLS1_2_VERSION || now == end);
        end = now;
        if (p.step == TLS_DONE && peer != NULL) {
            *peer = *tls_session_peer(p.server);
        }
        tls_client_close(&p);
    }
    return end;
}

static void a_required_client_certificate_is_of_the_ca_and_in_its_time(void **state)
{
    struct tls_context *c = asking(TLS_CLIENT_REQUIRED, &ca, NULL);

    (void)state;
    assert_int_equal(TLS_FAILURES, with(c, &client, NULL));
    assert_int_equal(TLS_FAILURE_NO_CLIENT_CERT, with(c, NULL, NULL));
    assert_int_equal(TLS_FAILURE_CLIENT_EXPIRED, with(c, &expired, NULL));
    assert_int_equal(TLS_FAILURE_CLIENT_UNTRUSTED, with(c, &stranger, NULL));
    assert_int_equal(TLS_FAILURE_CLIENT_UNTRUSTED, with(c, &self, NULL));
    tls_context_unref(c);
}

static void an_optional_client_certificate_may_lack_but_not_be_wrong(void **state)
{
    struct tls_context *c = asking(TLS_CLIENT_OPTIONAL, &ca, NULL);
    struct tls_peer peer;

    (void)state;
    assert_int_equal(TLS_FAILURES, with(c, NULL, &peer));
    assert_string_equal("", peer.subject);
    assert_string_equal("", peer.fingerprint);
    assert_int_equal(TLS_FAILURES, with(c, &client, NULL));
    assert_int_equal(TLS_FAILURE_CLIENT_UNTRUSTED, with(c, &self, NULL));
    tls_context_unref(c);
}

static void the_subject_and_the_fingerprint_of_a_client_are_told(void **state)
{
    struct tls_context *c = asking(TLS_CLIENT_REQUIRED, &ca, NULL);
    unsigned char digest[32];
    char hex[65];
    struct tls_peer peer;

    (void)state;
    assert_int_equal(1, X509_digest(client.cert, EVP_sha256(), digest, NULL));
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    assert_int_equal(TLS_FAILURES, with(c, &client, &peer));
    assert_string_equal("CN=app 7\\, \\\"x\\\"", peer.subject);
    assert_string_equal(hex, peer.fingerprint);
    tls_context_unref(c);
}

/* ---- sessions that are resumed ---- */

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
    *resumed = tls_session_peer(p.server)->resumed;
    session = SSL_get1_session(p.client);
    assert_int_equal(0, SSL_SESSION_get_max_early_data(session));
    (void)SSL_shutdown(p.client);
    tls_client_close(&p);
    return session;
}

static bool resumes(struct tls_context *from, struct tls_context *to, int version,
                    const struct certs_made *m)
{
    bool first, second;
    SSL_SESSION *a = session_at(from, version, m, NULL, &first);
    SSL_SESSION *again = session_at(to, version, m, a, &second);

    assert_false(first);
    SSL_SESSION_free(a);
    SSL_SESSION_free(again);
    return second;
}

static void a_session_is_resumed_at_another_context_with_the_same_keys(void **state)
{
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_context *first = tls_client_context(&ec, tickets);
    struct tls_context *second = tls_client_context(&ec, tickets);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_true(resumes(first, second, version, NULL));
        assert_false(resumes(plain, plain, version, NULL)); /* has no tickets */
    }
    tls_context_unref(first);
    tls_context_unref(second);
    tls_tickets_unref(tickets);
}

static void a_ticket_outlives_one_new_key_and_not_two(void **state)
{
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_context *c = tls_client_context(&ec, tickets);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        bool resumed;
        SSL_SESSION *s = session_at(c, version, NULL, NULL, &resumed);

        tls_tickets_rotate(tickets, clock_mono_ns());
        SSL_SESSION_free(session_at(c, version, NULL, s, &resumed));
        assert_true(resumed);
        tls_tickets_rotate(tickets, clock_mono_ns());
        SSL_SESSION_free(session_at(c, version, NULL, s, &resumed));
        assert_false(resumed);
        SSL_SESSION_free(s);
    }
    tls_context_unref(c);
    tls_tickets_unref(tickets);
}

static void a_session_is_not_resumed_where_clients_are_asked_more(void **state)
{
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_context *open = tls_client_context(&ec, tickets);
    struct tls_context *mine = asking(TLS_CLIENT_REQUIRED, &ca, tickets);
    struct tls_context *same = asking(TLS_CLIENT_REQUIRED, &ca, tickets);
    struct tls_context *theirs = asking(TLS_CLIENT_OPTIONAL, &other_ca, tickets);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        bool resumed;
        SSL_SESSION *s = session_at(mine, version, &client, NULL, &resumed);
        struct tls_pairing p;

        assert_true(resumes(mine, same, version, &client));
        assert_false(resumes(open, mine, version, &client));
        tls_client_open(&p, theirs); /* which does not trust the session's client */
        (void)SSL_set_max_proto_version(p.client, version);
        assert_int_equal(1, SSL_set_session(p.client, s));
        tls_client_shake(&p);
        assert_int_equal(TLS_DONE, p.step);
        assert_false(tls_session_peer(p.server)->resumed);
        assert_string_equal("", tls_session_peer(p.server)->subject);
        tls_client_close(&p);
        SSL_SESSION_free(s);
    }
    tls_context_unref(open);
    tls_context_unref(mine);
    tls_context_unref(same);
    tls_context_unref(theirs);
    tls_tickets_unref(tickets);
}

/* A name of a key is public: a client may send anything after it. */
static void a_ticket_of_any_bytes_and_size_makes_a_whole_handshake(void **state)
{
    static const size_t sizes[] = {1, 15, 16, 17, 48, 80, 500, 4096, 60000};
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_context *c = tls_client_context(&ec, tickets);
    static unsigned char bytes[60000];

    (void)state;
    memset(bytes, 0xa5, sizeof bytes);
    for (size_t i = 0; i < N_ELEMS(sizes); i++) {
        struct tls_pairing p;

        tls_client_open(&p, c);
        (void)SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
        assert_int_equal(1, SSL_set_session_ticket_ext(p.client, bytes, (int)sizes[i]));
        tls_client_shake(&p);
        assert_int_equal(TLS_DONE, p.step);
        assert_false(tls_session_peer(p.server)->resumed);
        tls_client_close(&p);
    }
    tls_context_unref(c);
    tls_tickets_unref(tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_1_2_and_1_3_are_spoken_and_older_ones_refused),
        cmocka_unit_test(a_listener_of_1_3_alone_refuses_1_2),
        cmocka_unit_test(ciphers_without_forward_secrecy_are_refused),
        cmocka_unit_test(a_client_gets_the_certificate_of_its_host_and_of_its_kind),
        cmocka_unit_test(protocols_without_http_1_1_are_refused),
        cmocka_unit_test(a_required_client_certificate_is_of_the_ca_and_in_its_time),
        cmocka_unit_test(an_optional_client_certificate_may_lack_but_not_be_wrong),
        cmocka_unit_test(the_subject_and_the_fingerprint_of_a_client_are_told),
        cmocka_unit_test(a_session_is_resumed_at_another_context_with_the_same_keys),
        cmocka_unit_test(a_ticket_outlives_one_new_key_and_not_two),
        cmocka_unit_test(a_session_is_not_resumed_where_clients_are_asked_more),
        cmocka_unit_test(a_ticket_of_any_bytes_and_size_makes_a_whole_handshake)};

    return cmocka_run_group_tests_name("tls_session", tests, set_up, tear_down);
}
