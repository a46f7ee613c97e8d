/*
 * ring - lines on their way from one worker to the access log's thread.
 *
 *   ring_new -> ring_put* (the worker) · ring_take* (the writer) -> ring_free
 *
 * Bounded, without a lock: what does not fit is counted and dropped, so a disk that hangs
 * never holds up a worker.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/stats.h"

enum { RING_BYTES = 1 << 20 };

struct ring;

/* dropped: counts lines that did not fit; the worker's own cell. */
struct ring *ring_new(stats_cell *dropped);
void ring_free(struct ring *r); /* NULL is fine */

/* Counts a line that its maker gave up. */
void ring_drop(struct ring *r);

/* A line with its newline, whole or not at all. */
void ring_put(struct ring *r, const char *line, size_t n);

/* Whole lines that fit into room bytes, oldest first; returns their bytes. */
size_t ring_take(struct ring *r, char *out, size_t room);

/* Lines that wait, once the worker puts no more. Any thread; the writer may be taking. */
uint64_t ring_lines(const struct ring *r);
