/*
 * run - a policy's hooks as calls.
 *
 *   policy_state_new (one a thread) -> policy_on_events* (that thread) ->
 *   policy_state_free
 *
 * A state belongs to one thread and keeps a reference on its snapshot
 * (policy/load/load.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "decode/event.h"
#include "plan/plan.h"
#include "plan/request.h"

struct err;
struct policy;
struct policy_state;

/* ---- state.c ---- */

/* Lua ran out of memory outside of a protected call: the process ends at once. */
enum { POLICY_PANIC_EXIT = 71 };

/* A Lua state that has run the policy and holds its hooks. NULL and *e. */
struct policy_state *policy_state_new(struct policy *p, struct err *e) MUST_USE;
/* The same, whose hooks have run the policy's examples until they are compiled: the
 * first requests are as fast as the later ones. Takes some milliseconds. */
struct policy_state *policy_state_warm(struct policy *p, struct err *e) MUST_USE;
void policy_state_free(struct policy_state *s);

/* Errors of its hooks and functions, ever. The state's thread. */
uint64_t policy_state_raised(const struct policy_state *s);

/* Bytes that the state's allocator holds, and calls it has had. */
size_t policy_state_bytes(const struct policy_state *s);
uint64_t policy_state_allocations(const struct policy_state *s);

/* ---- policy/library/tools.c ---- */

/* From now on chance is a matter of the event's place alone, so that two policies get
 * the same for the same events. */
void policy_state_by_event(struct policy_state *s);

/* ---- hooks.c ---- */

/* Whether two routes have the very same on_event (or none). */
bool policy_same_hook(struct policy_state *s, const struct route *a,
                      const struct route *b);

/* Whether a hook of the route is interpreted, under a bound of time a call. */
bool policy_is_bounded(const struct policy_state *s, const struct route *route);

/* Enters Lua once and runs the route's on_event over the events of b that are
 * still EVENT_ACCEPT. Marks them: fate, code, message, edits, to. Never
 * fails as a whole: a hook that raises marks its event by the route's
 * on_error (EVENT_DEAD with message; EVENT_REJECT code "policy_error"; accept)
 * and is counted in *n_raised. Only called when route->has_on_event. */
void policy_on_events(struct policy_state *s, const struct route *route,
                      struct event_batch *b, const struct policy_request *req,
                      uint32_t *n_raised);

/* The first error that a hook raised in the last call, "": none. Valid until the next call. */
const char *policy_raised(const struct policy_state *s);

/* Of the events whose hook raised: those that were stopped because they ran too long,
 * since it was last asked. */
uint32_t policy_stopped(struct policy_state *s);

struct policy_verdict {
    bool refuse;
    int status;       /* 4xx */
    const char *code; /* valid until the next call on the state */
    const char *message;
    double wait_ms; /* of a 429 by a limit: until it may pass; else 0 */
};

/* Only called when route->has_on_request. A hook that raises refuses with 500
 * unless on_error = "accept". */
void policy_on_request(struct policy_state *s, const struct route *route,
                       const struct policy_request *req, struct policy_verdict *v);

/* The url that the route's location function gives for the one event of b, in the
 * request's arena; p NULL: none, or it raised, which is counted in *n_raised. Only called
 * when the route has such a function. */
struct str policy_location(struct policy_state *s, const struct route *route,
                           struct event_batch *b, const struct policy_request *req,
                           uint32_t *n_raised);

/* ---- stuck.c ---- */

/* The place that a state's thread is at, for another thread that watches it. */
struct policy_at {
    uint64_t pass;  /* of this call alone */
    uint32_t event; /* of the request, from 0 */
    const struct route *route;
    const char *hook; /* "on_event" */
    const char *file; /* where it begins; lives with the state */
    int line;
};
/* False: in no hook. Any thread, while the state lives. */
bool policy_state_at(const struct policy_state *s, struct policy_at *out);

/* True: the values that the policy keeps in the state leave its hooks no memory. Any
 * thread. */
bool policy_state_worn(const struct policy_state *s);

/* Sent to a thread in a hook, it stops one that is interpreted: that raises. Once,
 * before the first is sent. */
enum { POLICY_SIGNAL = 23 }; /* SIGURG: ignored where nobody handles it */
void policy_interrupts(void);

/* ---- sinks.c ---- */

/* A policy's decisions for a sink: breaker.ready_to_trip, batch.adapt, topic_by. */
enum policy_sink_hook { POLICY_TRIP, POLICY_ADAPT, POLICY_TOPIC, POLICY_N_SINK_HOOKS };
struct policy_number {
    const char *name;
    double value;
};

/* Calls the function of the plan's sink with a table of numbers. False: there is
 * none, or it failed (logged). *result: its number; true is 1, nothing is 0. */
bool policy_sink_call(struct policy_state *s, uint32_t sink, enum policy_sink_hook hook,
                      const struct policy_number *list, uint32_t n, double *result);

/* Calls topic_by of the plan's sink with a stored event, which is a table: its text,
 * until the next call on the state; {NULL, 0}: none, or it failed (logged). */
struct str policy_sink_topic(struct policy_state *s, uint32_t sink, struct str event);

/* ---- rollback.c ---- */

/* Asks the canary's roll_back_if about both sides. True: roll back, and *why has its
 * reason; also when it fails, because then no rule watches the canary. */
bool policy_roll_back_if(struct policy_state *s, const struct policy_number *old,
                         const struct policy_number *new_, uint32_t n, char *why,
                         size_t why_bytes);

/* ---- handles.c ---- */

/* Its counters and gauges show up in /metrics from now on; before its first hook
 * runs for a request. */
void policy_publish(struct policy_state *s);

/* The value of a counter or gauge of the policy, by its label values in order.
 * False: the policy has none with that name and as many labels. */
bool policy_metric(struct policy_state *s, const char *name, const struct str *values,
                   uint32_t n, double *v);

/* Takes n tokens of what the route of the plan may keep of its refusals (on_refused);
 * false: it has used them up. */
bool policy_refusal_take(struct policy_state *s, uint32_t route, double n,
                         double now_ms) MUST_USE;

/* ---- traces.c ---- */

/* The compiler's traces of the state's hooks from watch on: for benches and tests.
 * False: it can't be watched. */
struct policy_traces {
    uint32_t made, aborted;
    uint32_t loops;         /* of made: the loop over a batch's events */
    uint32_t loops_aborted; /* of aborted: begun in that loop */
    char why[200];          /* the last was; "" */
};
bool policy_traces_watch(struct policy_state *s);
void policy_traces_get(struct policy_state *s, struct policy_traces *out);
