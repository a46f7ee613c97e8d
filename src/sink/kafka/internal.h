/*
 * internal - the sink's own state, shared by kafka.c (life, window), cluster.c (a
 * producer), try.c (its breaker), in_flight.c (a batch in librdkafka's hands), verdict.c
 * (its result), slots.c (all batches in flight), lacking.c (messages whose topic the
 * cluster lacks) and message.c (key, topic and headers of one event). No other file
 * includes it. One thread.
 *
 *   pump ─► queue ─► in_flight ─► message ─► cluster 0 ─► reports ─► in_flight ─► verdicts
 *                      └── no report after a while ─► cluster 1 ──┘
 */
#pragma once

#include <ev.h>

#include "sink/breaker.h"
#include "sink/fields.h"
#include "sink/hedging.h"
#include "sink/kafka/place.h"
#include "sink/kafka/producer.h"
#include "sink/meter.h"
#include "sink/queue.h"
#include "sink/sink.h"

/* Batches that are done but still read by a slower cluster hold their slots. */
enum { SLOTS = 1024, LIVE_MAX = 64, LATE_MAX = 192, WHY_MAX = 300, CLUSTERS = 2 };
/* A batch that is in flight for so long does not hold up those after it. */
enum { LATE_MS = 1000 };
/* More batches than these never wait for topics. */
enum { LACKING_MAX = SLOTS - LIVE_MAX - LATE_MAX - 64 };
enum { KEY, TOPIC, TIME, N_FIELDS }; /* slots of a scanned event */

/* The state of a message; 0: it is to be sent. */
enum message_state {
    OUT_FIRST = 1,  /* the first cluster has yet to report */
    OUT_SECOND = 2, /* the hedge's */
    OUT = OUT_FIRST | OUT_SECOND,
    TAKEN = 4,
    REFUSED = 8,
    TOLD = 16,       /* the pump knows its verdict */
    TO_ISOLATE = 32, /* refused with those beside it: it is to be sent alone */
    ISOLATED = 64,   /* it was sent so */
    LACKING = 128    /* its own topic is lacking: it is to be sent later */
};

struct cluster {
    struct sink *sink;
    unsigned number; /* 0; 1: the hedge's */
    char brokers[512];
    struct producer *producer; /* NULL: there is no such cluster */
    uint64_t files, new_files; /* options_files of the producer made last; of one
                                  that is to be taken */
    uint64_t recipe, next_recipe, new_recipe; /* what producer, next, and one that is to
                                                 be taken are made of */
    bool goes_back;         /* of what is to be taken: producer stays, next goes */
    struct producer *ready; /* of a plan that was checked, and recipe; NULL: none */
    uint64_t ready_recipe;
    struct producer *next; /* takes its place once nothing is in flight */
    char next_brokers[512];
    uint64_t took_ns;           /* when a message was confirmed last */
    bool refusing;              /* brokers answer, and take nothing */
    uint32_t n_nothing;         /* seconds that none was reached, or none took anything,
                                   while messages waited, since one was taken or
                                   all was well for some */
    uint32_t n_well;            /* seconds that one has been reached now */
    uint64_t next_by_ns;        /* or then; 0: however long that takes */
    int64_t fatal_ms;           /* of the last producer that was replaced; 0: none */
    char fatal[WHY_MAX];        /* its words, until a message is taken */
    struct producer *isolating; /* for messages sent alone; NULL: there was none yet */
    bool replacing;             /* the old producer gives up its messages */
    uint64_t n_copies; /* possible ones of a producer that is of no use any more */
    struct producer_cells cells;
    struct breaker breaker;
    struct meter meter;
};

/* One cluster's attempt at a batch. */
struct in_flight_attempt {
    uint64_t generation; /* of the breaker */
    uint64_t began_ns;
    uint32_t owed; /* reports to come */
    bool open;     /* its end is to come */
    bool judged;   /* the breaker has counted it, or never will */
    bool
        forgotten; /* a half-open breaker lets another one through; its end still counts */
    bool asked;    /* the cluster was sent a message */
    bool taken;    /* and took one */
    bool failed, purged;
};

/* A batch in librdkafka's hands. */
struct in_flight {
    struct sink *sink;
    struct batch *batch; /* NULL: free, or only late reports are to come */
    char *bytes; /* the messages' memory, taken from the batch for late reports */
    unsigned char *state;         /* of each message */
    int16_t *codes;               /* librdkafka's last error of each */
    struct message_place *places; /* of each that was taken */
    uint32_t *starts;             /* framing = "batch": the first event of each */
    uint32_t n, room;             /* messages */
    uint32_t at;                  /* the next one to send */
    uint32_t undecided;           /* sent, without a verdict */
    bool parked;                  /* the pump has it, and submits it again */
    bool lacking;                 /* all that is left of it waits for topics */
    bool waits_told;              /* and the pump knows that, since it gave it */
    struct in_flight_attempt tries[CLUSTERS];
    ev_timer hedge;
    int code;
    char why[WHY_MAX];
};

struct sink {
    struct sink_conf conf;
    const struct kafka_plan *plan;
    struct cluster clusters[CLUSTERS];
    struct in_flight in_flight[SLOTS];
    uint32_t n_slots; /* those after it are free and not looked at */
    struct queue queue;
    bool rests;             /* nothing more is sent */
    ev_timer look;          /* again, at messages that met a full queue */
    struct fields *fields;  /* NULL: neither key nor topic_by */
    int slots[N_FIELDS];    /* the same for the same field */
    struct topics *lacking; /* that the cluster has lacked */
    uint32_t n_lacking;     /* does now */
    ev_timer lacking_timer; /* messages that wait for a topic are tried again */
    struct hedging hedging; /* in messages */
    stats_cell *fatals, *scanned, *defaults, *hedges, *hedge_wins, *copies;
};

/* ---- kafka.c ---- */

int64_t kafka_now_ms(void);
uint64_t kafka_ago_ns(int64_t ms); /* in the time of clock_mono_ns */

/* ---- cluster.c ---- */

/* The producer that plan wants for c, or NULL: one that it has will do, or brokers is
 * NULL. False and *e: an option is not one. */
bool cluster_make(struct cluster *c, const char *brokers, const struct sink_plan *plan,
                  struct producer **fresh, struct err *e) MUST_USE;
/* cluster_make would make this one, or needs none: it is kept for that. */
bool cluster_check(struct cluster *c, const char *brokers, const struct sink_plan *plan,
                   struct err *e) MUST_USE;
/* Takes fresh, which replaces the present one at once, or in cluster_look. brokers
 * NULL: there is no such cluster any more. */
void cluster_apply(struct cluster *c, const char *brokers, const struct sink_plan *plan,
                   struct producer *fresh);
void cluster_init(struct cluster *c, struct sink *s, unsigned number);
void cluster_close(struct cluster *c); /* reports come from within */
/* False: its producer is to be replaced and has messages in flight, so that nothing
 * may be sent; ask again soon. */
bool cluster_look(struct cluster *c);
/* A broker's refusal of one of its messages is about that message alone. NULL and *e:
 * it can't be made. */
struct producer *cluster_isolating(struct cluster *c, struct err *e);
/* A message is sent again, which the cluster may have already. */
void cluster_copied(struct cluster *c);

/* ---- try.c ---- */

static inline void cluster_asked(struct in_flight_attempt *t)
{
    t->owed++;
    t->asked = true;
}

/* The breaker lets a batch through; else *wait_ms. */
bool cluster_take(struct cluster *c, struct in_flight_attempt *t, int64_t *wait_ms);
void cluster_done(struct cluster *c, struct in_flight_attempt *t);
/* It counts as failed, however it ends. */
void cluster_overdue(struct cluster *c, struct in_flight_attempt *t);
/* What it says is known by now, if one of its messages was taken. */
void cluster_taken(struct cluster *c, struct in_flight_attempt *t);
/* It says nothing of the cluster as long as it does not end: another try may go in its
 * stead. */
void cluster_unjudged(struct cluster *c, struct in_flight_attempt *t);
void cluster_show(struct cluster *c);

/* ---- message.c ---- */

/* The events of message i of c. */
static inline uint32_t message_first(const struct in_flight *c, uint32_t i)
{
    if (c->starts == NULL || c->sink->plan->framing != KAFKA_BATCH) {
        return i;
    }
    return i < c->n ? c->starts[i] : c->batch->n;
}

/* Hands message i of c to a producer; copy: its bytes, too. */
rd_kafka_resp_err_t message_send(struct in_flight *c, struct producer *to, uint32_t i,
                                 bool copy);
/* The batch in flight, and its message, that a report speaks of. */
struct in_flight *message_of(struct sink *s, const rd_kafka_message_t *m, uint32_t *i);
/* The topic that the event of message i names; {NULL, 0}: it goes to the plan's. Lives
 * until the next call. */
struct str message_own_topic(struct in_flight *c, uint32_t i);
/* With `timestamp`: the event says another time than that of its arrival, more than ten
 * minutes before or after it. */
bool message_is_untimely(struct in_flight *c, uint32_t i);

/* ---- verdict.c ---- */

/* All that was sent of c has an end. */
void in_flight_conclude(struct in_flight *c);
void in_flight_tell_taken(struct in_flight *c);
/* The pump gets it back. unsent: no cluster was asked for it now. */
void in_flight_park(struct in_flight *c, bool unsent, int64_t after_ms);
/* framing = "batch": messages of a size that a broker takes. */
void in_flight_split(struct in_flight *c);
void in_flight_reserve(struct in_flight *c, uint32_t n); /* room for n messages */

/* ---- lacking.c ---- */

/* Message i was refused for its topic: LACKING, REFUSED, or 0 when the topic is the
 * plan's own. */
unsigned char lacking_refused(struct in_flight *c, uint32_t i, rd_kafka_resp_err_t err);
void lacking_taken(struct sink *s, const rd_kafka_message_t *m);
bool lacking_is_topic_error(rd_kafka_resp_err_t err);
void lacking_wait(struct in_flight *c); /* the remaining messages of c */
void lacking_rest(struct sink *s);      /* all of them are the pump's again */
void lacking_init(struct sink *s);
void lacking_fini(struct sink *s);

/* ---- in_flight.c ---- */

void in_flight_init(struct sink *s);
void in_flight_fini(struct sink *s);
void in_flight_look(struct sink *s); /* soon, at clusters and at waiting batches */
void in_flight_take(struct sink *s, struct batch *b);
void in_flight_forget(struct sink *s, struct batch *b); /* its reports mean nothing */
bool in_flight_send(
    struct in_flight *c); /* messages without a state; false: the breaker is open */
/* taken: as in producer_report_fn. */
void in_flight_report(struct cluster *from, const rd_kafka_message_t *m, bool taken);

/* ---- slots.c ---- */

static inline bool in_flight_is_free(const struct in_flight *c)
{
    return c->batch == NULL && c->tries[0].owed == 0 && c->tries[1].owed == 0;
}

/* Batches by the thing that they wait for: see kafka_window. */
struct in_flight_counts {
    uint32_t live, late, lacking, free;
};
struct in_flight_counts in_flight_count(const struct sink *s);
/* Tells the taken messages of late batches: each second. */
void in_flight_tell_late(struct sink *s);

/* Whether a try waits since before then. */
bool in_flight_waits(const struct cluster *c, uint64_t since_ns);
/* Whether a message of a batch has no end since before then, in no cluster. */
bool in_flight_undecided(const struct sink *s, uint64_t since_ns);
typedef void judge_fn(struct cluster *c, struct in_flight_attempt *t);
/* Judges the tries that wait since before then; how many wait. */
uint32_t in_flight_late(struct cluster *c, uint64_t since_ns, judge_fn *judge);
