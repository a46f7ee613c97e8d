#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/tls_client.h"
#include "net/tls_names.h"
#include "net/tls_pair.h"
#include "net/tls_tickets.h"

enum {
    SECURITY_LEVEL = 2,
    CHAIN_DEPTH = 4,            /* of a client's certificate */
    CHAIN_BYTES = 32 << 10,     /* the same */
    CLIENT_KEY_BITS_MAX = 4096, /* a larger one costs a worker milliseconds */
    KINDS = 3                   /* of keys: a set has one certificate of each */
};

static const char CIPHERS[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char SUITES[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                             "TLS_CHACHA20_POLY1305_SHA256";
static const char GROUPS[] = "X25519:P-256:P-384"; /* others are slow to reckon with */

/* Certificates that a host name is served with. */
struct choice {
    uint64_t set;
    SSL_CTX *ctx;
};

struct tls_context {
    atomic_uint refs;
    uint32_t n_files;
    struct tls_pair pairs[TLS_CERTIFICATES_MAX];
    char *paths[TLS_CERTIFICATES_MAX]; /* of the certificates, for words */
    struct tls_names names;
    struct choice *choices; /* the first is for names that no certificate has */
    size_t n_choices;
    struct tls_tickets *tickets;
    enum tls_client client;
    bool only_1_3;
    X509_STORE *trusted;
    STACK_OF(X509_NAME) * issuers; /* told to clients */
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned id_n;
};

/* ---- which certificates serve which names ---- */

static uint64_t bit(uint32_t i)
{
    return (uint64_t)1 << i;
}

/* One of the set with the same kind of key as pair i; -1: there is none. */
static int same_kind(const struct tls_context *c, uint64_t set, uint32_t i)
{
    for (uint32_t k = 0; k < c->n_files; k++) {
        if ((set & bit(k)) != 0 && c->pairs[k].type == c->pairs[i].type) {
            return (int)k;
        }
    }
    return -1;
}

/* said: the policy names the host, so that a second certificate for it is a mistake;
 * those of certificates may overlap, and the first has the name. */
static bool add_name(struct tls_context *c, struct str name, uint32_t i, bool said,
                     struct err *e)
{
    char folded[TLS_NAME_MAX + 1];
    struct tls_name *entry;
    int other;

    if (!tls_names_fold(name, folded)) {
        return !said || err_set(e,
                                "the name \"%.60s\" is not a host such as "
                                "\"in.example\" or \"*.example\"",
                                name.p);
    }
    entry = tls_names_entry(&c->names, folded);
    if (entry == NULL) {
        tls_names_add(&c->names, folded, bit(i));
        return true;
    }
    other = same_kind(c, entry->set, i);
    if (other < 0) {
        entry->set |= bit(i);
    } else if (said && other != (int)i) {
        return err_set(e,
                       "the name \"%s\" has two certificates with the same kind of "
                       "key: \"%s\" and \"%s\"",
                       folded, c->paths[other], c->paths[i]);
    }
    return true;
}

static void add_own_names(struct tls_context *c, uint32_t i)
{
    GENERAL_NAMES *list =
        X509_get_ext_d2i(c->pairs[i].leaf, NID_subject_alt_name, NULL, NULL);
    struct err ignored;

    for (int k = 0; k < sk_GENERAL_NAME_num(list); k++) {
        int kind;
        const ASN1_STRING *s =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, k), &kind);

        if (kind == GEN_DNS) {
            (void)add_name(c,
                           (struct str){(const char *)ASN1_STRING_get0_data(s),
                                        (size_t)ASN1_STRING_length(s)},
                           i, false, &ignored);
        }
    }
    GENERAL_NAMES_free(list);
}

static bool add_names(struct tls_context *c, const struct tls_options *o, struct err *e)
{
    for (uint32_t i = 0; i < o->n_files; i++) {
        for (uint32_t k = 0; k < o->files[i].n_names; k++) {
            if (!add_name(c, str_of(o->files[i].names[k]), i, true, e)) {
                return false;
            }
        }
    }
    for (uint32_t i = 0; i < o->n_files; i++) {
        if (o->files[i].n_names == 0) {
            add_own_names(c, i);
        }
    }
    tls_names_sort(&c->names);
    return true;
}

/* ---- what OpenSSL asks ---- */

static struct tls_context *context_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* Called for each hello once its version is known, also for one without a name. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    struct tls_context *c = arg;
    const char *sent = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    uint64_t set = sent == NULL ? 0 : tls_names_find(&c->names, sent);

    (void)alert;
    /* OpenSSL 3.0 can't give the kernel the keys that a key update of 1.3 makes. */
    if (SSL_version(ssl) >= TLS1_3_VERSION) {
        (void)SSL_clear_options(ssl, SSL_OP_ENABLE_KTLS);
    }
    for (size_t i = 1; set != 0 && i < c->n_choices; i++) {
        if (c->choices[i].set == set) {
            (void)SSL_set_SSL_CTX(ssl, c->choices[i].ctx);
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

/* A client that offers protocols, but not HTTP/1.1, is told so (RFC 7301, 3.2). */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                        const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";

    (void)ssl;
    (void)arg;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_n, ours,
                                 sizeof ours - 1, in, in_n) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seals)
{
    return tls_tickets_seal(context_of(ssl)->tickets, clock_mono_ns(), name, iv, cipher,
                            mac, seals);
}

/* A ticket outlives nothing: a client whose certificate has expired since makes a whole
 * handshake, and is refused there. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session,
                                   const unsigned char *name, size_t name_n,
                                   SSL_TICKET_STATUS status, void *arg)
{
    X509 *peer;

    (void)ssl;
    (void)name;
    (void)name_n;
    (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    peer = SSL_SESSION_get0_peer(session);
    if (peer != NULL && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
                                        : SSL_TICKET_RETURN_USE_RENEW;
}

/* Called for each certificate of a client's chain that is otherwise good. */
static int on_client(int good, X509_STORE_CTX *x)
{
    X509 *cert = X509_STORE_CTX_get_current_cert(x);
    EVP_PKEY *key = cert == NULL ? NULL : X509_get0_pubkey(cert);

    if (good && key != NULL && EVP_PKEY_get_bits(key) > CLIENT_KEY_BITS_MAX) {
        X509_STORE_CTX_set_error(x, X509_V_ERR_CERT_REJECTED);
        return 0;
    }
    return good;
}

/* ---- making one ---- */

/* A session is resumed only where its client was asked the same: tickets go over
 * listeners and reloads. */
static bool identify(struct tls_context *c, const STACK_OF(X509) * trusted)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char mode = (unsigned char)c->client, one[EVP_MAX_MD_SIZE];
    bool good = EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(md, &mode, 1) == 1;
    unsigned n;

    for (int i = 0; good && i < sk_X509_num(trusted); i++) {
        good = X509_digest(sk_X509_value(trusted, i), EVP_sha256(), one, &n) == 1 &&
               EVP_DigestUpdate(md, one, n) == 1;
    }
    good = good && EVP_DigestFinal_ex(md, c->id, &c->id_n) == 1;
    EVP_MD_CTX_free(md);
    return good;
}

static bool trust(struct tls_context *c, const struct tls_options *o, struct err *e)
{
    STACK_OF(X509) *list = NULL;
    bool good;

    if (o->client != TLS_CLIENT_NONE) {
        list = tls_pair_certificates(o->ca, "CA", e);
        if (list == NULL) {
            return false;
        }
        c->trusted = X509_STORE_new();
        c->issuers = sk_X509_NAME_new_null();
    }
    for (int i = 0; i < sk_X509_num(list); i++) {
        X509 *x = sk_X509_value(list, i);

        (void)X509_STORE_add_cert(c->trusted, x);
        (void)sk_X509_NAME_push(c->issuers, X509_NAME_dup(X509_get_subject_name(x)));
    }
    good = identify(c, list) || err_set(e, "OpenSSL has no SHA-256");
    sk_X509_pop_free(list, X509_free);
    return good;
}

static void ask_clients(const struct tls_context *c, SSL_CTX *ctx)
{
    if (c->client == TLS_CLIENT_NONE) {
        return;
    }
    (void)SSL_CTX_set1_verify_cert_store(ctx, c->trusted);
    SSL_CTX_set_client_CA_list(ctx, SSL_dup_CA_list(c->issuers));
    SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
    SSL_CTX_set_max_cert_list(ctx, CHAIN_BYTES);
    SSL_CTX_set_verify(
        ctx,
        SSL_VERIFY_PEER |
            (c->client == TLS_CLIENT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        on_client);
}

static void set_tickets(struct tls_context *c, SSL_CTX *ctx)
{
    (void)SSL_CTX_set_session_id_context(ctx, c->id, c->id_n);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_max_early_data(ctx, 0); /* it can be sent twice */
    if (c->tickets == NULL) {
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        (void)SSL_CTX_set_num_tickets(ctx, 0);
        return;
    }
    (void)SSL_CTX_set_timeout(ctx, TLS_TICKET_S);
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key);
    (void)SSL_CTX_set_session_ticket_cb(ctx, tls_client_into_ticket, on_ticket, NULL);
}

static bool set_certificates(const struct tls_context *c, SSL_CTX *ctx, uint64_t set,
                             struct err *e)
{
    for (uint32_t i = 0; i < c->n_files; i++) {
        const struct tls_pair *p = &c->pairs[i];

        if ((set & bit(i)) != 0 &&
            SSL_CTX_use_cert_and_key(ctx, p->leaf, p->key, p->chain, 1) != 1) {
            unsigned long why = ERR_peek_last_error();

            ERR_clear_error();
            return err_set(e, "OpenSSL does not take the certificate \"%s\": %s",
                           c->paths[i], ERR_reason_error_string(why));
        }
    }
    return true;
}

static SSL_CTX *make_ctx(struct tls_context *c, uint64_t set, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL) {
        (void)err_set(e, "OpenSSL has no memory");
        return NULL;
    }
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    (void)SSL_CTX_set_options(
        ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_ENABLE_KTLS |
                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* Without AUTO_RETRY a read comes back after each message that is no data. */
    (void)SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_app_data(ctx, c);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    (void)SSL_CTX_set_tlsext_servername_arg(ctx, c);
    SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
    ask_clients(c, ctx);
    set_tickets(c, ctx);
    if (SSL_CTX_set_min_proto_version(ctx, c->only_1_3 ? TLS1_3_VERSION
                                                       : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, SUITES) != 1 ||
        SSL_CTX_set1_groups_list(ctx, GROUPS) != 1) {
        (void)err_set(e, "OpenSSL does not know the ciphers that sluice uses");
    } else if (set_certificates(c, ctx, set, e)) {
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

static bool add_choice(struct tls_context *c, uint64_t set, struct err *e)
{
    SSL_CTX *ctx;

    for (size_t i = 0; i < c->n_choices; i++) {
        if (c->choices[i].set == set) {
            return true;
        }
    }
    ctx = make_ctx(c, set, e);
    if (ctx == NULL) {
        return false;
    }
    c->choices[c->n_choices++] = (struct choice){set, ctx};
    return true;
}

/* The first certificate of each kind of key is for clients without a name. */
static bool add_choices(struct tls_context *c, struct err *e)
{
    uint64_t set = 0;

    for (uint32_t i = 0; i < c->n_files; i++) {
        set |= same_kind(c, set, i) < 0 ? bit(i) : 0;
    }
    c->choices = mem_zalloc((c->names.n + 1) * sizeof *c->choices);
    if (!add_choice(c, set, e)) {
        return false;
    }
    for (size_t i = 0; i < c->names.n; i++) {
        if (!add_choice(c, c->names.list[i].set, e)) {
            return false;
        }
    }
    return true;
}

struct tls_context *tls_context_new(const struct tls_options *o,
                                    struct tls_tickets *tickets, struct err *e)
{
    struct tls_context *c = mem_zalloc(sizeof *c);
    bool good = true;

    atomic_init(&c->refs, 1);
    c->client = o->client;
    c->only_1_3 = o->only_1_3;
    c->tickets = tickets == NULL ? NULL : tls_tickets_ref(tickets);
    for (uint32_t i = 0; i < o->n_files && good; i++) {
        good = tls_pair_read(&c->pairs[i], o->files[i].cert, o->files[i].key, e);
        c->paths[i] = mem_strdup(o->files[i].cert);
        c->n_files++;
    }
    if (good && add_names(c, o, e) && trust(c, o, e) && add_choices(c, e)) {
        return c;
    }
    tls_context_unref(c);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    (void)atomic_fetch_add(&c->refs, 1);
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < c->n_choices; i++) {
        SSL_CTX_free(c->choices[i].ctx);
    }
    free(c->choices);
    for (uint32_t i = 0; i < c->n_files; i++) {
        tls_pair_fini(&c->pairs[i]);
        free(c->paths[i]);
    }
    tls_names_fini(&c->names);
    X509_STORE_free(c->trusted);
    sk_X509_NAME_pop_free(c->issuers, X509_NAME_free);
    tls_tickets_unref(c->tickets);
    free(c);
}

int64_t tls_context_expires_s(const struct tls_context *c, uint32_t i)
{
    return c->pairs[i].to_s;
}

int64_t tls_context_lifetime_s(const struct tls_context *c, uint32_t i)
{
    return c->pairs[i].to_s - c->pairs[i].from_s;
}

bool tls_context_late(const struct tls_context *c, uint32_t *i, int64_t now_s,
                      struct err *e)
{
    for (; *i < c->n_files; (*i)++) {
        if (tls_pair_late(&c->pairs[*i], c->paths[*i], now_s, e)) {
            return true;
        }
    }
    return false;
}

SSL *tls_context_ssl(struct tls_context *c)
{
    return SSL_new(c->choices[0].ctx);
}
