/*
 * settled - which events of a stream a sink is done with, by its journal and its record
 * of places. Reads only; one thread.
 *
 *   settled_read -> settled_count* -> settled_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "delivery/ack_tracker.h"
#include "delivery/doubt.h"

struct err;

/* Events first .. end - 1 of a shard, apart from each other; sorted. */
struct settled_run {
    uint32_t epoch, worker;
    uint64_t first, end;
    int64_t time_ms; /* of the record */
};

struct settled_set {
    struct settled_run *runs;
    uint32_t n, room;
};

enum settled_how {
    SETTLED_DEAD = 0,
    SETTLED_SKIPPED,
    SETTLED_LOST,
    SETTLED_REFUSED, /* a sync failed: their clients were told that they are not stored */
    SETTLED_BEFORE,
    SETTLED_HOWS
};

struct settled {
    char sink[96];
    bool known;              /* it reads the stream */
    bool left;               /* it did, and was done with it: settled_read_left */
    int64_t last_ms;         /* of the latest record of an event of it */
    struct ack_tracker acks; /* all that it is done with */
    struct settled_set apart[SETTLED_HOWS]; /* of these, those that it has not taken */
    struct settled_set taken;               /* those that a record says it has */
    struct settled_set
        unsure;         /* before it met the stream once more: it may have had them */
    struct doubt doubt; /* some of these may be missing in the above */
    char stream[72];
    struct settled_set begun; /* shards of which the journal has the beginning */
    struct settled_set read;  /* shards that it met, the last time */
    struct settled_set ends; /* events of ends_epoch that it still gets; left: all up to
                                  the last record of the shard */
    bool former;             /* there was a sink of its name before */
    uint32_t ends_epoch;     /* the stream leads elsewhere since then; 0: to it */
    uint32_t met,
        met_last; /* the stream: in these epochs, first and last; 0: not noted */
};

struct settled_counts {
    uint64_t confirmed, pending, apart[SETTLED_HOWS];
    uint64_t settled; /* confirmed or apart: it is not recorded any more */
    uint64_t later;   /* left: of those before, the ones after its last record */
};

/* name: of the sink. False and *e: its journal can't be read, or what it has not taken. Where
 * it does not read the stream, nothing but that is known. */
bool settled_read(const char *spool, const char *name, const char *stream,
                  struct settled *out, struct err *e) MUST_USE;
/* The same of n streams, to be freed each, at the cost of one. */
bool settled_read_streams(const char *spool, const char *name,
                          const char *const *streams, uint32_t n, struct settled *out,
                          struct err *e) MUST_USE;
/* Of a stream that no journal knows any more, out of the sink's record of places alone: where
 * that has no event of it, only that is known. */
bool settled_read_left(const char *spool, const char *name, const char *stream,
                       struct settled *out, struct err *e) MUST_USE;
void settled_free(struct settled *s);

/* ---- counts.c ---- */

/* Adds up events seq .. seq + n - 1, accepted at wall_ms. gone: the spool has none of the
 * shard any more, so the sink is done with it; its journal may have forgotten it. */
void settled_count(const struct settled *s, uint32_t epoch, uint32_t worker,
                   uint64_t seq, uint32_t n, int64_t wall_ms, bool gone,
                   struct settled_counts *c);

/* ---- runs.c: sets of events ---- */

void settled_add(struct settled_set *set, const struct batch_range *r, uint64_t first,
                 uint64_t end, int64_t time_ms);
/* By shard and sequence. */
void settled_order(struct settled_set *set);
/* The same, and each event once, with the last time of its runs. */
void settled_sort(struct settled_set *set);
void settled_fit(struct settled_set *set); /* no more room than it needs */
/* Both sorted: what less has leaves set. */
void settled_subtract(struct settled_set *set, const struct settled_set *less);
/* How many of the events first .. end - 1 are in a sorted set. */
uint64_t settled_in(const struct settled_set *set, uint32_t epoch, uint32_t worker,
                    uint64_t first, uint64_t end);
/* Events of set, sorted, that a run of by, in order, has at the same time or later. The
 * caller frees the runs. */
struct settled_set settled_later(const struct settled_set *set,
                                 const struct settled_set *by);
