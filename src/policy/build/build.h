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

#include "policy/internal.h"

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

/* A copy of s, which may be the empty one, in the plan. */
static inline struct str copy(struct build *b, struct str s)
{
    if (s.p == NULL) {
        return s;
    }
    s = arena_copy(&b->plan->arena, s);
    if (s.p == NULL) {
        (void)luaL_error(b->L, "the policy is too large");
    }
    return s;
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
    s = copy(b, s);
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

/* The map at key, as the loader left it: a list of { name, value }. */
static inline const struct pair_plan *pairs(struct build *b, const char *key,
                                            uint32_t *n)
{
    struct pair_plan *list;

    *n = open_list(b, key);
    list = take(b, *n * sizeof *list);
    for (uint32_t i = 0; i < *n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        list[i] = (struct pair_plan){text(b, "name").p, text(b, "value").p};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return list;
}

/* ---- kafka.c ---- */

void build_kafka(struct build *b, struct sink_plan *s);

/* ---- http.c: a sink over HTTP, and what any sink has of it ---- */

void build_breaker(struct build *b, struct breaker_plan *p);
void build_hedge(struct build *b, struct hedge_plan *h);
void build_clickhouse(struct build *b, struct sink_plan *s);
void build_tables(struct build *b); /* the schemas that feed them; at the end */
void build_http(struct build *b, struct sink_plan *s);

/* ---- routes.c: the description's schemas and routes ---- */

void build_schemas(struct build *b);
void build_routes(struct build *b);
