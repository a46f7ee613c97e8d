/*
 * tls_pair - a certificate with its chain and its private key, read from PEM files and
 * checked: they belong together, and neither is weak.
 *
 *   tls_pair_read -> tls_pair_fini
 *
 * Any thread; reads files, so it may block while the disk does.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

struct tls_pair {
    X509 *leaf;
    STACK_OF(X509) * chain; /* the certificates after the first */
    EVP_PKEY *key;
    int type;             /* EVP_PKEY_RSA, EVP_PKEY_EC or EVP_PKEY_ED25519 */
    int64_t from_s, to_s; /* of 1970: the leaf is valid between */
};

/* False: *e names the file and its mistake, and *p holds nothing. That the certificate
 * is out of its time is none of these: see tls_pair_late. */
bool tls_pair_read(struct tls_pair *p, const char *cert, const char *key,
                   struct err *e) MUST_USE;
void tls_pair_fini(struct tls_pair *p);

/* Whether the leaf is not valid at a time in seconds since 1970; *e says so then. */
bool tls_pair_late(const struct tls_pair *p, const char *cert, int64_t now_s,
                   struct err *e) MUST_USE;

/* The whole of a PEM file, for free(); NULL and *e: it can't be read, or is no file of
 * that kind. what: "certificate". */
char *tls_pair_file(const char *path, const char *what, size_t *n,
                    struct err *e) MUST_USE;

/* In seconds since 1970; 0: it is no time. */
int64_t tls_pair_seconds(const ASN1_TIME *t);

/* All certificates of a PEM, at least one, for sk_X509_pop_free; NULL and *e. */
STACK_OF(X509) *
    tls_pair_certificates(const char *path, const char *what, struct err *e) MUST_USE;
