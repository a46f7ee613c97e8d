#include "signature/jwk.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "decode/walk.h"
#include "signature/public_key.h"

enum {
    FILE_DEPTH = 8,
    SECRET_MIN = 32, /* RFC 7518, 3.2: as long as the digest */
    RSA_BYTES_MIN = 256,
    RSA_BYTES_MAX = 512,
    EXPONENT_MAX = 8,
    LETTERS_MAX = (JWK_SECRET_MAX + 2) / 3 * 4 + 4
};

/* A key's members that mean something here. */
enum name { KTY, USE, OPS, ALG, KID, CRV, X, Y, N, E, K, D, P, Q, NAMES };

static const struct str names[NAMES] = {
    [KTY] = STR("kty"), [USE] = STR("use"), [OPS] = STR("key_ops"), [ALG] = STR("alg"),
    [KID] = STR("kid"), [CRV] = STR("crv"), [X] = STR("x"),         [Y] = STR("y"),
    [N] = STR("n"),     [E] = STR("e"),     [K] = STR("k"),         [D] = STR("d"),
    [P] = STR("p"),     [Q] = STR("q"),
};

struct fields {
    struct member list[NAMES];
    bool has[NAMES];
    uint32_t number; /* of the key in the file, from 1 */
};

static bool bad(const struct fields *f, struct err *e, const char *why)
{
    return err_set(e, "key %u %s", f->number, why);
}

/* The text of a member; false: it is no text without escapes of at most max bytes. */
static bool text_of(const struct fields *f, enum name i, size_t max, struct str *out)
{
    const struct member *m = &f->list[i];

    if (!f->has[i] || m->kind != SLOT_STRING || m->value.n - 2 > max) {
        return false;
    }
    *out = (struct str){m->value.p + 1, m->value.n - 2};
    return true;
}

static bool is(const struct fields *f, enum name i, struct str text)
{
    struct str s;

    return text_of(f, i, 64, &s) && str_eq(s, text);
}

/* The bytes of a member in base64url; out has LETTERS_MAX. */
static bool bytes_of(const struct fields *f, enum name i, size_t max, char *out,
                     size_t *n)
{
    struct str s;

    return text_of(f, i, LETTERS_MAX, &s) && base64url_read(s, out, n) && *n > 0 &&
           *n <= max;
}

static bool read_fields(struct str object, struct fields *f, struct err *e)
{
    struct walk w;
    struct member m;

    memset(f->has, 0, sizeof f->has);
    walk_start(&w, object);
    while (walk_next(&w, &m)) {
        for (unsigned i = 0; i < NAMES; i++) {
            if (!walk_is(&m, names[i])) {
                continue;
            }
            if (f->has[i]) {
                return bad(f, e, "has a member twice");
            }
            f->has[i] = true;
            f->list[i] = m;
        }
    }
    return f->has[KTY] || bad(f, e, "has no kty");
}

/* Whether the key is for other work than signatures. */
static bool is_other(const struct fields *f)
{
    return (f->has[USE] && !is(f, USE, STR("sig"))) ||
           (f->has[OPS] && memmem(f->list[OPS].value.p, f->list[OPS].value.n,
                                  "\"verify\"", 8) == NULL);
}

/* The algorithm of the key's type. False: it is of a kind that is not used. */
static bool alg_of(const struct fields *f, enum jws_alg *out)
{
    static const char *const words[JWS_ALGS] = {[JWS_RS256] = "RS256",
                                                [JWS_ES256] = "ES256",
                                                [JWS_EDDSA] = "EdDSA",
                                                [JWS_HS256] = "HS256"};

    if (is(f, KTY, STR("RSA"))) {
        *out = JWS_RS256;
    } else if (is(f, KTY, STR("EC")) && is(f, CRV, STR("P-256"))) {
        *out = JWS_ES256;
    } else if (is(f, KTY, STR("OKP")) && is(f, CRV, STR("Ed25519"))) {
        *out = JWS_EDDSA;
    } else if (is(f, KTY, STR("oct"))) {
        *out = JWS_HS256;
    } else {
        return false;
    }
    return !f->has[ALG] || is(f, ALG, str_of(words[*out]));
}

/* Also all zeros, which HMAC takes for the empty key. */
static bool is_one_byte(const char *secret, size_t n)
{
    return n > 0 && memcmp(secret, secret + 1, n - 1) == 0;
}

static bool read_secret(const struct fields *f, struct jwk *out, struct err *e)
{
    char secret[LETTERS_MAX];
    size_t n;
    bool good = false;

    if (!bytes_of(f, K, JWK_SECRET_MAX, secret, &n)) {
        (void)bad(f, e, "has no k of 1 to 1024 bytes in base64url");
    } else if (memmem(secret, n, "-----BEGIN", 10) != NULL) {
        (void)bad(f, e, "is the text of a PEM: whoever has a public key could sign");
    } else if (n < SECRET_MIN) {
        (void)bad(f, e, "has a secret of less than 32 bytes, too few for HS256");
    } else if (is_one_byte(secret, n)) {
        (void)bad(f, e, "has a secret that is one byte again and again: a guess");
    } else {
        hmac_key_init(&out->secret, (struct str){secret, n});
        good = true;
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return good;
}

static bool read_public(const struct fields *f, struct jwk *out, struct err *e)
{
    char x[LETTERS_MAX], y[LETTERS_MAX];
    size_t n_x, n_y = 0;

    switch (out->alg) {
    case JWS_RS256:
        if (!bytes_of(f, N, RSA_BYTES_MAX, x, &n_x) ||
            !bytes_of(f, E, EXPONENT_MAX, y, &n_y) || n_x < RSA_BYTES_MIN ||
            x[0] == 0) {
            return bad(f, e, "expected n of 2048 to 4096 bits and e, in base64url");
        }
        out->key = public_key_rsa((struct str){x, n_x}, (struct str){y, n_y});
        break;
    case JWS_ES256:
        if (!bytes_of(f, X, 32, x, &n_x) || !bytes_of(f, Y, 32, y, &n_y) || n_x != 32 ||
            n_y != 32) {
            return bad(f, e, "expected x and y of 32 bytes each, in base64url");
        }
        out->key = public_key_p256(x, y);
        break;
    case JWS_EDDSA:
    case JWS_HS256:
    case JWS_ALGS:
        if (!bytes_of(f, X, 32, x, &n_x) || n_x != 32) {
            return bad(f, e, "expected x of 32 bytes, in base64url");
        }
        out->key = public_key_ed25519(x);
        break;
    }
    return out->key != NULL || bad(f, e, "is no valid public key");
}

static bool same_name(const struct jwk *a, const struct jwk *b)
{
    return a->alg == b->alg && a->has_kid == b->has_kid &&
           str_eq((struct str){a->kid, a->n_kid}, (struct str){b->kid, b->n_kid});
}

static bool read_key(struct fields *f, struct jwks *s, struct err *e)
{
    struct jwk *out = &s->keys[s->n];
    struct str kid;

    if (f->has[D] || f->has[P] || f->has[Q]) {
        return bad(f, e, "is a private key: the file must have public keys only");
    }
    if (is_other(f) || !alg_of(f, &out->alg)) {
        s->n_other++;
        return true;
    }
    if (s->n == JWKS_MAX) {
        return err_set(e, "has more than %d keys", JWKS_MAX);
    }
    *out = (struct jwk){.alg = out->alg, .has_kid = f->has[KID]};
    if (f->has[KID]) {
        if (!text_of(f, KID, JWS_KID_MAX, &kid)) {
            return bad(f, e,
                       "has a kid that is no text of at most 256 bytes without "
                       "escapes");
        }
        memcpy(out->kid, kid.p, kid.n);
        out->n_kid = kid.n;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (same_name(&s->keys[i], out)) {
            return bad(f, e, "has the kid and the type of an earlier key");
        }
    }
    if (!(out->alg == JWS_HS256 ? read_secret(f, out, e) : read_public(f, out, e))) {
        return false;
    }
    s->n++;
    return true;
}

/* The elements of the array, which scan_value has checked. */
static bool read_list(struct str array, struct jwks *s, struct err *e)
{
    const char *p = array.p + 1, *end = array.p + array.n - 1;
    struct fields f = {.number = 0};

    for (;;) {
        enum slot_kind kind;
        struct str v;

        while (p < end && (*p == ',' || (unsigned char)*p <= ' ')) {
            p++;
        }
        if (p == end) {
            return true;
        }
        v = walk_value(p, end, &kind);
        p = v.p + v.n;
        f.number++;
        if (kind != SLOT_OBJECT) {
            return bad(&f, e, "is no object");
        }
        if (!read_fields(v, &f, e) || !read_key(&f, s, e)) {
            return false;
        }
    }
}

static bool read_set(struct str text, struct jwks *s, struct err *e)
{
    static const struct scan_limits limits = {1, FILE_DEPTH};
    struct scan_error se;
    struct str list = {NULL, 0};
    struct walk w;
    struct member m;

    while (text.n > 0 && (unsigned char)*text.p <= ' ') {
        text = (struct str){text.p + 1, text.n - 1};
    }
    if (scan_value(&limits, text.p, text.n, &se) != SCAN_OK || *text.p != '{') {
        return err_set(e, "is no JSON object: expected {\"keys\": […]}");
    }
    walk_start(&w, text);
    while (walk_next(&w, &m)) {
        if (walk_is(&m, STR("d")) || walk_is(&m, STR("p"))) {
            return err_set(e, "is a private key, not a set of public keys");
        }
        if (walk_is(&m, STR("keys"))) {
            if (list.p != NULL || m.kind != SLOT_ARRAY) {
                return err_set(e, "expected one array of keys in \"keys\"");
            }
            list = m.value;
        }
    }
    if (list.p == NULL) {
        return err_set(e, "has no \"keys\": expected {\"keys\": […]}");
    }
    return read_list(list, s, e) &&
           (s->n > 0 ||
            err_set(e, "has no key for RS256, ES256, EdDSA or HS256 among its %u keys",
                    s->n_other));
}

bool jwks_read(struct str text, struct jwks *out, struct err *e)
{
    *out = (struct jwks){.n = 0};
    if (text.n > JWKS_BYTES_MAX) {
        return err_set(e, "is larger than 256 KiB");
    }
    out->keys = mem_zalloc((JWKS_MAX + 1) * sizeof *out->keys);
    if (!read_set(text, out, e)) {
        jwks_fini(out);
        return false;
    }
    return true;
}

void jwks_fini(struct jwks *s)
{
    for (uint32_t i = 0; s->keys != NULL && i <= JWKS_MAX; i++) {
        public_key_free(s->keys[i].key);
        hmac_key_fini(&s->keys[i].secret);
    }
    free(s->keys);
    *s = (struct jwks){.n = 0};
}

const struct jwk *jwks_find(const struct jwks *s, const struct jws *token)
{
    const struct jwk *found = NULL;

    for (uint32_t i = 0; i < s->n; i++) {
        const struct jwk *k = &s->keys[i];

        if (k->alg != token->alg ||
            (token->has_kid &&
             (!k->has_kid || !str_eq((struct str){k->kid, k->n_kid},
                                     (struct str){token->kid, token->n_kid})))) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = k;
    }
    return found;
}
