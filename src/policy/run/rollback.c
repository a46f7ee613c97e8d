/* A canary's roll_back_if: called by the supervisor in a state of its own, with a
 * table of numbers for each side, interpreted and bounded in time. */
#include <lauxlib.h>
#include <stdio.h>

#include "base/err.h"
#include "policy/run/internal.h"

void state_take_roll_back_if(struct policy_state *s)
{
    lua_State *L = s->L;
    int top = lua_gettop(L);

    s->roll_back_if = LUA_NOREF;
    lua_getfield(L, -1, "desc");
    lua_getfield(L, -1, "trial");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "roll_back_if");
        if (lua_isfunction(L, -1)) {
            s->roll_back_if = luaL_ref(L, LUA_REGISTRYINDEX);
        }
    }
    lua_settop(L, top);
}

static void push_numbers(lua_State *L, const struct policy_number *list, uint32_t n)
{
    lua_createtable(L, 0, (int)n);
    for (uint32_t i = 0; i < n; i++) {
        lua_pushnumber(L, list[i].value);
        lua_setfield(L, -2, list[i].name);
    }
}

struct roll_back_call {
    struct policy_state *s;
    const struct policy_number *old, *new_;
    uint32_t n;
    char *why;
    size_t why_bytes;
    bool back;
};

static int ask(lua_State *L)
{
    struct roll_back_call *x = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, x->s->roll_back_if);
    push_numbers(L, x->old, x->n);
    push_numbers(L, x->new_, x->n);
    state_bound(x->s, "roll_back_if", ROLL_BACK_IF_MS);
    lua_call(L, 2, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
        (void)snprintf(x->why, x->why_bytes, "roll_back_if: %s", lua_tostring(L, -1));
    } else {
        (void)snprintf(x->why, x->why_bytes, "roll_back_if said so");
        x->back = lua_toboolean(L, -1);
    }
    return 0;
}

bool policy_roll_back_if(struct policy_state *s, const struct policy_number *old,
                         const struct policy_number *new_, uint32_t n, char *why,
                         size_t why_bytes)
{
    struct roll_back_call x = {s, old, new_, n, why, why_bytes, true};
    struct err e;

    if (!state_protect(s, ask, &x, &e)) {
        (void)snprintf(why, why_bytes, "roll_back_if failed: %s", e.text);
        x.back = true;
    }
    state_bound(s, NULL, 0);
    return x.back;
}
