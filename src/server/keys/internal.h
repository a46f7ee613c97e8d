/*
 * internal - what the files of this room share.
 *
 *   keystores.c   which streams have one
 *   collector.c   identities out of the spool
 *   save.c        into the keystore, once their events are safe; the threads
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/latch.h"
#include "server/keys/collector.h"
#include "shared/seen.h"
#include "spool/spool.h"
#include "stats/stats.h"

enum {
    UNSAVED_SAVE = 1 << 18, /* keys that are saved at once */
    UNSAVED_MAX = 1 << 20,  /* that are read ahead of a disk that takes none */
    SEEN_MAX = 16 /* memories of one stream's keys, of policies that overlap */
};

/* A key of an event that was read, until it is in the keystore. */
struct unsaved {
    struct seen_hash hash;
    uint64_t seq;
    int64_t wall_ms;
    uint32_t reader; /* index */
    bool lost;       /* by a sync that failed; known when it is saved */
};

struct reader { /* of a shard */
    uint32_t epoch, worker;
    bool live, ended;
    struct spool_cursor *cursor; /* NULL: all of it is saved */
    uint64_t next;               /* the next event's sequence */
    uint64_t saved;              /* the same of what is in the keystore */
};

struct collector {
    struct stats_owner series;
    char *name;
    const struct spool *spool;
    struct spool_consumer *consumer;
    struct keystore *keys;
    bool fresh;           /* the keystore has nothing yet */
    bool incomplete;      /* earlier processes' shards are not read to their ends */
    bool unrestored;      /* a memory had no room for a key of theirs */
    pthread_mutex_t lock; /* the two lists; never over I/O */
    struct seen *seen[SEEN_MAX];
    uint32_t n_seen;
    struct unsaved *unsaved; /* written by the saver only */
    uint32_t n_unsaved, unsaved_room;
    /* The saver's; before it starts, the opener's. */
    struct reader *readers;
    uint32_t n_readers, readers_room;
    uint64_t saved_ns; /* when it was last tried */
    uint64_t told_ns;  /* when a failure was */
    bool failing;
    stats_cell *shown_keys, *shown_bytes, *shown_damaged;
    uint64_t n_damaged; /* that are counted in it */
    atomic_bool stop;
    struct latch stopped; /* by the same call */
    bool saver_runs, merger_runs;
    pthread_t saver, merger;
    struct latch saver_ended, merger_ended;
};

/* ---- collector.c ---- */

/* By the monotonic clock, when its event was stored; below 0: before the machine
 * started. */
double collector_stored_ms(const struct unsaved *u);

/* Reads what the shards have, up to max keys unsaved. */
void collector_read(struct collector *c, uint32_t max);
/* Whether all that earlier processes stored can be found by requests: until then a key
 * that is not found is unknown. */
void collector_complete(struct collector *c);
void collector_detach(struct collector *c);
/* Brings its metrics up to date. The saver's thread; before it starts, the opener's. */
void collector_show(struct collector *c);
void collector_free(struct collector *c);

/* ---- save.c ---- */

/* Everything that was read is in the keystore. False and *e: the disk refused, or does
 * not have the events yet; what was read stays unsaved. */
bool collector_save(struct collector *c, struct err *e);
