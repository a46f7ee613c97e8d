/* Whether a table is still equal to its JSON text. */
#include <lauxlib.h>

#include "decode/walk.h"
#include "policy/internal.h"
#include "policy/library/json.h"

static bool same_tables(lua_State *L, int a, int b);

/* Of values that json_decode made, or that a policy put in their place. */
static bool same_values(lua_State *L, int a, int b)
{
    if (lua_type(L, a) != LUA_TTABLE || lua_type(L, b) != LUA_TTABLE) {
        return lua_rawequal(L, a, b) != 0;
    }
    luaL_checkstack(L, 8, "JSON");
    return json_is_array(L, a) == json_is_array(L, b) && same_tables(L, a, b);
}

static int count(lua_State *L, int at)
{
    int n = 0;

    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        n++;
    }
    return n;
}

static bool same_tables(lua_State *L, int a, int b)
{
    int top = lua_gettop(L);
    bool same = count(L, a) == count(L, b);

    if (!same) {
        return false;
    }
    for (lua_pushnil(L); same && lua_next(L, a) != 0;) {
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        same = same_values(L, lua_gettop(L) - 1, lua_gettop(L));
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
    return same;
}

int json_same(lua_State *L)
{
    struct str json;
    enum slot_kind kind;

    json.p = luaL_checklstring(L, 2, &json.n);
    state_work(L, 8 * (double)json.n);
    json = walk_value(json.p, json.p + json.n, &kind);
    lua_settop(L, 2);
    json_push(L, kind, json, 0, 0);
    lua_pushboolean(L, same_values(L, 1, 3));
    return 1;
}
