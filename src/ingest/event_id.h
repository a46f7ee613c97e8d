/*
 * event_id - the ids of events that a worker stores, for the index of their stream: where
 * they stand is noted as they are stored, their fingerprints go to the index's thread with
 * the block. What is not sure is left out: the thread reads it from the spool, and must
 * find the same. Worker thread.
 *
 *   event_id_of (an event) -> event_ids_print -> event_ids_hand (a block)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "decode/event.h"
#include "spool/spool.h"

struct plan;
struct print_block;
struct stream_writer;

/* Of a stream. */
struct id_field {
    uint64_t hash;   /* plan_key_hash of its path; 0: the stream has no index */
    struct str name; /* the path, if it is a plain key of the event; else p is NULL */
};

/* For each of the plan's streams; the caller's, views of the plan. NULL: none has an
 * index. */
struct id_field *id_fields_of(const struct plan *plan);

/* Where ev's id stands in text, which is stored of it, and 16 bytes after which can be read.
 * slot: the field's in the schema, -1: it is not in it. kept: of edit_splice_kept. */
struct spool_note event_id_of(const struct id_field *f, int slot,
                              const struct event_batch *b, const struct event *ev,
                              bool kept, struct str text);

/* The fingerprints of the pending events; NULL: they stay unknown. Before the commit. */
struct print_block *event_ids_print(struct stream_writer *o);
/* The block was written. */
void event_ids_hand(struct stream_writer *o, struct print_block *ids);
