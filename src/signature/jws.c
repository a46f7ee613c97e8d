#include "signature/jws.h"

#include <string.h>

#include "base/base64.h"
#include "decode/scan.h"
#include "decode/walk.h"

enum { HEADER_LETTERS = 1024, HEADER_BYTES = HEADER_LETTERS / 4 * 3, HEADER_DEPTH = 4 };

static const struct str algs[JWS_ALGS] = {[JWS_ES256] = STR("ES256"),
                                          [JWS_RS256] = STR("RS256"),
                                          [JWS_EDDSA] = STR("EdDSA"),
                                          [JWS_HS256] = STR("HS256")};

bool jws_alg_of(struct str word, enum jws_alg *out)
{
    for (unsigned i = 0; i < JWS_ALGS; i++) {
        if (str_eq(word, algs[i])) {
            *out = (enum jws_alg)i;
            return true;
        }
    }
    return false;
}

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
    char room[HEADER_BYTES + 3];

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

/* The header's members that mean something here; others, such as jwk and jku, bring no
 * key that is taken. */
static bool read_header(struct str object, struct jws *out, struct signature_fault *why)
{
    bool has_alg = false;
    struct walk w;
    struct member m;
    char alg[16];
    size_t n;

    out->has_kid = false;
    out->n_kid = 0;
    walk_start(&w, object);
    while (walk_next(&w, &m)) {
        if (walk_is(&m, STR("alg"))) {
            if (has_alg || !text_of(&m, alg, sizeof alg, &n) ||
                !jws_alg_of((struct str){alg, n}, &out->alg)) {
                return fault(why, "bad_signature", "its alg is not one that is known");
            }
            has_alg = true;
        } else if (walk_is(&m, STR("kid"))) {
            if (out->has_kid || !text_of(&m, out->kid, sizeof out->kid, &out->n_kid)) {
                return fault(why, "bad_signature",
                             "its kid is not one text of at most 256 bytes");
            }
            out->has_kid = true;
        } else if (walk_is(&m, STR("crit")) || walk_is(&m, STR("b64"))) {
            return fault(why, "bad_signature",
                         "its header has crit or b64, which are not understood");
        }
    }
    return has_alg || fault(why, "bad_signature", "its header lacks alg");
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

/* How many letters the signature has, without padding; RS256: at most. */
static size_t raw_letters(enum jws_alg alg)
{
    switch (alg) {
    case JWS_HS256:
        return 43;
    case JWS_RS256:
        return 683;
    case JWS_ES256:
    case JWS_EDDSA:
    case JWS_ALGS:
        break;
    }
    return 86;
}

static bool read_signature(struct str letters, struct jws *out)
{
    size_t n = raw_letters(out->alg);
    char raw[JWS_RAW_MAX + 3 + JWS_RAW_MAX / 3 + 1];

    if ((out->alg == JWS_RS256 ? letters.n > n : letters.n != n) ||
        !base64url_read(letters, raw, &out->n_raw) || out->n_raw == 0) {
        return false;
    }
    memcpy(out->raw, raw, out->n_raw);
    return true;
}

bool jws_read_any(struct str text, struct jws *out, struct signature_fault *why)
{
    static const struct scan_limits limits = {1, HEADER_DEPTH};
    char header[HEADER_LETTERS + SCAN_PAD] = {0};
    const char *end = text.p + text.n, *dot, *second;
    struct scan_error se;
    struct str part;
    size_t n;

    if (text.n > JWS_TEXT_MAX) {
        return fault(why, "bad_signature", "is larger than 16384 bytes");
    }
    dot = text.n == 0 ? NULL : memchr(text.p, '.', text.n);
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
    return read_signature(part, out) ||
           fault(why, "bad_signature",
                 "its signature has another length or is not in base64url");
}

bool jws_read(struct str text, struct jws *out, struct signature_fault *why)
{
    if (!jws_read_any(text, out, why)) {
        return false;
    }
    if (out->alg != JWS_ES256) {
        return fault(why, "bad_signature", "its alg is not ES256");
    }
    return out->has_kid || fault(why, "bad_signature", "its header lacks a kid");
}
