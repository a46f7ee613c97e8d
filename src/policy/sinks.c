/* Functions of a policy that decide for a sink: called on its thread, with a table
 * of numbers, interpreted and bounded in time. */
#include <lauxlib.h>
#include <math.h>

#include "policy/state.h"

static const char *const names[POLICY_N_SINK_HOOKS][2] = {
    [POLICY_TRIP] = {"breaker", "ready_to_trip"},
    [POLICY_ADAPT] = {"batch", "adapt"}};

/* The sink's description is on top. */
static void take_sink(struct policy_state *s, uint32_t i)
{
    lua_State *L = s->L;

    for (int k = 0; k < POLICY_N_SINK_HOOKS; k++) {
        s->sink_hooks[i][k] = LUA_NOREF;
        lua_getfield(L, -1, names[k][0]);
        if (lua_istable(L, -1)) {
            lua_getfield(L, -1, names[k][1]);
            if (lua_isfunction(L, -1)) {
                s->sink_hooks[i][k] = luaL_ref(L, LUA_REGISTRYINDEX);
            } else {
                lua_pop(L, 1);
            }
        }
        lua_pop(L, 1);
    }
}

void state_take_sinks(struct policy_state *s)
{
    lua_State *L = s->L;
    uint32_t n;

    lua_getfield(L, -1, "desc");
    lua_getfield(L, -1, "sinks");
    n = (uint32_t)lua_objlen(L, -1);
    for (uint32_t i = 0; i < n && i < PLAN_SINKS_MAX; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        take_sink(s, i);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

bool policy_sink_call(struct policy_state *s, uint32_t sink,
                      enum policy_sink_hook hook,
                      const struct policy_number *list, uint32_t n,
                      double *result)
{
    lua_State *L = s->L;
    bool ok;

    if (s->sink_hooks[sink][hook] == LUA_NOREF) {
        return false;
    }
    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->sink_hooks[sink][hook]);
    lua_createtable(L, 0, (int)n);
    for (uint32_t i = 0; i < n; i++) {
        lua_pushnumber(L, list[i].value);
        lua_setfield(L, -2, list[i].name);
    }
    state_bound(s, "the function", SINK_HOOK_MS);
    ok = lua_pcall(L, 1, 1, 0) == 0;
    state_bound(s, NULL, 0);
    if (!ok) {
        hooks_raised(s, str_of(lua_tostring(L, -1)));
    } else {
        *result = lua_isnumber(L, -1) ? lua_tonumber(L, -1)
                                      : (double)lua_toboolean(L, -1);
        ok = isfinite(*result);
    }
    lua_settop(L, 0);
    return ok;
}
