/*
 * public_key - public keys of OpenSSL, made of their numbers, and signatures checked with
 * them.
 *
 *   public_key_* -> checker_new -> checker_check* -> checker_free ; public_key_free
 *
 * A key is immutable, for any thread. A checker is one thread's: its contexts are made
 * once for all checks. The key outlives it.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/jws.h"

struct evp_pkey_st;
struct checker;

/* NULL: the numbers are no such key. All big-endian; x and y of 32 bytes. */
struct evp_pkey_st *public_key_rsa(struct str n, struct str e) MUST_USE;
struct evp_pkey_st *public_key_p256(const char *x, const char *y) MUST_USE;
struct evp_pkey_st *public_key_ed25519(const char *x) MUST_USE;
void public_key_free(struct evp_pkey_st *k); /* NULL is fine */

/* alg: the one of the key; not HS256. NULL: OpenSSL has no memory for it. */
struct checker *checker_new(enum jws_alg alg, struct evp_pkey_st *key) MUST_USE;
void checker_free(struct checker *c); /* NULL is fine */

/* Whether the key has made the signature for text; ES256: r and s, 32 bytes each. */
bool checker_check(struct checker *c, struct str text, struct str signature) MUST_USE;
