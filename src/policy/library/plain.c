/*
 * The parts of Lua's table library that work on more than one element, and a search
 * for a text: linear, and stopped when the state's time is over.
 */
#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "policy/internal.h"
#include "policy/library/library.h"
#include "policy/library/plain.h"

enum { WINDOW = 64 << 10, JOINED_MAX = 16 << 20 };

/* Windows overlap by k - 1 bytes. memmem looks at up to k bytes for each of its
 * window when k is small, which is told by the price. */
int32_t sluice_index(struct sluice_context *c, const char *p, size_t n,
                     const char *what, size_t k, size_t from)
{
    struct policy_state *s = OUTER(c, struct policy_state, context);
    const double price = 1 + (double)(k < 256 ? k : 256) / 16;

    if (from > n || k > n - from) {
        return -1;
    }
    for (; from + k <= n; from += WINDOW) {
        size_t part = n - from < WINDOW + k - 1 ? n - from : WINDOW + k - 1;
        const char *at;

        if (!state_spend(s, (double)part * price)) {
            return -2;
        }
        at = memmem(p + from, part, what, k);
        if (at != NULL) {
            return (int32_t)(at - p);
        }
    }
    return -1;
}

/* The bytes of elements from to last, a separator after each. */
static size_t joined(lua_State *L, size_t k, lua_Integer from, lua_Integer last)
{
    size_t sum = 0;

    for (lua_Integer i = from; i <= last; i++) {
        size_t n = 32;

        if ((i - from) % 1024 == 0) {
            state_work(L, 8 * 1024);
        }
        lua_rawgeti(L, 1, (int)i);
        if (lua_type(L, -1) == LUA_TSTRING) {
            (void)lua_tolstring(L, -1, &n);
        } else if (lua_type(L, -1) != LUA_TNUMBER) {
            (void)luaL_error(L,
                             "invalid value (a %s) at index %d in table for "
                             "'concat'",
                             luaL_typename(L, -1), (int)i);
        }
        lua_pop(L, 1);
        sum += n + k;
        if (sum > JOINED_MAX) {
            (void)luaL_error(L, "table.concat: more than 16 MiB");
        }
    }
    return sum;
}

/* (list, separator, from, to) -> text */
static int table_concat(lua_State *L)
{
    size_t k, at = 0, n;
    const char *separator = luaL_optlstring(L, 2, "", &k);
    lua_Integer from = luaL_optinteger(L, 3, 1), last;
    char *out;

    luaL_checktype(L, 1, LUA_TTABLE);
    last =
        lua_isnoneornil(L, 4) ? (lua_Integer)lua_objlen(L, 1) : luaL_checkinteger(L, 4);
    if (from < INT32_MIN || last >= INT32_MAX) {
        return luaL_error(L, "table.concat: no such place");
    }
    n = joined(L, k, from, last);
    state_work(L, (double)n);
    out = lua_newuserdata(L, n + 1);
    for (lua_Integer i = from; i <= last; i++) {
        const char *p;

        lua_rawgeti(L, 1, (int)i);
        p = lua_tolstring(L, -1, &n);
        memcpy(out + at, p, n);
        at += n;
        lua_pop(L, 1);
        if (i < last) {
            memcpy(out + at, separator, k);
            at += k;
        }
    }
    lua_pushlstring(L, out, at);
    return 1;
}

/* The bytes that comparing all of the list once may look at. */
static double weight(lua_State *L, size_t n)
{
    double sum = 0;

    for (size_t i = 1; i <= n; i++) {
        if (i % 1024 == 0) {
            state_work(L, 8 * 1024);
        }
        lua_rawgeti(L, 1, (int)i);
        sum +=
            16 + (lua_type(L, -1) == LUA_TSTRING ? (double)lua_objlen(L, -1) / 4 : 0);
        lua_pop(L, 1);
    }
    return sum;
}

/* (list, function). Upvalue: Lua's own. */
static int table_sort(lua_State *L)
{
    size_t n;
    double times;

    luaL_checktype(L, 1, LUA_TTABLE);
    state_nest(L);
    n = lua_objlen(L, 1);
    times = n < 2 ? 1 : log2((double)n);
    state_work(L, weight(L, n) * times);
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    if (lua_isnil(L, 3)) {
        lua_pop(L, 1);
    }
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

void plain_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, table_concat);
    lua_setfield(L, -2, "concat");
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_remove(L, -2);
    lua_pushcclosure(L, table_sort, 1);
    lua_setfield(L, -2, "sort");
}
