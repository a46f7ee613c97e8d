/*
 * sightings - where in a spool the events with an id are, or were: by the index of each
 * stream, and by the bytes of the segments that no index file covers. Reads only, takes
 * no lock: a running server does not matter.
 *
 *   sightings_find -> sightings_free
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "cli/find/holes.h"

struct err;
struct spool_block;
struct spool_segment_info;

enum {
    SIGHTINGS_MAX = 1000, /* more are counted only */
    SIGHTINGS_STREAM_BYTES = 72
};

struct sighting {
    char stream[SIGHTINGS_STREAM_BYTES];
    uint32_t epoch, worker;
    uint64_t seq;
    int64_t wall_ms;  /* when it was accepted; 0: unknown */
    uint32_t step_ms; /* exact to so many */
    uint64_t policy8; /* 0: unknown, or one of several */
    bool indexed;     /* an index file names it */
    bool seen;        /* its bytes were read, and have the id */
    bool cut;         /* a power cut took its bytes */
    bool gone;        /* the spool has let it go, and all of its shard before it, */
    bool shard;       /* which still has segments */
    /* then */
    uint64_t segment, block,
        n_block; /* number; first sequence and events of its block */
    bool edited, replayed;
    bool unsure; /* a sync failed: its client may have been refused */
};

/* What was looked at, of one stream. */
struct looked {
    char stream[SIGHTINGS_STREAM_BYTES];
    char field[512];              /* where ids were looked for; "": not known */
    bool indexed;                 /* by that field */
    int64_t oldest_ms, newest_ms; /* of the index; 0: it has no file */
    bool strange; /* no event of its files has it, and of those read none looked at */
    bool any;     /* it has a segment with events */
    int64_t left_ms; /* not indexed: it left the policy then; 0: it has not */
    bool left; /* not indexed: events may have left the spool, and are not searched */
    uint64_t n_files, n_events; /* of the index */
    uint64_t n_damaged;         /* of these files, not believed */
    uint64_t n_read;            /* events whose bytes were read */
    uint64_t n_unread;          /* segments that can't be read */
    uint64_t
        n_refused; /* sequences whose clients were refused, because a sync failed */
    uint64_t n_unknown; /* events that neither an index file nor a segment has */
    struct holes holes; /* of these, where they are missing */
};

struct sightings {
    struct sighting *list; /* by stream, then by position */
    uint32_t n;
    uint64_t more; /* beyond SIGHTINGS_MAX */
    struct looked *looked;
    uint32_t n_looked;
    int64_t
        lost_ms; /* streams that left the policy by then are not known; 0: all are */
};

struct sightings_wanted {
    const char *dir; /* the spool's */
    struct str id;
    const char *stream; /* NULL: all */
    const char *field;  /* for streams without an index; NULL: those are not read */
    int64_t since_ms;   /* accepted at or after; 0: any time */
};

/* ---- sightings.c ---- */

/* False and *e: the spool can't be read. */
bool sightings_find(const struct sightings_wanted *w, struct sightings *out,
                    struct err *e) MUST_USE;

/* ---- sightings_list.c ---- */

void sightings_free(struct sightings *s);

/* For the search: */
void sightings_begin(struct sightings *s);
/* The stream's place in looked. */
uint32_t sightings_stream(struct sightings *s, const char *name);
/* The same; n_looked: it has none. */
uint32_t sightings_stream_at(const struct sightings *s, const char *name);
/* The event's sighting, in the list already or new; NULL: there are too many, and it is
 * one more unless it was counted before. */
struct sighting *sightings_add(struct sightings *s, const char *stream, uint32_t epoch,
                               uint32_t worker, uint64_t seq, bool counted);
/* Its bytes are event k of the block. */
void sightings_see(struct sighting *g, const struct spool_segment_info *i,
                   const struct spool_block *b, uint32_t k);
/* Those of the stream are none; more: as before them. */
void sightings_forget(struct sightings *s, const char *stream, uint64_t more);
void sightings_sort(struct sightings *s);

/* Events first .. end - 1 of a shard. */
struct sighting_run {
    const char *stream;
    uint32_t epoch, worker;
    uint64_t first, end;
};

/* The sequence of the first sighting in the run; its end: there is none. */
uint64_t sightings_next(const struct sightings *s, const struct sighting_run *r);
/* The index names them, and the bytes say otherwise: other ids with its fingerprint. */
void sightings_drop_unseen(struct sightings *s, const struct sighting_run *r);
/* A power cut took the bytes of the shard's events from seq on. */
void sightings_cut(struct sightings *s, const char *stream, uint32_t epoch,
                   uint32_t worker, uint64_t seq);
