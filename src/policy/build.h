/*
 * build - reading the loader's description, for the files that make a plan of it.
 * Nobody else includes it.
 *
 * Each function reads a field of the table on top of the stack; texts are copied
 * to the plan. What goes wrong raises in Lua, under plan_build's pcall.
 */
#pragma once

#include <lauxlib.h>
#include <string.h>

#include "policy/state.h"

struct build {
    lua_State *L;
    struct plan *plan;
};

static inline void *take(struct build *b, size_t n)
{
    void *p = arena_alloc(&b->plan->arena, n > 0 ? n : 1);

    if (p == NULL) {
        (void)luaL_error(b->L, "the policy is too large");
    }
    memset(p, 0, n);
    return p;
}

/* Fields of the table on top. */
static inline double number(struct build *b, const char *key, double none)
{
    double v;

    lua_getfield(b->L, -1, key);
    v = lua_isnumber(b->L, -1) ? lua_tonumber(b->L, -1) : none;
    lua_pop(b->L, 1);
    return v;
}

static inline uint64_t whole(struct build *b, const char *key)
{
    return (uint64_t)number(b, key, 0);
}

static inline bool flag(struct build *b, const char *key)
{
    bool v;

    lua_getfield(b->L, -1, key);
    v = lua_toboolean(b->L, -1);
    lua_pop(b->L, 1);
    return v;
}

static inline struct str text(struct build *b, const char *key)
{
    struct str s;

    lua_getfield(b->L, -1, key);
    s.p = lua_tolstring(b->L, -1, &s.n);
    if (s.p != NULL) {
        s = arena_copy(&b->plan->arena, s);
    }
    lua_pop(b->L, 1);
    return s;
}

static inline bool is(struct build *b, const char *key, const char *value)
{
    struct str s = text(b, key);

    return s.p != NULL && strcmp(s.p, value) == 0;
}

static inline bool has(struct build *b, const char *key)
{
    bool v;

    lua_getfield(b->L, -1, key);
    v = !lua_isnil(b->L, -1);
    lua_pop(b->L, 1);
    return v;
}

/* Opens the table at key; its length. */
static inline uint32_t open_list(struct build *b, const char *key)
{
    lua_getfield(b->L, -1, key);
    return lua_istable(b->L, -1) ? (uint32_t)lua_objlen(b->L, -1) : 0;
}

/* routes.c: the description's schemas and routes. */
void build_schemas(struct build *b);
void build_routes(struct build *b);
