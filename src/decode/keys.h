/*
 * keys - the schema's dotted paths as a tree: node 0 is the event, each child a
 * key with its slot and, where a path goes on, the node below. Immutable.
 */
#pragma once

#include <stdint.h>

#include "decode/scan.h"

enum { KEY_NONE = 0xFFFF };

struct key_child {
    struct str key; /* unescaped; owned by the tree */
    uint16_t slot;  /* KEY_NONE: only a step on the way */
    uint16_t node;  /* KEY_NONE: no path goes on below */
    uint16_t next;  /* sibling, KEY_NONE: last */
    uint16_t unused;
};

struct scan_keys {
    uint64_t hash; /* of all paths in their order: equal trees, equal slots */
    unsigned n_slots;
    unsigned n_children, n_nodes;
    uint16_t first[SCHEMA_FIELDS_MAX * 4]; /* of each node */
    struct key_child children[SCHEMA_FIELDS_MAX * 4];
};

/* The child of node with that unescaped key; NULL: none. */
static inline const struct key_child *keys_find(const struct scan_keys *k,
                                                uint16_t node, struct str key)
{
    for (uint16_t i = k->first[node]; i != KEY_NONE; i = k->children[i].next) {
        if (str_eq(k->children[i].key, key)) {
            return &k->children[i];
        }
    }
    return NULL;
}
