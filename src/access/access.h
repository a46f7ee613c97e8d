/*
 * access - the access log: the workers' lines, written by a thread of its own.
 *
 *   access_new -> access_follow* (each policy that goes live) -> access_end -> access_free
 *   access_ring -> ring_put (a worker, while its policy wants lines)
 *
 * The supervisor's, unless said otherwise. The thread starts with the first policy that
 * wants a log; without one there is none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "access/ring.h"
#include "base/attr.h"

struct access;
struct err;

/* What the file is to be. */
struct access_conf {
    const char *path; /* absolute, or below the working directory */
    uint64_t max_bytes;
    uint32_t keep;
};

/* n_workers rings. */
struct access *access_new(uint32_t n_workers);
struct ring *access_ring(struct access *a, uint32_t worker);

/* Whether such a file can be opened now; makes it. Any thread; may block. */
bool access_try(const struct access_conf *c, struct err *e) MUST_USE;

/* Lines go to that file from now on; NULL: to none, once those under way are written.
 * False and *e: the thread can't be started. */
bool access_follow(struct access *a, const struct access_conf *c,
                   struct err *e) MUST_USE;

/* The file is opened again, by its path. Any number of times. */
void access_reopen(struct access *a);

/* Ends the thread after the lines that wait; the log tells what it lost since it told
 * last. False: it has not ended by then (clock_mono_ns); the log tells also of the lines
 * that wait for it. NULL is fine. */
bool access_end(struct access *a, uint64_t until_ns) MUST_USE;

/* After access_end has returned true. NULL is fine. */
void access_free(struct access *a);
