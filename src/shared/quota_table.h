/*
 * quota_table - the places of a quota, for its two files.
 *
 *   quota.c        taken, given back, looked at
 *   quota_file.c   saved and restored
 */
#pragma once

#include <stdatomic.h>

#include "shared/quota.h"

enum { QUOTA_ADDERS = 64 };
enum { QUOTA_WAYS = 8, COUNT_BITS = 36, PRINT_BITS = 8, EPOCH_BITS = 20 };

#define COUNT_MASK ((1ull << COUNT_BITS) - 1)
#define EPOCH_MASK ((1u << EPOCH_BITS) - 1)
#define WINDOW_BITS (64 - EPOCH_BITS)
#define WINDOW_MASK ((1ull << WINDOW_BITS) - 1)

/* usage: epoch, 8 bits of the key's hash, count. It counts only in the epoch that runs,
 * and for the key whose bits it has: while another thread takes the place over, the two
 * words are of two keys. */
struct quota_place {
    _Atomic uint64_t hash; /* 0: free */
    _Atomic uint64_t usage;
};

struct quota_set {
    _Alignas(64) struct quota_place places[QUOTA_WAYS];
};

struct quota {
    atomic_uint refs;
    struct quota_conf conf;
    struct siphash_key key;
    uint32_t n_sets; /* a power of two */
    /* The epoch that runs, from 1, and above it the number of its window. A window that
     * begins is a new epoch. */
    _Atomic uint64_t now;
    /* `now` as it was when its epoch began: a clock that was set back and comes to this
     * window again finds what was used. */
    _Atomic uint64_t began;
    _Atomic uint64_t refused, forgotten;
    atomic_bool unsaved;
    atomic_bool
        adding[QUOTA_ADDERS]; /* sets to which a key is added, by their places */
    struct quota_set *sets;
};

static inline uint64_t quota_usage(uint64_t epoch, uint64_t hash, uint64_t n)
{
    return epoch << (COUNT_BITS + PRINT_BITS) | (hash >> 56) << COUNT_BITS | n;
}

/* The count of hash's key in a place's usage. */
static inline uint64_t quota_count(uint64_t usage, uint64_t epoch, uint64_t hash)
{
    return (usage ^ quota_usage(epoch, hash, 0)) >> COUNT_BITS == 0 ? usage & COUNT_MASK
                                                                    : 0;
}

/* ---- quota.c ---- */

/* A key's count as it was saved. */
void quota_put(struct quota *q, uint64_t hash, uint64_t n);
