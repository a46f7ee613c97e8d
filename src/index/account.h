/*
 * account - which events of a stream its index is to have, and which it is known not to
 * have. The file index/ACCOUNT: lines of text, the last one a checksum of those before.
 *
 *   index_account_init | index_account_read
 *     -> index_account_note_*, index_account_add_hole, ... -> index_account_write
 *     -> index_account_free
 *
 * An index file says what it has; only this says what no file has: events of a time when
 * the index was off, files that the disk did not take, files that are gone. Each shard
 * begins with sequence 1, so what is neither in a file nor in a segment nor before `from`
 * is missing. Pure, but for account_file.c; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "index/format.h"

struct err;

enum {
    ACCOUNT_LINES_MAX = 4096,   /* of a kind; older ones are told less exactly */
    ACCOUNT_GAPS_MAX = 16,      /* the same */
    ACCOUNT_BYTES_MAX = 8 << 20 /* of the file */
};

/* Why no index file has an event. */
enum index_account_why {
    ACCOUNT_OFF = 0, /* the stream had no index */
    ACCOUNT_UNREAD,  /* the index was off before it had read it */
    ACCOUNT_DISK,    /* the disk took no file */
    ACCOUNT_GONE,    /* its file was not written, or is gone */
    ACCOUNT_WHYS
};

/* Sequences of a shard, end not among them. */
struct index_run {
    uint32_t epoch, worker;
    uint64_t first, end;
};

/* The index was on or off from then on. */
struct index_account_epoch {
    uint32_t epoch;
    bool on;
    int64_t since_ms;
    char field[INDEX_FIELD_MAX]; /* on: path of the ids */
};

/* The events of a shard that the index is to have. end 0: it still grows. What is before
 * `from` is older than the index, or was removed for its age. */
struct index_account_shard {
    uint32_t epoch, worker;
    uint64_t from, end;
};

struct index_account_hole {
    struct index_run at;
    int64_t since_ms, until_ms; /* its events were accepted then; since 0: unknown */
    enum index_account_why why;
};

/* Epochs of which nobody knows whether the index has all events. */
struct index_account_gap {
    uint32_t first, last; /* epochs */
    int64_t since_ms, until_ms;
};

struct index_account {
    char uuid[40];  /* of the spool, in the epoch `until` */
    uint32_t begin, /* epoch: of earlier ones it knows nothing; 1: there is nothing */
        until;      /* of the last process that kept it */
    int64_t begin_ms, until_ms; /* when these began it, and came to it */
    struct index_account_epoch *epochs;
    struct index_account_shard *shards;
    struct index_account_hole *holes;
    struct index_account_gap gaps[ACCOUNT_GAPS_MAX];
    uint32_t n_epochs, epochs_room, n_shards, shards_room, n_holes, holes_room, n_gaps;
};

/* ---- account.c ---- */

/* Of a process that finds none. */
void index_account_init(struct index_account *a, uint32_t epoch, int64_t now_ms);
void index_account_free(struct index_account *a);

/* The index is on (with that field) or off (NULL) in the epoch from then on. */
void index_account_note_epoch(struct index_account *a, uint32_t epoch,
                              const char *field, int64_t now_ms);
/* The field of the epoch's last index; NULL: it had none. */
const char *index_account_field_of(const struct index_account *a, uint32_t epoch);

/* NULL: nothing is noted of it. */
struct index_account_shard *index_account_shard_of(const struct index_account *a,
                                                   uint32_t epoch, uint32_t worker);
/* The shard's events from `from` on are to be in the index: as noted before, or so. */
struct index_account_shard *index_account_note_shard(struct index_account *a,
                                                     uint32_t epoch, uint32_t worker,
                                                     uint64_t from);

/* A hole that begins where one of its shard and reason ends makes that one longer. */
void index_account_add_hole(struct index_account *a,
                            const struct index_account_hole *h);
void index_account_add_gap(struct index_account *a, const struct index_account_gap *g);

/* Sequences before `end` are not missed any more, if no hole names them. */
void index_account_drop(struct index_account *a, uint32_t epoch, uint32_t worker,
                        uint64_t end);

/* Drops holes and gaps until before `ms`, and the doubt of what was before `begin`. True:
 * some went. */
bool index_account_expire(struct index_account *a, int64_t ms);

/* Forgets shards before the epoch of which neither a run nor a hole is left. */
void index_account_tidy(struct index_account *a, uint32_t epoch,
                        const struct index_run *runs, uint32_t n);

/* Before index_account_missing: adds a gap for each epoch of which shards went before a
 * process noted their end, as under a policy without the stream. last: the last epoch
 * whose process may have removed some. segments: what the spool has, sorted. */
void index_account_close(struct index_account *a, uint32_t last,
                         const struct index_run *segments, uint32_t n, int64_t now_ms);

/* Why events of the range are in no file, by what is noted of the epochs. */
enum index_account_why index_account_why(const struct index_account *a,
                                         const struct index_run *range);
/* When the epoch's index was switched on or off first, and the next one's; 0: unknown. */
int64_t index_account_since(const struct index_account *a, uint32_t epoch);
int64_t index_account_end(const struct index_account *a, uint32_t epoch);

/* By shard and sequence. */
void index_runs_sort(struct index_run *runs, uint32_t n);

/* Calls fn with each range that none of the n runs (sorted) has and that is to be there:
 * h, valid during the call, tells why it is not; NULL: no hole tells. a NULL: ranges
 * between two runs of a shard. fn may add holes. */
typedef void index_account_part_fn(void *arg, const struct index_run *part,
                                   const struct index_account_hole *h);
void index_account_missing(const struct index_account *a, const struct index_run *runs,
                           uint32_t n, index_account_part_fn *fn, void *arg);

/* ---- account_text.c ---- */

/* With a gap of the epochs before `begin`, if it is not there. False and *e: the text is not
 * whole, or of another version; *a is empty then. */
bool index_account_parse(struct index_account *a, const char *text, size_t n,
                         struct err *e) MUST_USE;
/* To be freed; *n: its bytes. */
char *index_account_text(const struct index_account *a, size_t *n);

/* ---- account_file.c ---- */

/* False and *e: the file is not there, or is as before. Blocks while the disk does. */
bool index_account_write(const struct index_account *a, const char *path,
                         struct err *e) MUST_USE;

/* Beside the index's folder, for an account that can't be written there: a process of that
 * epoch can't note what it takes. */
void index_account_mark(const char *path, uint32_t epoch, int64_t now_ms);
/* The account is written: the marks are in it. */
void index_account_unmark(const char *path);
/* Adds a gap, until then, for each process before that epoch that left a mark after the
 * account was written last. */
void index_account_read_marks(struct index_account *a, const char *path, uint32_t epoch,
                              int64_t until_ms);

enum index_account_read {
    ACCOUNT_READ = 0,
    ACCOUNT_NONE,      /* there is no file */
    ACCOUNT_BAD,       /* *e: it is damaged */
    ACCOUNT_UNREADABLE /* *e: the disk does not give it */
};
/* Unless it is ACCOUNT_READ, *a is empty. Blocks while the disk does. */
enum index_account_read index_account_read(struct index_account *a, const char *path,
                                           struct err *e) MUST_USE;
