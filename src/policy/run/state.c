/* A Lua state that has run a snapshot, with a cap on its memory and a bound on code
 * that may not end. */
#include "policy/run/internal.h"

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpus.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"
#include "plan/moment.h"
#include "plan/text_pattern.h"
#include "policy/library/json.h"
#include "policy/library/pattern.h"
#include "policy/library/plain.h"
#include "policy/library/tools.h"
#include "policy/load/agent_sets.h"
#include "policy/load/embed.h"
#include "policy/load/files.h"
#include "policy/load/load.h"
#include "policy/load/rehearsal.h"
#include "policy/load/secrets.h"
#include "policy/run/auth_signed.h"
#include "policy/run/handles.h"
#include "signature/verifier.h"

/* ---- C functions of the Lua side ---- */

static struct str arg(lua_State *L, int at)
{
    struct str s;

    s.p = luaL_checklstring(L, at, &s.n);
    return s;
}

static int host_bytes(lua_State *L)
{
    uint64_t v;

    if (!units_bytes(arg(L, 1), &v)) {
        return 0;
    }
    lua_pushnumber(L, (double)v);
    return 1;
}

static int host_ms(lua_State *L)
{
    int64_t v;

    if (!units_ms(arg(L, 1), &v)) {
        return 0;
    }
    lua_pushnumber(L, (double)v);
    return 1;
}

static int host_moment(lua_State *L)
{
    int64_t v;

    if (!moment_ms(arg(L, 1), &v)) {
        return 0;
    }
    lua_pushnumber(L, (double)v);
    return 1;
}

/* Why a text is no pattern of a field; nil: it is one. */
static int host_why_no_pattern(lua_State *L)
{
    struct text_pattern p;

    lua_pushstring(L, text_pattern_read(arg(L, 1), &p));
    return 1;
}

/* Why a text is no network; nil: it is one. */
static int host_why_no_network(lua_State *L)
{
    struct address a;
    uint32_t prefix;

    lua_pushstring(L, address_read_network(arg(L, 1), &a, &prefix));
    return 1;
}

static int host_getenv(lua_State *L)
{
    const struct policy_env *env = state_here(L)->policy->env;
    const char *name = luaL_checkstring(L, 1);

    for (uint32_t i = 0; env != NULL && i < env->n; i++) {
        if (strcmp(env->pairs[i].name, name) == 0) {
            lua_pushstring(L, env->pairs[i].value);
            return 1;
        }
    }
    lua_pushstring(L, env == NULL ? getenv(name) : NULL);
    return 1;
}

/* bounded(f): f's results, or its error. */
static int host_bounded(lua_State *L)
{
    struct policy_state *s = state_here(L);
    /* A file that another one needs runs in the time of that one. */
    bool outermost = s->allowed_ns == 0;
    int rc;

    if (outermost) {
        state_bound(s, "the policy's top level", TOP_LEVEL_MS);
    }
    rc = lua_pcall(L, 0, 1, 0);
    if (outermost) {
        state_bound(s, NULL, 0);
    } else if (rc != 0 && s->deadline_ns != 0 && clock_thread_ns() > s->deadline_ns) {
        /* It was stopped; the other one may go on, so that its mistakes are told. */
        state_bound(s, "the policy's top level", AFTER_MS);
    }
    return rc == 0 ? 1 : lua_error(L);
}

/* Whether there is memory again for the events of this request. */
static int host_relieve(lua_State *L)
{
    lua_pushboolean(L, state_relieve(state_here(L)));
    return 1;
}

static void push_host(lua_State *L, bool reading)
{
    static const luaL_Reg functions[] = {{"bytes", host_bytes},
                                         {"ms", host_ms},
                                         {"moment", host_moment},
                                         {"why_no_pattern", host_why_no_pattern},
                                         {"why_no_network", host_why_no_network},
                                         {"getenv", host_getenv},
                                         {"secret", secrets_read},
                                         {"bounded", host_bounded},
                                         {"relieve", host_relieve},
                                         {"decode", json_decode},
                                         {"is_json", json_valid},
                                         {"array", json_array},
                                         {"encode", json_encode},
                                         {"same", json_same},
                                         {"same_number", json_same_number},
                                         {NULL, NULL}};
    unsigned cores = cpus_allowed();

    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    files_push(L, reading);
    signatures_push(L);
    (void)json_open_null(L);
    lua_setfield(L, -2, "null");
    lua_newtable(L);
    pattern_open(L);
    lua_setfield(L, -2, "patterns");
    plain_open(L);
    lua_setfield(L, -2, "tables");
    lua_pushnumber(L, cores);
    lua_setfield(L, -2, "cores");
    lua_pushinteger(L, STATE_BYTES_MAX >> 20);
    lua_setfield(L, -2, "memory_mib");
}

/* ---- the embedded modules ---- */

bool state_preload(lua_State *L, struct err *e)
{
    static const char *const names[] = {
        "context",      "words",           "suggest",        "source",
        "values",       "describe",        "foresee",        "sinks",
        "routes",       "schemas",         "kept",           "handles",
        "slips",        "arguments",       "parameters",     "sites",
        "advice",       "library",         "moved",          "plain",
        "loader",       "opcodes",         "registers",      "calls",
        "bytecode",     "hooks",           "traces",         "words_server",
        "words_sinks",  "words_routes",    "words_rollout",  "words_handles",
        "words_fields", "words_functions", "words_mistakes", "effects",
        "refused",      "answers",         "tables",         "envelopes",
        "paths",        "postbacks",       "words_listen",   "listeners",
        "auth",         "words_auth",      "words_tls",      "certificates",
        "tokens",       "addresses",       "agents",         "files",
        "dropped",      "client_certs",    "limits",         "amounts",
        "lists",        "raised"};

    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        char path[64], module[64];
        struct str text;

        (void)snprintf(path, sizeof path, "lua/sluice/%s.lua", names[i]);
        (void)snprintf(module, sizeof module, "sluice.%s", names[i]);
        text = embed_find(path);
        if (luaL_loadbuffer(L, text.p, text.n, module) != 0) {
            return err_set(e, "%s", lua_tostring(L, -1));
        }
        lua_setfield(L, -2, module);
    }
    lua_pop(L, 2);
    return true;
}

/* Leaves the module's value on the stack. */
static bool require(lua_State *L, const char *module, struct err *e)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    return lua_pcall(L, 1, 1, 0) == 0 || err_set(e, "%s", lua_tostring(L, -1));
}

/* The declarations of a header: its text without the lines of the
 * preprocessor. */
static void push_declarations(lua_State *L)
{
    static const char *const names[] = {"src/decode/event.h",
                                        "src/policy/library/ffi.h",
                                        "src/policy/library/library.h"};
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        struct str text = embed_find(names[i]);
        const char *p = text.p, *end = text.p + text.n;

        while (p < end) {
            const char *nl = memchr(p, '\n', (size_t)(end - p));
            const char *next = nl == NULL ? end : nl + 1;

            if (*p != '#') {
                luaL_addlstring(&b, p, (size_t)(next - p));
            }
            p = next;
        }
    }
    luaL_pushresult(&b);
}

/* context.start(context, declarations), then hooks.start(host); the hooks module and
 * the host's table stay on the stack. */
static bool start_hooks(struct policy_state *s, bool reading, struct err *e)
{
    lua_State *L = s->L;

    if (!require(L, "sluice.context", e)) {
        return false;
    }
    lua_getfield(L, -1, "start");
    lua_remove(L, -2);
    lua_pushlightuserdata(L, &s->context);
    push_declarations(L);
    if (lua_pcall(L, 2, 0, 0) != 0) {
        return err_set(e, "%s", lua_tostring(L, -1));
    }
    if (!require(L, "sluice.hooks", e)) {
        return false;
    }
    push_host(L, reading);
    lua_getfield(L, -2, "start");
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) != 0) {
        return err_set(e, "%s", lua_tostring(L, -1));
    }
    lua_getfield(L, -2, "on_events");
    s->on_events = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -2, "on_request");
    s->on_request = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -2, "on_location");
    s->on_location = luaL_ref(L, LUA_REGISTRYINDEX);
    return true;
}

/* loader.load(host, hooks, name, text): one table more on the stack. */
static bool run_loader(struct policy_state *s, struct err *e)
{
    const struct snapshot_file *f = &s->policy->files[0];
    lua_State *L = s->L;

    if (!require(L, "sluice.loader", e)) {
        return false;
    }
    lua_getfield(L, -1, "load");
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -5);
    lua_pushstring(L, f->path);
    lua_pushlstring(L, f->text, f->n);
    switch (lua_pcall(L, 4, 1, 0)) {
    case 0:
        return true;
    case LUA_ERRMEM:
        return err_set(e,
                       "%s: its top level needs more than the %d MiB that a "
                       "policy's state may have",
                       f->path, STATE_BYTES_MAX >> 20);
    default:
        return err_set(e, "%s", lua_tostring(L, -1));
    }
}

static struct policy_state *state_new(struct policy *p, bool reading, struct err *e)
{
    struct policy_state *s = mem_zalloc(sizeof *s);

    s->policy = policy_ref(p);
    /* The examples of a load get the same numbers at every load. */
    s->tools = tools_new(reading ? 1 : p->env != NULL ? p->env->seed : 0);
    for (uint32_t i = 0; i < PLAN_ROUTES_MAX; i++) {
        s->hooks[i].runner = LUA_NOREF;
    }
    s->L = lua_newstate(state_alloc, s);
    if (s->L == NULL) {
        (void)err_set(e, "can't make a Lua state");
        policy_state_free(s);
        return NULL;
    }
    (void)lua_atpanic(s->L, state_panic);
    return s;
}

struct loading {
    struct policy_state *s;
    bool reading, ok;
    bool (*then)(struct policy_state *s, void *arg, struct err *e);
    void *arg;
    struct err *e;
};

static int load_in(lua_State *L)
{
    struct loading *x = lua_touserdata(L, 1);

    lua_settop(L, 0);
    luaL_openlibs(L);
    /* Code that runs once is not worth compiling, and each trace that the compiler has
     * tried and given up makes it try fewer later ones. */
    (void)luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    if (!state_preload(L, x->e) || !start_hooks(x->s, x->reading, x->e) ||
        !run_loader(x->s, x->e)) {
        return 0;
    }
    (void)luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
    x->ok = x->then(x->s, x->arg, x->e);
    return 0;
}

struct policy_state *state_load(struct policy *p, bool reading,
                                bool (*then)(struct policy_state *, void *,
                                             struct err *),
                                void *arg, struct err *e)
{
    struct policy_state *s = state_new(p, reading, e);
    struct loading x = {s, reading, false, then, arg, e};
    struct err raised;

    if (s == NULL) {
        return NULL;
    }
    /* The memory that the policy has left may be too small for the plan. */
    if (!state_protect(s, load_in, &x, &raised)) {
        (void)err_set(e, "%s: %s", p->files[0].path, raised.text);
        x.ok = false;
    }
    if (!x.ok) {
        policy_state_free(s);
        return NULL;
    }
    return s;
}

/* LuaJIT compiles code that has run 56 times. The problems that examples find would be
 * those of the load, which had none. */
static void warm(struct policy_state *s)
{
    uint64_t until = clock_thread_ns() + WARM_MS * 1000000ull;

    for (int i = 0; i < WARM_ROUNDS && clock_thread_ns() < until; i++) {
        examples_run(s);
    }
}

/* arg: whether it is to be warm. The loader's result lies on top. */
static bool make(struct policy_state *s, void *arg, struct err *e)
{
    const bool *warmed = arg;

    if (!state_take_hooks(s, e)) {
        return false;
    }
    state_take_sinks(s);
    state_take_roll_back_if(s);
    s->handles = handles_new(s->policy->registry, s->policy->plan, false, e);
    if (s->handles == NULL) {
        return false;
    }
    if (*warmed) {
        warm(s);
    }
    lua_settop(s->L, 0);
    (void)lua_gc(s->L, LUA_GCCOLLECT, 0);
    return true;
}

struct policy_state *policy_state_new(struct policy *p, struct err *e)
{
    bool warmed = false;

    return state_load(p, false, make, &warmed, e);
}

struct policy_state *policy_state_warm(struct policy *p, struct err *e)
{
    bool warmed = true;

    return state_load(p, false, make, &warmed, e);
}

void policy_state_free(struct policy_state *s)
{
    if (s == NULL) {
        return;
    }
    hooks_tell(s);
    if (s->L != NULL) {
        lua_close(s->L);
    }
    rehearsal_free(s->rehearsal);
    tools_free(s->tools);
    handles_free(s->handles);
    agent_sets_fini(s);
    for (uint32_t i = 0; i < PLAN_ROUTES_MAX; i++) {
        verifier_free(s->verifiers[i]);
    }
    auth_signed_fini(s);
    policy_unref(s->policy);
    free(s->made.p);
    free(s->named.p);
    free(s->part);
    free(s->spill);
    for (int i = 0; i < PLAN_STREAMS_MAX; i++) {
        free(s->identities[i]);
    }
    free(s);
}

size_t policy_state_bytes(const struct policy_state *s)
{
    return s->bytes;
}

uint64_t policy_state_raised(const struct policy_state *s)
{
    return s->raised;
}

uint64_t policy_state_allocations(const struct policy_state *s)
{
    return s->allocations;
}
