/*
 * arena - bump memory that is given back all at once and kept warm.
 *
 *   arena_init -> arena_alloc* -> arena_reset -> ... -> arena_fini
 *
 * One owner thread. Its memory lives until the next arena_reset. Steady state touches
 * no heap: chunks stay with the arena.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *first, *current;
    size_t used;      /* bytes used in current */
    size_t total;     /* bytes in all chunks */
    size_t max_bytes; /* arena_alloc answers NULL beyond */
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_fini(struct arena *a);

/* 8-byte aligned, not cleared; NULL when max_bytes would be passed. */
void *arena_alloc(struct arena *a, size_t n) MUST_USE;

/* NUL-terminated copy of s; {NULL, 0} when there is no room. */
struct str arena_copy(struct arena *a, struct str s) MUST_USE;

void arena_reset(struct arena *a);
