/*
 * jws - a compact JSON Web Signature (RFC 7515), taken apart. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/fault.h"

enum {
    JWS_TEXT_MAX = 16384,
    JWS_KID_MAX = 256,
    JWS_RAW_BYTES = 64, /* of ES256 and EdDSA */
    JWS_RAW_MAX = 512   /* of RS256 with 4096 bits */
};

/* The algorithms that are known. There is no "none". */
enum jws_alg { JWS_ES256, JWS_RS256, JWS_EDDSA, JWS_HS256, JWS_ALGS };

struct jws {
    struct str input;   /* what is signed: header, '.' and payload */
    struct str payload; /* in base64url */
    enum jws_alg alg;   /* what the header says: a key of another one is none */
    bool has_kid;
    char kid[JWS_KID_MAX];
    size_t n_kid;
    unsigned char raw[JWS_RAW_MAX]; /* the signature; ES256: r and s */
    size_t n_raw;
};

/* "ES256"; false: it is not known. */
bool jws_alg_of(struct str word, enum jws_alg *out) MUST_USE;

/* The same with any known alg, and perhaps without a kid. */
bool jws_read_any(struct str text, struct jws *out,
                  struct signature_fault *why) MUST_USE;

/* text: views of it are in *out; ES256, with a kid. False: *why; its field is left
 * NULL. */
bool jws_read(struct str text, struct jws *out, struct signature_fault *why) MUST_USE;
