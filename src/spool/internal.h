/*
 * internal - the parts that the files of this room share. No other file includes it.
 *
 *   spool.c     the folder; streams
 *   room.c      whether a stream takes more, and how full it is
 *   identity.c  its lock, epoch and uuid
 *   presence.c  whether its files still have their names
 *   recover.c   an earlier process's files, shard by shard
 *   found.c     the kind of one of its files, and where its blocks end
 *   blocks.c    the blocks of one file, past damaged ones
 *   damage.c    bytes that are no block any more: counted, told, kept
 *   segment.c   one file: made, recycled, opened, deleted
 *   writer.c    a worker's end of a shard
 *   roll.c      its way from one segment to the next
 *   housekeeper.c    the housekeeping thread: prepares, syncs
 *   writable.c  whether the disk takes events
 *   shortage.c  who does without a segment where not all can have one
 *   reclaim.c   segments that no sink needs: reused or deleted
 *   undeleted.c those that the disk does not delete
 *   retention.c which sinks still need which segments
 *   lag.c       how far they are behind
 *   awaited.c   the progress that ack = "delivered" waits for
 *   durable.c   events that a power cut can't take any more
 *   cursor.c    reading a shard
 *
 * spool.lock guards the lists (shards, segments, places) and is never held over
 * I/O. A worker takes it never; it meets the housekeeper in the atomics of
 * its shard and segments.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/latch.h"
#include "spool/format.h"
#include "stats/stats.h"

enum {
    STREAMS_MAX = SPOOL_STREAMS_MAX,
    CONSUMERS_MAX = 160, /* a stream: each sink, and the one that it was before */
    FREE_MAX = 2,        /* warm segments a shard */
    WARM_MS = 60000,
    PROVE_MS = 1000, /* between two tries of a disk that failed */
    WRITE_BACK_BYTES = 8 << 20,
    MARKS_MAX = 4096,
    LOST_MAX = 64,
    NAMES_MAX = 64,
    AGES_MAX = 32
};

#define DAMAGED_DIR "damaged" /* in the spool's folder */

/* Where a segment's blocks end and how many events they hold, in one word:
 * end / 8 << 32 | n. */
static inline uint64_t tail_of(uint64_t end, uint64_t n)
{
    return end / 8 << 32 | n;
}
static inline uint64_t tail_end(uint64_t tail)
{
    return (tail >> 32) * 8;
}
static inline uint64_t tail_n(uint64_t tail)
{
    return tail & UINT32_MAX;
}

enum segment_state {
    SEGMENT_PREPARED, /* the housekeeper has made it; nothing in it */
    SEGMENT_USED,     /* blocks are, or may be, in it */
    SEGMENT_FREE      /* released and warm: to be recycled */
};

struct segment {
    struct segment *next; /* in the shard, by number; or of the free ones */
    struct shard *shard;
    int fd; /* the writer's and the housekeeper's, -1: closed. Changes under
                             lock; cursors open their own */
    uint64_t number, bytes;
    uint64_t made_bytes; /* old: that it had when it was made */
    dev_t dev;           /* of the file; ino 0: not known */
    ino_t ino;
    uint32_t salt;
    uint64_t first;           /* valid once USED */
    _Atomic uint64_t unacked; /* sequences before first that no client was promised */
    _Atomic uint32_t state;
    _Atomic uint64_t tail;        /* the worker's */
    _Atomic uint64_t synced_tail; /* the housekeeper's */
    _Atomic uint64_t given_tail;  /* the worker's: up to there no client waits for a
                                     sync, and consumers may have read */
    atomic_bool sealed;           /* the worker has gone on; tail is final */
    atomic_bool poisoned;         /* a sync failed: it ends at segment_kept */
    _Atomic int64_t begun_ms; /* when its first event came (wall clock); 0: not known.
                                     The worker's */
    bool old;                 /* of an earlier epoch: its end is found by reading; tail
                             says how far that may go */
    uint64_t old_end;         /* old: the sequence after its last event */
    uint64_t before_end;      /* old: where the one before it ended, or 0 */
    uint64_t written_back;    /* the housekeeper's */
    uint64_t filled;          /* zeros were written up to here; the housekeeper's */
    bool unsure;   /* old: its sync failed, and the disk may have dropped bytes that are
                                     only in memory; under lock */
    bool given_up; /* poisoned, and noted in the shard; the housekeeper's */
    bool guessed;  /* old: its page was damaged, its blocks tell what it is */
    bool bad_place; /* it refused blocks: not to be reused. The worker's until sealed */
    atomic_bool damaged;         /* to be set aside, not deleted */
    _Atomic uint64_t damaged_to; /* damage before this place is noted */
    uint32_t pins;               /* cursors in it; under lock */
    int64_t released_ms;
};

/* A consumer's place in a shard; under lock. */
struct place {
    struct place *next;
    struct spool_consumer *consumer;
    _Atomic uint64_t released;          /* nothing before it is needed */
    uint64_t joined;                    /* the end when it came: no client was promised
                                           that it would take earlier events */
    uint64_t unread_number, unread_off; /* of the segment, and the place in it,
                                  that the disk did not give; the consumer's */
    int64_t unread_ms, unread_told_ms;  /* since then; told */
    struct {
        uint64_t first;
        int64_t wall_ms;
    } ages[AGES_MAX]; /* of blocks that were read and not released, oldest
                                  first; the consumer's */
    uint32_t n_ages;
    uint64_t read_end;
    int64_t unread_next_ms, unread_wait_ms; /* not tried before; between two tries */
};

/* Events of a shard, apart from each other, by number: the latest MARKS_MAX. */
struct marks {
    struct {
        uint64_t first, end;
    } * list;
    uint32_t n, room;
};

struct shard {
    struct shard *next; /* of the stream, oldest epoch first */
    struct stream *stream;
    uint32_t epoch, worker;
    dev_t dev; /* of its folder; ino 0: not known */
    ino_t ino;
    struct segment *segments; /* by number */
    struct place *places;
    uint32_t cursors;              /* open ones; under lock */
    uint32_t n_undeleted;          /* of the stream's, its own; the housekeeper's */
    bool unknown;                  /* the disk does not tell its events: read again at
                                      look_ms, needed until then; under lock */
    int64_t look_ms, look_wait_ms; /* the housekeeper's */
    /* live shards */
    struct spool_writer *writer;
    bool opened;                       /* wants prepared segments; under lock */
    _Atomic(struct segment *) ahead;   /* the next one, for the worker */
    _Atomic(struct segment *) current; /* the worker writes to it */
    _Atomic uint64_t left;             /* bytes that current can still take */
    bool lasting;                      /* its folder was synced; the housekeeper's */
    struct segment *filling;           /* will be ahead; the housekeeper's */
    uint64_t prepare_ns;               /* when its first part was begun */
    struct segment *warm;              /* FREE ones, newest first */
    uint32_t n_warm;
    uint64_t last_number;
    _Atomic uint64_t synced; /* sequence */
    _Atomic uint64_t wanted; /* sequence: a request waits until it is synced */
    struct {
        _Atomic uint64_t from, to, gone; /* gone: consumers get none from there on */
    } lost[LOST_MAX]; /* never to be synced, the latest ones; the housekeeper's,
                                 each noted before `synced` passes it */
    _Atomic uint64_t n_lost;
    _Atomic uint64_t delivered;                  /* sequence: by all consumers */
    struct marks unconfirmed[SPOOL_UNCONFIRMED]; /* under lock */
    atomic_uint n_unconfirmed;                   /* marks that there are */
    int64_t prove_at_ms;    /* housekeeper's: the disk failed; not before this */
    atomic_int write_errno; /* why the writer's last block failed; 0: it did not */
    _Atomic int64_t write_failed_ms; /* when */
    int64_t probe_at_ms;             /* housekeeper's: the disk is not tried before */
    bool failed;        /* housekeeper's: it has not made the segment since */
    int64_t grew_ms;    /* housekeeper's: when it saw events come */
    uint64_t grew_left; /* and `left` then */
    bool gave;         /* housekeeper's: its next segment, to one that events come to */
    atomic_bool asked; /* events came and found no segment; until there is one */
    atomic_bool put_off;     /* none is made before that: the disk is short */
    _Atomic int64_t kept_ms; /* when its worker counted on the next one; 0: it has it */
};

struct stream {
    struct spool *spool;
    int id;
    char name[STREAM_NAME_MAX + 8];
    _Atomic uint64_t max_bytes;
    atomic_bool synced, delivered; /* delivered stays: requests may still wait */
    atomic_bool ended;             /* no policy has it any more */
    atomic_bool freed;             /* and its last consumer is done */
    bool consumed;                 /* it had a consumer, and the last one that went had
                                  released all; under lock */
    atomic_uint blocked;           /* awaited consumers that can't deliver */
    _Atomic uint64_t used;         /* bytes of all segments but warm ones */
    struct segment *undeleted;     /* the housekeeper's */
    int64_t undelete_ms;           /* not tried before; the housekeeper's */
    _Atomic uint64_t reserved;     /* by bodies under way */
    _Atomic uint64_t left_bytes;   /* by earlier processes, at the start */
    struct shard *shards;
    _Atomic(struct shard *) live[1024]; /* by worker */
    pthread_rwlock_t watch;             /* consumers are woken under it */
    struct spool_consumer *consumers[CONSUMERS_MAX];
    uint32_t n_consumers;
    stats_cell *bytes_gauge, *limit_gauge, *reserved_gauge, *created, *recycled,
        *deleted, *poisoned, *damaged, *skipped, *damaged_blocks, *damaged_events;
    struct stats_owner series; /* and those of its workers; hidden while it is freed */
    char why_away[ERR_TEXT_MAX];      /* under lock */
    char why_unwritten[ERR_TEXT_MAX]; /* the same */
    int64_t unwritten_ms;             /* when that was told; the housekeeper's */
};

struct spool_consumer {
    struct stream *stream;
    struct spool_consumer_conf conf; /* under lock */
    bool blocked;                    /* it can't deliver now; under lock */
    bool leaving;                    /* needs only events before its ends, and is not
                                        awaited; under lock */
    uint32_t ends_epoch, n_ends;
    struct spool_pos *ends;
    char name[96];
};

/* The spool's uuid in the epochs since `from`. */
struct spool_name {
    unsigned char uuid[16];
    char text[37];
    uint32_t from;
};

struct spool {
    char *dir;
    int lock_fd;
    struct spool_name names[NAMES_MAX]; /* newest first */
    uint32_t n_names;
    uint32_t epoch;
    struct spool_conf conf;
    pthread_mutex_t lock;
    pthread_cond_t prepared; /* a segment was, or can't be */
    struct stream *streams[STREAMS_MAX];
    _Atomic uint32_t n_streams;
    pthread_t housekeeper;
    struct latch housekeeper_ended; /* by the thread: it touches nothing any more */
    bool housekeeper_runs;
    sem_t wake;
    atomic_bool woken, stopping, reclaim, unwritable;
    atomic_bool
        away; /* dir has not the LOCK any more that is held; looked at by times */
    _Atomic uint64_t
        away_streams; /* a bit a stream, by id: its files have not their names any
                                      more; all, while the spool is away */
    _Atomic uint64_t unwritten_streams; /* the same: a block could not be written */
    atomic_bool ready;                  /* spool_ready was called */
    char why[256];                      /* unwritable: the reason; under lock */
    struct stats_histogram *sync_time, *prepare_time;
    stats_cell *disk_free, *disk_bytes;
    uint64_t disk_looked_ns;      /* the housekeeper's */
    char why_away[ERR_TEXT_MAX];  /* under lock */
    uint32_t looks_wanted, looks; /* spool_whole asks for one, the housekeeper looks;
                                     under lock */
};

/* ---- spool.c ---- */

/* At the end of the housekeeper's thread, which alone may hang on a disk: segments that
 * were not used are deleted, those in use marked as whole. */
void spool_put_away(struct spool *s);

/* ---- identity.c ---- */

bool identity_lock(struct spool *s, int64_t wait_ms, struct err *e);
bool identity_raise_epoch(struct spool *s, struct err *e);
bool identity_find(struct spool *s, struct err *e); /* after the two */
/* Whether the folder of that name still has the LOCK that is held: 1 or 0; -1 and errno: the
 * disk does not say. Any thread. */
int identity_in_place(const struct spool *s);
const unsigned char *spool_uuid_at(const struct spool *s, uint32_t epoch);

/* ---- presence.c: 1 or 0; -1: the disk does not say. No lock is held; any thread ---- */

/* Whether the file of that name is that one. */
int presence_of(const char *path, dev_t dev, ino_t ino);
/* Whether the folder is there in which the shard's files were made or found. */
int presence_of_shard(const struct shard *sh);
/* Whether its name is g's still. 0: its folder is there, and g is gone from it for good; -1 also,
 * with ESTALE: the folder is elsewhere, or g is still written to. */
int presence_of_segment(const struct segment *g);
/* As the housekeeper saw it last; asks no disk. */
static inline bool presence_of_stream(const struct stream *st)
{
    return (atomic_load(&st->spool->away_streams) & (1ull << st->id)) == 0;
}
/* Look, and note and tell a change; return whether it is there. The housekeeper's thread. */
bool presence_look(struct spool *s);
bool presence_look_at_stream(struct stream *st);
void presence_look_at_all(struct spool *s);
/* Why the spool, or a stream of it, is away; NULL: none is. Under lock. */
const char *presence_why(const struct spool *s);
void presence_look_as_asked(struct spool *s); /* when spool_whole waits for it */

/* ---- segment.c: no lock is held; NULL and *e on error ---- */

/* Whether the disk has room for n segments, and for what it keeps free for journals. Also if
 * the disk does not say. */
bool segment_fits(const struct spool *s, uint64_t n);
struct segment *segment_create(struct shard *sh, uint64_t number, struct err *e);
bool segment_recycle(struct segment *g, uint64_t number, struct err *e);
/* Writes zeros over the next bytes of g, and syncs them at its end: see fill in
 * housekeeper.c. */
bool segment_fill(struct segment *g, uint64_t bytes, struct err *e);
bool segment_write_page(struct segment *g, uint64_t first, uint64_t before_end,
                        uint64_t unacked); /* by the worker */
/* Its sync failed: for people, its page says from where on clients may have been refused. */
void segment_mark_unsure(const struct segment *g);
void segment_close(struct segment *g); /* g only */
/* Opens its file when it is closed; the housekeeper's thread. */
bool segment_open(struct segment *g, struct err *e);
void segment_shut(struct segment *g); /* closes it; the housekeeper's thread */
/* Leaves the mark of a closed end after its last block, or after the last one that counts;
 * the rest is as it was. */
void segment_mark_closed(const struct segment *g);
void shard_path(const struct shard *sh, char *out, size_t n);
void shard_remove_folder(const struct shard *sh); /* if there is nothing in it */
void segment_path(const struct shard *sh, uint64_t number, char *out, size_t n);
int64_t mono_ms(void);

/* ---- recover.c: at the start; unread shards later, by the housekeeper ---- */

bool stream_recover(struct stream *st, struct err *e);
void stream_recover_unknown(struct stream *st);

/* ---- found.c: the kind of one file in a shard's folder ---- */

enum found { FOUND_SEGMENT, FOUND_BLOCKS, FOUND_NOTHING, FOUND_UNKNOWN };

/* FOUND_BLOCKS: a segment without a page that holds: g->guessed.
 * FOUND_NOTHING: it was empty and is gone, was set aside, or belongs elsewhere.
 * FOUND_UNKNOWN and *e: the disk does not say. */
enum found found_open(struct shard *sh, const char *path, struct segment **out,
                      struct err *e);
/* Where the newest segment's blocks end: *any: it holds some. False and *e: the disk
 * does not say. */
bool found_end(struct segment *g, bool *any, struct err *e);

/* ---- damage.c ---- */

/* Any thread. Bytes from..to of g are no block and held so many events (fd: of its
 * file); told once, however many readers find it. */
void damage_note(struct segment *g, int fd, uint64_t from, uint64_t to,
                 uint64_t events);
/* Bytes that may be a last block that was cut. */
void damage_torn(struct segment *g, int fd, uint64_t from, uint64_t to);
/* Its file has no end any more, and nothing tells how many blocks that had. */
void damage_cut(struct segment *g);
/* The whole file goes to DAMAGED_DIR; false and *e: it stays where it is. */
bool damage_try_move(const struct segment *g, const char *path, struct err *e);
void damage_move(const struct segment *g, const char *path); /* says so in the log */

/* ---- reclaim.c: on the housekeeper's thread ---- */

void reclaim_stream(struct stream *st);
/* Deletes warm segments; only_beside_ahead: of shards that have their next one. */
void drop_warm(struct stream *st, int64_t older_than_ms, bool only_beside_ahead);
/* It was sh->ahead, and is not any more: the worker can't take it. */
void drop_ahead(struct shard *sh, struct segment *ahead);
/* Whether g's page has to say how `before` ended, the one before it, which stays: a start would
 * deliver, without it, what clients were refused when a sync had failed. NULL: none stays. */
bool segment_bears_witness(const struct segment *g, const struct segment *before);

/* ---- undeleted.c: on the housekeeper's thread ---- */

/* Takes g, which is in no list and not counted as used: deletes its file, or keeps it in the
 * stream to try again. */
void segment_delete(struct segment *g);
void undeleted_retry(struct stream *st);

/* ---- housekeeper.c ---- */

void housekeeper_wake(struct spool *s);
void housekeeper_wake_writer(struct shard *sh);
/* The stream is a synced one, or was when a request began to wait. */
bool housekeeper_syncs(const struct shard *sh);
bool housekeeper_start(struct spool *s, struct err *e);
bool housekeeper_stop(struct spool *s, uint64_t until_ns);

/* ---- writable.c: whether the disk takes events ---- */

#define PROBE_FILE "probe" /* in a shard's folder; a kill may leave it */

/* It gave no segment, or did not sync one; and it gave one. The housekeeper's thread. */
void writable_fail(struct spool *s, const char *why);
void writable_pass(struct spool *s);
/* In the log. st NULL: of all streams; why NULL: it is writable again. */
void writable_tell(const struct stream *st, const char *why);
/* A worker could not write its block, errno is why; and it wrote the one after it. */
void unwritten_note(struct shard *sh, int why);
void unwritten_forget(struct shard *sh);
/* Notes and tells whether that changed for the stream with these open shards; also without a
 * further block, once the disk takes a file. The housekeeper's thread. */
void unwritten_look(struct stream *st, struct shard *const *shards, uint32_t n);

/* ---- shortage.c: on the housekeeper's thread ---- */

/* Looks to which shards events came since the last time. Before the others. */
void shortage_look(struct spool *s);
/* Whether sh gets no segment now, because another shard is to have the room. */
bool shortage_puts_off(const struct shard *sh);
/* Where no segment fits, and events come to sh: deletes one that is not needed soon. */
void shortage_make_room(const struct shard *sh);

/* ---- roll.c ---- */

/* A request found no room. A short disk has its last segments for such streams. Any thread;
 * no lock. */
void stream_ask(const struct stream *st);
void stream_ask_no_more(const struct stream *st); /* until another one does */

/* ---- sync.c ---- */

/* Syncs the bytes that the shard has appended since the last time; the housekeeping
 * thread. */
void sync_shard(struct shard *sh);

/* ---- awaited.c: under lock ---- */

void marks_add(struct shard *sh, enum spool_unconfirmed how, uint64_t first,
               uint64_t end);
void marks_free(struct shard *sh);
void stream_count_blocked(struct stream *st);

/* Nothing before it is needed by those that are awaited. */
uint64_t shard_awaited(const struct shard *sh);

/* ---- retention.c ---- */

struct place *place_of(struct shard *sh, struct spool_consumer *c); /* under lock */
void consumers_wake(struct stream *st);
/* The first sequence of the shard that c will never need; under lock. */
uint64_t consumer_limit(const struct spool_consumer *c, const struct shard *sh);
/* Consumers but the passive ones; under lock. */
uint32_t stream_destinations(const struct stream *st);
/* Whether some consumer needs g, which ends at `end`; under lock. */
bool segment_needed(const struct segment *g, uint64_t end);
/* Whether some consumer is leaving, so that segments may go out of their order. */
bool stream_left(const struct stream *st);
const struct place *place_find(const struct shard *sh,
                               const struct spool_consumer *c); /* or NULL */
/* The one after the last event that was committed; under lock. */
uint64_t shard_end(const struct shard *sh);
/* The sequence after the last event that g holds for good, be it synced yet or
 * not; 0: none is in it. Under lock. Whether a reader is done with g hangs on this. */
uint64_t segment_written_seq(const struct segment *g);
/* Events of g after its last sync; any thread. */
uint64_t segment_unsynced(const struct segment *g);
/* The tail of a poisoned segment: what was synced, or promised without a sync. */
uint64_t segment_kept(const struct segment *g);
/* Events of a poisoned segment after that: no client was promised them. */
uint64_t segment_unacked(const struct segment *g);
/* The sequence after the last event of g that consumers may read; under lock. */
uint64_t segment_end_seq(const struct segment *g);
/* The tail up to which consumers may read g. */
uint64_t segment_readable(const struct segment *g);

/* ---- lag.c ---- */

/* A block with sequences first..end - 1 was read; the consumer's thread. */
void ages_note(struct place *h, uint64_t first, uint64_t end, int64_t wall_ms);
/* Bytes that c has before it; under lock. */
uint64_t consumer_lag(const struct spool_consumer *c);
