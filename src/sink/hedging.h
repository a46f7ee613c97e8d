/*
 * hedging - when a second try goes elsewhere while the first still runs: after a
 * time, or after the 95th percentile of the recent ones, for at most a share of all.
 *
 *   {0} -> (hedging_after_ms -> hedging_took)*
 *
 * Pure. One thread.
 */
#pragma once

#include <stdint.h>

#include "plan/plan.h"

enum { HEDGING_RECENT = 256 };

#define HEDGES_HELP                                                                    \
    "Inserts or messages that were tried a second time while the first still ran."
#define HEDGE_WINS_HELP "Second tries that were answered first."

struct hedging {
    double recent_ms[HEDGING_RECENT];
    uint32_t n_recent;
    uint64_t n_attempts, n_hedges; /* the caller counts both */
};

/* A first try was answered after so long. */
void hedging_took(struct hedging *h, double ms);

/* Milliseconds to wait for a first try's answer; < 0: no second one now. */
int64_t hedging_after_ms(const struct hedging *h, const struct hedge_plan *plan);

/* How many more second tries max_ratio allows. */
uint64_t hedging_left(const struct hedging *h, const struct hedge_plan *plan);
