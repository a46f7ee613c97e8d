/*
 * doubt - of which events records may be gone: up to a place in each stream. Not up to a
 * time, because a clock may have been set meanwhile.
 *
 *   doubt_add*, doubt_read* -> doubt_end, doubt_write -> doubt_free
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "batch/batch.h"

struct doubt_shard {
    char stream[72];
    uint32_t epoch, worker;
    uint64_t end;
};

/* All 0: nothing is in doubt. */
struct doubt {
    struct doubt_shard *list; /* of each stream: of its last epoch */
    uint32_t n, room;
    int64_t
        until_ms; /* also what was accepted by then, where no more is known; 0: none */
};

/* Events of the shard before end, and all of the stream's earlier epochs. */
void doubt_add(struct doubt *d, struct str stream, uint32_t epoch, uint32_t worker,
               uint64_t end);
/* Adds what doubt_write left there. False: nothing is there, or not all can be read. */
bool doubt_read(struct doubt *d, int fd) MUST_USE;
/* At the place where fd stands. False and errno: it is not whole. */
bool doubt_write(const struct doubt *d, int fd) MUST_USE;
/* The first event of the shard that is not in doubt; UINT64_MAX: all that were accepted at
 * wall_ms are. */
uint64_t doubt_end(const struct doubt *d, const char *stream, uint32_t epoch,
                   uint32_t worker, int64_t wall_ms);
/* to has nothing. */
void doubt_copy(struct doubt *to, const struct doubt *d);
void doubt_free(struct doubt *d);
