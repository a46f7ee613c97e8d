/*
 * beyond - events that a sink is done with and whose bytes are gone, after all that the
 * spool and the index have of their shard: a power cut took its end, or its last block is
 * damaged. Reads only; one thread.
 *
 *   beyond_read -> beyond_count* -> beyond_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct settled;

struct beyond {
    struct settled *list; /* of each sink, of each stream */
    uint32_t n_sinks, n_streams;
};

/* Before the segments are read: what a sink is done with is stored by then. Journals that
 * can't be read are left out. False and *e: their folder can't be read. */
bool beyond_read(const char *spool, const char *const *streams, uint32_t n,
                 struct beyond *out, struct err *e) MUST_USE;
/* After the last event that the spool or the index has of a shard; 0: not known. */
typedef uint64_t beyond_end_fn(void *arg, uint32_t epoch, uint32_t worker);
/* How many events of all shards a sink is done with after that. */
uint64_t beyond_count(const struct settled *sinks, uint32_t n, beyond_end_fn *end,
                      void *arg);
/* The same of a stream, by its number. */
uint64_t beyond_count_of(const struct beyond *b, uint32_t stream, beyond_end_fn *end,
                         void *arg);
void beyond_free(struct beyond *b);
