/*
 * state - one delivery, as its two files share it: delivery.c is the supervisor's
 * side, pump.c the thread's. Nobody else includes it.
 */
#pragma once

#include <ev.h>
#include <pthread.h>

#include "base/err.h"
#include "loop/mailbox.h"
#include "sink/delivery.h"
#include "sink/outlet.h"
#include "sink/sink.h"
#include "stats/stats.h"

struct delivery {
    struct ev_loop *loop;
    struct mailbox mail;
    ev_async woken;
    ev_timer linger, retry, tick;
    ev_idle again;
    pthread_t thread;
    char name[96];
    struct plan *plan;
    const struct sink_plan *conf;
    struct spool *spool;
    const struct sink_ops *ops;
    struct sink *sink;
    struct sink_stream streams[PLAN_STREAMS_MAX]; /* as the sink sees them */
    struct outlet outlets[PLAN_STREAMS_MAX];
    uint32_t n_outlets;
    struct journal *journal;
    uint64_t compacted_bytes;   /* size after the last rewrite */
    struct batch *pool, *failed;
    uint32_t n_pool;
    int64_t backoff_ms;
    bool draining;
    uint64_t drain_until_ns;
    bool empty;                 /* at the end: nothing was left */
    /* for the supervisor */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct delivery_status status;
    bool applied, apply_ok;
    struct err apply_why;
    stats_cell *delivered, *reasons[BATCH_N_REASONS], *retries, *lag, *holding,
        *lost, *skipped;
    struct stats_histogram *batch_events, *age;
};

/* pump.c */
void pump_watch(struct delivery *d);  /* before the thread starts */
void pump(struct delivery *d);        /* sends what is due */
void pump_later(struct delivery *d);  /* in the next turn of the loop */
void pump_done(void *arg, struct batch *b, const struct sink_verdict *v);
/* Writes the journal anew, of what still counts. */
bool pump_compact(struct delivery *d, struct err *e) MUST_USE;
