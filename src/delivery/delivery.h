/*
 * delivery - one sink's thread: reads the spool's shards, batches, sends, keeps the
 * journal, releases acknowledged events.
 *
 *   delivery_start -> delivery_apply* -> delivery_stop
 *
 * All calls come from one thread, and some from a second one that only looks or asks
 * while d is kept for it: delivery_status, delivery_post, delivery_force,
 * delivery_replay_begin, delivery_replay_status, delivery_ended, delivery_ask_*. The
 * delivery's own thread has its own libev loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/plan.h"
#include "sink/hooks.h"
#include "spool/spool.h"

struct delivery;
struct err;

struct delivery_stream {
    int id;           /* spool_stream's */
    const char *name; /* copied */
    bool synced;
    bool skip; /* when_full = "skip" */
    uint64_t max_lag_bytes;
    bool spared; /* its plan may still be refused: until subscription_go the spool skips
                    nothing that it would not skip without that plan */
    bool indexed;     /* places of its events are noted: places.h */
    bool from_oldest; /* where a sink without a journal starts: all of the stream, or
                         only events after now */
};

/* The sink was taken out of the policy, and nothing is left of it: status.finished.
 * On the delivery's thread; must only wake the caller's. */
typedef void delivery_retired_fn(void *arg);

struct delivery_conf {
    struct spool *spool;
    const char *spool_dir;        /* the journal is spool_dir/sinks/NAME.journal */
    const char *data_dir;         /* relative sink folders lie below */
    struct folders *folders;      /* sink/folders.h; NULL: folders are not checked */
    const struct sink_plan *sink; /* valid as long as plan */
    struct plan *plan;            /* a reference is taken */
    struct sink_hooks hooks;      /* whose arg lives until the next apply or stop */
    const struct delivery_stream *streams; /* copied */
    uint32_t n_streams;
    bool removed;                  /* not in the policy: the streams in the journal are
                                     delivered up to their ends */
    const char *absent;            /* not NULL: why the plan can't be had; all is held
                                then */
    const struct delivery *before; /* held or handed over, and this one is in its
                                stead: it knows the ends that the journal does not;
                                NULL: none. Only for the call */
    bool wait; /* sends nothing before delivery_go; an apply: nothing of the streams
                  that it brings, and nothing by its settings, which the sink may still
                  fail to take then. Skips nothing by that plan either */
    bool undo; /* the plan before the one of the last apply, which was refused */
    delivery_retired_fn *retired; /* NULL: no call */
    void *arg;
};

/* Replays the journal, recovers the sink's files, starts the thread. NULL and
 * *e when the journal or the sink's folder can't be used. */
struct delivery *delivery_start(const struct delivery_conf *c, struct err *e) MUST_USE;

/* ---- paused.c ---- */

/* Stands for a sink that can't start, and says why: it keeps its place in the spool,
 * so that all it has still to deliver stays, until another delivery is started and
 * this one freed. Only delivery_status, delivery_retire, delivery_stop and
 * delivery_free may follow. NULL and *e: a stream can't be opened, or the journal does
 * not know it and can't note where the sink begins in it. */
struct delivery *delivery_pause(const struct delivery_conf *c, const char *why,
                                struct err *e) MUST_USE;
/* Of one that is held or was handed over: why. */
void delivery_pause_why(struct delivery *d, const char *why);
/* False and *e: it is held, and its journal can't note where it ends. */
bool delivery_paused_retires(const struct delivery *d, struct err *e) MUST_USE;

/* ---- change.c ---- */

/* A new plan: settings change from the next batch on. Waits for at most a second.
 * False and *e: the streams, or all, are as before, or, with delivery_left, it may change
 * later. With undo it does then; and settings that the sink does not take are tried again
 * until it does, while it holds its events (delivery_owes). */
bool delivery_apply(struct delivery *d, const struct delivery_conf *c,
                    struct err *e) MUST_USE;

/* A delivery that was started to wait begins to send, and one that was altered to wait
 * takes its settings, reads the streams that it got, and skips as its plan says: their
 * policy is not refused any more. Not live: it was, and what is left of it is forgotten. Waits for at most a second;
 * a thread that hangs does it once it goes on. */
void delivery_go(struct delivery *d, bool live);

/* The last change was left to the thread, which may make it or may have made it by now. */
bool delivery_left(const struct delivery *d);

/* Whose hooks the sink may call after the last delivery_apply or delivery_go, whatever its
 * result: still those that it had, no other than its own, or both. */
enum delivery_asks {
    DELIVERY_ASKS_BEFORE = 0,
    DELIVERY_ASKS_NEW,
    DELIVERY_ASKS_LATER, /* those that it had, and from delivery_go on the new ones */
    DELIVERY_ASKS_EITHER
};
enum delivery_asks delivery_asks(const struct delivery *d);

/* Streams that do not feed the sink any more retire: their present events are still
 * delivered. removed: the sink itself is not in the policy. Only streams among the n
 * ids (NULL: all) retire now; the others go on until they are named. undo: the policy of
 * the last apply was refused, and what it brought back ends where it ended before. Waits
 * for at most a second; a thread that hangs does it once it goes on. */
void delivery_retire(struct delivery *d, bool removed, bool undo, const int *ids,
                     uint32_t n);

/* STUCK: the thread did not end by the deadline, which it may do later: d lives, and
 * may be joined again. Else the thread has ended and d is freed. */
enum delivery_end { DELIVERY_EMPTY = 0, DELIVERY_LEFT, DELIVERY_STUCK };

/* It did not make a change in time, and has not gone on since: it still uses the memory
 * that it was given. */
bool delivery_hung(struct delivery *d);

/* Runs fn(arg) on its thread. False: it has none. */
bool delivery_post(struct delivery *d, void (*fn)(void *arg), void *arg);

/* Opens or closes the sink's breakers by hand, also of those in its stead. LATER: it is held,
 * and they are once it can start. */
enum delivery_forced {
    DELIVERY_FORCED_NONE = 0, /* it has no breaker */
    DELIVERY_FORCED_NOW,
    DELIVERY_FORCED_LATER
};
enum delivery_forced delivery_force(struct delivery *d, bool open);
/* d comes in the stead of before, which had such orders since d began. */
void delivery_force_as(struct delivery *d, const struct delivery *before);

/* ---- settings.c ---- */

/* It has not taken the live plan's settings yet, and sends nothing until it does. */
bool delivery_owes(const struct delivery *d);

/* ---- close.c ---- */

/* Delivers the spool's events until then (a time of clock_mono_ns), persists, ends the
 * thread. Batches that are in flight then are given up. Does not wait. */
void delivery_ask_stop(struct delivery *d, uint64_t until_ns);

/* The same, but begins no batch any more: only those in flight have until then. */
void delivery_ask_rest(struct delivery *d, uint64_t until_ns);
enum delivery_end delivery_join(struct delivery *d, uint64_t until_ns) MUST_USE;
/* The same, and d is not freed: delivery_free may follow. False: stuck. */
bool delivery_halt(struct delivery *d, uint64_t until_ns) MUST_USE;
/* Whether it has no thread, or one that has ended. Any thread. */
bool delivery_ended(struct delivery *d);

/* Both: waits for at most flush_ms and two seconds. */
enum delivery_end delivery_stop(struct delivery *d, int64_t flush_ms);

/* Ends the thread as soon as nothing is in flight, at the latest after ms, and
 * closes the journal, which another delivery may take over; d keeps its place in
 * the spool, as after delivery_pause, until delivery_free. False: the thread does not
 * end, and keeps it. */
bool delivery_hand_over(struct delivery *d, int64_t ms) MUST_USE;
void delivery_free(struct delivery *d);

/* ---- replay.c ---- */

/* The result of the last replay of the sink's dead letters. */
enum delivery_replay_state {
    DELIVERY_REPLAY_NONE = 0, /* none since the sink's thread began */
    DELIVERY_REPLAY_RUNS,
    DELIVERY_REPLAY_DONE,
    DELIVERY_REPLAY_STOPPED, /* by hand; the next goes on */
    DELIVERY_REPLAY_FAILED /* why; the sent letters are noted, the next replay goes on */
};

struct delivery_replay {
    enum delivery_replay_state state;
    bool dry;
    bool resumed; /* one that had not come to its end was gone on with */
    bool more;    /* then: there are letters in another file */
    uint64_t replayed, again, unreadable;
    uint64_t remaining;       /* letters; only a dry run counts them */
    uint64_t remaining_bytes; /* of the file in hand */
    char why[600];            /* what it waits for, or why it failed */
};

/* Sends the sink's dead letters to it once more, on its thread; dry: only counts them.
 * Does not wait. False and *e: this sink has none, has no thread, or is at it. */
bool delivery_replay_begin(struct delivery *d, bool dry, struct err *e) MUST_USE;
/* Ends it, soon: nothing more of it is sent. The server may have taken the batch in
 * hand; the next replay sends it again, under the same name. False and *e: none
 * runs. */
bool delivery_replay_stop(struct delivery *d, struct err *e) MUST_USE;
void delivery_replay_status(struct delivery *d, struct delivery_replay *out);

/* ---- delivery.c ---- */

enum { DELIVERY_ENDPOINTS = 16 };

struct delivery_endpoint {
    char url[128];
    const char *state; /* "closed", "half_open", "open" */
    struct breaker_counts counts;
};

struct delivery_status {
    uint64_t delivered, dead, lost, skipped; /* events since the start */
    uint64_t batches;
    uint64_t lag_bytes;
    uint64_t remaining; /* events that it has still to deliver */
    int64_t oldest_ms;  /* wall clock: when the oldest of them came; 0: none is left */
    bool skips;         /* of some stream, what it is too far behind with (when_full) */
    bool retiring;      /* streams of it, or the whole sink */
    bool leaving;       /* streams of it wait for delivery_retire */
    bool finished;      /* the whole sink has retired */
    bool holding;       /* the sink can't take anything now */
    char why[256];      /* then: its words */
    int64_t holding_ms; /* then: since when, wall clock */
    int64_t retry_ms;   /* then: of the next try; 0: it is under way */
    char error[256];    /* the last one; "": there was none */
    int64_t error_ms;
    bool hedge_wanted, hedging;
    char hedge_why[256]; /* wanted, but not done: the reason */
    uint32_t n_endpoints;
    struct delivery_endpoint endpoints[DELIVERY_ENDPOINTS];
    struct delivery_replay replay;
};
void delivery_status(const struct delivery *d, struct delivery_status *out);
