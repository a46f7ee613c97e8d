/*
 * internal - what the files of this room share.
 *
 *   key.h, filter.c     a key; whether it may be in a run
 *   run.c, format.c     one file of keys; its bytes
 *   writer.c, reader.c  how it is written; its keys in order
 *   manifest.c          the list of them
 *   keystore.c          a store: opened, added to
 *   view.c              what a request looks into
 *   merge.c, keyclock.c runs made into one; by which time keys go
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "keys/keystore.h"
#include "keys/run.h"

/* Refs: the store's for the current one, and those of requests. */
struct keyview {
    atomic_uint refs;
    struct keystore *ks;
    uint32_t n;
    struct run *runs[MANIFEST_RUNS_MAX];
};

enum { UNSURE_MAX = 64 };

struct keystore {
    char *dir;
    _Atomic uint32_t window_s;
    bool fresh;
    atomic_bool incomplete;
    pthread_mutex_t lock; /* current; never over I/O */
    struct keyview *current;
    pthread_mutex_t writing; /* manifest, and who replaces current; over I/O */
    struct manifest manifest;
    uint64_t last_id;
    /* Runs that a manifest may list that is unsure: they go once another one counts. */
    uint64_t unsure[UNSURE_MAX];
    uint32_t n_unsure;
    _Atomic uint64_t n_damaged, told_damaged_ns;
};

/* ---- keystore.c ---- */

void keystore_path(const struct keystore *ks, uint64_t id, char *out, size_t n);

/* Under `writing`: the n runs become current (takes their references), and the manifest
 * says so. False and *e: all is as before, the references are given back, and the file
 * of a new run goes. */
bool keystore_publish(struct keystore *ks, struct run **runs, uint32_t n,
                      struct err *e);

/* ---- view.c ---- */

/* Counts a file or page whose keys are lost, and tells it at most once a second. */
void keystore_damaged(struct keystore *ks, const char *what);
