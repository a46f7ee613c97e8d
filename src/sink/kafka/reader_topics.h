/*
 * reader_topics - what a topic_reader knows of its topics: for reader.c alone.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "sink/kafka/topic.h"

struct err;

enum { READER_TOPICS_MAX = 256 };

struct part {
    struct topic_read *topic;
    int32_t number;
    int64_t low, end;   /* its first offset, and the one after its last */
    int64_t from, next; /* of this read */
    int64_t first_ms;   /* of its first message; -1: it has met none */
    bool reading;
};

struct topic_read {
    char name[TOPIC_BYTES_MAX + 1];
    rd_kafka_topic_t *handle;
    struct part *parts;
    uint32_t n;
    bool has_settings, compacted;
    int64_t retention_ms; /* -1: not by time */
};

struct topic_reader {
    rd_kafka_t *rk;
    rd_kafka_t *all; /* which sees open transactions, too; for offsets only */
    char brokers[512];
    int64_t timeout_ms;
    struct topic_read *topics;
    uint32_t n_topics, last; /* last: the topic of the last message */
    uint64_t n_gaps;         /* offsets without a message */
    pthread_mutex_t lock;
    char problem[300]; /* librdkafka's last complaint, by its threads */
};

/* names: with commas between, or patterns. The settings of the topics are asked for, too.
 * False and *e: one does not exist, or can't be read. */
bool reader_topics_find(struct topic_reader *r, const char *names,
                        struct err *e) MUST_USE;

/* Return false. what: "no answer"; librdkafka's last complaint is added. */
bool reader_is_silent(struct topic_reader *r, const char *what, struct err *e);
bool reader_is_refused(const struct topic_reader *r, const char *topic,
                       int32_t partition, rd_kafka_resp_err_t err, struct err *e);
