/*
 * verifier - signatures of ECDSA with SHA-256, checked against pins.
 *
 *   verifier_new -> verifier_check* -> verifier_free
 *
 * One thread's: its contexts are made once for all checks. The pins outlive it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "signature/pin.h"

enum { VERIFIER_DIGEST_BYTES = 32, VERIFIER_DER_MAX = 72 };

struct verifier;

/* NULL: OpenSSL has no memory for it. */
struct verifier *verifier_new(const struct pin *pins, uint32_t n) MUST_USE;
void verifier_free(struct verifier *v); /* NULL is fine */

/* SHA-256. */
void verifier_digest(struct str text, unsigned char out[VERIFIER_DIGEST_BYTES]);

/* der: r and s in DER, and nothing behind it. */
bool verifier_check(struct verifier *v, uint32_t pin,
                    const unsigned char digest[VERIFIER_DIGEST_BYTES],
                    struct str der) MUST_USE;

/* r and s of 32 bytes each, as a JWS has them, in DER; returns its length. */
size_t verifier_der(const unsigned char raw[64], unsigned char out[VERIFIER_DER_MAX]);
