/* The files of keys, and what routes ask of a request before it is let in. */
#include "plan/auth.h"

#include "plan/client_cert.h"
#include "plan/key_table.h"
#include "policy/build/internal.h"

void build_keys(struct build *b)
{
    uint32_t n = field_open(b, "keys");

    b->plan->n_keys = n;
    b->plan->keys = build_room(b, n * sizeof *b->plan->keys);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        b->plan->keys[i] =
            (struct key_plan){.name = field_text(b, "name").p,
                              .table = (uint32_t)field_whole(b, "table"),
                              .expires = (int32_t)field_number(b, "expires", -1),
                              .disabled = (int32_t)field_number(b, "disabled", -1),
                              .label = (int32_t)field_number(b, "label", -1),
                              .metric = (uint32_t)field_number(b, "metric", 0)};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}

static enum auth_kind kind_of(struct build *b)
{
    return field_is(b, "kind", "bearer")        ? AUTH_BEARER
           : field_is(b, "kind", "basic")       ? AUTH_BASIC
           : field_is(b, "kind", "header")      ? AUTH_HEADER
           : field_is(b, "kind", "jwt")         ? AUTH_JWT
           : field_is(b, "kind", "hmac")        ? AUTH_HMAC
           : field_is(b, "kind", "client_cert") ? AUTH_CERT
                                                : AUTH_QUERY;
}

static const struct key_plan *keys_of(struct build *b)
{
    return field_has(b, "keys") ? &b->plan->keys[field_whole(b, "keys")] : NULL;
}

static const struct str *texts(struct build *b, const char *key, uint32_t *n)
{
    struct str *list;

    *n = field_open(b, key);
    list = build_room(b, *n * sizeof *list);
    for (uint32_t i = 0; i < *n; i++) {
        struct str s;

        lua_rawgeti(b->L, -1, (int)i + 1);
        s.p = lua_tolstring(b->L, -1, &s.n);
        list[i] = build_copy(b, s);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return list;
}

static void build_client_cert(struct build *b, struct auth_method *m)
{
    struct client_cert *c;

    if (m->kind == AUTH_CERT) {
        c = build_room(b, sizeof *c);
        c->subjects = texts(b, "subject", &c->n_subjects);
        c->authorities = texts(b, "ca", &c->n_authorities);
        c->fingerprints = texts(b, "fingerprint", &c->n_fingerprints);
        c->by_subject = field_is(b, "by", "subject");
        m->cert = c;
    }
}

void build_auth(struct build *b, struct route *r)
{
    char missing[AUTH_CHALLENGE_BYTES], wrong[AUTH_CHALLENGE_BYTES];
    struct auth_method *methods;
    struct auth_plan *a;
    uint32_t n = field_open(b, "auth");

    if (n > AUTH_METHODS_MAX) {
        (void)luaL_error(b->L, "more than %d methods", AUTH_METHODS_MAX);
    }
    if (n > 0) {
        a = build_room(b, sizeof *a);
        methods = build_room(b, n * sizeof *methods);
        for (uint32_t i = 0; i < n; i++) {
            lua_rawgeti(b->L, -1, (int)i + 1);
            methods[i] = (struct auth_method){
                .kind = kind_of(b), .name = field_text(b, "name"), .keys = keys_of(b)};
            build_signed_method(b, &methods[i]);
            build_client_cert(b, &methods[i]);
            lua_pop(b->L, 1);
        }
        auth_challenges(methods, n, missing, wrong);
        *a = (struct auth_plan){.methods = methods,
                                .n = n,
                                .challenge = build_copy(b, str_of(missing)).p,
                                .challenge_wrong = build_copy(b, str_of(wrong)).p};
        r->auth = a;
    }
    lua_pop(b->L, 1);
}
