/* Fields of the loader's description, copied to the plan. */
#include "policy/build/internal.h"

#include <string.h>

void *build_room(struct build *b, size_t n)
{
    void *p = arena_alloc(&b->plan->arena, n > 0 ? n : 1);

    if (p == NULL) {
        (void)luaL_error(b->L, "the policy is too large");
    }
    memset(p, 0, n);
    return p;
}

struct str build_copy(struct build *b, struct str s)
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

double field_number(struct build *b, const char *key, double none)
{
    double v;

    lua_getfield(b->L, -1, key);
    v = lua_isnumber(b->L, -1) ? lua_tonumber(b->L, -1) : none;
    lua_pop(b->L, 1);
    return v;
}

uint64_t field_whole(struct build *b, const char *key)
{
    return (uint64_t)field_number(b, key, 0);
}

bool field_flag(struct build *b, const char *key)
{
    bool v;

    lua_getfield(b->L, -1, key);
    v = lua_toboolean(b->L, -1);
    lua_pop(b->L, 1);
    return v;
}

struct str field_text(struct build *b, const char *key)
{
    struct str s;

    lua_getfield(b->L, -1, key);
    s.p = lua_tolstring(b->L, -1, &s.n);
    s = build_copy(b, s);
    lua_pop(b->L, 1);
    return s;
}

bool field_is(struct build *b, const char *key, const char *value)
{
    struct str s = field_text(b, key);

    return s.p != NULL && strcmp(s.p, value) == 0;
}

bool field_has(struct build *b, const char *key)
{
    bool v;

    lua_getfield(b->L, -1, key);
    v = !lua_isnil(b->L, -1);
    lua_pop(b->L, 1);
    return v;
}

uint32_t field_open(struct build *b, const char *key)
{
    lua_getfield(b->L, -1, key);
    return lua_istable(b->L, -1) ? (uint32_t)lua_objlen(b->L, -1) : 0;
}

const struct pair_plan *field_pairs(struct build *b, const char *key, uint32_t *n)
{
    struct pair_plan *list;

    *n = field_open(b, key);
    list = build_room(b, *n * sizeof *list);
    for (uint32_t i = 0; i < *n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        list[i] = (struct pair_plan){field_text(b, "name").p, field_text(b, "value").p};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return list;
}
