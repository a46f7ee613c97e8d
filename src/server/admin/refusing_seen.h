/*
 * refusing_seen - what refusing has seen of routes and codes, for the files of it alone.
 *
 * The supervisor's thread.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "server/admin/hour.h"
#include "server/admin/refusing.h"

enum { REFUSING_PAIRS_MAX = 1024, REFUSING_ROUTES_MAX = 1100, REFUSING_PLACES = 4096 };

struct refusing_route {
    char *pair; /* route="POST /e" */
    uint32_t next;
    struct hour received, refused; /* by all codes, also those that found no place */
};

struct refusing_pair {
    char *key;   /* the route's pair, a comma, and code="x" */
    size_t code; /* where that begins */
    uint32_t next;
    uint64_t since_ns, last_ns; /* it refuses SOME or more; 0: it does not */
    struct hour refused;
};

struct refusing {
    struct ev_loop *loop;
    ev_timer timer;
    refusing_state_fn *state_of;
    const void *arg;
    uint64_t began_ns, look_ns, state_ns, state;
    struct refusing_route *routes;
    struct refusing_pair **pairs;
    uint32_t n_routes, n_pairs;
    uint32_t n_unwatched;             /* cells of a look that found no pair, */
    uint32_t n_unplaced;              /* no route */
    uint32_t places[REFUSING_PLACES]; /* 1 + the first pair of each hash; 0: none */
    uint32_t route_places[REFUSING_PLACES];
};

/* ---- refusing.c: its looks ---- */

/* pair: route="POST /e"; NULL: it has none, or there were too many. */
struct refusing_route *refusing_route_of(const struct refusing *r, struct str pair);
/* It stands for requests outside of all routes. */
bool refusing_is_nowhere(struct str pair);
/* What the shares of a code are of: the route's events; outside of all routes, where
 * everything is refused, those of the server. all: refusing_add_all has filled it. */
const struct hour *refusing_base(const struct refusing *r, const struct hour *all,
                                 const struct refusing_pair *p);
void refusing_add_all(const struct refusing *r, struct hour *all);
