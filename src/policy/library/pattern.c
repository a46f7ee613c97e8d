/*
 * Lua's patterns by backtracking, as its manual has them (5.4.1), with a count of
 * steps: each look at a character or an item of the pattern is one.
 */
#include "policy/library/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "policy/internal.h"
#include "policy/library/lua_pattern.h"

enum { FIND, MATCH };
enum {
    STEPS_FREE = 1024, /* of a call, that no clock is looked at for */
    RESULT_MAX =
        16 << 20 /* bytes that gsub puts in: to grow further can't be stopped */
};

static struct match begin(lua_State *L, int text, int pattern)
{
    struct match m = {.L = L};
    size_t n;

    m.text = luaL_checklstring(L, text, &n);
    m.text_end = m.text + n;
    m.steps = STEPS_FREE;
    m.rest = MATCH_STEPS + MATCH_STEPS_A_BYTE * (uint64_t)n;
    m.pattern = luaL_checklstring(L, pattern, &n);
    m.pattern_end = m.pattern + n;
    return m;
}

/* Capture i, or the whole match of a pattern without captures. */
static void push_capture(struct match *m, int i, const char *from, const char *to)
{
    if (i >= m->n_captures) {
        if (i > 0) {
            (void)luaL_error(m->L, "invalid capture index");
        }
        lua_pushlstring(m->L, from, (size_t)(to - from));
    } else if (m->captures[i].n == MATCH_POSITION) {
        lua_pushinteger(m->L, m->captures[i].from - m->text + 1);
    } else if (m->captures[i].n == MATCH_OPEN) {
        (void)luaL_error(m->L, "unfinished capture");
    } else {
        lua_pushlstring(m->L, m->captures[i].from, (size_t)m->captures[i].n);
    }
}

/* All of them; from NULL: not the whole match in their place. */
static int push_captures(struct match *m, const char *from, const char *to)
{
    int n = m->n_captures == 0 && from != NULL ? 1 : m->n_captures;

    luaL_checkstack(m->L, n, "too many captures");
    for (int i = 0; i < n; i++) {
        push_capture(m, i, from, to);
    }
    return n;
}

/* The place of the third argument, from 0. */
static size_t start_of(lua_State *L, size_t n)
{
    ptrdiff_t at = luaL_optinteger(L, 3, 1);

    if (at < 0) {
        at += (ptrdiff_t)n + 1;
    }
    at = at < 1 ? 1 : at;
    return at > (ptrdiff_t)n + 1 ? n : (size_t)at - 1;
}

static int look(lua_State *L, int what)
{
    struct match m = begin(L, 1, 2);
    size_t n = (size_t)(m.text_end - m.text);
    const char *at = m.text + start_of(L, n);
    bool anchored = m.pattern < m.pattern_end && *m.pattern == '^';
    const char *p = m.pattern + anchored;

    do {
        const char *to = match_at(&m, at, p);

        if (to != NULL) {
            if (what == MATCH) {
                return push_captures(&m, at, to);
            }
            lua_pushinteger(L, at - m.text + 1);
            lua_pushinteger(L, to - m.text);
            return 2 + push_captures(&m, NULL, NULL);
        }
    } while (at++ < m.text_end && !anchored);
    lua_pushnil(L);
    return 1;
}

/* A pattern without magic characters is searched for as plain text. */
static bool is_plain(const struct match *m)
{
    for (const char *p = m->pattern; p < m->pattern_end; p++) {
        if (*p != '\0' && strchr("^$*+?.([%-", *p) != NULL) {
            return false;
        }
    }
    return true;
}

static int pattern_find(lua_State *L)
{
    struct match m = begin(L, 1, 2);
    size_t n = (size_t)(m.text_end - m.text);
    size_t k = (size_t)(m.pattern_end - m.pattern), from = start_of(L, n);
    const char *at;

    if (!lua_toboolean(L, 4) && !is_plain(&m)) {
        return look(L, FIND);
    }
    state_work(L, (double)(n - from) * (1 + (double)(k < 256 ? k : 256) / 16));
    at = memmem(m.text + from, n - from, m.pattern, k);
    if (at == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - m.text + 1);
    lua_pushinteger(L, at - m.text + (ptrdiff_t)k);
    return 2;
}

static int pattern_match(lua_State *L)
{
    return look(L, MATCH);
}

/* Upvalues: text, pattern, place to go on from. */
static int next_match(lua_State *L)
{
    struct match m = begin(L, lua_upvalueindex(1), lua_upvalueindex(2));
    const char *at = m.text + lua_tointeger(L, lua_upvalueindex(3));

    for (; at <= m.text_end; at++) {
        const char *to = match_at(&m, at, m.pattern);

        if (to != NULL) {
            /* An empty match goes one further. */
            lua_pushinteger(L, to - m.text + (to == at));
            lua_replace(L, lua_upvalueindex(3));
            return push_captures(&m, at, to);
        }
    }
    return 0;
}

static int pattern_gmatch(lua_State *L)
{
    (void)luaL_checkstring(L, 1);
    (void)luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_match, 3);
    return 1;
}

static void count_result(struct match *m, size_t n)
{
    m->result += n;
    if (m->result > RESULT_MAX) {
        (void)luaL_error(m->L, "gsub's result takes more than 16 MiB");
    }
}

/* Adds the text on top. */
static void add_top(struct match *m, luaL_Buffer *b)
{
    count_result(m, lua_objlen(m->L, -1));
    luaL_addvalue(b);
}

/* %0 to %9 of the replacement are captures, %% and the like the character. */
static void add_text(struct match *m, luaL_Buffer *b, const char *from, const char *to)
{
    size_t n;
    const char *text = lua_tolstring(m->L, 3, &n);

    state_work(m->L, (double)n);
    count_result(m, n);
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '%' || i + 1 == n) {
            luaL_addchar(b, text[i]);
        } else if (!isdigit((unsigned char)text[++i])) {
            luaL_addchar(b, text[i]);
        } else if (text[i] == '0') {
            count_result(m, (size_t)(to - from));
            luaL_addlstring(b, from, (size_t)(to - from));
        } else {
            push_capture(m, text[i] - '1', from, to);
            add_top(m, b);
        }
    }
}

static void add_value(struct match *m, luaL_Buffer *b, const char *from, const char *to)
{
    lua_State *L = m->L;

    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
        state_nest(L);
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, from, to), 1);
        break;
    case LUA_TTABLE:
        push_capture(m, 0, from, to);
        lua_gettable(L, 3);
        break;
    default:
        add_text(m, b, from, to);
        return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, from, (size_t)(to - from));
    } else if (!lua_isstring(L, -1)) {
        (void)luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    add_top(m, b);
}

static int pattern_gsub(lua_State *L)
{
    struct match m = begin(L, 1, 2);
    const char *at = m.text;
    bool anchored = m.pattern < m.pattern_end && *m.pattern == '^';
    const char *p = m.pattern + anchored;
    int type = lua_type(L, 3);
    lua_Integer most = luaL_optinteger(L, 4, PTRDIFF_MAX), n = 0;
    luaL_Buffer b;

    luaL_argcheck(L,
                  type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                      type == LUA_TTABLE,
                  3, "string/function/table expected");
    luaL_buffinit(L, &b);
    while (n < most) {
        const char *to = match_at(&m, at, p);

        if (to != NULL) {
            n++;
            add_value(&m, &b, at, to);
        }
        if (to != NULL && to > at) {
            at = to;
        } else if (at < m.text_end) {
            luaL_addchar(&b, *at++);
        } else {
            break;
        }
        if (anchored) {
            break;
        }
    }
    luaL_addlstring(&b, at, (size_t)(m.text_end - at));
    luaL_pushresult(&b);
    lua_pushinteger(L, n);
    return 2;
}

void pattern_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"find", pattern_find},
                                         {"match", pattern_match},
                                         {"gmatch", pattern_gmatch},
                                         {"gsub", pattern_gsub},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
