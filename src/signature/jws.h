/*
 * jws - a compact JSON Web Signature (RFC 7515) with ES256, taken apart. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/skadnetwork.h"

enum { JWS_TEXT_MAX = 16384, JWS_KID_MAX = 256, JWS_RAW_BYTES = 64 };

struct jws {
    struct str input;   /* what is signed: header, '.' and payload */
    struct str payload; /* in base64url */
    char kid[JWS_KID_MAX];
    size_t n_kid;
    unsigned char raw[JWS_RAW_BYTES]; /* r and s */
};

/* text: views of it are in *out. False: *why; its field is left NULL. */
bool jws_read(struct str text, struct jws *out, struct signature_fault *why) MUST_USE;
