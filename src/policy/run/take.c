/* The routes' hooks, taken out of the loader's result: searched for code that may not
 * end, and compiled if there is none. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "policy/run/internal.h"

/* Why f, which is on top, may not end, and where; "": it ends by itself. */
static bool look_for_loops(lua_State *L, int module, const char *name,
                           struct route_hooks *h)
{
    bool found;

    lua_getfield(L, module, "endless");
    lua_pushvalue(L, -2);
    found = lua_pcall(L, 1, 1, 0) != 0 || !lua_isnil(L, -1);
    if (found) {
        h->loops = true;
        (void)snprintf(h->why_bounded, sizeof h->why_bounded, "%s %s", name,
                       lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    return found;
}

static void note_place(lua_State *L, struct route_hooks *h, int hook)
{
    lua_Debug ar;

    lua_pushvalue(L, -1);
    if (lua_getinfo(L, ">S", &ar) != 0) {
        h->lines[hook] = ar.linedefined;
        (void)snprintf(h->files[hook], sizeof h->files[hook], "%s",
                       strncmp(ar.source, "@policy:", 8) == 0 ? ar.source + 8
                                                              : ar.source);
    }
}

static bool compile(lua_State *L, int module, struct err *e)
{
    lua_getfield(L, module, "compile");
    lua_pushvalue(L, -2);
    return lua_pcall(L, 1, 0, 0) == 0 || err_set(e, "%s", lua_tostring(L, -1));
}

/* The route's description is on top. */
static bool take_route(struct policy_state *s, uint32_t i, int module, struct err *e)
{
    static const char *const names[N_HOOKS] = {"on_event", "on_request", "on_location"};
    static const char *const shown[N_HOOKS] = {"on_event", "on_request",
                                               "answer.location"};
    lua_State *L = s->L;
    int route = lua_gettop(L);
    bool any = false;

    for (size_t k = 0; k < N_ELEMS(names); k++) {
        lua_getfield(L, route, names[k]);
        if (lua_isfunction(L, -1)) {
            any = true;
            note_place(L, &s->hooks[i], (int)k);
            if (!look_for_loops(L, module, shown[k], &s->hooks[i]) &&
                !compile(L, module, e)) {
                return false;
            }
        }
        lua_pop(L, 1);
    }
    if (any) {
        lua_getfield(L, module, "runner");
        lua_pushvalue(L, route);
        if (lua_pcall(L, 1, 1, 0) != 0) {
            return err_set(e, "%s", lua_tostring(L, -1));
        }
        s->hooks[i].runner = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return true;
}

bool state_take_hooks(struct policy_state *s, struct err *e)
{
    lua_State *L = s->L;
    int module = 1; /* start_hooks left it first */
    uint32_t n;

    lua_getfield(L, -1, "desc");
    lua_getfield(L, module, "study");
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) != 0) {
        return err_set(e, "%s", lua_tostring(L, -1));
    }
    lua_getfield(L, -1, "routes");
    n = (uint32_t)lua_objlen(L, -1);
    for (uint32_t i = 0; i < n && i < PLAN_ROUTES_MAX; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        if (!take_route(s, i, module, e)) {
            return false;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return true;
}
