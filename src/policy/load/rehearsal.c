/* The policy's examples: decided as a worker would, and compared with the expected
 * answers; a difference is a problem of the load. */
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/edit.h"
#include "policy/load/internal.h"
#include "policy/load/rehearsal.h"
#include "policy/run/decide.h"
#include "policy/run/dedup.h"
#include "policy/run/handles.h"
#include "shared/registry.h"

enum { ARENA_BYTES = 16 << 20, HEADERS_MAX = 32 };

struct example_run {
    lua_State *L;
    int example, expect, problems; /* places on the stack */
    struct event_batch *batch;     /* the state's */
    const struct route *route;
    struct outcome outcome;
    char *padded;             /* the body */
    const char *code, *field; /* of the answer */
    int status;
};

static void problem(struct example_run *t, const char *fmt, ...) PRINTF(2, 3);
static void problem(struct example_run *t, const char *fmt, ...)
{
    static const char *const places[] = {"file", "line", "column", "length"};
    lua_State *L = t->L;
    va_list args;
    char text[1024];

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    lua_newtable(L);
    lua_getfield(L, t->example, "name");
    (void)lua_pushfstring(L, "example \"%s\"", lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 1);
    for (size_t i = 0; i < N_ELEMS(places); i++) {
        lua_getfield(L, t->example, places[i]);
        lua_setfield(L, -2, places[i]);
    }
    lua_pushstring(L, text);
    lua_setfield(L, -2, "message");
    lua_rawseti(L, t->problems, (int)lua_objlen(L, t->problems) + 1);
}

static struct str text_of(struct example_run *t, const char *key)
{
    struct str s;

    lua_getfield(t->L, t->example, key);
    s.p = lua_tolstring(t->L, -1, &s.n);
    lua_pop(t->L, 1); /* the example's table still holds it */
    return s;
}

static void first_error(struct example_run *t)
{
    for (uint32_t i = 0; i < t->batch->n; i++) {
        if (t->batch->events[i].fate == EVENT_REJECT) {
            t->code = t->batch->events[i].code;
            t->field = t->batch->events[i].field;
            return;
        }
    }
}

/* The example's table holds the texts. */
static uint32_t headers_of(struct example_run *t, struct str_pair list[HEADERS_MAX])
{
    lua_State *L = t->L;
    uint32_t n;

    lua_getfield(L, t->example, "headers");
    n = (uint32_t)lua_objlen(L, -1);
    n = n < HEADERS_MAX ? n : HEADERS_MAX;
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        lua_getfield(L, -1, "name");
        list[i].name.p = lua_tolstring(L, -1, &list[i].name.n);
        lua_getfield(L, -2, "value");
        list[i].value.p = lua_tolstring(L, -1, &list[i].value.n);
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
    return n;
}

static void ask(struct example_run *t, struct policy_state *s)
{
    struct str_pair headers[HEADERS_MAX];
    struct policy_request req = {.method = text_of(t, "method"),
                                 .path = text_of(t, "path"),
                                 .query = text_of(t, "query"),
                                 .peer = STR("127.0.0.1"),
                                 .headers = headers,
                                 .n_headers = headers_of(t, headers)};
    struct str body = text_of(t, "body");
    char *padded = mem_zalloc(body.n + SCAN_PAD);
    enum scan_shape shape;
    struct refused no;
    uint32_t raised;
    struct dedup_hold hold = {0};

    memcpy(padded, body.p, body.n);
    t->padded = padded;
    lua_getfield(t->L, t->example, "at");
    req.time_ms = lua_tonumber(t->L, -1);
    lua_pop(t->L, 1);
    if (decide_head(s, &req, text_of(t, "content_type"), &t->route, &shape, &no) &&
        decide_body(s, t->route, shape, &req, (struct str){padded, body.n}, t->batch,
                    NULL, &raised, &no)) {
        if (s->policy->plan->n_dedups > 0) {
            (void)dedup_mark(s, t->route, t->batch,
                             (struct dedup_now){req.time_ms, req.time_ms}, &hold);
        }
        outcome_of(t->route, t->batch, &t->outcome);
        dedup_finish(&hold, t->outcome.store);
        t->status = t->outcome.status;
        first_error(t);
    } else {
        t->status = no.status;
        t->code = no.error.code;
    }
}

static void expect_number(struct example_run *t, const char *key, double got)
{
    lua_getfield(t->L, t->expect, key);
    if (lua_isnumber(t->L, -1) && lua_tonumber(t->L, -1) != got) {
        problem(t, "expected %s = %.0f, got %.0f%s%s%s", key, lua_tonumber(t->L, -1),
                got, t->code != NULL ? " (" : "", t->code != NULL ? t->code : "",
                t->code != NULL ? ")" : "");
    }
    lua_pop(t->L, 1);
}

static void expect_text(struct example_run *t, const char *key, const char *got)
{
    const char *want;

    lua_getfield(t->L, t->expect, key);
    want = lua_tostring(t->L, -1);
    if (want != NULL && (got == NULL || strcmp(want, got) != 0)) {
        problem(t, "expected %s = \"%s\", got %s%s%s", key, want,
                got != NULL ? "\"" : "", got != NULL ? got : "none",
                got != NULL ? "\"" : "");
    }
    lua_pop(t->L, 1);
}

/* The line of the first accepted event; free() it. */
static char *stored_line(struct example_run *t)
{
    for (uint32_t i = 0; i < t->batch->n; i++) {
        const struct event *ev = &t->batch->events[i];

        if (ev->fate == EVENT_ACCEPT && t->outcome.store) {
            char *line = mem_alloc(edit_bound(t->batch, ev) + 1);

            line[edit_splice(t->batch, ev, line)] = '\0';
            return line;
        }
    }
    return NULL;
}

static void compare(struct example_run *t)
{
    char *stored;

    expect_number(t, "status", t->status);
    expect_number(t, "accepted", t->outcome.accepted);
    expect_number(t, "rejected", t->outcome.rejected);
    expect_number(t, "dropped", t->outcome.dropped);
    expect_text(t, "code", t->code);
    expect_text(t, "field", t->field);
    stored = stored_line(t);
    expect_text(t, "stored", stored);
    free(stored);
}

static void run_one(struct policy_state *s, int problems)
{
    struct example_run t = {
        .L = s->L, .problems = problems, .batch = &s->rehearsal->batch};

    t.example = lua_gettop(s->L);
    lua_getfield(s->L, t.example, "expect");
    t.expect = lua_gettop(s->L);
    ask(&t, s);
    compare(&t);
    free(t.padded);
    lua_settop(s->L, t.example);
}

static struct rehearsal *rehearsal_new(void)
{
    struct rehearsal *r = mem_zalloc(sizeof *r);

    arena_init(&r->arena, ARENA_BYTES);
    event_batch_init(&r->batch, &r->arena);
    r->batch.epoch = REHEARSAL_EPOCH;
    return r;
}

void rehearsal_free(struct rehearsal *r)
{
    if (r != NULL) {
        event_batch_fini(&r->batch);
        arena_fini(&r->arena);
        free(r);
    }
}

void examples_run(struct policy_state *s)
{
    lua_State *L = s->L;
    struct handles *live = s->handles;
    struct registry *registry = registry_new(false);
    int top = lua_gettop(L), problems;
    struct err e;
    size_t n;

    s->rehearsal = s->rehearsal == NULL ? rehearsal_new() : s->rehearsal;
    s->handles = handles_new(registry, s->policy->plan, true, &e);
    s->trying = true;
    lua_getfield(L, top, "problems");
    problems = lua_gettop(L);
    lua_getfield(L, top, "desc");
    lua_getfield(L, -1, "examples");
    n = lua_objlen(L, -1);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, (int)i);
        run_one(s, problems);
        lua_pop(L, 1);
    }
    handles_free(s->handles);
    registry_unref(registry);
    s->handles = live;
    s->trying = false;
    lua_settop(L, top);
}
