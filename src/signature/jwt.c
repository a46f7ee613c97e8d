#include "signature/jwt.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "decode/walk.h"
#include "signature/jwt_cache.h"
#include "signature/public_key.h"
#include "signature/verifier.h"

enum { CLAIMS_DEPTH = 16, PAYLOAD_MAX = JWT_TEXT_MAX, SECONDS_DIGITS = 12 };

struct jwt_verifier {
    const struct jwt_rules *rules;
    struct checker *checkers[JWKS_MAX]; /* by key; NULL: HS256 */
    struct jwt_cache *cache;
    char payload[PAYLOAD_MAX + SCAN_PAD];
    char text[PAYLOAD_MAX]; /* a claim, unescaped */
};

void jwt_rules_fini(struct jwt_rules *r)
{
    jwks_fini(&r->keys);
}

struct jwt_verifier *jwt_verifier_new(const struct jwt_rules *r)
{
    struct jwt_verifier *v = mem_zalloc(sizeof *v);

    v->rules = r;
    v->cache = jwt_cache_new(JWT_CACHE_TOKENS);
    for (uint32_t i = 0; i < r->keys.n; i++) {
        const struct jwk *k = &r->keys.keys[i];

        if (k->alg == JWS_HS256) {
            continue;
        }
        v->checkers[i] = checker_new(k->alg, k->key);
        if (v->checkers[i] == NULL) {
            jwt_verifier_free(v);
            return NULL;
        }
    }
    return v;
}

void jwt_verifier_free(struct jwt_verifier *v)
{
    if (v == NULL) {
        return;
    }
    for (uint32_t i = 0; i < JWKS_MAX; i++) {
        checker_free(v->checkers[i]);
    }
    jwt_cache_free(v->cache);
    free(v);
}

uint64_t jwt_hits(const struct jwt_verifier *v)
{
    return jwt_cache_hits(v->cache);
}

static bool fault(struct signature_fault *why, const char *code, const char *message)
{
    *why = (struct signature_fault){code, NULL, message};
    return false;
}

/* ---- the signature ---- */

static bool is_signed(struct jwt_verifier *v, const struct jws *token,
                      struct signature_fault *why)
{
    const struct jwt_rules *r = v->rules;
    struct str raw = {(const char *)token->raw, token->n_raw};
    unsigned char digest[HMAC_BYTES];
    const struct jwk *k;
    bool good;

    if ((r->algs & 1u << token->alg) == 0) {
        return fault(why, "bad_token", "its alg is not one that this route accepts");
    }
    k = jwks_find(&r->keys, token);
    if (k == NULL) {
        return fault(why, "unknown_key", "no key of this route has its kid and alg");
    }
    if (k->alg == JWS_HS256) {
        hmac_sign(&k->secret, &token->input, 1, digest);
        good = raw.n == HMAC_BYTES && hmac_equal(digest, token->raw);
    } else {
        good = checker_check(v->checkers[k - r->keys.keys], token->input, raw);
    }
    return good ||
           fault(why, "bad_token", "the key that it names has not made its signature");
}

/* ---- claims ---- */

/* The claims' object to v->payload; n 0: it is none. */
static struct str read_payload(struct jwt_verifier *v, struct str payload)
{
    static const struct scan_limits limits = {1, CLAIMS_DEPTH};
    struct scan_error se;
    struct str object = {v->payload, 0};
    size_t n;

    if (payload.n > PAYLOAD_MAX || !base64url_read(payload, v->payload, &n) || n == 0) {
        return object;
    }
    memset(v->payload + n, 0, SCAN_PAD);
    if (v->payload[0] == '{' && scan_value(&limits, v->payload, n, &se) == SCAN_OK) {
        object.n = n;
    }
    return object;
}

/* The member of the name; false: it is there twice. kind SLOT_ABSENT: it is not. */
static bool find(struct str object, struct str name, struct member *out)
{
    struct walk w;
    struct member m;

    out->kind = SLOT_ABSENT;
    walk_start(&w, object);
    while (walk_next(&w, &m)) {
        if (!walk_is(&m, name)) {
            continue;
        }
        if (out->kind != SLOT_ABSENT) {
            return false;
        }
        *out = m;
    }
    return true;
}

/* Seconds, whose fraction is cut off. False: it is no plain number of that range. */
static bool read_seconds(const struct member *m, int64_t *out)
{
    size_t i = 0;

    *out = 0;
    if (m->kind != SLOT_NUMBER) {
        return false;
    }
    for (; i < m->value.n && m->value.p[i] != '.'; i++) {
        if ((unsigned)(m->value.p[i] - '0') > 9 || i == SECONDS_DIGITS) {
            return false;
        }
        *out = *out * 10 + (m->value.p[i] - '0');
    }
    for (i++; i < m->value.n; i++) {
        if ((unsigned)(m->value.p[i] - '0') > 9) {
            return false;
        }
    }
    return true;
}

static bool is_text(struct jwt_verifier *v, struct str value, enum slot_kind kind,
                    const struct str *list, unsigned n)
{
    struct str text = {v->text, 0};

    if (kind != SLOT_STRING && kind != SLOT_ESCAPED) {
        return false;
    }
    text.n = scan_unescape(value.p + 1, value.n - 2, v->text);
    for (unsigned i = 0; i < n; i++) {
        if (str_eq(text, list[i])) {
            return true;
        }
    }
    return false;
}

/* Whether one element of the array, which was scanned, is in the list. */
static bool has_text(struct jwt_verifier *v, struct str array, const struct str *list,
                     unsigned n)
{
    const char *p = array.p + 1, *end = array.p + array.n - 1;

    for (unsigned i = 0; i < JWT_AUDIENCES; i++) {
        enum slot_kind kind;
        struct str value;

        while (p < end && (*p == ',' || (unsigned char)*p <= ' ')) {
            p++;
        }
        if (p == end) {
            return false;
        }
        value = walk_value(p, end, &kind);
        p = value.p + value.n;
        if (is_text(v, value, kind, list, n)) {
            return true;
        }
    }
    return false;
}

struct times {
    int64_t from, until; /* nbf; exp */
};

static bool check_times(const struct jwt_rules *r, const struct times *t, int64_t now_s,
                        struct signature_fault *why)
{
    if (now_s >= t->until + r->leeway_s) {
        return fault(why, "expired_token", "it has expired");
    }
    return now_s >= t->from - r->leeway_s ||
           fault(why, "early_token", "it is not valid yet");
}

static bool read_times(struct str object, struct times *out,
                       struct signature_fault *why)
{
    struct member exp, nbf;

    if (!find(object, STR("exp"), &exp) || !find(object, STR("nbf"), &nbf)) {
        return fault(why, "bad_token", "it has a claim twice");
    }
    if (exp.kind == SLOT_ABSENT) {
        return fault(why, "bad_token", "it has no exp: it would be good for ever");
    }
    out->from = 0;
    if (!read_seconds(&exp, &out->until) ||
        (nbf.kind != SLOT_ABSENT && !read_seconds(&nbf, &out->from))) {
        return fault(why, "bad_token", "its exp or nbf is not a number of seconds");
    }
    return true;
}

static bool check_parties(struct jwt_verifier *v, struct str object,
                          struct signature_fault *why)
{
    const struct jwt_rules *r = v->rules;
    struct member iss, aud;

    if (!find(object, STR("iss"), &iss) || !find(object, STR("aud"), &aud)) {
        return fault(why, "bad_token", "it has a claim twice");
    }
    if (r->n_issuers > 0 &&
        !is_text(v, iss.value, iss.kind, r->issuers, r->n_issuers)) {
        return fault(why, "wrong_issuer", "its iss is not one that this route accepts");
    }
    if (r->n_audiences > 0 &&
        !(aud.kind == SLOT_ARRAY
              ? has_text(v, aud.value, r->audiences, r->n_audiences)
              : is_text(v, aud.value, aud.kind, r->audiences, r->n_audiences))) {
        return fault(why, "wrong_audience", "its aud does not name this service");
    }
    return true;
}

/* A name that hooks read is there once, or not. */
static bool check_names(const struct jwt_rules *r, struct str object,
                        struct signature_fault *why)
{
    struct member m;

    for (unsigned i = 0; i < r->n_claims; i++) {
        if (!find(object, r->claims[i], &m)) {
            return fault(why, "bad_token", "it has a claim twice");
        }
    }
    return true;
}

bool jwt_check(struct jwt_verifier *v, struct str token, int64_t now_s,
               struct signature_fault *why)
{
    unsigned char digest[VERIFIER_DIGEST_BYTES];
    struct times times;
    struct str object;
    struct jws jws;

    if (token.n == 0 || token.n > JWT_TEXT_MAX) {
        return fault(why, "bad_token", "is not of 1 to 8192 bytes");
    }
    verifier_digest(token, digest);
    if (jwt_cache_find(v->cache, digest, &times.from, &times.until)) {
        return check_times(v->rules, &times, now_s, why);
    }
    if (!jws_read_any(token, &jws, why)) {
        why->code = "bad_token";
        return false;
    }
    /* Nothing of the payload is read before its signature is known to be good. */
    if (!is_signed(v, &jws, why)) {
        return false;
    }
    object = read_payload(v, jws.payload);
    if (object.n == 0) {
        return fault(why, "bad_token", "its payload is not one JSON object");
    }
    if (!read_times(object, &times, why) ||
        !check_times(v->rules, &times, now_s, why) || !check_parties(v, object, why) ||
        !check_names(v->rules, object, why)) {
        return false;
    }
    jwt_cache_add(v->cache, digest, times.from, times.until);
    return true;
}

enum jwt_kind jwt_claim(struct jwt_verifier *v, struct str token, struct str name,
                        struct str *text)
{
    const char *dot = memchr(token.p, '.', token.n);
    const char *second =
        dot == NULL ? NULL
                    : memchr(dot + 1, '.', (size_t)(token.p + token.n - dot - 1));
    struct str object;
    struct member m;

    if (second == NULL) {
        return JWT_NOTHING;
    }
    object = read_payload(v, (struct str){dot + 1, (size_t)(second - dot - 1)});
    if (object.n == 0 || !find(object, name, &m)) {
        return JWT_NOTHING;
    }
    switch (m.kind) {
    case SLOT_STRING:
    case SLOT_ESCAPED:
        *text =
            (struct str){v->text, scan_unescape(m.value.p + 1, m.value.n - 2, v->text)};
        return text->n <= JWT_CLAIM_MAX ? JWT_TEXT : JWT_NOTHING;
    case SLOT_NUMBER:
        *text = m.value;
        return JWT_NUMBER;
    case SLOT_TRUE:
        return JWT_TRUE;
    case SLOT_FALSE:
        return JWT_FALSE;
    case SLOT_ABSENT:
    case SLOT_NULL:
    case SLOT_OBJECT:
    case SLOT_ARRAY:
        break;
    }
    return JWT_NOTHING;
}
