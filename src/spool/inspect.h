/*
 * inspect - the contents of a spool's segments, for people. Reads only, takes no lock:
 * of a spool in use it shows a moment that may just be passing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

struct spool_segment_info {
    const char *stream;
    uint32_t epoch, worker;
    uint64_t number;
    uint64_t first, events, blocks; /* first 0: nothing is in it */
    uint64_t bytes;                 /* up to the last whole block */
    uint64_t size;                  /* of the file */
    const char *status; /* "prepared", "used", "damaged" (no first page that holds),
                           "unreadable" (the disk does not give it) */
    uint64_t next;      /* the sequence after its last event */
    uint64_t n_damaged; /* places where blocks or the page were and are not any more */
    uint64_t lost;      /* events in them, as far as it can be told */
    uint64_t
        unsure;  /* after a failed sync, clients of events from there on may have been
                        refused; UINT64_MAX: of none. Known if `refused` is asked for */
    int error;   /* unreadable: the errno */
    bool reused; /* the file got new events while it was read: some were not read */
};

/* Whether it is a segment of which nothing, or not all, could be read. */
static inline bool spool_segment_is_bad(const struct spool_segment_info *i)
{
    return i->error != 0 || i->status[0] == 'd';
}

/* Bytes from..to of the segment's file are no block, and were: events of them. */
typedef void spool_damage_fn(void *arg, const struct spool_segment_info *i,
                             uint64_t from, uint64_t to, uint64_t events);

typedef void spool_inspect_fn(void *arg, const struct spool_segment_info *i);

/* Whether the blocks of the segment, of which number, first and size are known, are to
 * be read. */
typedef bool spool_wants_fn(void *arg, const struct spool_segment_info *i);

typedef uint64_t spool_covered_fn(void *arg, const struct spool_segment_info *i,
                                  uint64_t from);

/* Sequences first..end - 1, with which the segment ends, were refused to their clients,
 * because a sync failed. */
typedef void spool_refused_fn(void *arg, const struct spool_segment_info *i,
                              uint64_t first, uint64_t end);

/* A whole block of the segment i, whose `bytes` say where it ends.
 * After the block's bytes 64 more can be read. False: that is enough. */
struct spool_block;
typedef bool spool_block_fn(void *arg, const struct spool_segment_info *i,
                            const struct spool_block *b);

struct spool_visitor {
    spool_inspect_fn *segment; /* after its blocks; NULL: not told */
    spool_block_fn *block;     /* NULL: not told */
    spool_damage_fn *damage;   /* NULL: not told */
    spool_wants_fn *wants;     /* NULL: all are */
    /* Blocks that end before the sequence that it returns need not be read, as far as
     * they are blocks; from: the next one's first. NULL: all are read. */
    spool_covered_fn *covered;
    /* Told in place of such blocks, where the next segment says so. NULL: they are as all
     * others. */
    spool_refused_fn *refused;
    void *arg;
    const char *stream; /* NULL: of all streams */
    bool quick;         /* segments by their first page: first and size only */
};

/* In the order of stream, shard, file. False and *e: dir is no spool, or a folder of it
 * can't be listed; all others were visited. */
bool spool_visit(const char *dir, const struct spool_visitor *v,
                 struct err *e) MUST_USE;
