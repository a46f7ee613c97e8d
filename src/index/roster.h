/*
 * roster - since when, and until when, a spool has had each stream. The file SPOOL/STREAMS:
 * lines of text, the last one a checksum of those before.
 *
 *   roster_read -> roster_begin -> roster_note* -> roster_write* -> roster_free
 *
 * Of the policy it has also which sinks may skip, since a sink that is down says nothing of
 * what the spool gives up meanwhile. Where a stream was without an index, its events leave no trace once they have left the
 * spool. An index that begins asks here whether there were any; so does sluice find, of
 * streams that no policy has any more. One thread.
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

struct roster_stream {
    char name[INDEX_STREAM_MAX];
    uint32_t first;   /* epoch: of the first process that had it in its policy */
    int64_t until_ms; /* when it left the policy; 0: it has not */
};

/* The sink may pass over events of the stream, if the spool lets them go (max_lag). */
struct roster_skip {
    char stream[INDEX_STREAM_MAX], sink[96];
};

struct roster {
    uint32_t begin, until; /* epochs: of the processes that kept it, first and last */
    int64_t begin_ms;      /* when it was begun: streams before that are not known */
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
/* The policy has the n streams now; live: and no other. True: something has changed. */
bool roster_note(struct roster *r, const char *const *names, uint32_t n, bool live,
                 int64_t now_ms);

/* These sinks may, and no others. The same. */
bool roster_note_skips(struct roster *r, const struct roster_skip *list, uint32_t n);
bool roster_skips(const struct roster *r, const char *stream, const char *sink);

/* False and *e: the file is not there, or is as before. Blocks while the disk does. */
bool roster_write(const struct roster *r, const char *spool, struct err *e) MUST_USE;

/* From which epoch on the stream's whole life is known to an index that begins now, and since
 * when: 1: it has had no event before. */
uint32_t roster_known(const struct roster *r, const char *stream, int64_t now_ms,
                      int64_t *since_ms);
