/*
 * archive - one stream's growing file: whole frames, each known to the journal
 * before it counts.
 *
 *   archive_replay* -> archive_recover -> archive_append*, archive_seal* -> archive_fini
 *
 * The steps, and the state after a crash between any two of them:
 *
 *   begin    FILE name, 0 ─► a new .part, never one that is there
 *              └─ a .part that no record names is left alone
 *   append   bytes to .part ─► (fdatasync) ─► the .part still has its name? ─►
 *            FILE name, length, ranges
 *              └─ .part longer than FILE: cut; shorter: back to the last FILE that
 *                 its bytes reach, the ranges after it are delivered again
 *   seal     fdatasync ─► SEAL name, length ─► rename ─► fsync(dir)
 *              └─ no final name yet: cut and renamed; else a consumer has it
 *
 * After a failed fdatasync the kernel may have dropped pages, and a second call
 * succeeds all the same. So the file is copied, and the copy is synced.
 *
 * archive.c and copy.c write, recover.c reads an earlier process's files, names.c knows
 * the folder. The sink's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "sink/sink.h"

enum { ARCHIVE_PATH_BYTES = 4096 };

struct archive {
    char dir[3072];
    const char *root;    /* the data directory; NULL: unknown */
    char begun_in[3072]; /* replay: where the file in hand was begun; "": unknown */
    char stream[72];
    char uuid8[9];
    enum compress compress; /* of the file in hand */
    char name[256];         /* final name of the file in hand; "": none */
    char last[256];         /* of the file before it; "": none is known */
    uint64_t last_length;
    int fd; /* of its .part; -1: not open */
    dev_t dev;
    ino_t ino;             /* of that */
    uint64_t length;       /* of its whole frames */
    uint64_t number;       /* of the last file */
    int64_t begun_ms;      /* wall clock: goes to the journal */
    int64_t begun_mono_ms; /* the time that its age counts from */
    bool unsynced;         /* bytes may be in the page cache only */
    bool doubtful;         /* a sync failed: nothing more goes into it */
    bool sealing;          /* replay: SEAL was seen, the rename may not be */
    bool mentioned;        /* the journal may know of frames in it */
    bool named;            /* its name outlives a power cut */
    bool renamed;          /* it has its final name, which may not outlive one yet */
    bool elsewhere;        /* recovery: dir is not the policy's */
    bool told;             /* the log says that it can't be finished: */
    int64_t pause_ms;      /* since its last try it waits so long, */
    int64_t again_mono_ms; /* until then */
    /* The FILE records of the file in hand, in order: where each left it. */
    struct archive_step {
        uint64_t length;
        struct batch_range *ranges;
        uint32_t n, room;
    } * steps; /* steps_room of them */
    uint32_t n_steps, steps_room;
};

void archive_init(struct archive *a, const char *stream, const char *dir,
                  const char *uuid);
void archive_fini(struct archive *a);

/* The next file goes to dir; only between two files. */
void archive_move(struct archive *a, const char *dir);

/* How long ago the file in hand was begun; 0: there is no file. */
int64_t archive_age_ms(const struct archive *a);

/* Appends a frame with b's events. False and *e: nothing of it counts; may be
 * tried again. */
bool archive_append(struct archive *a, enum compress how, struct str frame,
                    const struct batch *b, bool synced, struct journal *j,
                    struct err *e) MUST_USE;

/* Ends the file in hand and gives it its name. True when there is no file. */
bool archive_seal(struct archive *a, struct journal *j, struct err *e) MUST_USE;

/* The records that a new journal must have of it. */
void archive_emit(struct archive *a, struct journal_draft *draft);

/* ---- recover.c ---- */

/* A FILE or SEAL record of this stream. */
void archive_replay(struct archive *a, const struct record *r, sink_ack_fn *ack,
                    void *arg);

/* After the last record: brings the folder in line, acknowledges the events in it. A file
 * that was begun in another folder is still there, unless people have moved it: then dir
 * is that folder, until archive_move. */
bool archive_recover(struct archive *a, sink_ack_fn *ack, void *arg,
                     struct err *e) MUST_USE;

/* ---- archive.c: for copy.c, recover.c and names.c ---- */

void archive_note_step(struct archive *a, uint64_t length,
                       const struct batch_range *ranges, uint32_t n);
void archive_forget_steps(struct archive *a, uint32_t from);
/* Nothing is in hand any more; its name and length are those of the last file. */
void archive_end_file(struct archive *a);

/* ---- names.c ---- */

enum { ARCHIVE_ID_BYTES = 3072 + sizeof RECORD_FILE_DIR };
/* dir as a record's id has it, in out (ARCHIVE_ID_BYTES); and back to begun_in. */
struct str archive_dir_id(const struct archive *a, char *out);
void archive_take_dir(struct archive *a, struct str id);
/* ARCHIVE_PATH_BYTES each. */
void archive_paths(const struct archive *a, char *part, char *final);
/* The number in a name of this stream and spool; 0: it is not one of them. */
uint64_t archive_number_of(const struct archive *a, const char *name);
enum compress archive_compress_of(const char *name);
/* Sets a->name to the next name that no file in the folder has. */
bool archive_next_name(struct archive *a, enum compress how, struct err *e) MUST_USE;
/* Passes the numbers that the folder's files have. */
void archive_look_around(struct archive *a);
/* Gives part the name final, which no other file has. */
bool archive_rename(const char *part, const char *final, struct err *e) MUST_USE;

/* ---- copy.c ---- */

/* A new file of that path as a->fd. */
bool archive_open_part(struct archive *a, const char *path, struct err *e) MUST_USE;
/* A sync failed: the frames that count are written once more, to a file whose first
 * sync tells whether they are on the disk, and which takes the place of the other. */
bool archive_copy(struct archive *a, struct err *e) MUST_USE;
/* A copy that a crash or a failed unlink left; its name is ours by the journal. */
void archive_remove_copy(const struct archive *a);
