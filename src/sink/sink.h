/*
 * sink - where sealed batches go. Files, Kafka and ClickHouse each supply one
 * struct sink_ops; the delivery loop sees only this.
 *
 * Every call and callback happens on the sink's own loop thread.
 */
#pragma once

#include <stdint.h>

#include "spool/spool.h"

struct ev_loop;
struct err;
struct sink;
struct sink_plan;
struct batch;

enum sink_verdict_kind {
    SINK_OK = 0,
    SINK_RETRY, /* not applied: send again later */
    SINK_MAYBE, /* may have been applied: send the same bytes again */
    SINK_DATA,  /* the events themselves are refused */
    SINK_SETUP, /* nothing will be taken until somebody mends something */
    SINK_SPLIT  /* send it in smaller parts */
};

/* What became of batch b, or of its events first .. first + n - 1. Several
 * verdicts may settle one batch; each event is settled exactly once. */
struct sink_verdict {
    enum sink_verdict_kind kind;
    uint32_t first, n; /* the part it speaks of */
    int64_t row;       /* the refused event as the server counts, or -1 */
    int code;          /* the server's own, 0 if none */
    const char *why;   /* for a human; valid during the call */
};

typedef void sink_done_fn(void *arg, struct batch *b,
                          const struct sink_verdict *v);

/* Lua reaches a sink only through these; NULL: the default is used. Filled by
 * server/ from policy/. */
struct sink_hooks {
    void *arg;
};
