/*
 * producer - librdkafka's producer on a sink's loop: made from a plan, polled when
 * it has something to say.
 *
 *   producer_new -> rd_kafka_produce (kafka.c), reports come -> producer_free
 *
 * One thread; librdkafka has its own after it.
 */
#pragma once

#include <ev.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/attr.h"
#include "plan/plan.h"
#include "sink/kafka/topics.h"
#include "stats/stats.h"

struct err;

enum { PARTITIONS_MAX = 4096 };

/* taken: a broker has said that it has the message. */
typedef void producer_report_fn(void *arg, const rd_kafka_message_t *m, bool taken);
/* Each second: whether a broker is connected; why messages are sent again and again, or
 * can't be sent: "": nothing is known of that. */
typedef void producer_stats_fn(void *arg, bool reached, const char *refused);
/* The producer is of no use any more: free it and make another. */
typedef void producer_fatal_fn(void *arg, const char *why);

/* librdkafka's statistics, over all producers of a cluster. */
struct producer_cells {
    stats_cell *queued, *queued_bytes, *sent, *wire;
};
void producer_cells_init(struct producer_cells *c, const char *sink,
                         const char *brokers);

struct producer_conf {
    struct ev_loop *loop;
    const char *brokers;
    const struct sink_plan *plan;
    struct producer_cells *cells;
    producer_report_fn *report;
    producer_stats_fn *stats; /* NULL: no statistics, no cells */
    producer_fatal_fn *fatal;
    void *arg;
    bool alone; /* one message a request */
};

struct producer {
    struct ev_loop *loop;
    char name[96]; /* the sink's */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int fd;
    bool debug; /* librdkafka's own lines go to the log */
    ev_io io;
    ev_idle again;            /* more waits than one turn takes */
    struct topics *topics;    /* that it has sent to */
    size_t message_max_bytes; /* larger ones it refuses itself */
    bool idempotent;          /* see is_taken */
    /* For partition.c, also on librdkafka's threads: */
    _Atomic int64_t outstanding[PARTITIONS_MAX]; /* bytes, with least_bytes */
    _Atomic uint32_t partitioned;                /* messages */
    uint32_t sticky_messages;                    /* > 0: in a row to one partition */
    const struct kafka_plan *plan;               /* the owner keeps it up to date */
    producer_report_fn *report;
    producer_stats_fn *stats;
    producer_fatal_fn *fatal;
    void *arg;
    char fatal_why[300], last_error[300];
    /* Brokers' answers to requests that librdkafka sends again by itself; its
     * threads'. */
    pthread_mutex_t refused_lock;
    char refused[200];   /* its words, with the topic's partition */
    uint64_t refused_ns; /* when that came last; 0: never */
    struct producer_cells *cells;
    uint64_t sent_before, wire_before;
    struct scan_keys *stat_keys;
};

/* NULL and *e: an option is not one, or can't be used. */
struct producer *producer_new(const struct producer_conf *conf, struct err *e) MUST_USE;

/* It tells its owner nothing until it is woken, once. */
void producer_rest(struct producer *p);
void producer_wake(struct producer *p);

/* name is a valid one. NULL: it has as many as it may have, which the plan's own topic
 * is not counted for. */
rd_kafka_topic_t *producer_topic(struct producer *p, struct str name);

/* Hands out the reports that are there; done: all of them. */
bool producer_poll(struct producer *p, unsigned most);

/* Every message has its report, and that was handed out. */
bool producer_idle(const struct producer *p);
/* A fatal error: all that it has in hand fails. */
bool producer_failed(const struct producer *p);
/* Lingering messages are sent now; takes up to 10 ms. */
void producer_flush(struct producer *p);
/* Messages that are not on their way to a broker are reported as purged. */
void producer_give_back(struct producer *p);

/* Why its cluster's breaker lets nothing through, for people. */
void producer_why_shut(const struct producer *p, bool forced, char *out, size_t n);

/* Drops messages that are queued and in flight, after their reports. Never waits for a
 * broker. */
void producer_free(struct producer *p);

/* ---- refusal.c ---- */

/* A line of librdkafka's, on any thread; and, with its statistics, the present problem,
 * in out: "": none is known. Returns out. */
void refusal_take(struct producer *p, const char *facility, const char *text);
const char *producer_refusal(struct producer *p, const char *stats, char *out,
                             size_t max);

/* ---- partition.c ---- */

/* The plan's partitioner; NULL: librdkafka's. A message's opaque pointer
 * must have its bytes in its lower 32 bits. */
rd_kafka_topic_conf_t *partition_conf(struct producer *p);
void partition_reported(struct producer *p, const rd_kafka_message_t *m);
