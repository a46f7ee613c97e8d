/*
 * hmac - HMAC-SHA-256 (RFC 2104, FIPS 180-4) of a text in parts. Pure; allocates nothing.
 *
 *   hmac_key_init -> hmac_sign* -> hmac_key_fini
 *
 * A key is immutable after hmac_key_init; any thread may use it.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

enum { HMAC_BYTES = 32, HMAC_BLOCK_BYTES = 64 };

struct hmac_key {
    unsigned char block[HMAC_BLOCK_BYTES]; /* the secret, or its digest, with zeros */
};

void hmac_key_init(struct hmac_key *k, struct str secret);
void hmac_key_fini(struct hmac_key *k); /* overwrites the secret */

/* The digest of the n parts, one after the other. */
void hmac_sign(const struct hmac_key *k, const struct str *parts, unsigned n,
               unsigned char out[HMAC_BYTES]);

/* Takes the same time wherever the two differ. */
bool hmac_equal(const unsigned char a[HMAC_BYTES],
                const unsigned char b[HMAC_BYTES]) MUST_USE;
