/*
 * sink - where sealed batches go. Files, Kafka and ClickHouse each supply one
 * struct sink_ops; the delivery loop sees only this.
 *
 *   open -> replay* -> recover -> (submit -> done)*, (check* -> apply)* -> close
 *
 * Every call and callback happens on the sink's own loop thread; open to recover
 * before that thread starts.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "batch/batch.h"
#include "journal/journal.h"
#include "plan/plan.h"
#include "sink/breaker.h"
#include "sink/hooks.h"

struct err;
struct ev_loop;
struct folders;
struct sink;

enum sink_verdict_kind {
    SINK_OK = 0,
    SINK_RETRY, /* not applied: send again later */
    SINK_MAYBE, /* may have been applied: send the same bytes again */
    SINK_DATA,  /* the events themselves are refused */
    SINK_SETUP, /* nothing will be taken until an operator mends the cause */
    SINK_SPLIT  /* send it in smaller parts */
};

/* The result of batch b, or of its events first .. first + n - 1. Several verdicts may
 * end one batch; each event is acknowledged exactly once. SINK_OK with n = 0: its server
 * answers, and the rest of it waits beside those that come after it. */
struct sink_verdict {
    enum sink_verdict_kind kind;
    uint32_t first, n;   /* the part it speaks of, */
    const uint32_t *but; /* in order: its events of which it does not */
    uint32_t n_but;
    int64_t row;       /* the refused event as the server counts, or -1 */
    int code;          /* the server's own, 0 if none */
    int64_t after_ms;  /* not SINK_OK: not before so long; 0: nothing is known */
    bool unsent;       /* SINK_RETRY: nobody was asked for it */
    bool enlarge;      /* not SINK_OK: fewer and larger batches would be taken */
    const char *why;   /* for a human; valid during the call */
    const char *place; /* SINK_OK: where its events are, for a human; valid during the
                          call. NULL: not known */
};

/* Never called from inside submit. SINK_OK and SINK_DATA end a part of b, and with its
 * last part take b back; after any other kind b is submitted again later, as it is, and
 * the sink knows the parts of it that have a verdict. */
typedef void sink_done_fn(void *arg, struct batch *b, const struct sink_verdict *v);

/* Events of a stream that recover found to be delivered. */
typedef void sink_ack_fn(void *arg, struct str stream, const struct batch_range *ranges,
                         uint32_t n);

/* A stream as a sink sees it: batch.stream is its place. */
struct sink_stream {
    char name[72];
    bool synced; /* delivered events must outlive a power cut */
};

struct sink_conf {
    const struct sink_plan *plan; /* valid until apply */
    const char *data_dir;         /* relative folders lie below */
    const char *spool_uuid;       /* of events from now on: see sink_uuid */
    const char *(*uuid_of)(const void *spool, uint32_t epoch); /* NULL: always it */
    const void *spool;
    struct folders *folders;           /* which sink writes where; NULL: not checked */
    const char *origin;                /* the name that servers know its batches by;
                                      set once the journal is replayed */
    const struct sink_stream *streams; /* PLAN_STREAMS_MAX; live */
    struct ev_loop *loop;
    struct journal **journal; /* opened before recover */
    const struct sink_hooks *hooks;
    /* Its breakers are opened by hand, also those to come; NULL: never. */
    const atomic_bool *shut;
    sink_done_fn *done;
    sink_ack_fn *ack;
    void *arg;
};

/* The uuid that names the events of the shards of that epoch: a copied spool has a new
 * one since it was. */
static inline const char *sink_uuid(const struct sink_conf *c, uint32_t epoch)
{
    return c->uuid_of == NULL ? c->spool_uuid : c->uuid_of(c->spool, epoch);
}

struct sink_endpoint {
    char url[128];
    bool spare; /* helps another, and takes nothing alone */
    enum breaker_state state;
    struct breaker_counts counts;
};

struct sink_ops {
    const char *kind;     /* the policy's word */
    enum batch_keep keep; /* the parts of events that its batches keep */
    bool journals;        /* it records its deliveries itself */
    bool intends;         /* a batch has an identity that outlives a crash */
    bool grows;           /* a batch also takes the events that wait, up to max */

    /* Must not block for long; connects lazily. NULL and *e on error. conf is
     * copied. */
    struct sink *(*open)(const struct sink_conf *conf, struct err *e);

    /* A record of its own (FILE, SEAL) from the journal, in order. */
    void (*replay)(struct sink *s, const struct record *r);

    /* Brings the sink's files in line with the journal; calls ack. NULL: it has no
     * files. */
    bool (*recover)(struct sink *s, struct err *e);

    /* The journal is written again: emits the records that are still needed. */
    void (*emit)(struct sink *s, struct journal_draft *draft);

    /* Whether apply would take plan, as far as can be seen now; its settings stay as
     * they are. NULL: it takes each. */
    bool (*check)(struct sink *s, const struct sink_plan *plan, struct err *e);

    /* New settings of the same kind. False and *e: the old ones stay. */
    bool (*apply)(struct sink *s, const struct sink_plan *plan, struct err *e);

    /* Takes b until done. Must not block on a peer: a full queue is a
     * SINK_RETRY verdict, not a wait. */
    void (*submit)(struct sink *s, struct batch *b);

    /* b, which was submitted, is the caller's again without a verdict, wherever it is:
     * some of its events without a verdict may have been applied, or may be later.
     * NULL: it has no letters that could be given up. */
    void (*forget)(struct sink *s, struct batch *b);

    /* Where batches planned from now on go: one that was planned otherwise says so in
     * batch.destination. NULL: there is nowhere else. */
    const char *(*destination)(const struct sink *s);

    /* Batches that it takes now; NULL: 2 a stream. */
    uint32_t (*window)(const struct sink *s);

    /* At every tick: why nothing of what it has in hand is taken, though no batch comes
     * back; NULL: it is. Valid until the next call. op NULL: those come back. */
    const char *(*stuck)(const struct sink *s);

    /* No more batches come, and another sink goes on with those in hand: gives back what
     * no server has yet. NULL: it has no such queue. */
    void (*rest)(struct sink *s);

    /* Opens or closes its breakers by hand; NULL: it has none. */
    void (*force)(struct sink *s, bool open);

    /* Its endpoints, for people; NULL: it has none. */
    uint32_t (*endpoints)(struct sink *s, struct sink_endpoint *out, uint32_t max);

    /* At every tick: why it does not hedge though the policy wants it; "": it
     * does; NULL: it isn't wanted. Valid until the next call. op NULL: it can't. */
    const char *(*hedging)(struct sink *s);

    /* No more batches come, and the journal is deleted: finishes the work that it has
     * begun. False and *e: not yet, ask again later. NULL: there is nothing to
     * finish. */
    bool (*finish)(struct sink *s, struct err *e);

    /* Settles everything in flight through done, then frees s. */
    void (*close)(struct sink *s);
};

/* sink_absent stands for one whose plan is gone: it takes nothing. */
extern const struct sink_ops sink_absent, sink_clickhouse, sink_file, sink_http,
    sink_kafka, sink_null;

/* ---- kinds.c ---- */

/* The operations of one kind; their kind is plan_sink_word's. */
const struct sink_ops *sink_kind_ops(enum sink_kind kind);
