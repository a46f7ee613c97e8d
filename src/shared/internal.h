/*
 * internal - what the files of this room share.
 *
 *   seen.c       the memory of keys: asked, finished, forgotten
 *   unsaved.c    with persist: keys from a keystore's side; its figures
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "shared/seen.h"

enum { N_SHARDS = 64, N_OWNERS = 16384 };

#define TICK_MS 10.0 /* 32 bits of it are 497 days, a window at most 400 */
#define OWNER_BITS 48
#define OWNER_MASK ((1ull << OWNER_BITS) - 1)
#define UNSAVED_MAX 32767u

struct entry {
    uint64_t hash[2];            /* both 0: undone */
    uint64_t owner : OWNER_BITS; /* 0: settled */
    uint64_t unsaved : 15; /* persist: events that will be saved, the last one too */
    uint64_t restored : 1; /* while it was reserved: tick is of that event */
    uint32_t tick;         /* of its first time */
    uint32_t next;         /* of its owner's chain */
};

_Static_assert(sizeof(struct entry) == 32, "its fields fill it");

struct shard {
    _Alignas(64) atomic_flag lock;
    _Atomic uint32_t count; /* entries between tail and head; written locked */
    uint32_t tail;
    uint32_t free; /* persist: 1 + a place that was given back; linked by next */
    uint32_t used; /* persist: places that were given out at least once */
    struct entry *ring;
    /* 1 + place in the ring, above it 32 bits of the hash, so that few entries are
     * looked at in vain; 0: free. */
    uint64_t *index;
};

struct seen {
    atomic_uint refs;
    struct seen_conf conf;
    struct siphash_key key;
    struct keystore *store;
    uint32_t room; /* of a ring */
    uint32_t mask; /* of an index */
    uint32_t window_ticks;
    _Atomic uint64_t serial;           /* of the last owner */
    _Atomic uint64_t owners[N_OWNERS]; /* serial << 2 | enum seen_fate */
    _Atomic uint64_t forgotten;
    _Atomic uint64_t full, repeats, passed; /* see seen.h */
    struct shard shards[N_SHARDS];
};

static inline uint32_t seen_shard_count(const struct shard *h)
{
    return atomic_load_explicit(&h->count, memory_order_relaxed);
}

/* One of its events fewer is to be saved. */
static inline void seen_one_less(struct entry *x)
{
    if (x->unsaved > 0) {
        x->unsaved = (x->unsaved - 1u) & UNSAVED_MAX;
    }
}

/* ---- seen.c ---- */

void seen_lock(struct shard *h);
void seen_unlock(struct shard *h);

/* Under the lock: */

/* The index's slot of that hash, or the free one where it would be. */
uint32_t seen_slot(const struct seen *s, const struct shard *h, const uint64_t hash[2]);
/* The key is forgotten; persist: its place is free. */
void seen_undo(const struct seen *s, struct shard *h, struct entry *x);
/* A new key. owner 0: its event is stored. SEEN_NEW or SEEN_FULL. */
enum seen_result seen_reserve(struct seen *s, struct shard *h, const uint64_t hash[2],
                              uint64_t owner, uint32_t now, uint32_t *chain);
