/*
 * progress - how far a replay of dead letters has come: a small file that is replaced
 * as a whole, so that a crash leaves the old or the new one.
 *
 * The delivery thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

enum { PROGRESS_LETTERS = 100 }; /* in hand at most */

struct progress {
    uint64_t id;         /* of the replay: random, never 0 */
    uint64_t done;       /* the bytes before it are seen to */
    uint64_t end;        /* the batch in hand ends there; done: none */
    uint32_t n;          /* its letters */
    uint64_t settled[2]; /* a bit each: it was delivered, or is dead again */
    uint64_t replayed, again, unreadable; /* unreadable: lines before done */
};

/* False and *e: there is no mark, or it can't be read. */
bool progress_read(const char *path, struct progress *p, struct err *e) MUST_USE;
/* On stable storage when it returns true. */
bool progress_write(const char *path, const struct progress *p, struct err *e) MUST_USE;

static inline bool progress_has(const struct progress *p, uint32_t i)
{
    return (p->settled[i / 64] >> i % 64 & 1) != 0;
}

static inline void progress_add(struct progress *p, uint32_t i)
{
    p->settled[i / 64] |= UINT64_C(1) << i % 64;
}
