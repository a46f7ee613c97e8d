/*
 * archive - one stream's growing file: whole frames, each known to the journal
 * before it counts.
 *
 *   archive_replay* -> archive_recover -> archive_append*, archive_seal* -> archive_fini
 *
 * The steps, and what a crash between any two of them leaves:
 *
 *   append   bytes to .part ─► (fdatasync) ─► FILE name, length, ranges
 *              └─ .part longer than FILE: cut; shorter: back to the last FILE that
 *                 its bytes reach, the ranges behind it are delivered again
 *   seal     fdatasync ─► SEAL name, length ─► rename ─► fsync(dir)
 *              └─ no final name yet: cut and renamed; else a consumer has it
 *
 * The sink's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "sink/sink.h"

struct archive {
    char dir[3072];
    char stream[72];
    char uuid8[9];
    enum compress compress;    /* of the file in hand */
    char name[256];            /* final name of the file in hand; "": none */
    int fd;                    /* of its .part; -1: not open */
    uint64_t length;           /* of its whole frames */
    uint64_t number;           /* of the last file */
    int64_t begun_ms;          /* wall clock */
    bool unsynced;             /* bytes may be in the page cache only */
    bool doubtful;             /* a sync failed: nothing more goes into it */
    bool sealing;              /* replay: SEAL was seen, the rename may not be */
    bool mentioned;            /* the journal knows of it */
    bool named;                /* so does the folder, also after a power cut */
    /* The FILE records of the file in hand, in order: where each left it. */
    struct archive_step {
        uint64_t length;
        struct batch_range *ranges;
        uint32_t n, room;
    } *steps; /* steps_room of them */
    uint32_t n_steps, steps_room;
};

void archive_init(struct archive *a, const char *stream, const char *dir,
                  const char *uuid);
void archive_fini(struct archive *a);

/* The next file goes to dir; only between two files. */
void archive_move(struct archive *a, const char *dir);

/* A FILE or SEAL record of this stream. */
void archive_replay(struct archive *a, const struct record *r,
                    sink_settle_fn *settle, void *arg);

/* After the last record: brings the folder in line, settles what is there. */
bool archive_recover(struct archive *a, sink_settle_fn *settle, void *arg,
                     struct journal *j, struct err *e) MUST_USE;

/* Appends a frame with b's events. False and *e: nothing of it counts; may be
 * tried again. */
bool archive_append(struct archive *a, enum compress how, struct str frame,
                    const struct batch *b, bool synced, int64_t wall_ms,
                    struct journal *j, struct err *e) MUST_USE;

/* Ends the file in hand and gives it its name. True when there is none. */
bool archive_seal(struct archive *a, struct journal *j,
                  struct err *e) MUST_USE;

/* What a new journal must say of it. */
void archive_emit(struct archive *a, struct journal_draft *draft);
