/*
 * internal - one delivery, as its files share it: delivery.c is its life and change.c
 * its alteration, as the supervisor sees them; pump.c the thread's way out, results.c
 * its way back. No other file includes it.
 */
#pragma once

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/latch.h"
#include "delivery/dead.h"
#include "delivery/delivery.h"
#include "delivery/places.h"
#include "delivery/subscription.h"
#include "loop/mailbox.h"
#include "sink/sink.h"
#include "stats/stats.h"

enum { INTENTS_MAX = 256 };

struct kept_verdict {
    struct kept_verdict *next;
    struct batch *batch;
    bool whole; /* of the batch's, this one has it: the sink has let go */
    struct sink_verdict verdict;
    char why[600];
    uint32_t but[]; /* the verdict's */
};

struct settings {
    const struct sink_plan *sink;
    struct plan *plan;
    struct sink_hooks hooks;
};

struct delivery {
    struct stats_owner series;
    struct ev_loop *loop;
    struct mailbox mail;
    ev_async woken;
    ev_timer linger, retry, tick;
    ev_idle again;
    pthread_t thread;
    char name[96], origin[96]; /* the first name that its journal had */
    struct plan *plan;
    const struct sink_plan *conf;
    struct spool *spool;
    const struct sink_ops *ops;
    struct sink *sink;
    struct sink_stream streams[PLAN_STREAMS_MAX]; /* as the sink sees them */
    struct subscription subscriptions[PLAN_STREAMS_MAX];
    uint32_t n_subscriptions;
    uint32_t turn; /* the one that is asked first, modulo their number */
    struct journal *journal;
    struct places places;
    uint64_t compacted_bytes; /* size after the last rewrite */
    struct batch *pool, *failed;
    uint32_t n_pool;
    struct kept_verdict *kept;
    struct batch *intents[INTENTS_MAX]; /* in the journal and in flight */
    uint32_t n_intents;
    uint64_t last_id; /* of an intent */
    struct dead dead;
    bool crowded;          /* the journal knows more streams than there may be */
    bool fresh;            /* there is no journal, or it was another's */
    bool read_all;         /* it knows every stream that the journal has */
    bool patched;          /* damage may have taken where streams begin */
    struct replay *replay; /* replay.c; NULL: none runs */
    uint64_t dead_known;   /* bytes of it that the journal names, */
    char dead_mark[DEAD_MARK_BYTES]; /* and which file that was */
    uint32_t target;                 /* as adapt set it; 0: the plan's */
    uint32_t grown;                  /* batches are so many times as large; 0: once */
    uint64_t grown_ns;               /* since then */
    struct sink_hooks hooks;
    struct {
        double batches, failed, events, bytes, age_ms, latency_ms;
        uint64_t since_ns;
    } load; /* since adapt was asked */
    int64_t backoff_ms;
    bool stuck; /* since it holds, the sink's server took nothing that was in flight */
    unsigned short random[3]; /* of the jitter */
    bool draining;
    uint64_t drain_until_ns;
    uint64_t stop_ns;    /* the end was asked for; the caller's. 0: not yet */
    struct latch ended;  /* by the thread: it touches nothing any more */
    bool empty;          /* at the end: nothing was left */
    bool removed;        /* not in the policy any more */
    atomic_bool shut;    /* its breakers were opened by hand */
    bool handing_over;   /* ends when nothing is in flight */
    atomic_bool waiting; /* for delivery_go */
    bool new_waits;      /* streams that the last plan brought wait for it */
    bool spares;         /* what the last plan says of skipping waits for it */
    /* plan NULL: none. owed: those of the live plan, which the sink did not take.
     * expected: those of a plan that may still be refused, for delivery_go. */
    struct settings owed, expected;
    atomic_bool owes, expects;
    bool over; /* it has no thread: paused.c, or handed over */
    char journal_path[4096];
    delivery_retired_fn *retired; /* NULL: no call */
    void *retired_arg;
    /* for the supervisor */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct delivery_status status;
    uint32_t n_late; /* changes that were not made in time, nor since */
    /* The caller's alone: what became of the last change. */
    enum { CHANGE_MADE = 0, CHANGE_CANCELLED, CHANGE_LEFT } end;
    enum delivery_asks asks;
    bool goes; /* the last apply waits for delivery_go */
    bool
        took; /* the thread's: the last apply's settings are in use, owed or expected */
    stats_cell *delivered, *reasons[BATCH_N_REASONS], *retries, *lag, *remaining_events,
        *oldest, *failing, *holding, *lost, *skipped, *replayed, *dead_events,
        *dead_bytes, *target_gauge, *linger_gauge, *unrecorded;
    struct stats_histogram *batch_events, *batch_bytes, *age;
};

/* ---- pump.c ---- */

void pump_watch(struct delivery *d);                /* before the thread starts */
void pump(struct delivery *d);                      /* sends the batches that are due */
void pump_later(struct delivery *d);                /* in the next turn of the loop */
void pump_put(struct delivery *d, struct batch *b); /* back to the pool */

/* ---- rewrite.c: writes the journal again, of the records that still count ---- */

bool pump_compact(struct delivery *d, struct err *e) MUST_USE;
/* The same, but true as well while the old one can still be written to. */
bool pump_try_compact(struct delivery *d, struct err *e) MUST_USE;
/* The same, if a stream is traced: the journal has what it had to forget. */
bool pump_erase_traces(struct delivery *d, struct err *e) MUST_USE;
struct record pump_intent(const struct delivery *d, const struct batch *b);

/* ---- show.c ---- */

/* The lag alone; the tick shows the rest. Returns it. */
uint64_t pump_show_lag(struct delivery *d);
void pump_show_error(struct delivery *d, const char *why); /* it holds; under lock */
/* Events came: until the next look at least one is left, and not older than now. Any
 * thread, also while the sink's own hangs. */
void pump_came(struct delivery *d);
void pump_show_idle(struct delivery *d); /* what is left, when no batch is in hand */
void pump_show(struct delivery *d); /* the view of the supervisor and the metrics */
void pump_cells(struct delivery *d, const char *sink); /* its label */
void pump_block(struct delivery *d); /* tells the spool whether a breaker is open */

/* ---- settings.c ---- */

/* The sink has those of c now. False and *e: it keeps its own. */
bool settings_take(struct delivery *d, const struct delivery_conf *c,
                   struct err *e) MUST_USE;
/* The same, and it sends nothing until it has them. */
void settings_owe(struct delivery *d, const struct delivery_conf *c);
/* It has those that it is owed. False and *e: it has not, and nothing is sent. */
bool settings_settle(struct delivery *d, struct err *e) MUST_USE;
/* It would take those of c, and does so with settings_arrive. False and *e: it would
 * not. */
bool settings_expect(struct delivery *d, const struct delivery_conf *c,
                     struct err *e) MUST_USE;
void settings_expect_none(struct delivery *d);
void settings_arrive(struct delivery *d);
void settings_none(struct delivery *d); /* at the end */
/* After a change, which the caller has waited for. */
enum delivery_asks settings_asks(const struct delivery *d);
void settings_tell(const struct delivery *d, const char *status, const char *why);

/* ---- spared.c ---- */

/* Other settings; name and id stay. */
void subscription_apply(struct subscription *o, const struct delivery_stream *conf);
void subscription_go(struct subscription *o); /* its conf is spared no more */
/* Stream k of c as d reads it: from its oldest event if damage may have taken the record
 * of where it begins. */
struct delivery_stream stream_for(const struct delivery *d,
                                  const struct delivery_conf *c, uint32_t k,
                                  const struct subscription *o);
/* The spool skips as the plan says: it is not refused any more. */
void spared_no_more(struct delivery *d);

/* ---- change.c ---- */

/* Before the streams are opened: those that the plan brings. */
void change_mark_new(struct delivery *d);
/* The journal is read, and knows streams of a refused plan, which c->before has as new, or
 * does not know: these leave no trace. */
bool change_forget_refused(struct delivery *d, const struct delivery_conf *c,
                           struct err *e) MUST_USE;

/* ---- paused.c ---- */

/* What the one before it (c->before) has counted, lost and skipped events of this process, and
 * its breakers, if they were opened by hand. */
void paused_carry(struct delivery *d, const struct delivery_conf *c);
/* Notes the ends of the streams whose ids are named; when the journal can't be opened,
 * only d and the one after it have them. */
void paused_retire(struct delivery *d, bool removed, bool (*named)(const void *, int),
                   const void *arg);

/* ---- replay.c: the sink's dead letters, once more ---- */

void replay_pump(struct delivery *d); /* sends its letters that are due */
void replay_verdict(struct delivery *d, struct batch *b, const struct sink_verdict *v);
bool replay_in_flight(const struct delivery *d);
void replay_free(struct delivery *d); /* the sink is closed */

/* ---- delivery.c ---- */

/* With nothing open and no thread. */
struct delivery *delivery_new(const struct delivery_conf *c);
bool open_journal(struct delivery *d, const char *spool_dir, struct err *e) MUST_USE;
void on_journal_record(void *arg, const struct record *r);
struct subscription *subscription_of(struct delivery *d,
                                     struct str stream); /* or NULL */
/* As the delivery that c is in the stead of has it; or NULL. */
const struct subscription *subscription_before(const struct delivery_conf *c,
                                               const struct subscription *o);
/* Names the streams of c as wanted, and no others. False and *e: too many. */
bool take_streams(struct delivery *d, const struct delivery_conf *c,
                  struct err *e) MUST_USE;
/* Opens or alters those. False and *e: the journal can't be written. */
bool open_subscriptions(struct delivery *d, const struct delivery_conf *c,
                        struct err *e) MUST_USE;

/* ---- adapt.c: sets d->target by the load since the last time ---- */

void adapt(struct delivery *d);
/* The sink has asked for fewer and larger batches. */
void adapt_enlarge(struct delivery *d);
/* How large batches are to be now. */
struct batch_limits adapt_limits(const struct delivery *d);

/* ---- results.c ---- */

void pump_done(void *arg, struct batch *b, const struct sink_verdict *v);
/* Nothing new is sent for a while: backoff, but at least after_ms. */
void result_back_off(struct delivery *d, const char *why, int64_t after_ms);
/* Nothing is known that holds the sink: not where only other batches, or the journal,
 * do. */
bool result_is_free(const struct delivery *d);
/* It can deliver again. */
void result_go_on(struct delivery *d);
/* b is submitted again after that. */
void result_fail(struct delivery *d, struct batch *b, const char *why,
                 int64_t after_ms);
/* Letters that were replayed die again: in the file and the journal, synced. */
bool result_bury(struct delivery *d, const struct batch *b,
                 const struct sink_verdict *v, struct err *e) MUST_USE;
/* A dead_owes_fn, of a delivery: by its journal, before a stream is read. */
bool result_owes(void *arg, const struct position *at);
void result_retry(struct delivery *d); /* verdicts that could not be noted */
