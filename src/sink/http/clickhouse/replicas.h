/*
 * replicas - whether a second copy of an upload may go to another endpoint.
 *
 * A copy is no second row only where all endpoints are replicas of one table, which
 * know a block that they have by its content or its token. So each is asked for its
 * table; until all have said so, or the policy does not mind (may_duplicate), nothing
 * is hedged, and /status and the log say why. The sink's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct endpoint;
struct sink;
struct transfer;

/* An endpoint's answer about its table. */
struct replica {
    struct transfer *asking; /* NULL: not now */
    int64_t asked_ms;        /* 0: never */
    bool known;
    bool tells;      /* it tells a copy from new rows */
    char path[256];  /* the same for all replicas of a table */
    char engine[64]; /* "" and known: it has no such table */
};

/* Whether the endpoints hold one table. */
struct replicas {
    const char *off; /* replicas_tick's last answer */
    char why[1400];
    bool said; /* it is in the log */
};

/* Fills known, tells, path and engine from the answer. Pure. */
void replica_read(struct replica *t, struct str answer);

/* The next tick asks p again. */
void replica_forget(struct endpoint *p);

/* At every tick: asks the endpoints that are due, logs a change. Returns why there is
 * no hedge though the policy wants one; "": there is; NULL: the policy wants no hedge.
 * Valid until the next call. */
const char *replicas_tick(struct sink *s);

/* From the first try on, in ms; < 0: no hedge now. */
int64_t replicas_hedge_ms(const struct sink *s);
