/*
 * indexer - the ids of one stream's events, from the spool to files of index/format.h, so
 * that sluice find and sluice ledger tell of events that left the spool.
 *
 *   indexer_open -> indexer_apply* -> indexer_close
 *
 * A reader of the spool like a sink, that no event waits for: its place is what its files
 * cover, so a crash costs only the reading again. A segment is kept until its events are
 * in memory here; a disk that takes no file costs the index of these events, not the
 * events, and does not hold their segments.
 *
 * Workers hand the ids over in memory with each block (index/print_ring.h); then the block
 * is passed over unread. The thread reads what they did not hand over: events of an
 * earlier process, of blocks with an id that was not sure, and those that came while a
 * ring was full, because this thread was slow. Both ways make the same files.
 *
 * A thread of its own. The functions are for the thread that alters sinks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "index/roster.h"

struct err;
struct indexer;
struct print_rings;
struct spool;

struct indexer_settings {
    uint64_t policy8;  /* whose settings these are: events that it stores have ids at */
    const char *field; /* this path */
    int64_t keep_ms;   /* files whose newest event is older go */
    uint64_t max_bytes; /* of all files; the oldest go */
};

struct indexer_conf {
    struct spool *spool;
    int stream;
    const char *name;           /* the stream's */
    const char *dir;            /* of the files; made if missing */
    uint64_t segment_bytes;     /* half as many bytes of events are one file */
    struct print_rings *prints; /* from the workers; outlives the indexer */
    struct roster_known known;  /* an index that begins */
    struct indexer_settings settings;
};

/* Notes in the folder which events are not in the index (index/account.h). A folder that
 * can't be used now is tried again each second. NULL and *e: the field is no path, or
 * there is no thread. */
struct indexer *indexer_open(const struct indexer_conf *conf, struct err *e) MUST_USE;

/* The stream has an index no more, and its folder is still there: notes that the events
 * from now on, and those that no file has yet, are not in it. */
void indexer_off(const struct indexer_conf *conf);

/* Other settings, soon; events that other policies store or stored are indexed by theirs.
 * False and *e: the field is no path. */
bool indexer_apply(struct indexer *x, const struct indexer_settings *s,
                   struct err *e) MUST_USE;

/* How long files are kept, alone. */
void indexer_keep(struct indexer *x, int64_t keep_ms, uint64_t max_bytes);

/* Whether scrapes show its series. */
void indexer_hide(struct indexer *x, bool hidden);

/* Writes what it has read. False: by until_ns (clock_mono_ns) its thread has not ended,
 * and x and the spool must stay. Before the spool is closed. */
bool indexer_close(struct indexer *x, uint64_t until_ns) MUST_USE;
