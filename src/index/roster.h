/*
 * roster - since when, and until when, a spool has had each stream. The file SPOOL/STREAMS:
 * lines of text, the last one a checksum of those before.
 *
 *   roster_read -> roster_begin -> roster_meet* -> roster_note* -> roster_write* -> roster_free
 *
 * Where a stream was without an index, its events leave no trace once they have left the
 * spool. An index that begins asks here whether there were any; so does sluice find, of
 * streams that no policy has any more. Of the policy it has also which sinks may skip, since
 * a sink that is down says nothing of what the spool gives up meanwhile. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "index/format.h"

struct err;

#define ROSTER_FILE "STREAMS"

enum {
    ROSTER_MAX = 4096, /* streams; beyond it, the one that left first is forgotten */
    ROSTER_SKIPS_MAX = 4096
};

#define ROSTER_LEFT UINT32_MAX

struct roster_stream {
    char name[INDEX_STREAM_MAX];
    uint32_t shards;  /* of earlier processes, with events, when `until` began: all that
                         there were, and whole; ROSTER_LEFT: events had left the spool */
    int64_t until_ms; /* when it left the policy; 0: it has not */
};

/* The sink may pass over events of the stream, if the spool lets them go (max_lag). */
struct roster_skip {
    char stream[INDEX_STREAM_MAX], sink[96];
};

struct roster {
    uint32_t begin, until; /* epochs: of the processes that kept it, first and last */
    int64_t begin_ms;      /* when it was begun: streams before that are not known */
    /* Up to then it was damaged, too long or not written: of streams that had left the policy
     * some are not known; 0: all are. */
    int64_t lost_ms;
    struct roster_stream *list;
    uint32_t n, room;
    struct roster_skip *skips;
    uint32_t n_skips;
};

enum roster_read {
    ROSTER_READ = 0,
    ROSTER_NONE, /* there is no file */
    ROSTER_BAD   /* *e: it is damaged, or the disk does not give it */
};
/* spool: its folder. Unless it is ROSTER_READ, *r is empty. Blocks while the disk does. */
enum roster_read roster_read(struct roster *r, const char *spool,
                             struct err *e) MUST_USE;
void roster_free(struct roster *r);

/* A process of that epoch keeps it from now on. Where one before it did not, it begins
 * anew: that may have had other streams. */
void roster_begin(struct roster *r, uint32_t epoch, int64_t now_ms);
/* Its spool has these shards of the stream: of the process before, which has not removed the
 * last segment of any, and of older ones. Before it deletes anything. */
struct roster_shards {
    uint32_t last, older;
    bool whole; /* each has its first event */
};
void roster_meet(struct roster *r, const char *stream, const struct roster_shards *has);
/* Whether it says that the policy has the stream. */
bool roster_has(const struct roster *r, const char *stream);
/* The policy has the n streams now, and no other. True: something has changed. */
bool roster_note(struct roster *r, const char *const *names, uint32_t n,
                 int64_t now_ms);

/* The live policy lets these sinks skip, and no others. True: something has changed. */
bool roster_note_skips(struct roster *r, const struct roster_skip *list, uint32_t n);
/* Whether it lets that one. */
bool roster_skips(const struct roster *r, const char *stream, const char *sink);

/* False and *e: the file is not there, or is as before. Blocks while the disk does. */
bool roster_write(const struct roster *r, const char *spool, struct err *e) MUST_USE;

/* It could not be written, and the file may lack a stream, or is not there: better an empty one
 * than one, or none, that readers and the next process believe. What the disk refuses stays as
 * it is. */
void roster_void(const char *spool);

/* What an index that begins now knows of the stream: all since that epoch and moment (epoch
 * 1: it has had no event before), if the spool has that many shards of earlier processes, each
 * from its first event on. */
struct roster_known {
    uint32_t epoch, shards; /* ROSTER_LEFT: it has not */
    int64_t ms;
};
struct roster_known roster_known(const struct roster *r, const char *stream);
