/*
 * tap - a look at events as they pass: a filter, and a ring of lines for each worker.
 *
 *   tap_new -> ingest_tap (each worker) -> tap_read* -> ingest_untap (each) -> tap_free
 *
 * The supervisor makes, reads and frees it. A worker writes to its own ring without lock or
 * wait: what finds no room, or is over the worker's share of time, is counted as dropped. A
 * worker that no tap watches pays one branch a request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct ingest;

enum {
    TAPS_MAX = 4,
    TAP_RING_BYTES = 256 << 10,
    TAP_EVENT_MAX = 16 << 10, /* larger ones are told without their text */
    TAP_NAME_MAX = 256
};

struct tap_filter {
    char route[TAP_NAME_MAX];  /* "POST /v1/events"; "": all */
    char stream[TAP_NAME_MAX]; /* events that are stored in it; "": all */
    char path[TAP_NAME_MAX];   /* of a field; "": none */
    char value[TAP_NAME_MAX];  /* that it has, as JSON or as a text's characters */
    bool refused;              /* only what is not taken */
    bool raw;     /* with the bytes of what is refused, which no hook masked */
    double share; /* of the events that pass all that, 0 < share <= 1 */
};

struct tap;

/* path is valid (decode/path.h). */
struct tap *tap_new(const struct tap_filter *f, uint32_t n_workers);
void tap_free(struct tap *t); /* no worker has it; NULL is fine */

/* Moves all lines of a worker to out (TAP_RING_BYTES); returns the bytes. */
size_t tap_read(struct tap *t, uint32_t worker, char *out);
/* Events that were not shown, since the begin. */
uint64_t tap_dropped(const struct tap *t);
/* Workers that watch for it, or have done; and those that do not know it any more. */
uint32_t tap_joined(const struct tap *t);
uint32_t tap_left(const struct tap *t);

/* ---- tapping.c: the worker's thread ---- */

/* At most TAPS_MAX at once. */
void ingest_tap(struct ingest *in, struct tap *t);
void ingest_untap(struct ingest *in, struct tap *t);

/* ---- tap.c: the same thread ---- */

const struct tap_filter *tap_filter(const struct tap *t);
void tap_join(struct tap *t);  /* this worker watches for it */
void tap_leave(struct tap *t); /* this worker does not know it any more */

/* May the worker look at another event now? False: it counts as dropped. */
bool tap_may_look(struct tap *t, uint32_t worker, double mono_ms) MUST_USE;
/* Whether it may not, as far as is known without the time and without what the reader does
 * meanwhile; then n events that it does not even choose among are dropped. */
bool tap_is_spent(const struct tap *t, uint32_t worker, double mono_ms);
void tap_drop(struct tap *t, uint32_t worker, uint32_t n);
/* Whether this one of those that pass is of the share. */
bool tap_samples(struct tap *t, uint32_t worker) MUST_USE;
/* How many of the next n that pass are not, without a look at them; tap_samples is not asked
 * about these. Below n: it is about to say true. */
uint32_t tap_passes_over(struct tap *t, uint32_t worker, uint32_t n) MUST_USE;
/* Where a line may be built, of at most TAP_LINE_MAX bytes; then the line, with its
 * newline, as it is to be read. */
enum { TAP_LINE_MAX = TAP_EVENT_MAX + (20 << 10) };
char *tap_line(struct tap *t, uint32_t worker);
void tap_write(struct tap *t, uint32_t worker, size_t n);
