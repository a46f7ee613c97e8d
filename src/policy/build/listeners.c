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

static void build_listener(struct build *b, struct listener_plan *l)
{
    l->address = field_text(b, "address").p;
    l->mode = (uint32_t)field_whole(b, "mode");
    l->user = field_text(b, "user").p;
    l->group = field_text(b, "group").p;
    l->max_connections = (uint32_t)field_whole(b, "max_connections");
    l->max_per_address = (uint32_t)field_whole(b, "max_per_address");
    l->serves = build_serves(b);
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
