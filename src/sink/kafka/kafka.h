/*
 * kafka - the sink's own state, shared by kafka.c (life, window), cluster.c (a
 * producer and its breaker), cargo.c (a batch in librdkafka's hands) and message.c
 * (what is said of one event). Nobody else includes it. One thread.
 *
 *   pump ─► queue ─► cargo ─► message ─► cluster 0 ─► reports ─► cargo ─► verdicts
 *                      └── no report after a while ─► cluster 1 ──┘
 */
#pragma once

#include <ev.h>

#include "sink/breaker.h"
#include "sink/fields.h"
#include "sink/hedging.h"
#include "sink/kafka/producer.h"
#include "sink/meter.h"
#include "sink/queue.h"
#include "sink/sink.h"

/* Cargoes that are settled but still read by a slower cluster hold their slots. */
enum { SLOTS = 256, LIVE_MAX = 64, WHY_MAX = 300, CLUSTERS = 2 };
enum { KEY, TOPIC, N_FIELDS }; /* slots of a scanned event */

/* What is known of a message; none of it: it is to be sent. */
enum message_state {
    OUT_FIRST = 1,  /* the first cluster has yet to report */
    OUT_SECOND = 2, /* the hedge's */
    OUT = OUT_FIRST | OUT_SECOND,
    TAKEN = 4,
    REFUSED = 8,
    TOLD = 16,      /* the pump knows its verdict */
    SUSPECT = 32,   /* refused with those beside it: it is to be sent alone */
    ALONE = 64      /* it was sent so */
};

struct cluster {
    struct sink *sink;
    unsigned number;           /* 0; 1: the hedge's */
    char brokers[512];
    struct producer *producer; /* NULL: there is no such cluster */
    struct producer *next;     /* takes its place once nothing is in flight */
    char next_brokers[512];
    uint64_t next_by_ns;       /* or then; 0: however long that takes */
    struct producer *alone;    /* for suspects; NULL: there was none yet */
    struct producer_cells cells;
    struct breaker breaker;
    struct meter meter;
};

/* A cargo in one cluster's hands. */
struct cargo_try {
    uint64_t generation;       /* of the breaker */
    uint64_t began_ns;
    uint32_t owed;             /* reports to come */
    bool open;                 /* its end is to come */
    bool overdue;              /* the breaker has counted it as failed */
    bool failed, purged;
};

/* A batch in librdkafka's hands. */
struct cargo {
    struct sink *sink;
    struct batch *batch;       /* NULL: free, or only late reports are to come */
    char *bytes;               /* what those speak of, when it was the batch's */
    unsigned char *state;      /* of each message */
    uint32_t n, room;          /* messages */
    uint32_t at;               /* the next one to send */
    uint32_t undecided;        /* sent, without a verdict */
    bool parked;               /* the pump has it, and submits it again */
    struct cargo_try tries[CLUSTERS];
    ev_timer hedge;
    int code;
    char why[WHY_MAX];
};

struct sink {
    struct sink_conf conf;
    const struct kafka_plan *plan;
    struct cluster clusters[CLUSTERS];
    struct cargo cargo[SLOTS];
    struct queue queue;
    ev_timer look;             /* again, at what met a full queue */
    struct fields *fields;     /* NULL: neither key nor topic_by */
    int topic_slot;            /* KEY when both are the same field */
    struct hedging hedging;    /* in messages */
    stats_cell *fatals, *scanned, *defaults, *hedges, *hedge_wins, *copies;
    uint64_t n_copies;         /* as the last one counts */
};

/* cluster.c */
int64_t kafka_now_ms(void);
/* The producer that plan wants for c, or NULL: the present one will do, or brokers is
 * NULL. False and *e: an option is not one. */
bool cluster_make(struct cluster *c, const char *brokers,
                  const struct sink_plan *plan, const struct sink_plan *before,
                  struct producer **fresh, struct err *e) MUST_USE;
/* Takes fresh, which replaces the present one at once, or in cluster_look. brokers
 * NULL: there is no such cluster any more. */
void cluster_apply(struct cluster *c, const char *brokers,
                   const struct sink_plan *plan, struct producer *fresh);
void cluster_init(struct cluster *c, struct sink *s, unsigned number);
void cluster_close(struct cluster *c); /* reports come from within */
/* False: its producer is to be replaced and has messages in flight, so that nothing
 * may be sent; ask again soon. */
bool cluster_look(struct cluster *c);
/* What it refuses of this one's messages it refuses for itself. NULL and *e: it can't
 * be made. */
struct producer *cluster_alone(struct cluster *c, struct err *e);
/* The breaker lets a cargo through; else *wait_ms. */
bool cluster_take(struct cluster *c, struct cargo_try *t, int64_t *wait_ms);
void cluster_done(struct cluster *c, struct cargo_try *t);
void cluster_overdue(struct cluster *c, struct cargo_try *t);
void cluster_show(struct cluster *c);

/* message.c: hands message i of c to a producer; copy: its bytes, too. */
rd_kafka_resp_err_t message_send(struct cargo *c, struct producer *to, uint32_t i,
                                 bool copy);
/* The cargo and the message that a report speaks of. */
struct cargo *message_of(struct sink *s, const rd_kafka_message_t *m,
                         uint32_t *i);

/* cargo.c */
void cargo_init(struct sink *s);
void cargo_fini(struct sink *s);
void cargo_look(struct sink *s); /* soon, at clusters and at what waits */
void cargo_take(struct sink *s, struct batch *b);
void cargo_report(struct cluster *from, const rd_kafka_message_t *m);
uint32_t cargo_live(const struct sink *s, uint32_t *n_free);
/* cluster_overdue for the tries that wait since before then; how many wait. */
uint32_t cargo_overdue(struct cluster *c, uint64_t since_ns);
