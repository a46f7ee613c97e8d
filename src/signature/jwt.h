/*
 * jwt - whether a JSON Web Token (RFC 7519) is good for a route: its signature by the key
 * that the policy has for it, its times, its issuer and its audience.
 *
 *   jwt_verifier_new -> jwt_check* -> jwt_verifier_free
 *   jwt_claim: a claim of a token that jwt_check has accepted
 *
 * The rules are immutable; any thread. A verifier is one thread's, and so are its
 * contexts and its memory of tokens. The rules outlive it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/fault.h"
#include "signature/jwk.h"

enum {
    JWT_TEXT_MAX = 8192,
    JWT_LIST_MAX = 8,    /* issuers, audiences */
    JWT_AUDIENCES = 64,  /* of a token that are looked at */
    JWT_CLAIMS_MAX = 16, /* that hooks may read */
    JWT_CLAIM_MAX = 256, /* bytes of such a text */
    JWT_CACHE_TOKENS = 4096
};

struct jwt_rules {
    struct jwks keys; /* owned */
    unsigned algs;    /* bit i is enum jws_alg i */
    int64_t leeway_s; /* for exp and nbf */
    struct str issuers[JWT_LIST_MAX], audiences[JWT_LIST_MAX]; /* n 0: any */
    unsigned n_issuers, n_audiences;
    struct str claims[JWT_CLAIMS_MAX];
    unsigned n_claims;
};

void jwt_rules_fini(struct jwt_rules *r);

struct jwt_verifier;

/* NULL: OpenSSL has no memory for it. */
struct jwt_verifier *jwt_verifier_new(const struct jwt_rules *r) MUST_USE;
void jwt_verifier_free(struct jwt_verifier *v); /* NULL is fine */

/* token: as it stands in the header. now_s: seconds since 1970. False: *why: "bad_token",
 * "unknown_key", "expired_token", "early_token", "wrong_issuer", "wrong_audience". */
bool jwt_check(struct jwt_verifier *v, struct str token, int64_t now_s,
               struct signature_fault *why) MUST_USE;

/* Tokens whose signature was not checked again. */
uint64_t jwt_hits(const struct jwt_verifier *v);

enum jwt_kind { JWT_NOTHING, JWT_TEXT, JWT_NUMBER, JWT_TRUE, JWT_FALSE };

/* The claim of an accepted token, whose name is one of the rules'. JWT_TEXT: *text, which
 * lives until the next call on v; JWT_NUMBER: its digits. JWT_NOTHING: there is none, it
 * is a list, an object or null, or a text of more than JWT_CLAIM_MAX bytes. */
enum jwt_kind jwt_claim(struct jwt_verifier *v, struct str token, struct str name,
                        struct str *text) MUST_USE;
