/*
 * shape - the keys of the events before, by name and in the order in which they are
 * expected, so that a key is known by one look; and the check that no object gives
 * a key twice.
 *
 * The events of one client mostly have the same keys, in the same order or in one
 * that changes by event. Each known key has a number, so that the check is a bit of
 * a mask; keys that are not known are listed and compared at the event's end, and
 * then learned. Owned by one event_batch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/siphash.h"
#include "decode/keys.h"
#include "decode/vector.h"

enum {
    SHAPES_MAX = 8,
    SHAPE_KEYS_MAX = 128,
    SHAPE_KEY_BYTES = 64,
    SHAPE_TABLE_BITS = 10,
    SHAPE_PROBES = 8, /* a key that finds no place among so many is not learned */
    SHAPE_AHEAD = 3   /* keys that an event may leave out at once */
};

/* What a key is for: read once, with the key. */
struct key_use {
    uint16_t slot;  /* as many as there are slots: no field */
    uint16_t child; /* node below, KEY_NONE: none */
};

struct shape_key {
    vector_head head; /* of the name */
    uint32_t whose;   /* see shape_whose */
    uint16_t id;      /* its index in list */
    uint16_t place;   /* its index in order */
    uint64_t given;   /* number of the last event that has it */
    struct key_use use;
    uint16_t node;                   /* the object it stands in */
    uint16_t len;                    /* of text */
    uint32_t text_head;              /* a bit for each of text's first 16 bytes */
    char text[SHAPE_KEY_BYTES + 16]; /* "key": with quotes and colon; padded */
};

/* A key that the shape does not have. */
struct seen_key {
    struct str raw;  /* between the quotes */
    struct str name; /* unescaped */
    uint32_t hash;
    uint16_t node;
    uint16_t place; /* where in order it would stand */
    struct key_use use;
};

struct shape {
    struct shape *next;           /* used before this one; of another schema */
    const struct scan_keys *keys; /* that the shape is of; may be gone */
    uint64_t keys_hash;           /* theirs: a later tree can lie at the same address */
    uint32_t n;
    uint64_t event;    /* number of the event in hand */
    uint32_t restarts; /* times that keys were forgotten */
    uint32_t full;     /* events in want of room since the shape is full */
    uint32_t strays;   /* events in a row whose order was another one */
    uint32_t rest;     /* events to come whose order is not guessed */
    uint64_t top;      /* shape_bit of each key of the event itself */
    uint64_t odd[3];   /* multipliers of the table's hash */
    uint32_t reseeds;  /* times that they were taken anew */
    uint32_t tidied;   /* times since the keys were forgotten */
    bool untidy;       /* two keys are of one hash */
    uint8_t table[(1 << SHAPE_TABLE_BITS) + SHAPE_PROBES]; /* ids by hash; of no place:
                                                              SHAPE_KEYS_MAX */
    /* As keys are expected; after the last, one that stands nowhere. */
    struct shape_key *order[SHAPE_KEYS_MAX + SHAPE_AHEAD];
    struct shape_key list[SHAPE_KEYS_MAX + 1];
    uint16_t ids[SHAPE_KEYS_MAX]; /* of an event, in its order */
    struct seen_key *seen;        /* of the event in hand */
    uint32_t n_seen, max_seen;
    struct siphash_key hash_key; /* of the duplicate check */
    uint32_t *twins;             /* scratch of the duplicate check */
    uint32_t max_twins;
};

/* One of 64 bits for a key: a key with another bit is another key. */
static inline uint64_t shape_bit(struct str key)
{
    unsigned first = key.n == 0 ? 0 : (unsigned char)key.p[0];
    unsigned last = key.n == 0 ? 0 : (unsigned char)key.p[key.n - 1];

    return 1ull << ((key.n * 7 + first * 31 + last * 3) & 63);
}

/* Tells keys of less than 2^16 bytes apart, but for their names: by their object and by
 * length. */
static ALWAYS_INLINE uint32_t shape_whose(uint16_t node, size_t n)
{
    return (uint32_t)node << 16 | (uint32_t)n;
}

/* Where in the table a short key is looked for first. */
static ALWAYS_INLINE unsigned shape_hash(const struct shape *s, vector_head head,
                                         uint16_t node)
{
    return (
        unsigned)((vector_head_hash(head, s->odd[0], s->odd[1]) + node * s->odd[2]) >>
                  (64 - SHAPE_TABLE_BITS));
}

/* The key of that name of less than 16 bytes, if it stands where it is looked for first;
 * NULL: it does not. */
static ALWAYS_INLINE struct shape_key *
shape_find_first(struct shape *s, const char *key, size_t n, uint16_t node)
{
    vector_head head = vector_head_of_short(key, n);
    struct shape_key *k = &s->list[s->table[shape_hash(s, head, node)]];

    return LIKELY(k->whose == shape_whose(node, n) && vector_head_is(k->head, head))
               ? k
               : NULL;
}

/* The key of that name; NULL: it is not known. */
struct shape_key *shape_find(struct shape *s, const char *key, size_t n, uint16_t node);

struct shape *shape_new(void);
void shape_free(struct shape *s); /* and those before it */

/* The shape for events of schema k: s, one that was used before s, or a new one. It
 * takes the place of s. Of SHAPES_MAX schemas the keys are kept. */
struct shape *shape_use(struct shape *s, const struct scan_keys *k) MUST_USE;

/* Notes a key that shape_find did not find, with the place in order where it would
 * stand; the name of an escaped one is put into arena. It may turn out to be *known
 * by its name, and is then not noted. NULL: no room. */
const struct key_use *shape_see(struct shape *s, struct arena *arena, struct str raw,
                                bool escaped, uint16_t node, uint32_t place,
                                struct shape_key **known) MUST_USE;

/* Of the keys seen, the first that some object gives twice; NULL: none. */
const struct seen_key *shape_twice(struct shape *s);

/* Learns the keys seen. False: some have no room. */
bool shape_learn(struct shape *s);

/* What one wide event needed is not kept for ever. */
void shape_trim(struct shape *s);

/* Takes the order of an event, whose n keys are in ids, for that of events to come. */
void shape_order(struct shape *s, uint32_t n);
