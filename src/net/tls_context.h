/*
 * tls_context - a listener's side of TLS: its certificates by host name, the
 * certificates that it asks of clients, versions, ciphers, tickets.
 *
 *   tls_context_new -> (tls_context_ref -> tls_context_unref)* -> tls_context_unref
 *
 * It never changes: renewed files make a new one, and connections keep theirs. Counted;
 * any thread.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct tls_context;
struct tls_tickets;

enum { TLS_CERTIFICATES_MAX = 64 };

/* Of its client, a listener asks for no certificate; for one if it has any; for one. */
enum tls_client { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

/* PEM files: a certificate with the chain after it, and its private key. */
struct tls_files {
    const char *cert, *key;
    const char *const *names; /* hosts; none: those that the certificate has */
    uint32_t n_names;
};

struct tls_options {
    const struct tls_files *files; /* the first is for clients that send no name, or
                                      one that no certificate has */
    uint32_t n_files;              /* 1 to TLS_CERTIFICATES_MAX */
    enum tls_client client;
    const char *ca; /* PEM file: who may sign clients' certificates; NULL: client is
                       NONE */
    bool only_1_3;
};

/* Reads the files; tickets: NULL for none, else a reference is kept. NULL and *e: a
 * file is not as it should be. May block while the disk does. */
struct tls_context *tls_context_new(const struct tls_options *o,
                                    struct tls_tickets *tickets,
                                    struct err *e) MUST_USE;
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* NULL is fine */

/* When certificate i of the files ceases to be valid, in seconds since 1970. */
int64_t tls_context_expires_s(const struct tls_context *c, uint32_t i);
/* Its whole life, in seconds. */
int64_t tls_context_lifetime_s(const struct tls_context *c, uint32_t i);

/* Whether a certificate is not valid at now_s, seconds since 1970: i is the first one
 * from i on, *e tells. False: none. */
bool tls_context_late(const struct tls_context *c, uint32_t *i, int64_t now_s,
                      struct err *e) MUST_USE;

/* A server's side of a connection, without a socket; NULL: no memory. */
SSL *tls_context_ssl(struct tls_context *c);
