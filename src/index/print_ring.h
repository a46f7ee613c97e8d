/*
 * print_ring - fingerprints of ids on their way from a worker, which has just written their
 * events, to the thread that indexes them, so that it need not read the events again.
 *
 *   print_rings_new -> print_rings_open (per stream and worker)
 *     worker:  print_ring_room -> print_ring_put or nothing
 *     indexer: print_ring_head -> print_ring_take
 *   -> print_rings_free
 *
 * What it holds is a hint: a block that is not in it is read from the spool. So a full ring
 * takes no more blocks and never makes a worker wait. One worker puts, one thread takes; no
 * lock, no system call.
 *
 * Memory: 2 MiB (262,144 words of 8 bytes) for each stream with an index and each worker,
 * never more. A block takes 8 words and one for each event. The kernel gives pages as
 * they are touched first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "spool/spool.h"

enum { PRINT_RING_WORDS = 1 << 18 };

/* In place of a fingerprint: the event has no id. An id that has this fingerprint (one of
 * 2^64) leaves its block out. */
#define PRINT_NONE 0ull

struct print_ring;
struct print_rings;

/* A block of which the ids are known. */
struct print_block {
    struct spool_written at;
    uint64_t field;    /* of which the prints are: plan_key_hash of its path */
    uint64_t prints[]; /* as many as events */
};

/* ---- print_ring.c: the rings of a process; the supervisor and the changer ---- */

struct print_rings *print_rings_new(uint32_t n_workers);
/* After the workers and the indexers. NULL is fine. */
void print_rings_free(struct print_rings *all);
/* The ring of the spool's stream and that worker: made, if there is none. */
struct print_ring *print_rings_open(struct print_rings *all, int stream,
                                    uint32_t worker);
/* NULL: there is none yet. Any thread. */
struct print_ring *print_rings_get(struct print_rings *all, int stream,
                                   uint32_t worker);

/* ---- print_ring.c: the worker ---- */

/* Where a block of n events may be filled in; NULL: it does not fit now. It is there only
 * after print_ring_put. */
struct print_block *print_ring_room(struct print_ring *r, uint32_t n);
void print_ring_put(struct print_ring *r);

/* ---- print_ring.c: the indexer ---- */

/* The oldest block, until print_ring_take; NULL: there is none. */
const struct print_block *print_ring_head(struct print_ring *r);
void print_ring_take(struct print_ring *r);
