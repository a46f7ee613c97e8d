/*
 * dedup - repeats of an event's key taken out before it is stored.
 *
 *   decide_body -> dedup_mark -> outcome_of -> (stored or not) -> dedup_own
 *                                                                -> dedup_ties
 *                                                      at once: dedup_finish
 *
 * A key that a request has reserved counts as seen once its events are stored. A repeat
 * of a key that another request has reserved is tied to that one: it is answered when
 * the other is stored, and refused, to come again, when it was not. A request finishes
 * its own before it waits, so that two never wait for each other. Any thread, one at a
 * time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/event.h"
#include "plan/plan.h"

struct policy_state;
struct seen;
struct seen_hash;

/* Streams that one request reserves keys of without an allocation; and other requests
 * that it can be tied to: repeats of further ones pass, or, with persist, are refused to
 * come again. */
enum { DEDUP_STREAMS_FEW = 8, DEDUP_TIES_MAX = 8 };

/* The keys that a request has reserved in one stream, and its repeats, which count if it is
 * not refused. seen: a reference. */
struct dedup_part {
    uint32_t chain; /* 0: none is reserved */
    uint32_t n_repeats;
    uint32_t stream; /* of the plan */
    uint64_t bit;    /* of the spool's stream, once its events are pending there */
    uint64_t owner;
    struct seen *seen;
    /* Of each event, all zeros: it has none. NULL: they are not stored. The state's,
     * until its next dedup_mark. */
    const struct seen_hash *identities;
};

/* All of them, and the requests that it waits for. Moved by assignment. */
struct dedup_hold {
    uint32_t n, n_ties;
    struct dedup_part list[DEDUP_STREAMS_FEW];
    struct dedup_part *more; /* those after the few; owned if n is above them */
    struct {
        uint64_t owner;
        struct seen *seen;
    } ties[DEDUP_TIES_MAX];
};

enum dedup_result {
    DEDUP_OK = 0,
    DEDUP_FULL,  /* persist: more keys wait to be saved than there is room for */
    DEDUP_UNREAD /* persist: the disk does not say whether a key was seen */
};

/* Takes the streams with dedup that have seen an event's key from its way; one that
 * has no way left is EVENT_DROP. now: the request's clocks. Fills *hold, which must be
 * finished. Other than DEDUP_OK: the request is to be refused, and to come again. Only
 * called when the plan has n_dedups. */
struct dedup_now {
    double mono_ms, wall_ms;
};
enum dedup_result dedup_mark(struct policy_state *s, const struct route *route,
                             struct event_batch *b, struct dedup_now now,
                             struct dedup_hold *hold);

/* What event i is recognised by in that stream of the plan; NULL: nothing is noted. */
const struct seen_hash *dedup_identity(const struct dedup_hold *hold, uint32_t stream,
                                       uint32_t i);

/* Its events are pending: stream_ids[i] is the spool's number of the plan's stream i. */
void dedup_pending(struct dedup_hold *hold, const int *stream_ids);

#define DEDUP_NONE_LOST 0ull
#define DEDUP_ALL_LOST UINT64_MAX

/* Ends the reservations of hold. lost: the spool's streams that did not store their events,
 * a bit each: what another one has stored is a repeat when the request comes again. */
void dedup_own(struct dedup_hold *hold, uint64_t lost);

enum dedup_fate { DEDUP_DONE, DEDUP_WAIT, DEDUP_LOST };
/* Of those that hold is tied to: all were stored; wait; one was not. */
enum dedup_fate dedup_ties(struct dedup_hold *hold);

/* dedup_own, and no waiting for others. Afterwards hold is empty. */
void dedup_finish(struct dedup_hold *hold, bool stored);
