/* A request into Lua and back: one entry for all its events. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "decode/edit.h"
#include "policy/run/internal.h"

enum { LOOPS_MAX = 16 /* times that the loop may fail in a request */ };

#define TELL_EVERY_NS 1000000000ull

void hooks_tell(struct policy_state *s)
{
    char quoted[240];

    if (s->untold > 0) {
        log_write(LOG_ERROR, "policy",
                  "status=raised %s generation=%lu errors=%lu why=%s", s->untold_where,
                  (unsigned long)s->policy->plan->generation, (unsigned long)s->untold,
                  log_quote(quoted, sizeof quoted, s->untold_why));
        s->untold = 0;
    }
}

/* where: "route=\"POST /v1/events\"". */
static void raised(struct policy_state *s, const char *where, struct str why)
{
    uint64_t now = clock_mono_ns();

    s->raised++;
    if (s->first_raised[0] == '\0') {
        (void)snprintf(s->first_raised, sizeof s->first_raised, "%.*s", (int)why.n,
                       why.p);
    }
    /* Generation 0: an example of a policy that is not live yet. */
    if (s->policy->plan->generation == 0) {
        return;
    }
    if (s->untold++ == 0) {
        (void)snprintf(s->untold_where, sizeof s->untold_where, "%s", where);
        (void)snprintf(s->untold_why, sizeof s->untold_why, "%.*s", (int)why.n, why.p);
    }
    if (s->told_ns == 0 || now - s->told_ns >= TELL_EVERY_NS) {
        s->told_ns = now;
        hooks_tell(s);
    }
}

void hooks_raised(struct policy_state *s, struct str why)
{
    const struct route *route = s->context.route;
    char name[1200], quoted[1300], where[1310];

    (void)snprintf(name, sizeof name, "%s %s", route == NULL ? "" : route->method,
                   route == NULL ? "" : route->path);
    (void)snprintf(where, sizeof where, "route=%s",
                   log_quote(quoted, sizeof quoted, name));
    raised(s, where, why);
}

void hooks_raised_for(struct policy_state *s, const char *sink, const char *function,
                      struct str why)
{
    char where[200];

    (void)snprintf(where, sizeof where, "sink=%s function=%s", sink, function);
    raised(s, where, why);
}

static void enter(struct policy_state *s, const struct route *route, int hook,
                  const struct policy_request *req)
{
    struct sluice_context *c = &s->context;

    c->plan = s->policy->plan;
    c->route = route;
    c->n_raised = 0;
    s->first_raised[0] = '\0';
    /* The notes of the last request lie in its arena; epochs are those of a batch, and
     * a state may serve another batch than before. */
    c->key_epoch = 0;
    c->digits_epoch = 0;
    c->refused = 0;
    c->wait_ms = 0;
    c->time_ms = req->time_ms;
    s->now_ms = req->mono_ms > 0 ? req->mono_ms : req->time_ms;
    c->request = req;
    state_bound_request(s, HOOK_STOP_MS, c->batch == NULL ? 0 : c->batch->body_len);
    stuck_enter(s, route, hook);
}

const char *policy_raised(const struct policy_state *s)
{
    return s->first_raised;
}

static void leave(struct policy_state *s)
{
    stuck_leave(s);
    s->allowed_ns = 0;
    s->context.epoch = 0;
    s->context.batch = NULL;
}

/* True: it ran. Otherwise its error is on the stack. */
static bool call(struct policy_state *s, int function, const struct route *route)
{
    lua_State *L = s->L;

    lua_rawgeti(L, LUA_REGISTRYINDEX, function);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->hooks[route->index].runner);
    return lua_pcall(L, 1, 0, 0) == 0;
}

static void fail_one(struct policy_state *s, uint32_t i, const char *why)
{
    struct event *ev = &s->context.batch->events[i];

    if (ev->fate == EVENT_ACCEPT) {
        sluice_failed(&s->context, (struct sluice_event *)(void *)ev, why, strlen(why));
    }
}

/* An error of the loop itself, mostly for want of memory, is the failure of the event
 * in hand; those after it have their turn. False: that was once too often, and they
 * fail with it. */
static bool go_on(struct policy_state *s, uint32_t times)
{
    struct sluice_context *c = &s->context;
    char why[256];
    bool room;

    state_why(s->L, why, sizeof why);
    lua_pop(s->L, 1);
    /* The garbage of this event must not fail the next one as well. */
    room = !s->starved || state_relieve(s);
    fail_one(s, c->at, why);
    c->from = c->at + 1;
    if (times < LOOPS_MAX && room) {
        return c->from < c->n;
    }
    for (uint32_t i = c->from; i < c->n; i++) {
        fail_one(s, i, why);
    }
    return false;
}

void policy_on_events(struct policy_state *s, const struct route *route,
                      struct event_batch *b, const struct policy_request *req,
                      uint32_t *n_raised)
{
    struct sluice_context *c = &s->context;
    uint32_t times = 0;

    c->batch = b;
    c->events = b->events;
    c->body = b->body;
    c->n = b->n;
    c->from = 0;
    c->epoch = b->epoch;
    b->n_base = b->n_edits;
    enter(s, route, HOOK_ON_EVENT, req);
    while (!call(s, s->on_events, route) && go_on(s, ++times)) {
    }
    *n_raised = c->n_raised;
    leave(s);
}

void policy_on_request(struct policy_state *s, const struct route *route,
                       const struct policy_request *req, struct policy_verdict *v)
{
    struct sluice_context *c = &s->context;

    c->n = 0;
    c->epoch = UINT32_MAX; /* the request may be read */
    enter(s, route, HOOK_ON_REQUEST, req);
    if (!call(s, s->on_request, route)) {
        char why[256];

        state_why(s->L, why, sizeof why);
        hooks_raised(s, str_of(why));
        lua_pop(s->L, 1);
        if (route->on_error != ON_ERROR_ACCEPT) {
            c->refused = 500;
            (void)snprintf(c->code, sizeof c->code, "policy_error");
            (void)snprintf(c->message, sizeof c->message,
                           "the policy failed on this request");
        }
    }
    leave(s);
    *v = (struct policy_verdict){.refuse = c->refused != 0,
                                 .status = (int)c->refused,
                                 .code = c->code,
                                 .message = c->message,
                                 .wait_ms = c->wait_ms};
}

struct str policy_location(struct policy_state *s, const struct route *route,
                           struct event_batch *b, const struct policy_request *req,
                           uint32_t *n_raised)
{
    struct sluice_context *c = &s->context;

    c->batch = b;
    c->events = b->events;
    c->body = b->body;
    c->n = b->n;
    c->from = 0;
    c->epoch = b->epoch;
    c->location = NULL;
    c->location_len = 0;
    b->n_base = b->n_edits;
    enter(s, route, HOOK_LOCATION, req);
    if (!call(s, s->on_location, route)) {
        char why[256];

        state_why(s->L, why, sizeof why);
        hooks_raised(s, str_of(why));
        lua_pop(s->L, 1);
        c->location = NULL;
        ++*n_raised;
    }
    leave(s);
    edits_revert(b, &b->events[0]); /* what it set is not stored */
    return (struct str){c->location, c->location_len};
}

/* The route's on_event on top; nil: it has none. */
static void push_hook(struct policy_state *s, const struct route *r)
{
    lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->hooks[r->index].runner);
    if (r->has_on_event && lua_istable(s->L, -1)) {
        lua_getfield(s->L, -1, "hook");
    } else {
        lua_pushnil(s->L);
    }
    lua_remove(s->L, -2);
}

struct two_routes {
    struct policy_state *s;
    const struct route *a, *b;
    bool same;
};

static int compare_hooks(lua_State *L)
{
    struct two_routes *x = lua_touserdata(L, 1);

    push_hook(x->s, x->a);
    push_hook(x->s, x->b);
    x->same = lua_rawequal(L, -1, -2);
    return 0;
}

bool policy_same_hook(struct policy_state *s, const struct route *a,
                      const struct route *b)
{
    struct two_routes x = {s, a, b, false};
    struct err e;

    return state_protect(s, compare_hooks, &x, &e) && x.same;
}

uint32_t policy_stopped(struct policy_state *s)
{
    uint32_t n = s->n_stopped;

    s->n_stopped = 0;
    return n;
}

bool policy_is_bounded(const struct policy_state *s, const struct route *route)
{
    return s->hooks[route->index].loops;
}
