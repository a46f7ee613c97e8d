/*
 * ack_tracker - which events of a stream's shards are settled, and so up to where
 * each shard is: its cursor is the first event that is not.
 *
 *   cursors_init -> cursors_start, cursors_settle* -> cursors_fini
 *
 * Pure; one thread. Batches settle in any order: what is settled ahead of a
 * cursor is kept as ranges, bounded by what can be in flight.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "batch/batch.h"

struct cursors_span {
    uint64_t first, end; /* end is not in it */
};

struct cursor {
    uint32_t epoch, worker;
    uint64_t next; /* the first event not settled */
    struct cursors_span *ahead; /* sorted, apart from each other and next */
    uint32_t n_ahead, ahead_cap;
};

struct cursors {
    struct cursor *shards;
    uint32_t n, cap;
};

void cursors_init(struct cursors *c);
void cursors_fini(struct cursors *c);

/* NULL: the shard is not known. Valid until the next start, settle or drop. */
const struct cursor *cursors_find(const struct cursors *c, uint32_t epoch,
                                  uint32_t worker);

/* The shard is read from first on: all before counts as settled. */
void cursors_start(struct cursors *c, uint32_t epoch, uint32_t worker,
                   uint64_t first);

/* Events first .. first + n - 1 are settled (again is fine); an unknown shard
 * starts at 1. True when the cursor moved. */
bool cursors_settle(struct cursors *c, const struct batch_range *r);

/* Forgets shards for which keep says no. */
typedef bool cursors_keep_fn(void *arg, uint32_t epoch, uint32_t worker);
void cursors_drop(struct cursors *c, cursors_keep_fn *keep, void *arg);
