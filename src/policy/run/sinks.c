/* Functions of a policy that decide for a sink: called on its thread, interpreted and
 * bounded in time. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "policy/library/json.h"
#include "policy/run/internal.h"

static const char *const names[POLICY_N_SINK_HOOKS][2] = {
    [POLICY_TRIP] = {"breaker", "ready_to_trip"},
    [POLICY_ADAPT] = {"batch", "adapt"},
    [POLICY_TOPIC] = {NULL, "topic_by"}};

/* The table at the sink's key, or the sink itself, on top. */
static void push_owner(lua_State *L, const char *key)
{
    if (key == NULL) {
        lua_pushvalue(L, -1);
    } else {
        lua_getfield(L, -1, key);
    }
}

/* The sink's description is on top. */
static void take_sink(struct policy_state *s, uint32_t i)
{
    lua_State *L = s->L;

    for (int k = 0; k < POLICY_N_SINK_HOOKS; k++) {
        s->sink_hooks[i][k] = LUA_NOREF;
        push_owner(L, names[k][0]);
        if (lua_istable(L, -1)) {
            lua_getfield(L, -1, names[k][1]);
            if (lua_isfunction(L, -1)) {
                s->sink_hooks[i][k] = luaL_ref(L, LUA_REGISTRYINDEX);
            } else {
                lua_pop(L, 1);
            }
        }
        lua_pop(L, 1);
    }
}

void state_take_sinks(struct policy_state *s)
{
    lua_State *L = s->L;
    uint32_t n;

    lua_getfield(L, -1, "desc");
    lua_getfield(L, -1, "sinks");
    n = (uint32_t)lua_objlen(L, -1);
    for (uint32_t i = 0; i < n && i < PLAN_SINKS_MAX; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        take_sink(s, i);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    lua_pushboolean(L, 0);
    s->topic = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* __index of an event: "properties.page" is ev.properties.page. */
static int by_path(lua_State *L)
{
    struct str path;

    path.p = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &path.n) : NULL;
    if (path.p == NULL || memchr(path.p, '.', path.n) == NULL) {
        return 0;
    }
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    for (;;) {
        const char *dot = memchr(path.p, '.', path.n);
        size_t n = dot == NULL ? path.n : (size_t)(dot - path.p);

        if (!lua_istable(L, -1)) {
            return 0;
        }
        lua_pushlstring(L, path.p, n);
        lua_rawget(L, -2);
        if (dot == NULL) {
            return !json_is_null(L, -1);
        }
        path = (struct str){dot + 1, path.n - n - 1};
    }
}

/* A null field of the event itself reads as nil, as it does in on_event. */
static void drop_nulls(lua_State *L)
{
    int at = lua_gettop(L);

    for (lua_pushnil(L); lua_istable(L, at) && lua_next(L, at) != 0; lua_pop(L, 1)) {
        if (json_is_null(L, -1)) {
            lua_pushvalue(L, -2);
            lua_pushnil(L);
            lua_rawset(L, at);
        }
    }
    lua_settop(L, at);
}

static void push_event(lua_State *L, struct str event)
{
    lua_pushcfunction(L, json_decode);
    lua_pushlstring(L, event.p, event.n);
    lua_call(L, 1, 1);
    drop_nulls(L);
    if (luaL_newmetatable(L, "sluice.stored_event")) {
        lua_pushcfunction(L, by_path);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
}

static void push_numbers(lua_State *L, const struct policy_number *list, uint32_t n)
{
    lua_createtable(L, 0, (int)n);
    for (uint32_t i = 0; i < n; i++) {
        lua_pushnumber(L, list[i].value);
        lua_setfield(L, -2, list[i].name);
    }
}

/* One question to a function. */
struct question {
    struct policy_state *s;
    uint32_t sink;
    enum policy_sink_hook hook;
    struct str event; /* .p NULL: numbers are given */
    const struct policy_number *list;
    uint32_t n;
    double number;   /* the result */
    struct str text; /* the result, if it is one; .p NULL */
};

static int function_of(const struct question *q)
{
    return q->s->sink_hooks[q->sink][q->hook];
}

/* Nil is the default target. A word or a table must not become the target 1. */
static void check_target(lua_State *L)
{
    if (lua_isnil(L, -1)) {
        return;
    }
    if (!lua_isnumber(L, -1)) {
        (void)luaL_error(L, "it returned a %s, expected a number of events or nil",
                         luaL_typename(L, -1));
    }
    if (!(lua_tonumber(L, -1) >= 1 && lua_tonumber(L, -1) < UINT32_MAX)) {
        (void)luaL_error(L, "it returned %f, expected a number of events from 1 on",
                         lua_tonumber(L, -1));
    }
}

/* A full state raises anywhere here. */
static int ask(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, function_of(q));
    if (q->event.p != NULL) {
        push_event(L, q->event);
    } else {
        push_numbers(L, q->list, q->n);
    }
    state_bound(q->s, "the function", SINK_HOOK_MS);
    lua_call(L, 1, 1);
    if (q->hook == POLICY_ADAPT) {
        check_target(L);
    }
    q->number =
        lua_isnumber(L, -1) ? lua_tonumber(L, -1) : (double)lua_toboolean(L, -1);
    if (lua_type(L, -1) == LUA_TSTRING) {
        q->text.p = lua_tolstring(L, -1, &q->text.n);
        lua_rawseti(L, LUA_REGISTRYINDEX, q->s->topic); /* which keeps it */
    }
    return 0;
}

/* False: it raised, or ran too long. */
static bool answered(struct question *q)
{
    struct policy_state *s = q->s;
    struct err e;
    bool ok;

    ok = state_protect(s, ask, q, &e);
    state_bound(s, NULL, 0);
    if (!ok) {
        static const char *const words[POLICY_N_SINK_HOOKS] = {
            [POLICY_TRIP] = "breaker.ready_to_trip",
            [POLICY_ADAPT] = "batch.adapt",
            [POLICY_TOPIC] = "topic_by"};

        hooks_raised_for(s, s->policy->plan->sinks[q->sink].name, words[q->hook],
                         str_of(e.text));
    }
    if (s->starved) {
        state_look_at_memory(s);
    }
    return ok;
}

struct str policy_sink_topic(struct policy_state *s, uint32_t sink, struct str event)
{
    struct question q = {.s = s, .sink = sink, .hook = POLICY_TOPIC, .event = event};

    if (function_of(&q) == LUA_NOREF || !answered(&q)) {
        return (struct str){NULL, 0};
    }
    return q.text;
}

bool policy_sink_call(struct policy_state *s, uint32_t sink, enum policy_sink_hook hook,
                      const struct policy_number *list, uint32_t n, double *result)
{
    struct question q = {.s = s, .sink = sink, .hook = hook, .list = list, .n = n};

    if (function_of(&q) == LUA_NOREF || !answered(&q) || !isfinite(q.number)) {
        return false;
    }
    *result = q.number;
    return true;
}
