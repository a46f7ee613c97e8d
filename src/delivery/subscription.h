/*
 * subscription - one stream as a sink reads it: a cursor for each shard, and the
 * acknowledged events of each.
 *
 *   subscription_open -> subscription_look, subscription_take* -> subscription_ack* -> subscription_close
 *
 * The delivery thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "batch/batch.h"
#include "delivery/ack_tracker.h"
#include "delivery/delivery.h"
#include "delivery/places.h"
#include "journal/journal.h"

struct subscription_reader {
    struct spool_cursor *cursor;
    uint32_t epoch, worker;
    uint64_t next;            /* the next event that no batch has */
    uint64_t end;             /* nothing from there on is taken */
    struct spool_block block; /* in hand: events from at on are left */
    uint32_t at;
    bool live, ended;
};

/* A batch that an earlier process planned. */
struct intent {
    struct intent *next;
    uint64_t id;
    const char *destination; /* after the ranges; "": not known */
    bool proven;             /* some of the batch is settled */
    uint32_t n;
    struct batch_range ranges[];
};

/* Events first .. end - 1 that the readers pass over: delivered already by an
 * earlier process, ahead of its cursor, or planned by it. */
struct subscription_span {
    uint32_t epoch, worker;
    uint64_t first, end;
};

struct subscription {
    struct delivery_stream conf;
    char name[72];
    const char *sink; /* its name, as long as the delivery lives */
    uint32_t number;  /* batch.stream */
    bool wanted;      /* the policy has it */
    bool blocked;     /* the spool was told that it can't deliver now */
    bool known;       /* the journal knows the stream */
    bool looked;      /* the spool's shards have been listed once */
    bool held;        /* its cursors may be too low: its files were not looked at */
    struct ack_tracker firsts; /* then: of these no earlier event is given up */
    bool files;  /* they have events that the journal tells only once they are sealed */
    bool fresh;  /* the last plan brought it */
    bool back;   /* or brought it back, while it was ending */
    bool traced; /* a refused plan brought it, and the journal still has it */
    bool met;    /* its places know where it begins, or need not */
    bool unread; /* since it was refused: then */
    struct ack_tracker refused; /* it had begun there, and has read nothing since */
    uint32_t epoch;             /* of this process */
    bool unnoted;               /* a journal that can't be read may not know it: then */
    struct ack_tracker begins;  /* it begins there */
    bool ending;                /* only events before its ends are delivered, then it
                                    is closed */
    uint32_t ends_epoch, n_ends; /* see spool_consumer_leave; back: those before */
    struct spool_pos *ends;
    struct spool_consumer *consumer;
    struct places *places; /* of the sink; NULL: nothing is noted there */
    struct ack_tracker acks;
    struct subscription_reader *readers;
    uint32_t n_readers, readers_room;
    uint32_t turn;          /* the reader that is asked first */
    uint32_t n_unknown;     /* shards whose events the disk does not tell */
    struct batch *batch;    /* growing; NULL: none */
    struct intent *intents; /* oldest first */
    struct subscription_span *spans;
    uint32_t n_spans, spans_room;
    uint32_t in_flight; /* batches */
    uint64_t lost, skipped;
};

/* Of events that no batch has: for people, beside the journal. */
void subscription_note(struct subscription *o, enum record_type type, uint64_t value,
                       const struct batch_range *range);
/* The same of a RECORD_SKIP that the journal will not have, and on stable storage: before
 * the journal calls these events done. */
void subscription_note_first(struct subscription *o, uint64_t value,
                             const struct batch_range *range);

/* Registers with the spool; conf->name is copied, sink lives until the close. before: of
 * the delivery in whose stead it comes, or NULL. */
void subscription_open(struct subscription *o, struct spool *spool,
                       const struct delivery_stream *conf, const char *sink,
                       const struct subscription *before, spool_wake_fn *wake,
                       void *wake_arg);
void subscription_close(struct subscription *o);

/* The journal can't be read: where the stream ends now, or where it did for before, is
 * kept, and everything in the spool. */
void subscription_mark(struct subscription *o, const struct subscription *before);
/* It can be read again, and does not know the stream: it begins where before has marked.
 * False and *e: the journal did not take it. */
bool subscription_adopt(struct subscription *o, const struct subscription *before,
                        struct journal *j, struct err *e) MUST_USE;

/* Finds shards that are new, lets go of those that are done. False and *e: the
 * journal did not take where one begins. */
bool subscription_look(struct subscription *o, struct journal *j,
                       struct err *e) MUST_USE;

/* The reader reads on from its place, also events that the cursor has passed. */
void subscription_reread(struct subscription *o, struct subscription_reader *r);

/* The ranges are delivered, and the journal knows: their segments may go. */
void subscription_ack(struct subscription *o, const struct batch_range *ranges,
                      uint32_t n);

/* The room of events that were skipped while nothing is read may be reused. */
void subscription_rest(struct subscription *o);
/* Those that the spool has; the caller frees the list. */
struct spool_shard_id *subscription_shards(const struct subscription *o, uint32_t *n);

/* Nothing read and not settled. */
bool subscription_idle(const struct subscription *o);

/* The records that a new journal must have of the stream. */
void subscription_emit(const struct subscription *o, struct journal_draft *draft);

/* ---- take.c ---- */

/* Moves events into o->batch until it is full or nothing more is there; tells
 * whether it is full (else nothing is left to read now). Losses are journaled. */
enum subscription_result {
    SUBSCRIPTION_EMPTY = 0, /* nothing more to read now */
    SUBSCRIPTION_FULL,      /* the batch takes no more */
    SUBSCRIPTION_FAILED     /* the journal did not take a loss: *e */
};
enum subscription_result subscription_take(struct subscription *o,
                                           const struct batch_limits *l, int64_t now_ms,
                                           struct journal *j, struct err *e) MUST_USE;

/* The first span at or after seq of the shard; NULL: none. */
const struct subscription_span *subscription_span_from(const struct subscription *o,
                                                       uint32_t epoch, uint32_t worker,
                                                       uint64_t seq);

/* For the log: these events are in no batch. */
void subscription_tell_gap(const struct subscription *o, const struct batch_range *gone,
                           const char *status);

/* ---- intents.c ---- */

/* The journal's replay: an intent without its end. */
void subscription_prove(struct subscription *o,
                        uint64_t id); /* some of it is acknowledged */
void subscription_intend(struct subscription *o, uint64_t id, struct str destination,
                         const struct batch_range *ranges, uint32_t n);
/* These ranges of it are an intent of their own. */
void subscription_split(struct subscription *o, uint64_t id,
                        const struct batch_range *ranges, uint32_t n);
/* After the replay: sets the remaining intents, and the events that the readers pass
 * over. */
void subscription_replayed(struct subscription *o);

/* The journal knows where the sink is in the shard, and that the event is not settled. */
bool subscription_owes(const struct subscription *o, uint32_t epoch, uint32_t worker,
                       uint64_t seq);

/* Those not rebuilt yet are still intents of a new journal. */
void subscription_emit_intents(const struct subscription *o, const char *sink,
                               struct journal_draft *draft);

/* Rebuilds the oldest intent in b, which is empty, and forgets it; b stays empty when
 * all of it is acknowledged. What has no room in b, because acknowledged events have left
 * gaps, stays an intent. False: it can't be read now. */
bool subscription_rebuild(struct subscription *o, struct batch *b,
                          int64_t now_ms) MUST_USE;

/* Events r are passed over by the readers. */
void subscription_pass(struct subscription *o, const struct batch_range *r);

/* ---- ending.c: the policy no longer sends the stream here ---- */

/* Where the shards of a stream end. */
struct subscription_ends {
    struct spool_pos *list;
    uint32_t n;
};

/* Those of now; the caller frees the list. */
struct subscription_ends subscription_ends(struct spool *spool, int stream);
/* The ends are these (NULL: those of now); the journal is told (if it can't be, or is
 * NULL, a restart delivers more than it has to). */
void subscription_retire(struct subscription *o, struct spool *spool, struct journal *j,
                         const struct subscription_ends *at);
/* The journal's replay, record by record. */
void subscription_ending(struct subscription *o, const struct record *r);
/* As if all of this process were after the ends: left by an earlier one. The journal is
 * told as above. */
void subscription_ending_old(struct subscription *o, uint32_t epoch, struct journal *j);
/* As the one before has the stream, with its ends or still without; false: it does not
 * have it. */
bool subscription_ending_as(struct subscription *o,
                            const struct subscription *before) MUST_USE;
/* The policy has the stream again: reading goes on where it was, without the events
 * that the spool no longer has. False and *e: the journal did not take that. */
bool subscription_return(struct subscription *o, struct journal *j,
                         struct err *e) MUST_USE;
/* That policy was refused: if it came back with it, it has its ends again. */
void subscription_unreturn(struct subscription *o, struct journal *j);
/* It is ending, and all before its ends is settled. */
bool subscription_finished(const struct subscription *o);
/* All that is known of the stream but its name goes. */
void subscription_forget(struct subscription *o);
/* The same, and the plan that had brought it was refused. */
void subscription_refuse(struct subscription *o);
/* It begins at the ranges: what came since it was refused it has never seen. */
void subscription_note_unread(struct subscription *o, const struct batch_range *begins,
                              uint32_t n);
/* The first sequence of the shard that is not delivered any more. */
uint64_t subscription_end(const struct subscription *o, uint32_t epoch,
                          uint32_t worker);
/* Events that wait: all that are there or, when it is ending, those before the ends. */
uint64_t subscription_remaining(const struct subscription *o);
/* Events that were or will be passed over. */
uint64_t subscription_skipped(const struct subscription *o);
/* Events of the shard from there on that the spool does not have between others are not
 * waited for; how: they are noted so (places.h). False and *e: the journal takes no more. */
bool subscription_pass_gaps(struct subscription *o, const struct spool_pos *from,
                            uint64_t how, struct journal *j, struct err *e) MUST_USE;
void subscription_emit_ending(const struct subscription *o,
                              struct journal_draft *draft);
