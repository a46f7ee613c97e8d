/*
 * hooks - the decisions of a policy for a sink, as C calls. Filled by server/ from
 * policy/; called on the sink's thread only, off the hot path.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "sink/breaker.h"

/* The numbers that adapt may decide by, over the time since it was asked last. */
struct sink_load {
    double events, bytes; /* of an average batch */
    double age_ms;        /* of the oldest event of a batch, on average */
    double backlog_bytes; /* in the spool */
    double rate;          /* events delivered a second */
    double latency_ms;    /* from submit to done, on average */
    double errors;        /* share of batches that were not taken */
    double target;        /* as it is now */
};

/* Lua reaches a sink only through these; NULL: the default is used. Filled by
 * server/ from policy/. */
struct sink_hooks {
    void *arg;
    breaker_trip_fn *trip;
    /* Events that a batch should have from now on; 0: as before. */
    uint32_t (*adapt)(void *arg, const struct sink_load *load);
    /* The topic of a stored event, until the next call; {NULL, 0}: the default. */
    struct str (*topic)(void *arg, struct str event);
};

/* ---- delivery/adapt.c ---- */

/* The target that batches have from now on, within the plan's bounds; load->target when
 * the policy has no rule or its function returns nothing. */
uint32_t adapt_target(const struct sink_plan *plan, const struct sink_hooks *h,
                      const struct sink_load *load);
