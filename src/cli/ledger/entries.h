/*
 * entries - the single events behind a stream's tallies: of each id the stored part of its
 * fingerprint and its place. Reads only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/ledger/tallies.h"

struct err;

struct entry {
    uint64_t print; /* index_stored_print */
    uint32_t epoch, worker;
    uint64_t seq;
    int64_t wall_ms; /* of its row */
};

/* Calls fn with each event that has an id, accepted from from_ms up to before to_ms. False
 * and *e: an index file of the tallies is not there any more, or can't be read. */
typedef void entry_fn(void *arg, const struct entry *e);
bool entries_each(const char *spool, const struct tallies *t, int64_t from_ms,
                  int64_t to_ms, entry_fn *fn, void *arg, struct err *e) MUST_USE;

/* The id of an event whose bytes are still in a segment, for free(); NULL: they are gone. */
char *entries_name(const char *spool, const struct tallies *t, const struct entry *at);
