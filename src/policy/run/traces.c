/* The compiler's traces of a state's hooks: for the bench and the tests. */
#include <lauxlib.h>
#include <stdio.h>

#include "policy/run/internal.h"

static void push_module(lua_State *L, const char *function)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "sluice.traces");
    lua_getfield(L, -1, function);
}

bool policy_traces_watch(struct policy_state *s)
{
    lua_State *L = s->L;
    int top = lua_gettop(L);
    bool ok;

    lua_getglobal(L, "require");
    lua_pushstring(L, "sluice.traces");
    ok = lua_pcall(L, 1, 0, 0) == 0;
    if (ok) {
        push_module(L, "watch");
        ok = lua_pcall(L, 0, 0, 0) == 0;
    }
    lua_settop(L, top);
    return ok;
}

void policy_traces_get(struct policy_state *s, struct policy_traces *out)
{
    lua_State *L = s->L;
    int top = lua_gettop(L);

    *out = (struct policy_traces){0};
    push_module(L, "get");
    if (lua_pcall(L, 0, 5, 0) == 0) {
        out->made = (uint32_t)lua_tointeger(L, -5);
        out->aborted = (uint32_t)lua_tointeger(L, -4);
        out->loops = (uint32_t)lua_tointeger(L, -3);
        out->loops_aborted = (uint32_t)lua_tointeger(L, -2);
        (void)snprintf(out->why, sizeof out->why, "%s",
                       lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
    }
    lua_settop(L, top);
}
