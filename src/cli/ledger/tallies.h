/*
 * tallies - what a stream accepted: rows of events that came one after the other within a
 * minute, with their number and the sum of their ids' fingerprints (index/format.h, mod
 * 2^64, in any order). From the index files, and from the bytes of segments that no file
 * covers, so that a crash changes nothing. Reads only.
 *
 *   tallies_read -> tallies_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/find/holes.h"
#include "cli/find/index_list.h"

struct entry;
struct err;

enum { TALLY_MINUTE_MS = 60000 };

struct tally_row {
    uint32_t epoch, worker;
    uint64_t seq;    /* of the first of n */
    int64_t wall_ms; /* of the first; all are of one minute */
    uint64_t sum;
    uint32_t n, n_anonymous; /* of these, without an id: 0 in the sum */
    uint32_t field; /* of the ids: its place in index.fields; n_fields: unknown */
};

struct tallies {
    char stream[72];
    struct index_list index; /* what its files cover */
    struct tally_row *rows;  /* by shard and sequence */
    uint32_t n, room;
    struct entry *tail; /* cli/ledger/entries.h: events that no file covers */
    uint32_t n_tail, tail_room;
    struct tally_shard {
        uint32_t epoch, worker;
        uint64_t last; /* after its last event; 0: not read */
        uint64_t end;  /* no process adds to it, and a power cut took what the index has
                         from there on; UINT64_MAX: nothing */
    } * shards;        /* that have segments */
    uint32_t n_shards;
    uint64_t n_unknown; /* events of the period that neither a file nor a segment has */
    struct holes holes; /* of these, where they are missing */
    uint64_t
        n_unsure; /* accepted ones of the period whose clients may have been refused,
                           because a sync failed */
    uint64_t n_unread; /* segments that can't be read */
    struct tally_field {
        uint64_t n, n_period;          /* events, and those of the period */
        int64_t oldest_ms, last_ms;    /* of these of the period */
    } by_field[INDEX_LIST_FIELDS + 1]; /* of index.fields; last: of an unknown one */
};

/* False and *e: the spool can't be read, or the stream has no index. Rows from the
 * minute of since_ms on, up to before that of until_ms (INT64_MAX: all). */
bool tallies_read(const char *spool, const char *stream, int64_t since_ms,
                  int64_t until_ms, struct tallies *out, struct err *e) MUST_USE;
void tallies_free(struct tallies *t);

/* Whether the shard has segments; else every sink is done with it. */
bool tallies_has(const struct tallies *t, uint32_t epoch, uint32_t worker);
/* Where the shard ends, as above; UINT64_MAX: not known. */
uint64_t tallies_end(const struct tallies *t, uint32_t epoch, uint32_t worker);

/* After the last event of the shard that a segment or the index has; 0: not known. */
uint64_t tallies_last(const struct tallies *t, uint32_t epoch, uint32_t worker,
                      int64_t since_ms);

/* ---- tally_fields.c: where the ids are ---- */

/* The field of the ids of the events of the period, or (whole) of all events; if there is
 * none, the field of now. NULL and *e: events have their ids in several fields, or nothing
 * says in which. */
const char *tallies_field(const struct tallies *t, bool whole, struct err *e) MUST_USE;
