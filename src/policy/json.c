/* JSON to Lua values and back, for what no slot holds. Text from events was
 * checked by the scanner. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/number.h"
#include "decode/quote.h"
#include "decode/scan.h"
#include "decode/walk.h"
#include "policy/state.h"

enum { DEPTH_MAX = 128 };

static const char *space(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ') {
        p++;
    }
    return p;
}

static void push_string(lua_State *L, struct str raw, bool escaped)
{
    char *out;

    if (!escaped) {
        lua_pushlstring(L, raw.p, raw.n);
        return;
    }
    out = lua_newuserdata(L, raw.n + 1);
    lua_pushlstring(L, out, scan_unescape(raw.p, raw.n, out));
    lua_remove(L, -2);
}

static void push_value(lua_State *L, enum slot_kind kind, struct str json,
                       int depth);

static void push_object(lua_State *L, struct str json, int depth)
{
    struct walk w;
    struct member m;

    lua_newtable(L);
    walk_start(&w, json);
    while (walk_next(&w, &m)) {
        push_string(L, m.key, m.key_escaped);
        push_value(L, m.kind, m.value, depth + 1);
        lua_rawset(L, -3);
    }
}

static void push_array(lua_State *L, struct str json, int depth)
{
    const char *p = json.p + 1, *end = json.p + json.n - 1;
    int n = 0;

    lua_newtable(L);
    for (p = space(p, end); p < end; p = space(p, end)) {
        struct str value;
        enum slot_kind kind;

        if (*p == ',') {
            p++;
            continue;
        }
        value = walk_value(p, end, &kind);
        push_value(L, kind, value, depth + 1);
        lua_rawseti(L, -2, ++n);
        p = value.p + value.n;
    }
}

static void push_value(lua_State *L, enum slot_kind kind, struct str json,
                       int depth)
{
    if (depth > DEPTH_MAX) {
        (void)luaL_error(L, "nested deeper than %d", DEPTH_MAX);
    }
    luaL_checkstack(L, 8, "JSON");
    switch (kind) {
    case SLOT_STRING:
    case SLOT_ESCAPED:
        push_string(L, (struct str){json.p + 1, json.n - 2},
                    kind == SLOT_ESCAPED);
        break;
    case SLOT_NUMBER:
        lua_pushnumber(L, number_value(json.p, json.n));
        break;
    case SLOT_TRUE:
    case SLOT_FALSE:
        lua_pushboolean(L, kind == SLOT_TRUE);
        break;
    case SLOT_OBJECT:
        push_object(L, json, depth);
        break;
    case SLOT_ARRAY:
        push_array(L, json, depth);
        break;
    default:
        lua_pushnil(L);
    }
}

int json_decode(lua_State *L)
{
    struct str json;
    enum slot_kind kind;

    json.p = luaL_checklstring(L, 1, &json.n);
    json = walk_value(json.p, json.p + json.n, &kind);
    push_value(L, kind, json, 0);
    return 1;
}

int json_valid(lua_State *L)
{
    static const struct scan_limits limits = {1, SCAN_DEPTH_DEFAULT};
    struct scan_error se;
    struct str text;
    char *padded;

    text.p = luaL_checklstring(L, 1, &text.n);
    padded = lua_newuserdata(L, text.n + SCAN_PAD);
    memcpy(padded, text.p, text.n);
    memset(padded + text.n, 0, SCAN_PAD);
    lua_pushboolean(L, scan_value(&limits, padded, text.n, &se) == SCAN_OK);
    return 1;
}

static void add_text(lua_State *L, luaL_Buffer *b, struct str s)
{
    char small[1024];
    char *out = quote_bound(s.n) <= sizeof small ? small
                                                 : malloc(quote_bound(s.n));
    size_t n = out == NULL ? 0 : quote_write(s, out);

    if (n > 0) {
        luaL_addlstring(b, out, n);
    }
    if (out != small) {
        free(out);
    }
    if (n == 0) {
        (void)luaL_error(L, "the text is not UTF-8");
    }
}

static void add_number(lua_State *L, luaL_Buffer *b, double v)
{
    char text[40];

    if (!isfinite(v)) {
        (void)luaL_error(L, "the number is not finite");
    }
    (void)snprintf(text, sizeof text, v == floor(v) && fabs(v) < 1e15 ? "%.0f"
                                                                      : "%.17g",
                   v);
    luaL_addstring(b, text);
}

/* The value's JSON as a string on top of the stack: a buffer can't stay open
 * while the stack is used. */
static void encode(lua_State *L, int at, int depth);

static void encode_array(lua_State *L, int at, size_t n, int depth)
{
    lua_pushliteral(L, "[");
    for (size_t i = 1; i <= n; i++) {
        if (i > 1) {
            lua_pushliteral(L, ",");
            lua_concat(L, 2);
        }
        lua_rawgeti(L, at, (int)i);
        encode(L, lua_gettop(L), depth + 1);
        lua_remove(L, -2);
        lua_concat(L, 2);
    }
    lua_pushliteral(L, "]");
    lua_concat(L, 2);
}

/* Sorted by key, so that equal tables give equal text. */
static void encode_object(lua_State *L, int at, int depth)
{
    int n = 0, keys;

    lua_newtable(L);
    keys = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            (void)luaL_error(L, "a key of an object is no text");
        }
        lua_pushvalue(L, -2);
        lua_rawseti(L, keys, ++n);
    }
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_remove(L, -2);
    lua_pushvalue(L, keys);
    lua_call(L, 1, 0);
    lua_pushliteral(L, "{");
    for (int i = 1; i <= n; i++) {
        luaL_Buffer b;
        struct str key;

        luaL_buffinit(L, &b);
        if (i > 1) {
            luaL_addchar(&b, ',');
        }
        lua_rawgeti(L, keys, i);
        key.p = lua_tolstring(L, -1, &key.n);
        lua_pop(L, 1);
        add_text(L, &b, key);
        luaL_addchar(&b, ':');
        luaL_pushresult(&b);
        lua_rawgeti(L, keys, i);
        lua_rawget(L, at);
        encode(L, lua_gettop(L), depth + 1);
        lua_remove(L, -2);
        lua_concat(L, 3);
    }
    lua_pushliteral(L, "}");
    lua_concat(L, 2);
    lua_remove(L, keys);
}

static void encode(lua_State *L, int at, int depth)
{
    luaL_Buffer b;
    struct str s;

    if (depth > DEPTH_MAX) {
        (void)luaL_error(L, "nested deeper than %d", DEPTH_MAX);
    }
    luaL_checkstack(L, 12, "JSON");
    switch (lua_type(L, at)) {
    case LUA_TTABLE:
        if (lua_objlen(L, at) > 0) {
            encode_array(L, at, lua_objlen(L, at), depth);
        } else {
            encode_object(L, at, depth);
        }
        return;
    case LUA_TSTRING:
        s.p = lua_tolstring(L, at, &s.n);
        luaL_buffinit(L, &b);
        add_text(L, &b, s);
        luaL_pushresult(&b);
        return;
    case LUA_TNUMBER:
        luaL_buffinit(L, &b);
        add_number(L, &b, lua_tonumber(L, at));
        luaL_pushresult(&b);
        return;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, at) ? "true" : "false");
        return;
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA: /* of policy_json */
        lua_pushliteral(L, "null");
        return;
    default:
        (void)luaL_error(L, "a %s is no JSON", luaL_typename(L, at));
    }
}

int json_encode(lua_State *L)
{
    encode(L, 1, 0);
    return 1;
}

/* Text from anywhere: nil and why, unless it is JSON. */
static int decode_checked(lua_State *L)
{
    const struct scan_limits limits = {1, DEPTH_MAX};
    struct scan_error se;
    struct str text;
    enum scan_result r;
    char *padded;

    text.p = luaL_checklstring(L, 1, &text.n);
    padded = lua_newuserdata(L, text.n + SCAN_PAD);
    memcpy(padded, text.p, text.n);
    memset(padded + text.n, 0, SCAN_PAD);
    r = scan_value(&limits, padded, text.n, &se);
    if (r != SCAN_OK) {
        lua_pushnil(L);
        (void)lua_pushfstring(L, "no JSON at byte %d: %s", (int)se.at,
                              se.detail);
        return 2;
    }
    lua_settop(L, 1);
    while (text.n > 0 && (unsigned char)*text.p <= ' ') {
        text.p++;
        text.n--;
    }
    lua_pushlstring(L, text.p, text.n);
    lua_replace(L, 1);
    return json_decode(L);
}

int policy_json(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, json_encode);
    lua_setfield(L, -2, "encode");
    lua_pushcfunction(L, decode_checked);
    lua_setfield(L, -2, "decode");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
