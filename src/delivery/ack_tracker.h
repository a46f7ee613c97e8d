/*
 * ack_tracker - which events of a stream's shards are acknowledged, and so up
 * to where each shard is: its cursor is the first event that is not.
 *
 *   ack_tracker_init -> ack_tracker_start, ack_tracker_ack* -> ack_tracker_fini
 *
 * Pure; one thread. Batches are acknowledged in any order: acknowledged events ahead of
 * a cursor are kept as ranges, bounded by the events in flight.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "batch/batch.h"

struct ack_tracker_span {
    uint64_t first, end; /* end is not in it */
};

struct cursor {
    uint32_t epoch, worker;
    bool started;                   /* by ack_tracker_start */
    uint64_t next;                  /* the first event not acknowledged */
    struct ack_tracker_span *ahead; /* sorted, apart from each other and next */
    uint32_t n_ahead, ahead_cap;
};

struct ack_tracker {
    struct cursor *shards;
    uint32_t n, cap;
};

void ack_tracker_init(struct ack_tracker *c);
void ack_tracker_fini(struct ack_tracker *c);

/* NULL: the shard is not known. Valid until the next start, ack or drop. */
const struct cursor *ack_tracker_find(const struct ack_tracker *c, uint32_t epoch,
                                      uint32_t worker);

/* The shard is read from first on: all before counts as acknowledged. */
void ack_tracker_start(struct ack_tracker *c, uint32_t epoch, uint32_t worker,
                       uint64_t first);

/* Events first .. first + n - 1 are acknowledged (again is fine); an unknown shard
 * starts at 1. True when the cursor moved. */
bool ack_tracker_ack(struct ack_tracker *c, const struct batch_range *r);

/* Forgets shards for which keep says no. */
typedef bool ack_tracker_keep_fn(void *arg, uint32_t epoch, uint32_t worker);
void ack_tracker_drop(struct ack_tracker *c, ack_tracker_keep_fn *keep, void *arg);
