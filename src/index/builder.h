/*
 * builder - the index of a run of a shard's events, as it grows in memory, and its file.
 *
 *   index_builder_new -> (index_block -> index_add*)* -> index_write
 *                     -> index_builder_free
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "index/format.h"

struct err;
struct index_builder;

struct index_place {
    const char *uuid; /* of the spool */
    const char *stream, *field;
    uint32_t epoch, worker;
};

/* first: the sequence that it begins with. */
struct index_builder *index_builder_new(uint64_t first) MUST_USE;
void index_builder_free(struct index_builder *b); /* NULL is fine */

/* Whether n more events fit. */
bool index_has_room(const struct index_builder *b, uint32_t n);
uint64_t index_first(const struct index_builder *b);
/* The sequence that comes next. */
uint64_t index_end(const struct index_builder *b);
/* When its oldest and its newest event were accepted; 0: it has none. */
int64_t index_oldest_ms(const struct index_builder *b);
int64_t index_newest_ms(const struct index_builder *b);

/* The events that follow were accepted then. */
void index_block(struct index_builder *b, int64_t wall_ms, uint64_t policy8);
/* The next event; id.p NULL: it has none. */
void index_add(struct index_builder *b, const char *id, size_t n);
/* The next n events, by their fingerprints; PRINT_NONE: it has no id. There is room. */
void index_add_prints(struct index_builder *b, const uint64_t *prints, uint32_t n);
/* The next n sequences are gone; promised: they were events that clients count on. */
void index_lose(struct index_builder *b, uint64_t n, bool promised);

/* Its file, on stable storage when this returns true: under another name first, so that
 * a crash leaves all of it or nothing. False and *e: there is no such file. *bytes: its
 * size. May be called again. */
bool index_write(struct index_builder *b, const struct index_place *place,
                 const char *path, uint64_t *bytes, struct err *e) MUST_USE;
