/*
 * hmac_form - whether a request carries the signature that its sender makes with a shared
 * secret: where it stands, how it is written, and which text is signed. Pure.
 *
 *   hmac_form_read (at load) -> hmac_form_check* -> hmac_form_fini
 *
 * The form is immutable after loading; any thread. Nothing is allocated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/fault.h"
#include "signature/hmac.h"

enum {
    HMAC_SECRETS_MAX = 4,
    HMAC_SIGNATURES_MAX = 8, /* of one request: each costs a compare */
    HMAC_PARTS_MAX = 5,      /* of the signed text */
    HMAC_STAMP_DIGITS = 12
};

enum hmac_part { HMAC_TEXT, HMAC_STAMP, HMAC_BODY };

struct hmac_form {
    /* "sha256={hex}": prefix, and the digest. "t={timestamp},v1={hex}": a list of items;
     * prefix is the name of those with a digest ("v1="), stamp the time's ("t="). */
    struct str prefix, stamp;
    bool list, base64;
    struct {
        enum hmac_part kind;
        struct str text; /* HMAC_TEXT */
    } parts[HMAC_PARTS_MAX];
    unsigned n_parts;
    bool stamped; /* the time is signed: window_s holds */
    int64_t window_s;
    struct hmac_key secrets[HMAC_SECRETS_MAX];
    unsigned n_secrets;
};

/* What was sent. */
struct hmac_sent {
    struct str value; /* of the signature's header; p NULL: there is none */
    struct str stamp; /* of the time's header, if the form has one; p NULL: none */
    struct str body;  /* as it came */
};

/* Fills all but window_s and the secrets. The texts are borrowed. has_stamp: the time
 * stands in a header of its own. False: *why, static, and *of, "format" or "signed". */
bool hmac_form_read(struct str format, struct str signed_text, bool has_stamp,
                    struct hmac_form *out, const char **of, const char **why) MUST_USE;
void hmac_form_fini(struct hmac_form *f); /* overwrites the secrets */

/* now_s: seconds since 1970. False: *why. */
bool hmac_form_check(const struct hmac_form *f, const struct hmac_sent *sent,
                     int64_t now_s, struct signature_fault *why) MUST_USE;
