/*
 * refusing - which code refuses how much of a route's events, over the last minutes and the
 * last hour: a look of a second misses a route with few events, and a small share that lasts.
 *
 *   refusing_new (start) -> refusing_look* -> refusing_json -> refusing_free (stop)
 *
 * The supervisor's thread. Memory is bounded: 0.5 kB a pair of route and code that has
 * refused something, of at most 1,024, and 1 kB a route, of at most 1,100. A route whose
 * series are long gone (stats.h) makes room for another, with its codes, after an hour.
 */
#pragma once

#include <stdint.h>

struct cJSON;
struct ev_loop;
struct refusing;

/* Which policies decide now, as a number: with a new one refusals before are no news. */
typedef uint64_t refusing_state_fn(const void *arg);

/* Looks every 10 s, in loop. */
struct refusing *refusing_new(struct ev_loop *loop, refusing_state_fn *state,
                              const void *arg);
void refusing_free(struct refusing *r); /* NULL is fine */

/* Takes what the counters have grown by since the last look, if that is a second ago or
 * more; now_ns: monotonic. */
void refusing_look(struct refusing *r, uint64_t now_ns);

/* ---- refusing_json.c: what it has seen ---- */

/* {"recent_seconds":N,"hour_seconds":N,"codes":[{"route":"POST /v1/events","code":"x",
 * "recent":N,"recent_received":N,"hour":N,"hour_received":N,"since_seconds":N}],"more":N,
 * "routes":[{"route":"POST /v1/events","most":"x","recent":N,"recent_received":N,"hour":N,
 * "hour_received":N}],"routes_more":N}. Those that refused something in the last hour, at most
 * 50 codes and 50 routes: those with a large share of late first, then those with a share of
 * the hour, and of equals the most events. "more" counts the other codes, those of routes that
 * found no place, and once a worker those that found none; "routes_more" the other routes. recent: the last 5 minutes under
 * this policy; since_seconds: for how long the code refuses 1 % or more, with breaks of 5
 * minutes at most; 0: it does not. The code "batch_refused" stands for good events of a
 * batch that was refused. A route counts all its codes; "most" is the one of them that
 * refuses the most, where all have a place. */
struct cJSON *refusing_json(const struct refusing *r, uint64_t now_ns);
