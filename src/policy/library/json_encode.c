/* Lua values to JSON text, in one buffer: a userdata, so that an error frees it. */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/number.h"
#include "decode/quote.h"
#include "policy/internal.h"
#include "policy/library/json.h"

enum { VALUE = 1, NUMBERS = 2, BUFFER = 3 }; /* places on the stack */

struct writer {
    lua_State *L;
    char *p;
    size_t n, room;
};

static char *room_for(struct writer *w, size_t n)
{
    if (w->room - w->n < n) {
        size_t room = 2 * w->room + n;
        char *p = lua_newuserdata(w->L, room);

        if (w->n > 0) {
            memcpy(p, w->p, w->n);
        }
        lua_replace(w->L, BUFFER);
        w->p = p;
        w->room = room;
    }
    return w->p + w->n;
}

static void put(struct writer *w, const char *p, size_t n)
{
    memcpy(room_for(w, n), p, n);
    w->n += n;
}

static void put_text(struct writer *w, struct str s)
{
    size_t n;

    state_work(w->L, (double)s.n);
    n = quote_write(s, room_for(w, quote_bound(s.n)));
    if (n == 0) {
        (void)luaL_error(w->L, "the text is not UTF-8");
    }
    w->n += n;
}

/* The number at the top: its digits as they were sent, where Lua's number can't hold
 * them all, else the shortest. */
static void put_number(struct writer *w)
{
    lua_State *L = w->L;
    double v = lua_tonumber(L, -1);
    struct str sent = {NULL, 0};

    if (lua_istable(L, NUMBERS)) {
        lua_pushvalue(L, -1);
        lua_rawget(L, NUMBERS);
        if (lua_type(L, -1) == LUA_TBOOLEAN) {
            (void)luaL_error(L, "two numbers of the event differ only in digits that "
                                "a policy's numbers can't hold: send them as texts");
        }
        sent.p = lua_tolstring(L, -1, &sent.n);
        lua_pop(L, 1);
    }
    if (sent.p != NULL) {
        put(w, sent.p, sent.n);
    } else if (!isfinite(v)) {
        (void)luaL_error(L, "the number is not finite");
    } else {
        w->n += number_write(v, room_for(w, NUMBER_BYTES));
    }
}

static void put_value(struct writer *w, int depth);

/* A table of n items is on top. */
static void put_array(struct writer *w, size_t n, int depth)
{
    lua_State *L = w->L;
    int at = lua_gettop(L);

    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        double k = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;

        if (k < 1 || k > (double)n || k != floor(k)) {
            (void)luaL_error(L, "a table with items and fields is neither an array "
                                "nor an object");
        }
    }
    put(w, "[", 1);
    for (size_t i = 1; i <= n; i++) {
        if (i > 1) {
            put(w, ",", 1);
        }
        lua_rawgeti(L, at, (int)i);
        put_value(w, depth + 1);
        lua_pop(L, 1);
    }
    put(w, "]", 1);
}

static int by_bytes(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

/* Sorted by key, so that equal tables give equal text. */
static void put_object(struct writer *w, int depth)
{
    lua_State *L = w->L;
    int at = lua_gettop(L);
    struct str *keys;
    size_t n = 0, i = 0;

    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            (void)luaL_error(L, "a key of an object is not a text");
        }
        n++;
    }
    keys = lua_newuserdata(L, (n + 1) * sizeof *keys);
    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        keys[i].p = lua_tolstring(L, -2, &keys[i].n);
        i++;
    }
    qsort(keys, n, sizeof *keys, by_bytes);
    put(w, "{", 1);
    for (i = 0; i < n; i++) {
        if (i > 0) {
            put(w, ",", 1);
        }
        put_text(w, keys[i]);
        put(w, ":", 1);
        lua_pushlstring(L, keys[i].p, keys[i].n);
        lua_rawget(L, at);
        put_value(w, depth + 1);
        lua_pop(L, 1);
    }
    put(w, "}", 1);
    lua_settop(L, at);
}

static void put_table(struct writer *w, int depth)
{
    size_t n = lua_objlen(w->L, -1);

    if (n > 0 || json_is_array(w->L, -1)) {
        put_array(w, n, depth);
    } else {
        put_object(w, depth);
    }
}

/* The value on top. */
static void put_value(struct writer *w, int depth)
{
    lua_State *L = w->L;
    struct str s;

    if (depth > JSON_DEPTH_MAX) {
        (void)luaL_error(L, "nested deeper than %d", JSON_DEPTH_MAX);
    }
    luaL_checkstack(L, 8, "JSON");
    /* A table may be in the whole more than once, and so may those in it. */
    state_work(L, 16);
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        put_table(w, depth);
        return;
    case LUA_TSTRING:
        s.p = lua_tolstring(L, -1, &s.n);
        put_text(w, s);
        return;
    case LUA_TNUMBER:
        put_number(w);
        return;
    case LUA_TBOOLEAN:
        s = str_of(lua_toboolean(L, -1) ? "true" : "false");
        put(w, s.p, s.n);
        return;
    default:
        if (!lua_isnil(L, -1) && !json_is_null(L, -1)) {
            (void)luaL_error(L, "a %s is no JSON", luaL_typename(L, -1));
        }
        put(w, "null", 4);
    }
}

int json_encode(lua_State *L)
{
    struct writer w = {.L = L};

    lua_settop(L, NUMBERS);
    lua_pushnil(L); /* BUFFER */
    lua_pushvalue(L, VALUE);
    put_value(&w, 0);
    lua_pushlstring(L, w.p, w.n);
    return 1;
}
