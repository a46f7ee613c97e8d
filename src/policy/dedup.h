/*
 * dedup - repeats of an event's key taken out before it is stored.
 *
 *   decide_body -> dedup_mark -> outcome_of -> (stored or not) -> dedup_settle
 *
 * What a request's first times have reserved counts as seen once its events are
 * stored; until then, repeats by other requests pass, for nobody knows yet. The
 * state's thread; dedup_settle also later.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/event.h"
#include "plan/plan.h"

struct policy_state;
struct seen;

/* Streams with dedup that one request goes to; in further ones its repeats pass. */
enum { DEDUP_STREAMS_MAX = 8 };

/* What one request has reserved; n = 0: nothing. */
struct dedup_hold {
    uint32_t n;
    struct {
        uint32_t chain;
        struct seen *seen; /* a reference */
    } list[DEDUP_STREAMS_MAX];
};

/* Takes the streams with dedup that have seen an event's key from its way; one that
 * has no way left is EVENT_DROP. now_ms: the request's clock for durations. Fills
 * *hold, which must be settled. Only called when the plan has n_dedups. */
void dedup_mark(struct policy_state *s, const struct route *route,
                struct event_batch *b, double now_ms, struct dedup_hold *hold);

/* Afterwards hold is empty. */
void dedup_settle(struct dedup_hold *hold, bool stored);
