/*
 * sink_bytes - bytes one after another into a file, or into memory that grows.
 *
 *   {.fd = …} -> sink_put*, sink_pad -> sink_flush or sink_read -> sink_fini
 *
 * The first write that fails is the last: error has its errno, and the rest is ignored.
 * One thread. A file's writes block while the disk does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tables/internal.h"

void sink_put_slow(struct sink_bytes *s, const void *p, size_t n);
void sink_pad(struct sink_bytes *s); /* with zeros, to a multiple of 4 */
void sink_flush(struct sink_bytes *s);

/* All of it, flushed, to be read until sink_fini. NULL: error is set. Whoever has read it
 * asks sink_unread. */
const char *sink_read(struct sink_bytes *s) MUST_USE;

/* Whether a part of it could not be read, and was zeros: then error is set. */
bool sink_unread(struct sink_bytes *s) MUST_USE;
void sink_fini(struct sink_bytes *s); /* its descriptor stays open */

/* Where the next byte will be. */
static inline uint64_t sink_at(const struct sink_bytes *s)
{
    return s->at + s->n;
}

static inline void sink_put(struct sink_bytes *s, const void *p, size_t n)
{
    if (LIKELY(n < s->room - s->n)) {
        __builtin_memcpy(s->p + s->n, p, n);
        s->n += n;
    } else {
        sink_put_slow(s, p, n);
    }
}
