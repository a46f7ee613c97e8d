/*
 * writer - what the files of a worker's end of a shard share: writer.c, which gathers and
 * writes events, roll.c, room.c and awaited.c. On the worker's thread.
 */
#pragma once

#include "spool/internal.h"

struct spool_writer {
    struct shard *shard;
    spool_wake_fn *wake;
    void *wake_arg;
    uint64_t next_seq;
    /* the pending block: its head goes in front of the payload */
    char *bytes;
    uint32_t n_bytes, room; /* of the payload */
    struct spool_entry *entries;
    struct spool_identity
        *identities; /* as many as entries; NULL until they are noted */
    bool identified;
    struct spool_note *notes; /* as many as entries; NULL until there is one */
    struct spool_written written;
    uint32_t n, entries_room;
    uint32_t marked;       /* events pending when the request began */
    uint64_t key_hash;     /* of the key that the entries note */
    uint64_t wanted_back;  /* bytes since the housekeeper was woken */
    struct segment *taken; /* was ahead; its first page is still to be written */
    uint32_t n_failed;     /* blocks that the current one did not take, in a row */
    int64_t left_ms;       /* the one before was left for that; 0: a block was written
                              since */
    bool waited;           /* for one, in vain: not again until there is one */
    bool waits;            /* clients wait for a sync */
};

/* ---- roll.c ---- */

/* Under lock. Waits for sh's next segment, not longer than it takes to see that there is no
 * room, or that the disk fails. */
void roll_wait(struct spool *s, struct shard *sh, long ms);
/* The prepared segment becomes the current one. SPOOL_FULL: there is none; SPOOL_FAILED: it
 * does not take its page, and is tried again. */
enum spool_result roll_on(struct spool_writer *w) MUST_USE;
/* The current one did not take some blocks: the next one, if there is one and it takes its
 * page; else the current one, which may be well again. */
struct segment *roll_past_bad_place(struct spool_writer *w);
