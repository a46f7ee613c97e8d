/* JSON to Lua values and back, for values that no slot holds. Text from events was
 * checked by the scanner. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "decode/number.h"
#include "decode/scan.h"
#include "decode/walk.h"
#include "policy/internal.h"
#include "policy/library/json.h"

/* Keys of the registry: the state's null, the metatable of arrays. */
static char null_key, array_key;

void json_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, &null_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushlightuserdata(L, NULL);
    }
}

bool json_is_null(lua_State *L, int at)
{
    bool is;

    if (!lua_isuserdata(L, at)) {
        return false;
    }
    lua_pushvalue(L, at);
    json_push_null(L);
    is = lua_rawequal(L, -1, -2) != 0 || lua_touserdata(L, -2) == NULL;
    lua_pop(L, 2);
    return is;
}

static void push_array_mark(lua_State *L)
{
    lua_pushlightuserdata(L, &array_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_pushlightuserdata(L, &array_key);
        lua_pushvalue(L, -2);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
}

void json_mark_array(lua_State *L)
{
    push_array_mark(L);
    lua_setmetatable(L, -2);
}

bool json_is_array(lua_State *L, int at)
{
    bool is;

    if (lua_getmetatable(L, at) == 0) {
        return false;
    }
    push_array_mark(L);
    is = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return is;
}

int json_open_null(lua_State *L)
{
    (void)lua_newuserdata(L, 1);
    lua_newtable(L);
    lua_setmetatable(L, -2);
    lua_pushlightuserdata(L, &null_key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    return 1;
}

int json_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    json_mark_array(L);
    return 1;
}

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

/* The keys that an object has had, by a hash: most need no look into the table. */
struct keys {
    uint64_t had[4];
    bool any; /* ask the table of each key */
};

static bool may_repeat(struct keys *k, const struct member *m)
{
    const char *p = m->key.p;
    size_t n = m->key.n;
    unsigned h = (unsigned)n * 37;
    uint64_t bit;
    bool had;

    if (n > 0) {
        h += (unsigned char)p[0] + 5u * (unsigned char)p[n / 2] +
             11u * (unsigned char)p[n - 1];
    }
    bit = 1ull << (h & 63);
    had = k->any || m->key_escaped || (k->had[h >> 6 & 3] & bit) != 0;
    k->had[h >> 6 & 3] |= bit;
    k->any = k->any || m->key_escaped;
    return had;
}

static void fill_object(lua_State *L, struct str json, int numbers, int depth,
                        struct keys had);

/* Takes the key on top if the table below it has it. Of copies of a key the first
 * counts, and of objects the first one's keys: as by path (decode/path.h), so that no
 * hook sees two values of one. */
static bool repeats(lua_State *L, const struct member *m, int numbers, int depth)
{
    int key = lua_gettop(L);

    lua_pushvalue(L, key);
    lua_rawget(L, key - 1);
    if (lua_isnil(L, -1)) {
        lua_settop(L, key);
        return false;
    }
    if (m->kind == SLOT_OBJECT && lua_istable(L, -1) && !json_is_array(L, -1)) {
        fill_object(L, m->value, numbers, depth + 1, (struct keys){.any = true});
    }
    lua_settop(L, key - 1);
    return true;
}

/* Into the table on top. */
static void fill_object(lua_State *L, struct str json, int numbers, int depth,
                        struct keys had)
{
    struct walk w;
    struct member m;

    luaL_checkstack(L, 8, "JSON");
    walk_start(&w, json);
    while (walk_next(&w, &m)) {
        push_string(L, m.key, m.key_escaped);
        if (!may_repeat(&had, &m) || !repeats(L, &m, numbers, depth)) {
            json_push(L, m.kind, m.value, numbers, depth + 1);
            lua_rawset(L, -3);
        }
    }
}

static void push_object(lua_State *L, struct str json, int numbers, int depth)
{
    lua_newtable(L);
    fill_object(L, json, numbers, depth, (struct keys){.any = false});
}

static void push_array(lua_State *L, struct str json, int numbers, int depth)
{
    const char *p = json.p + 1, *end = json.p + json.n - 1;
    int n = 0;

    lua_newtable(L);
    json_mark_array(L);
    for (p = space(p, end); p < end; p = space(p, end)) {
        struct str value;
        enum slot_kind kind;

        if (*p == ',') {
            p++;
            continue;
        }
        value = walk_value(p, end, &kind);
        json_push(L, kind, value, numbers, depth + 1);
        lua_rawseti(L, -2, ++n);
        p = value.p + value.n;
    }
}

/* Whether Lua's number may not be all that the digits say. */
static bool is_long(struct str digits, double v)
{
    return digits.n > 15 || (digits.n > 4 && (fabs(v) > 1e300 || fabs(v) < 1e-300));
}

/* Whether the digits noted before, on top, or false, say the same. */
static bool same_digits(lua_State *L, struct str digits)
{
    size_t n;
    const char *known =
        lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;

    return known != NULL && number_same(known, n, digits.p, digits.n);
}

int json_same_number(lua_State *L)
{
    struct str a, b;

    a.p = luaL_checklstring(L, 1, &a.n);
    b.p = luaL_checklstring(L, 2, &b.n);
    state_work(L, (double)(a.n + b.n));
    lua_pushboolean(L, number_same(a.p, a.n, b.p, b.n));
    return 1;
}

static void push_number(lua_State *L, struct str digits, int numbers)
{
    double v = number_value(digits.p, digits.n);

    lua_pushnumber(L, v);
    if (numbers == 0 || !is_long(digits, v)) {
        return;
    }
    lua_pushvalue(L, -1);
    lua_pushvalue(L, -1);
    lua_pushlstring(L, digits.p, digits.n);
    lua_pushvalue(L, -2);
    lua_rawget(L, numbers);
    if (!lua_isnil(L, -1) && !same_digits(L, digits)) {
        lua_pushboolean(L, 0);
        lua_replace(L, -3);
    }
    lua_pop(L, 1);
    lua_rawset(L, numbers);
    lua_pop(L, 1);
}

void json_push(lua_State *L, enum slot_kind kind, struct str json, int numbers,
               int depth)
{
    if (depth > JSON_DEPTH_MAX) {
        (void)luaL_error(L, "nested deeper than %d", JSON_DEPTH_MAX);
    }
    luaL_checkstack(L, 8, "JSON");
    switch (kind) {
    case SLOT_STRING:
    case SLOT_ESCAPED:
        push_string(L, (struct str){json.p + 1, json.n - 2}, kind == SLOT_ESCAPED);
        break;
    case SLOT_NUMBER:
        push_number(L, json, numbers);
        break;
    case SLOT_TRUE:
    case SLOT_FALSE:
        lua_pushboolean(L, kind == SLOT_TRUE);
        break;
    case SLOT_OBJECT:
        push_object(L, json, numbers, depth);
        break;
    case SLOT_ARRAY:
        push_array(L, json, numbers, depth);
        break;
    default:
        if (depth == 0) {
            lua_pushnil(L);
        } else {
            json_push_null(L);
        }
    }
}

int json_decode(lua_State *L)
{
    struct str json;
    enum slot_kind kind;

    json.p = luaL_checklstring(L, 1, &json.n);
    state_work(L, 4 * (double)json.n);
    json = walk_value(json.p, json.p + json.n, &kind);
    json_push(L, kind, json, lua_istable(L, 2) ? 2 : 0, 0);
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

/* Text from anywhere: nil and why, unless it is JSON. */
static int decode_checked(lua_State *L)
{
    const struct scan_limits limits = {1, JSON_DEPTH_MAX};
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
        (void)lua_pushfstring(L, "no JSON at byte %d: %s", (int)se.at, se.detail);
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
