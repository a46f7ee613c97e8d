/*
 * mmdb_check - whether bytes are a whole MaxMind database, so that no look-up reads
 * outside of them, or long: the tree, every value that it leads to, and the metadata.
 * The format is MaxMind's, version 2.0. Pure; for one thread, at load.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

/* Values inside one value, without those after pointers: a look-up may step over all
 * of them. */
enum { MMDB_VALUES_MAX = 16384, MMDB_DEPTH_MAX = 128 };

enum mmdb_type {
    MMDB_POINTER = 1,
    MMDB_TEXT,
    MMDB_DOUBLE,
    MMDB_BYTES,
    MMDB_UINT16,
    MMDB_UINT32,
    MMDB_MAP,
    MMDB_INT32,
    MMDB_UINT64,
    MMDB_UINT128,
    MMDB_ARRAY,
    MMDB_BOOL = 14,
    MMDB_FLOAT = 15
};

/* One value's type, and where it stands in the data. */
struct mmdb_head {
    enum mmdb_type type;
    uint32_t size; /* bytes; pairs of a map, items of an array; a bool; a place */
    uint32_t next; /* after the control bytes, and a pointer's own */
};

struct mmdb_layout {
    uint32_t nodes, record_bits; /* 24, 28 or 32 */
    bool six;                    /* the tree has IPv6 addresses */
    struct str data;             /* the values' part of the file */
};

/* The head of the value at; false: there is none. */
bool mmdb_head(struct str data, uint32_t at, struct mmdb_head *h);
/* The place and the head of what a checked value points to, or of itself. */
uint32_t mmdb_follow(struct str data, uint32_t at, struct mmdb_head *h);

/* One record of a node: a node below nodes; nodes: nothing; else the place of its value
 * in the data, plus nodes + 16. */
uint32_t mmdb_record(const struct mmdb_layout *l, const char *tree, uint32_t node,
                     bool right);

/* False and *e: what is wrong. */
struct err;
bool mmdb_check(struct str file, struct mmdb_layout *out, struct err *e) MUST_USE;
