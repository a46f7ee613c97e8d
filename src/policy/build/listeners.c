/* The loader's listeners, to the plan. */
#include "policy/build/internal.h"

/* The routes that it serves, as places of the description's list. */
static const uint64_t *build_serves(struct build *b)
{
    uint64_t *bits = NULL;
    uint32_t n;

    if (field_has(b, "serves")) {
        bits = build_room(b, PLAN_ROUTES_MAX / 8);
        n = field_open(b, "serves");
        for (uint32_t i = 0; i < n; i++) {
            uint32_t route;

            lua_rawgeti(b->L, -1, (int)i + 1);
            route = (uint32_t)lua_tointeger(b->L, -1) % PLAN_ROUTES_MAX;
            bits[route / 64] |= (uint64_t)1 << route % 64;
            lua_pop(b->L, 1);
        }
        lua_pop(b->L, 1);
    }
    return bits;
}

static const char *const *build_names(struct build *b, uint32_t *n)
{
    const char **names = NULL;

    *n = 0;
    if (field_has(b, "names")) {
        *n = field_open(b, "names");
        names = build_room(b, *n * sizeof *names);
        for (uint32_t i = 0; i < *n; i++) {
            lua_rawgeti(b->L, -1, (int)i + 1);
            names[i] = build_copy(b, str_of(lua_tostring(b->L, -1))).p;
            lua_pop(b->L, 1);
        }
        lua_pop(b->L, 1);
    }
    return names;
}

static void build_certificate(struct build *b, struct certificate_plan *c)
{
    c->cert = field_text(b, "cert").p;
    c->key = field_text(b, "key").p;
    c->names = build_names(b, &c->n_names);
}

/* The one of the options is the first, those of the list follow. */
static void build_certificates(struct build *b, struct tls_plan *t)
{
    uint32_t n = field_open(b, "items");
    struct certificate_plan *list = build_room(b, (n + 1) * sizeof *list);

    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_certificate(b, &list[i + 1]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    build_certificate(b, &list[0]);
    t->certificates = list;
    t->n_certificates = n + 1;
}

static const struct tls_plan *build_tls(struct build *b)
{
    struct tls_plan *t = NULL;

    if (field_has(b, "tls")) {
        t = build_room(b, sizeof *t);
        (void)field_open(b, "tls");
        build_certificates(b, t);
        t->client = field_is(b, "client", "required")   ? TLS_REQUIRES
                    : field_is(b, "client", "optional") ? TLS_ASKS
                                                        : TLS_ASKS_NOTHING;
        t->ca = field_text(b, "ca").p;
        t->only_1_3 = field_is(b, "min_version", "1.3");
        t->tickets = field_flag(b, "tickets");
        t->handshake_timeout_ms = (int64_t)field_whole(b, "handshake_timeout");
        t->renew_ms = (int64_t)field_whole(b, "renew");
        t->max_handshakes = (uint32_t)field_whole(b, "max_handshakes");
        lua_pop(b->L, 1);
    }
    return t;
}

/* The loader has looked at each. */
static void build_trusted(struct build *b, struct listener_plan *l)
{
    uint32_t n = field_open(b, "trusted");
    struct subnet *list = build_room(b, n * sizeof *list);
    struct str s;

    l->trusted = list;
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        s.p = lua_tolstring(b->L, -1, &s.n);
        if (str_eq(s, STR("unix"))) {
            l->trusts_local = true;
        } else if (address_read_network(s, &list[l->n_trusted].address,
                                        &list[l->n_trusted].prefix) == NULL) {
            l->n_trusted++;
        }
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    if (n > 0) {
        l->forwarded = field_is(b, "forwarded", "x-forwarded-for") ? FORWARDED_X_FOR
                       : field_is(b, "forwarded", "forwarded")     ? FORWARDED_RFC
                                                                   : FORWARDED_NONE;
    }
}

static void build_listener(struct build *b, struct listener_plan *l)
{
    build_trusted(b, l);
    l->proxy_protocol = field_flag(b, "proxy_protocol");
    l->health = field_text(b, "health").p;
    l->address = field_text(b, "address").p;
    l->mode = (uint32_t)field_whole(b, "mode");
    l->user = field_text(b, "user").p;
    l->group = field_text(b, "group").p;
    l->max_connections = (uint32_t)field_whole(b, "max_connections");
    l->max_per_address = (uint32_t)field_whole(b, "max_per_address");
    l->tls = build_tls(b);
    l->serves = build_serves(b);
    l->access = build_networks(b);
}

void build_admin(struct build *b)
{
    struct admin_plan *a = &b->plan->admin;
    const char **hosts;

    (void)field_open(b, "admin");
    build_listener(b, &a->listener);
    a->token = field_text(b, "token");
    a->n_hosts = field_open(b, "hosts");
    hosts = build_room(b, a->n_hosts * sizeof *hosts);
    for (uint32_t i = 0; i < a->n_hosts; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        hosts[i] = build_copy(b, str_of(lua_tostring(b->L, -1))).p;
        lua_pop(b->L, 1);
    }
    a->hosts = hosts;
    lua_pop(b->L, 2);
}

void build_listeners(struct build *b)
{
    uint32_t n = field_open(b, "listeners");

    if (n > PLAN_LISTENERS_MAX) {
        (void)luaL_error(b->L, "more than %d listeners", PLAN_LISTENERS_MAX);
    }
    b->plan->n_listeners = n;
    b->plan->listeners = build_room(b, n * sizeof *b->plan->listeners);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_listener(b, &b->plan->listeners[i]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}
