/*
 * tally - the counts of one generation at one worker during a rollout: requests,
 * decisions, and the time they take. Without a rollout nothing is counted.
 *
 *   tally_init (with its binding) -> tally_clear (rollout begins) ->
 *   tally_request* -> tally_fini
 *
 * A canary's counts are also kept by unit: a connection, peer, header's value or
 * request, whichever `by` keeps together (server/policies/permutation.h). More units than
 * TALLY_UNITS share places, each side's in proportion to its share.
 *
 * The worker writes, the supervisor reads at any time, and sets the slow_ns.
 */
#pragma once

#include <stdint.h>

#include "stats/stats.h"

enum { TALLY_UNITS = 1024 /* of both sides together */ };

struct tally_unit {
    stats_cell requests;
    stats_cell events;          /* decided; a request refused as a whole is one */
    stats_cell refused;         /* of them */
    stats_cell failed;          /* hooks that raised */
    stats_cell timed;           /* requests since slow_ns is known */
    stats_cell slow, very_slow; /* of them */
};

struct tally {
    struct tally_unit all;         /* but for timed and slow */
    struct stats_histogram *spent; /* ns of a request's decode, checks, hooks */
    struct tally_unit *units;      /* NULL: not a canary's rollout */
    uint32_t n_units;
    /* Above them a request counts as slow, very slow; 0: not known yet. */
    stats_cell slow_ns, very_slow_ns;
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);
/* n_units: 0, or up to TALLY_UNITS. */
void tally_clear(struct tally *t, uint32_t n_units);

/* The places of a canary with this share (0..1), and of the live side. */
void tally_split(double share, uint32_t *old, uint32_t *new_);

/* A request of that unit (any number) was decided. */
void tally_request(struct tally *t, uint32_t unit, uint64_t events, uint64_t refused,
                   uint64_t failed, uint64_t spent_ns);
