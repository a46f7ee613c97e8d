/*
 * manifest - which runs a store has, and how far each shard's events are in them: the
 * file MANIFEST, replaced as a whole. One thread at a time.
 *
 *   sluice-keys 1
 *   key 00112233445566778899aabbccddeeff
 *   clock 1764300000            a time that was believed, see keyclock.h
 *   run 7
 *   at 3 0 88124                epoch, worker, first sequence that is in no run
 *   crc 89abcdef
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/siphash.h"

struct err;

enum { MANIFEST_RUNS_MAX = 256, MANIFEST_PLACES_MAX = 4096 };

/* Events of (epoch, worker) before seq are in the runs. */
struct keys_place {
    uint32_t epoch, worker;
    uint64_t seq;
};

struct manifest {
    struct siphash_key key;
    uint32_t clock_s; /* 0: unknown */
    uint32_t n_runs, n_places;
    uint64_t runs[MANIFEST_RUNS_MAX]; /* ids */
    struct keys_place places[MANIFEST_PLACES_MAX];
};

enum manifest_read {
    MANIFEST_READ = 0,
    MANIFEST_NONE,    /* there is no such file */
    MANIFEST_DAMAGED, /* *e says where */
    MANIFEST_UNREAD   /* the disk did not give it: unknown; *e */
};

enum manifest_read manifest_read(struct manifest *m, const char *dir,
                                 struct err *e) MUST_USE;
enum manifest_written {
    MANIFEST_WRITTEN = 0, /* on stable storage, with the names in the folder */
    MANIFEST_KEPT,        /* the old one counts; *e */
    MANIFEST_UNSURE       /* after a crash it may be the one or the other; *e */
};

enum manifest_written manifest_write(const struct manifest *m, const char *dir,
                                     struct err *e) MUST_USE;
