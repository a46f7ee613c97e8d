/*
 * shape - the keys of the events before, in their order, so that the next
 * event's keys can be predicted; and the check that an unpredicted event gives
 * no key twice.
 *
 * The events of one client mostly have the same keys in the same order. A shape
 * is a sequence of keys, distinct within each object, that was checked once; an
 * event whose keys are a subsequence of it can't have a duplicate, and none is
 * looked for. Owned by one event_batch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/siphash.h"
#include "decode/keys.h"

enum { SHAPE_KEYS_MAX = 96, SHAPE_KEY_BYTES = 64 };

struct shape_key {
    uint16_t node;                   /* the object it stands in */
    uint16_t slot;                   /* KEY_NONE: no field */
    uint16_t child;                  /* node below, KEY_NONE: none */
    uint16_t len;                    /* of text */
    char text[SHAPE_KEY_BYTES + 16]; /* "key": with quotes and colon; padded */
};

/* A key seen while an event is read without prediction. */
struct seen_key {
    struct str raw;  /* between the quotes */
    struct str name; /* unescaped */
    uint32_t hash;
    uint16_t node, slot, child, unused;
};

struct shape {
    const struct scan_keys *keys; /* that the shape is of; may be gone */
    uint64_t keys_hash;           /* theirs: a later tree can lie at the same address */
    uint32_t n;
    uint32_t misses;   /* events in a row that did not fit */
    uint32_t restarts; /* times that keys were forgotten */
    uint64_t top;      /* shape_bit of each key of the event itself */
    struct shape_key list[SHAPE_KEYS_MAX];
    struct seen_key *seen; /* of the event in hand */
    uint32_t n_seen, max_seen;
    struct siphash_key hash_key; /* of the duplicate check */
    uint32_t *table;             /* scratch of the duplicate check */
    uint32_t max_table;
};

/* One of 64 bits for a key: a key with another bit is another key. */
static inline uint64_t shape_bit(struct str key)
{
    unsigned first = key.n == 0 ? 0 : (unsigned char)key.p[0];
    unsigned last = key.n == 0 ? 0 : (unsigned char)key.p[key.n - 1];

    return 1ull << ((key.n * 7 + first * 31 + last * 3) & 63);
}

struct shape *shape_new(void);
void shape_free(struct shape *s);

/* Forgets the keys when they are of another schema. */
void shape_use(struct shape *s, const struct scan_keys *k);

/* Notes a key; the name of an escaped one is put into arena. False: no room. */
bool shape_see(struct shape *s, struct arena *arena, struct str raw, bool escaped,
               uint16_t node);

/* After an unpredicted event: the first key that some object gives twice, or
 * {NULL, 0}; without one, the event's keys are learned. */
struct str shape_learn(struct shape *s);
