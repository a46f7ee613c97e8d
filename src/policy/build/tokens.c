/* What a route's auth knows of signatures: of web hooks, and of tokens. */
#include "base/err.h"
#include "policy/build/internal.h"
#include "signature/hmac_form.h"
#include "signature/jwks_file.h"
#include "signature/jwt.h"

/* The texts of the list at key, to out, which has room for max. */
static unsigned texts(struct build *b, const char *key, struct str *out, unsigned max)
{
    uint32_t n = field_open(b, key);

    for (uint32_t i = 0; i < n && i < max; i++) {
        struct str s;

        lua_rawgeti(b->L, -1, (int)i + 1);
        s.p = lua_tolstring(b->L, -1, &s.n);
        out[i] = build_copy(b, s);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return n < max ? n : max;
}

static void build_hmac(struct build *b, struct hmac_form *f)
{
    struct str format = field_text(b, "format"), text = field_text(b, "signed");
    struct str secrets[HMAC_SECRETS_MAX];
    const char *of, *why;

    if (!hmac_form_read(format, text, field_text(b, "timestamp").p != NULL, f, &of,
                        &why)) {
        (void)luaL_error(b->L, "hmac: %s %s", of, why);
    }
    f->window_s = (int64_t)field_whole(b, "window") / 1000;
    f->n_secrets = texts(b, "secrets", secrets, HMAC_SECRETS_MAX);
    for (unsigned i = 0; i < f->n_secrets; i++) {
        hmac_key_init(&f->secrets[i], secrets[i]);
    }
}

static void build_jwt(struct build *b, struct jwt_rules *r)
{
    struct str path = field_text(b, "path"), algs[JWS_ALGS];
    unsigned n = texts(b, "algs", algs, JWS_ALGS);
    enum jws_alg alg;
    struct err e;

    for (unsigned i = 0; i < n; i++) {
        r->algs |= jws_alg_of(algs[i], &alg) ? 1u << alg : 0;
    }
    r->leeway_s = (int64_t)field_whole(b, "leeway") / 1000;
    r->n_issuers = texts(b, "iss", r->issuers, JWT_LIST_MAX);
    r->n_audiences = texts(b, "aud", r->audiences, JWT_LIST_MAX);
    r->n_claims = texts(b, "claims", r->claims, JWT_CLAIMS_MAX);
    if (!jwks_file_read(path.p, &r->keys, &e)) {
        (void)luaL_error(b->L, "%s", e.text);
    }
}

void build_tokens(struct build *b)
{
    struct auth_secrets *p = build_room(b, sizeof *p);
    uint32_t n = field_open(b, "hmacs");

    b->plan->secrets = p;
    p->hmacs = build_room(b, n * sizeof *p->hmacs);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_hmac(b, &p->hmacs[p->n_hmacs++]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    n = field_open(b, "jwts");
    p->jwts = build_room(b, n * sizeof *p->jwts);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_jwt(b, &p->jwts[p->n_jwts++]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}

void build_signed_method(struct build *b, struct auth_method *m)
{
    uint32_t at = (uint32_t)field_whole(b, "index");

    if (m->kind == AUTH_HMAC) {
        m->hmac = &b->plan->secrets->hmacs[at];
        m->stamp = field_text(b, "timestamp");
    } else if (m->kind == AUTH_JWT) {
        m->jwt = &b->plan->secrets->jwts[at];
        m->jwt_index = at;
    }
}
