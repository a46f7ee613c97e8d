/*
 * tools - the memory of one state's helpers between calls: scratch memory, random
 * numbers, the last uuid.
 *
 *   tools_new (state_load) -> helpers -> tools_free
 *
 * The state's thread. Nothing allocates after tools_new.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "policy/library/library.h"

struct tools {
    uint64_t random[4];      /* xoshiro256** (Blackman, Vigna, 2018) */
    uint64_t uuid_ms;        /* of the last uuid */
    uint64_t uuid_a, uuid_b; /* its 12 and 62 random bits */
    uint64_t event;          /* by_event: that of random */
    bool by_event;           /* policy_state_by_event */
    char scratch[SLUICE_TEXT_MAX];
};

/* seed 0: from the kernel's random numbers. */
struct tools *tools_new(uint64_t seed);
void tools_free(struct tools *t); /* NULL is fine */

/* The tools of the state that c belongs to. */
struct tools *tools_of(struct sluice_context *c);

uint64_t tools_random(struct tools *t);
