#include "signature/jws.h"

#include <string.h>

#include "base/base64.h"
#include "decode/scan.h"
#include "decode/walk.h"

enum {
    HEADER_LETTERS = 1024,
    HEADER_BYTES = HEADER_LETTERS / 4 * 3,
    RAW_LETTERS = 86, /* of 64 bytes, without padding */
    HEADER_DEPTH = 4
};

static bool fault(struct signature_fault *why, const char *code, const char *message)
{
    *why = (struct signature_fault){code, NULL, message};
    return false;
}

static bool no_jws(struct signature_fault *why)
{
    return fault(why, "bad_signature",
                 "is no compact JWS: expected header.payload.signature in base64url");
}

/* The member's text to out; false: it is no text, or longer than max. */
static bool text_of(const struct member *m, char *out, size_t max, size_t *n)
{
    char room[HEADER_BYTES];

    if (m->kind != SLOT_STRING && m->kind != SLOT_ESCAPED) {
        return false;
    }
    *n = scan_unescape(m->value.p + 1, m->value.n - 2, room);
    if (*n > max) {
        return false;
    }
    memcpy(out, room, *n);
    return true;
}

/* The header's members that mean something here; others name no key that is taken. */
static bool read_header(struct str object, struct jws *out, struct signature_fault *why)
{
    bool has_alg = false, has_kid = false;
    struct walk w;
    struct member m;
    char alg[16];
    size_t n;

    walk_start(&w, object);
    while (walk_next(&w, &m)) {
        if (walk_is(&m, STR("alg"))) {
            /* What the header says decides nothing: it must be what is done. */
            if (has_alg || !text_of(&m, alg, sizeof alg, &n) ||
                !str_eq((struct str){alg, n}, STR("ES256"))) {
                return fault(why, "bad_signature", "its alg is not ES256");
            }
            has_alg = true;
        } else if (walk_is(&m, STR("kid"))) {
            if (has_kid || !text_of(&m, out->kid, sizeof out->kid, &out->n_kid)) {
                return fault(why, "bad_signature",
                             "its kid is not one text of at most 256 bytes");
            }
            has_kid = true;
        } else if (walk_is(&m, STR("crit")) || walk_is(&m, STR("b64"))) {
            return fault(why, "bad_signature",
                         "its header has crit or b64, which are not understood");
        }
    }
    return (has_alg && has_kid) ||
           fault(why, "bad_signature", "its header lacks alg or kid");
}

static bool is_letters(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '-' || c == '_')) {
            return false;
        }
    }
    return s.n > 0 && s.n % 4 != 1;
}

bool jws_read(struct str text, struct jws *out, struct signature_fault *why)
{
    static const struct scan_limits limits = {1, HEADER_DEPTH};
    char header[HEADER_BYTES + SCAN_PAD] = {0}, raw[JWS_RAW_BYTES + 3];
    const char *end = text.p + text.n, *dot, *second;
    struct scan_error se;
    struct str part;
    size_t n;

    if (text.n > JWS_TEXT_MAX) {
        return fault(why, "bad_signature", "is larger than 16384 bytes");
    }
    dot = memchr(text.p, '.', text.n);
    second = dot == NULL ? NULL : memchr(dot + 1, '.', (size_t)(end - dot - 1));
    if (second == NULL) {
        return no_jws(why);
    }
    part = (struct str){text.p, (size_t)(dot - text.p)};
    out->payload = (struct str){dot + 1, (size_t)(second - dot - 1)};
    out->input = (struct str){text.p, (size_t)(second - text.p)};
    if (part.n > HEADER_LETTERS || !is_letters(out->payload) ||
        !base64url_read(part, header, &n) || n == 0) {
        return no_jws(why);
    }
    if (scan_value(&limits, header, n, &se) != SCAN_OK || header[0] != '{') {
        return fault(why, "bad_signature", "its header is no JSON object");
    }
    if (!read_header((struct str){header, n}, out, why)) {
        return false;
    }
    part = (struct str){second + 1, (size_t)(end - second - 1)};
    if (part.n != RAW_LETTERS || !base64url_read(part, raw, &n) || n != JWS_RAW_BYTES) {
        return fault(why, "bad_signature",
                     "its signature is not 64 bytes in base64url");
    }
    memcpy(out->raw, raw, JWS_RAW_BYTES);
    return true;
}
