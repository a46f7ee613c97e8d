/*
 * spool - the queue: accepted events on disk, in shards of segments of blocks.
 *
 *   spool/EPOCH LOCK UUID            this process's epoch
 *   spool/STREAM/E.W/N.seg           shard (epoch E, worker W), segment N
 *
 *        worker                         housekeeping              delivery
 *   spool_writer_append*                prepares segments,        spool_cursor_next
 *   spool_writer_commit ─► one write    syncs, write-back,   ◄─── spool_cursor_release
 *        │                              recycles, deletes               ▲
 *        └── committed sequence (atomic) ──► wake ─────────────────┘
 *
 * spool_open and spool_stream belong to the supervisor; a writer to its worker;
 * a consumer and its cursors to its delivery thread. Callbacks run on the thread
 * that made the progress and only wake loops.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct spool;
struct spool_writer;
struct spool_consumer;
struct spool_cursor;

enum {
    SPOOL_BLOCK_BYTES = 1 << 20,
    SPOOL_KEY_MAX = UINT16_MAX,
    SPOOL_STREAMS_MAX = 64
};

struct spool_conf {
    const char *dir;        /* made if missing */
    uint64_t segment_bytes; /* multiple of 4096, >= 1 MiB */
    uint32_t n_workers;     /* 1..1024 */
    int64_t lock_ms;        /* the wait for a process that just ends; 0: none */
};

/* Takes the lock, raises the epoch, recovers the files, starts the housekeeping thread.
 * NULL and *e: locked by another process, unwritable, foreign format. */
struct spool *spool_open(const struct spool_conf *conf, struct err *e) MUST_USE;

/* Ends the housekeeping thread, which puts the files away: all writers, cursors and
 * consumers are closed before. False: by until_ns (clock_mono_ns) it has not come back
 * from a call to the disk, and spool_close would wait for it. */
bool spool_stop(struct spool *s, uint64_t until_ns) MUST_USE;

/* Frees the memory, after spool_stop or instead of it. */
void spool_close(struct spool *s);

/* All consumers of earlier processes' events are open: from now on segments that no
 * consumer needs are reused. */
void spool_ready(struct spool *s);

/* spool_ready was not called: this process has deleted nothing yet, and the shards that
 * spool_shards lists are all that the disk has. */
bool spool_consumer_recovers(const struct spool_consumer *c);

/* The end is near: no segment is reused or deleted any more, because consumers are
 * about to close that still need theirs. */
void spool_rest(struct spool *s);
uint32_t spool_epoch(const struct spool *s);

/* ---- identity.c ---- */

/* 16 bytes as 8-4-4-4-12 hex, NUL-terminated. */
const char *spool_uuid(const struct spool *s);
/* The uuid that names the events of the shards of that epoch: a spool that was copied
 * or moved has a new one since then. */
const char *spool_uuid_of(const struct spool *s, uint32_t epoch);
/* False and *e: the directory was moved, removed or unmounted, so that nothing may be changed
 * by its name: what stands there is not this spool. Asks the disk; any thread. */
bool spool_in_place(const struct spool *s, struct err *e) MUST_USE;

/* ---- presence.c: ask the disk; any thread ---- */

/* False and *e: as spool_in_place, or the files that the stream's workers write to were moved or
 * removed. */
bool spool_stream_in_place(const struct spool *s, int stream, struct err *e) MUST_USE;
/* The same of all streams. The housekeeper looks; where the disk takes longer than half a
 * second: as it was at the last look. */
bool spool_whole(struct spool *s, struct err *e) MUST_USE;

/* ---- spool.c: streams (supervisor) ---- */

struct spool_stream_conf {
    const char *name;   /* [a-z0-9_-]{1,64}; also a folder */
    uint64_t max_bytes; /* of its segments */
    bool synced;        /* ack = "synced" */
    bool delivered;     /* ack = "delivered" */
};

/* Opens or alters the stream; the id (0..63) is the same for the same name as
 * long as the process lives. -1 and *e on error. */
int spool_stream(struct spool *s, const struct spool_stream_conf *conf,
                 struct err *e) MUST_USE;

/* The stream of that name as it is, or, when the process has not opened it, earlier
 * processes' events of it: to be read, not written to. -1 and *e on error. */
int spool_stream_left(struct spool *s, const char *name, struct err *e) MUST_USE;

/* Names of streams that lie in the spool's folder, and that the process has not opened:
 * no sink reads them. */
typedef void spool_left_fn(void *arg, const char *name);
void spool_streams_left(const struct spool *s, spool_left_fn *fn, void *arg);

/* The policy has these streams. Segments of another one are freed once its last
 * consumer has released them all and is closed; otherwise it keeps its events. */
void spool_streams_used(struct spool *s, const int *ids, uint32_t n);

/* The owner of the stream's series, also for those of its workers: scrapes show them but
 * while it is freed. */
struct stats_owner;
struct stats_owner *spool_stream_series(const struct spool *s, int stream);

/* Bytes on disk in the stream that were left by an earlier process. */
uint64_t spool_stream_bytes(const struct spool *s, int stream);

/* ---- writer.c: writing (one worker) ---- */

enum spool_result {
    SPOOL_OK = 0,
    SPOOL_FULL,  /* no room for the stream, or no segment could be prepared in time */
    SPOOL_FAILED /* the disk said no: nothing of the block is stored */
};

/* Called on the housekeeping thread when spool_writer_synced went up or a
 * segment was poisoned; must only wake the worker's loop. */
typedef void spool_wake_fn(void *arg);

/* The shard of (this epoch, worker) in the stream. Opens no segment yet. */
struct spool_writer *spool_writer_open(struct spool *s, int stream, uint32_t worker,
                                       spool_wake_fn *wake, void *wake_arg);
void spool_writer_close(struct spool_writer *w); /* drops pending events */

/* Whether the clients of the next blocks wait for a sync; at first as the stream says. A
 * worker goes on with the settings before for some time after spool_stream has new ones:
 * what it promises then is kept when a sync fails. */
void spool_writer_waits(struct spool_writer *w, bool waits);

/* Where the next event's bytes (at most n) may be written; valid until the
 * next call on w. NULL: the pending block would pass SPOOL_BLOCK_BYTES and is not
 * empty: commit first. */
char *spool_writer_room(struct spool_writer *w, size_t n) MUST_USE;
/* The bytes of the largest event that it takes: a block is in one segment. */
size_t spool_writer_most(const struct spool_writer *w);

enum spool_entry_flag {
    ENTRY_KEY_ESCAPED = 1,
    ENTRY_EDITED = 2,
    ENTRY_REPLAYED = 4,
    ENTRY_KEY_UNKNOWN = 8 /* key_off and key_len say nothing: look into the event */
};

/* Closes the event of n bytes that was written at spool_writer_room; adds its
 * newline. key_off and key_len: its partition key within the event, as it stands
 * there; 0, 0: it has none. key_len is at most SPOOL_KEY_MAX. */
void spool_writer_append(struct spool_writer *w, uint32_t n, uint32_t key_off,
                         uint32_t key_len, uint32_t flags);

/* The name of the key whose places are noted from now on, as a hash (0: none), and
 * whether each event's identity is noted. One block has one way: false when events of
 * another are pending, commit first. */
bool spool_writer_key(struct spool_writer *w, uint64_t key_hash, bool identified);

/* The identity of the event that spool_writer_append has just closed; those that are not
 * said are zeros. Only while identities are noted. */
struct spool_identity;
void spool_writer_identify(struct spool_writer *w, const struct spool_identity *id);

/* Where the id of the event that spool_writer_append has just closed stands in it. In
 * memory only, until the commit. The first call makes the room. */
enum spool_note_kind {
    SPOOL_NOTE_UNKNOWN = 0, /* nothing was noted */
    SPOOL_NOTE_NONE,        /* it has no id */
    SPOOL_NOTE_PLAIN,       /* the text from off on, len bytes, is the id */
    SPOOL_NOTE_ESCAPED      /* the same with JSON's escapes */
};
struct spool_note {
    uint32_t off, tag; /* tag: kind | len << 2 */
};
enum { SPOOL_NOTE_MAX = UINT32_MAX >> 2 }; /* bytes of an id */
void spool_writer_note(struct spool_writer *w, struct spool_note note);

/* The pending events, until the next call on w. notes: NULL: there never was one. */
struct spool_pending {
    const char *payload;
    const struct spool_entry *entries;
    const struct spool_note *notes;
    uint32_t n;
};
struct spool_pending spool_writer_events(const struct spool_writer *w);

/* Drops the pending events after the mark, as one request refuses its batch. */
uint32_t
spool_writer_mark(struct spool_writer *w); /* events pending; a request begins */
void spool_writer_rollback(struct spool_writer *w, uint32_t mark);

size_t spool_writer_pending(const struct spool_writer *w);     /* bytes of the block */
size_t spool_writer_event_bytes(const struct spool_writer *w); /* of its events alone */

/* Writes the pending events as one block with one pwrite. SPOOL_OK: *last is the
 * sequence of the last event (unchanged if nothing was pending). Otherwise
 * nothing of it is stored. In each case nothing is pending afterwards.
 * policy8: first 8 bytes of the policy's hash. */
enum spool_result spool_writer_commit(struct spool_writer *w, int64_t wall_ms,
                                      uint64_t policy8, uint64_t *last) MUST_USE;

/* A block that lies in a shard of this process, and where. */
struct spool_written {
    uint64_t first;       /* sequence of its first event */
    uint64_t number, off; /* its segment, and its place in that */
    int64_t wall_ms;
    uint64_t policy8;
    uint32_t bytes, payload_bytes, n;
};
/* The block of the last commit that was SPOOL_OK. */
const struct spool_written *spool_writer_written(const struct spool_writer *w);

/* The last sequence known to be on stable storage. */
uint64_t spool_writer_synced(const struct spool_writer *w);

/* A request waits until seq is synced: it will be, also when the stream is no longer a
 * synced one by then, as after a reload. The worker. */
void spool_writer_want(struct spool_writer *w, uint64_t seq);

/* The last sequence that no consumer of the stream needs any more; known for
 * streams with delivered set. */
uint64_t spool_writer_delivered(const struct spool_writer *w);

/* True when sequence seq will never be synced (its segment is poisoned). To be asked
 * after spool_writer_synced and spool_writer_delivered, because those pass lost
 * events. */
bool spool_writer_lost(const struct spool_writer *w, uint64_t seq);

/* True when sequence seq will never be delivered for that. To be asked likewise. */
bool spool_writer_gone(const struct spool_writer *w, uint64_t seq);

/* ---- awaited.c ---- */

/* Of events first .. first + n - 1, which are delivered: those that some sink could
 * not take, or skipped. Forgotten in time: to be asked at once. */
void spool_writer_unconfirmed(const struct spool_writer *w, uint64_t first, uint64_t n,
                              uint64_t *dead, uint64_t *skipped);

/* Whether a sink that the stream's events are awaited from can't be reached now. Any
 * thread; no lock. */
bool spool_blocked(const struct spool *s, int stream);

/* ---- writable.c ---- */

/* Whether the disk takes events: segments can be prepared, and the last blocks were written, in
 * all streams. Any thread; no lock. */
bool spool_writable(const struct spool *s);
bool spool_stream_writable(const struct spool *s, int stream); /* in that one */
/* The reason, while it does not; any thread. */
void spool_why_unwritable(struct spool *s, char *out, size_t n);

/* ---- room.c ---- */

/* Reserves bytes of the stream as a body arrives; false: full, answer 503.
 * Any thread; no lock. */
bool spool_reserve(struct spool *s, int stream, uint64_t bytes) MUST_USE;
/* Whether it would, now; takes nothing. */
bool spool_has_room(const struct spool *s, int stream, uint64_t bytes);
void spool_release(struct spool *s, int stream, uint64_t bytes);
/* Whether w has room for a request's bytes in its own segments; true until it is known that
 * there is no other one for it. sure: the request is for more streams, and what only some of
 * them take would be stored again with each retry; false also where pending bytes must be
 * committed first. The worker. */
bool spool_writer_fits(const struct spool_writer *w, uint64_t bytes, bool sure);
/* The same for a request that nothing else refuses: until it is committed no other stream gets
 * the segment that it needs. */
bool spool_writer_keep(const struct spool_writer *w, uint64_t bytes, bool sure);

/* Share of max_bytes in use, the fullest stream, 0..100, whether or not the disk takes
 * events; for /readyz. *writable: spool_writable. */
unsigned spool_used_percent(struct spool *s, bool *writable);
/* The same of one stream; at 100 it takes nothing. */
unsigned spool_stream_percent(const struct spool *s, int stream);

/* ---- retention.c: reading (one delivery thread) ---- */

struct spool_pos {
    uint32_t epoch, worker;
    uint64_t seq; /* from 1 */
};

/* Where each shard of this process ends now: the one after the last event that was
 * committed, readable yet or not. A shard without events is left out; returns how
 * many there are and fills up to max. */
uint32_t spool_ends(struct spool *s, int stream, struct spool_pos *out, uint32_t max);

struct spool_consumer_conf {
    const char *name;       /* the sink's */
    bool passive;           /* no destination: acknowledgements do not wait for it, and
                               it is not what a stream's events are kept for */
    bool skip;              /* when_full = "skip" */
    uint64_t max_lag_bytes; /* with skip */
    /* It goes on in that one's stead, of the same stream: requests that wait for that one
     * wait for it. NULL: requests from before now do not. Only for the call. */
    const struct spool_consumer *before;
    spool_wake_fn *wake; /* new blocks to read; any thread */
    void *wake_arg;
};

/* Registers a reader of the stream: no segment that it has not released is
 * recycled. */
struct spool_consumer *spool_consumer_open(struct spool *s, int stream,
                                           const struct spool_consumer_conf *c);
void spool_consumer_close(struct spool_consumer *c);

/* Other settings of skip; the rest stays. */
void spool_consumer_apply(struct spool_consumer *c, bool skip, uint64_t max_lag_bytes);

/* ---- awaited.c ---- */

/* Whether it can't deliver now: see spool_blocked. */
void spool_consumer_block(struct spool_consumer *c, bool blocked);

/* Events of a live shard that it lets go unconfirmed: to be said before they are
 * released. Where no request waits for deliveries it costs nothing. */
enum spool_unconfirmed { SPOOL_DEAD, SPOOL_SKIPPED, SPOOL_UNCONFIRMED };
void spool_consumer_note(struct spool_consumer *c, struct spool_pos pos, uint64_t n,
                         enum spool_unconfirmed how);

/* ---- retention.c ---- */

/* No request waits for c any more, and it needs only the events before its ends: shards
 * of epochs before `epoch` to their own end, those of that epoch as listed (copied),
 * nothing else. Also again, with other ends. */
void spool_consumer_leave(struct spool_consumer *c, uint32_t epoch,
                          const struct spool_pos *ends, uint32_t n);
/* It needs all again, as far as that is still there. */
void spool_consumer_return(struct spool_consumer *c);

/* Where a shard of this process ends now, as spool_ends says; 1 without events,
 * UINT64_MAX for a shard of another process. It goes back when a sync fails: nobody
 * reads what was written after the last good one. */
uint64_t spool_end(struct spool_consumer *c, uint32_t epoch, uint32_t worker);

/* Shards that may have events for c, oldest epoch first; returns how many there
 * are and fills up to max of them. A shard that c has finished is left out. */
struct spool_shard_id {
    uint32_t epoch, worker;
    uint64_t first; /* first sequence still on disk */
    uint64_t next;  /* the one after the last that can be read now */
    bool live;      /* of this epoch: may grow */
};
uint32_t spool_shards(struct spool_consumer *c, struct spool_shard_id *out,
                      uint32_t max);

/* Shards of earlier processes that have events, of any reader. */
struct spool_earlier {
    uint32_t last, older; /* of the process before this one, and of those before it */
    bool whole;           /* each still has its first event */
};
void spool_earlier(struct spool *s, int stream, struct spool_earlier *out);

struct spool_entry {   /* as on disk */
    uint32_t off, len; /* in the payload; len without the newline */
    uint32_t key_off;  /* in the event */
    uint16_t key_len, flags;
};

/* What an event is recognised by, where its stream remembers that: a keyed hash; all
 * zeros: it has none. */
struct spool_identity {
    uint64_t hash[2];
};

/* Sequences at or after *pos that the spool had and has no more, though it has later
 * ones: from *pos, which is moved there, to before *end. False: there are no such
 * sequences. */
bool spool_hole(struct spool_consumer *c, struct spool_pos *pos, uint64_t *end);

/* ---- cursor.c ---- */

struct spool_block {
    uint64_t first; /* sequence of events[0] */
    uint32_t n;
    uint32_t payload_bytes;
    const char *payload; /* NDJSON; each event ends in a newline */
    const struct spool_entry *entries;
    const struct spool_identity *identities; /* of its events; NULL: not noted */
    int64_t wall_ms;
    uint64_t policy8;
    uint64_t key_hash; /* of the name of the key that entries note; 0: none */
};

enum spool_read {
    SPOOL_READ_OK = 0,
    SPOOL_READ_AGAIN, /* nothing more now; wake comes */
    SPOOL_READ_END,   /* an old shard, read to its end */
    SPOOL_READ_GAP,   /* damage, power loss or skip: *lost events are gone,
                         the cursor stands after them */
    SPOOL_READ_VOID   /* the same for *lost sequences that a failed sync left: no client
                         was promised their events */
};

/* Starts at pos.seq (1: the start; released or lost events are a gap). */
struct spool_cursor *spool_cursor_open(struct spool_consumer *c, struct spool_pos pos);
void spool_cursor_close(struct spool_cursor *cur);

/* Reads the next block by pread into the cursor's buffer, checks its crc; views
 * live until the next call on cur, and 64 bytes after the payload can be read. The first block may hold events before the
 * start: skip those with first + i < pos.seq. */
enum spool_read spool_cursor_next(struct spool_cursor *cur, struct spool_block *out,
                                  uint64_t *lost);

/* The same for a caller that has what it needs of the block `given`: where that is the
 * next one, and can be read by now, it is passed over unread. *out then has payload NULL
 * and what `given` says. */
enum spool_read spool_cursor_next_but(struct spool_cursor *cur,
                                      const struct spool_written *given,
                                      struct spool_block *out, uint64_t *lost);

/* Lets go of a segment that was given up for c (when_full = "skip"), though nothing
 * is read now: it can't be reused before. Views of the last block stay. */
void spool_cursor_rest(struct spool_cursor *cur);
/* Events given up that cur has not yet come to. */
uint64_t spool_cursor_skipping(const struct spool_cursor *cur);

/* c needs nothing before seq of this shard any more (persist that first). */
void spool_cursor_release(struct spool_cursor *cur, uint64_t seq);

/* ---- durable.c: what a power cut can't take any more; the consumer's thread ---- */

enum spool_durable {
    SPOOL_DURABLE = 0,
    SPOOL_DURABLE_SOON, /* it was asked for; c is woken then */
    SPOOL_DURABLE_ASK   /* its writer is closed, or of an earlier epoch: only
                           spool_make_durable brings it about */
};
/* Whether the events before pos.seq are on stable storage, or lost (spool_lost). */
enum spool_durable spool_durable(struct spool_consumer *c, struct spool_pos pos);
/* Whether that event was lost by a sync that failed; to be asked after spool_durable. */
bool spool_lost(struct spool_consumer *c, struct spool_pos pos);
/* Puts the whole shard on stable storage. Blocks while the disk does. False and *e: it is
 * not known to be there. */
bool spool_make_durable(struct spool_consumer *c, uint32_t epoch, uint32_t worker,
                        struct err *e) MUST_USE;

/* ---- lag.c ---- */

/* Bytes of the stream's blocks that c has not released: within a segment by their
 * share of its events. 0 only when there are none. */
uint64_t spool_consumer_lag(const struct spool_consumer *c);

/* When the oldest event arrived that c has read and not released (wall clock, ms). 0:
 * there is no such event. The consumer's thread. */
int64_t spool_consumer_oldest(const struct spool_consumer *c);
