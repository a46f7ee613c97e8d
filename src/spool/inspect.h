/*
 * inspect - what the segments of a spool hold, for people. Reads only, takes no
 * lock: of a spool in use it shows a moment that may just be passing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

struct spool_segment_info {
    const char *stream;
    uint32_t epoch, worker;
    uint64_t number;
    uint64_t first, events, blocks; /* first 0: nothing is in it */
    uint64_t bytes;     /* up to the last whole block */
    uint64_t size;      /* of the file */
    const char *status; /* "prepared", "used", "damaged" (no first page) */
};

typedef void spool_inspect_fn(void *arg, const struct spool_segment_info *i);

/* In the order of stream, shard, file. False and *e: dir is no spool. */
bool spool_inspect(const char *dir, spool_inspect_fn *fn, void *arg,
                   struct err *e) MUST_USE;
