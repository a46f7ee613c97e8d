/* The limits of a policy, and what routes and listeners ask of them. */
#include "plan/limit.h"
#include "policy/build/internal.h"

static enum limit_by by_of(struct build *b)
{
    return field_is(b, "by", "peer")    ? LIMIT_BY_PEER
           : field_is(b, "by", "path")  ? LIMIT_BY_PATH
           : field_is(b, "by", "event") ? LIMIT_BY_EVENT
           : field_is(b, "by", "all")   ? LIMIT_BY_ALL
                                        : LIMIT_BY_PART;
}

void build_limits(struct build *b)
{
    uint32_t n = field_open(b, "limits");

    b->plan->n_limits = n;
    b->plan->limits = build_room(b, n * sizeof *b->plan->limits);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        b->plan->limits[i] =
            (struct limit_plan){.name = field_text(b, "name").p,
                                .amount = field_number(b, "amount", 1),
                                .otherwise = field_number(b, "otherwise", -1),
                                .burst = (uint32_t)field_number(b, "burst", 0),
                                .window_s = (uint32_t)field_number(b, "window_s", 0),
                                .unit_s = (uint32_t)field_number(b, "unit_s", 1),
                                .max_keys = (uint32_t)field_whole(b, "max_keys"),
                                .column = field_text(b, "column"),
                                .by = by_of(b),
                                .part = field_is(b, "by", "key")   ? REQUEST_KEY
                                        : field_is(b, "by", "jwt") ? REQUEST_CLAIM
                                                                   : REQUEST_HEADER,
                                .part_name = field_text(b, "by_name")};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}

void build_route_limits(struct build *b, struct route *r)
{
    uint32_t n = field_open(b, "limits");
    struct route_limits *l;

    if (n > ROUTE_LIMITS_MAX) {
        (void)luaL_error(b->L, "more than %d limits", ROUTE_LIMITS_MAX);
    }
    if (n > 0) {
        l = build_room(b, sizeof *l);
        l->n = n;
        for (uint32_t i = 0; i < n; i++) {
            lua_rawgeti(b->L, -1, (int)i + 1);
            l->list[i] = (uint32_t)lua_tointeger(b->L, -1) % b->plan->n_limits;
            lua_pop(b->L, 1);
        }
        r->limits = l;
    }
    lua_pop(b->L, 1);
    if (n > 0) {
        l->headers = field_is(b, "limit_headers", "separate")   ? LIMIT_HEADERS_SEPARATE
                     : field_is(b, "limit_headers", "combined") ? LIMIT_HEADERS_COMBINED
                                                                : LIMIT_HEADERS_NONE;
    }
}

/* ---- networks ---- */

static void build_lines(struct build *b, struct network_list *l)
{
    uint32_t n = field_open(b, "networks");
    struct subnet *list = build_room(b, n * sizeof *list);
    struct str s;

    l->subnets = list;
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        s.p = lua_tolstring(b->L, -1, &s.n);
        if (str_eq(s, STR("unix"))) {
            l->local = true;
        } else if (address_read_network(s, &list[l->n].address, &list[l->n].prefix) ==
                   NULL) {
            l->n++;
        }
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}

/* Of files that the policy keeps as long as the plan. */
static void build_cidrs(struct build *b, struct network_list *l)
{
    uint32_t n = field_open(b, "tables");
    const struct cidr_table **list = build_room(b, n * sizeof *list);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t table;

        lua_rawgeti(b->L, -1, (int)i + 1);
        table = (uint32_t)lua_tointeger(b->L, -1);
        if (table < b->policy->n_tables) {
            list[l->n_tables++] = b->policy->tables[table].networks;
        }
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    l->tables = list;
}

static void build_list(struct build *b, const char *key, struct network_list *l)
{
    l->given = field_has(b, key);
    if (l->given) {
        (void)field_open(b, key);
        build_lines(b, l);
        build_cidrs(b, l);
        lua_pop(b->L, 1);
    }
}

const struct networks_plan *build_networks(struct build *b)
{
    struct networks_plan *a = NULL;

    if (field_has(b, "access")) {
        a = build_room(b, sizeof *a);
        (void)field_open(b, "access");
        build_list(b, "allow", &a->allow);
        build_list(b, "deny", &a->deny);
        lua_pop(b->L, 1);
    }
    return a;
}
