/*
 * jwk - the keys of a JWK set (RFC 7517) that check tokens.
 *
 *   jwks_read -> jwks_find* -> jwks_fini
 *
 * Immutable once read; any thread. A key is of one algorithm, which its type decides:
 * a token can't choose another.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/hmac.h"
#include "signature/jws.h"

struct err;
struct evp_pkey_st;

enum { JWKS_MAX = 32, JWKS_BYTES_MAX = 256 << 10, JWK_SECRET_MAX = 1024 };

struct jwk {
    enum jws_alg alg;
    bool has_kid;
    char kid[JWS_KID_MAX];
    size_t n_kid;
    struct evp_pkey_st *key; /* NULL: JWS_HS256 */
    struct hmac_key secret;  /* JWS_HS256 */
};

struct jwks {
    struct jwk *keys; /* owned */
    uint32_t n;
    uint32_t n_other; /* of the file, of kinds that are not used here */
};

/* text: of the file, with SCAN_PAD readable bytes after it. False: *e, and nothing is
 * kept. Nothing of a secret is in *e. */
bool jwks_read(struct str text, struct jwks *out, struct err *e) MUST_USE;
void jwks_fini(struct jwks *s); /* overwrites the secrets */

/* The key of the token's kid and alg; without a kid, the only key of the alg. NULL:
 * there is none, or more than one. */
const struct jwk *jwks_find(const struct jwks *s, const struct jws *token) MUST_USE;
