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

struct err;

/* Events first .. end - 1 of a shard, apart from each other; sorted. */
struct settled_run {
    uint32_t epoch, worker;
    uint64_t first, end;
};

struct settled_set {
    struct settled_run *runs;
    uint32_t n, room;
};

enum settled_how {
    SETTLED_DEAD = 0,
    SETTLED_SKIPPED,
    SETTLED_LOST,
    SETTLED_BEFORE,
    SETTLED_HOWS
};

struct settled {
    char sink[96];
    bool known;                             /* it reads the stream */
    struct ack_tracker acks;                /* all that it is done with */
    struct settled_set apart[SETTLED_HOWS]; /* of these, those that it has not taken */
    int64_t cut_ms; /* some of those that were accepted before are not among them;
                       0: all are */
};

struct settled_counts {
    uint64_t confirmed, pending, apart[SETTLED_HOWS];
    uint64_t settled; /* confirmed or apart: it is not recorded any more */
};

/* name: of the sink. False and *e: its journal can't be read. */
bool settled_read(const char *spool, const char *name, const char *stream,
                  struct settled *out, struct err *e) MUST_USE;
/* Adds up events seq .. seq + n - 1, accepted at wall_ms. gone: the spool has none of the
 * shard any more, so the sink is done with it; its journal may have forgotten it. */
void settled_count(const struct settled *s, uint32_t epoch, uint32_t worker,
                   uint64_t seq, uint32_t n, int64_t wall_ms, bool gone,
                   struct settled_counts *c);
void settled_free(struct settled *s);
