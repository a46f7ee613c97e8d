/*
 * tally - what one generation does at one worker while another is on trial:
 * requests, decisions, and the time they take. Without a trial nobody counts.
 *
 *   tally_init (with its binding) -> tally_clear (trial begins) -> tally_* ->
 *   tally_add (supervisor) ; tally_fini
 *
 * The worker writes, the supervisor reads at any time.
 */
#pragma once

#include <stdint.h>

#include "stats/stats.h"

struct tally {
    stats_cell requests;
    stats_cell events;  /* decided; a request refused as a whole is one */
    stats_cell refused; /* of them */
    stats_cell failed;  /* hooks that raised */
    struct stats_histogram *spent; /* ns of a request's decode, checks, hooks */
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);
void tally_clear(struct tally *t);

/* A request was decided: n events, refused of them. */
static inline void tally_request(struct tally *t, uint64_t events,
                                 uint64_t refused, uint64_t failed,
                                 uint64_t spent_ns)
{
    stats_add(&t->requests, 1);
    stats_add(&t->events, events);
    stats_add(&t->refused, refused);
    stats_add(&t->failed, failed);
    stats_record(t->spent, spent_ns);
}
