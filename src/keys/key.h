/*
 * key - one key that was seen: 96 bits of its keyed hash, and when. Pure.
 *
 * 200 million keys meet a new one by chance once in 4 × 10^20.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct key { /* as on disk */
    uint64_t a;
    uint32_t b;
    uint32_t time_s; /* of its first time, seconds since 1970 */
};

/* The order of a run: by hash; of one hash the newest first. */
static inline bool key_before(const struct key *x, const struct key *y)
{
    return x->a != y->a   ? x->a < y->a
           : x->b != y->b ? x->b < y->b
                          : x->time_s > y->time_s;
}

static inline bool key_same(const struct key *x, const struct key *y)
{
    return x->a == y->a && x->b == y->b;
}

/* Whether its window is over. A clock that was set back makes it younger, not older. */
static inline bool key_expired(const struct key *x, uint32_t now_s, uint32_t window_s)
{
    return now_s > x->time_s && now_s - x->time_s > window_s;
}
