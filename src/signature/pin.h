/*
 * pin - a public key that an operator trusts: P-256, or P-192 for the versions of
 * SKAdNetwork that were signed with it. Immutable once read; any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

struct evp_pkey_st;

enum pin_curve { PIN_P256, PIN_P192 };

struct pin {
    struct str name; /* the kid of a JWS; NUL-terminated */
    enum pin_curve curve;
    struct evp_pkey_st *key;
};

/* text: PEM, or the DER of a SubjectPublicKeyInfo in base64. Fills curve and key.
 * False: *why, static: "is not base64". */
bool pin_read(struct str text, struct pin *out, const char **why) MUST_USE;
void pin_fini(struct pin *p);
