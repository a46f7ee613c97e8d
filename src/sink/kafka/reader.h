/*
 * reader - the messages of some topics, read by their offsets up to where each partition
 * ended when the reader was made. It joins no consumer group and commits nothing, so the
 * cluster keeps no trace of it. Of transactions it sees the committed ones only.
 *
 *   topic_reader_new -> topic_reader_read* -> topic_reader_free
 *
 * For commands. Its calls block; one thread, librdkafka has its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct sink_plan;
struct topic_reader;

struct topic_reader_conf {
    const struct sink_plan *plan; /* brokers and options of a Kafka sink */
    const char *topics; /* names or patterns (* and ?) with commas between; NULL: the
                           plan's topic */
    int64_t timeout_ms; /* without any message or answer: an error */
};

struct topic_message {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t time_ms;    /* -1: it has none */
    bool appended;      /* the broker's time, when it took the message */
    struct str payload; /* p NULL: a tombstone */
};

typedef void topic_message_fn(void *arg, const struct topic_message *m);

/* NULL and *e: no broker answers, a topic does not exist, or a partition has no
 * leader. */
struct topic_reader *topic_reader_new(const struct topic_reader_conf *conf,
                                      struct err *e) MUST_USE;
void topic_reader_free(struct topic_reader *r); /* NULL is fine */

/* Calls fn with each message, of each partition in its order. from_ms: from the first
 * message of that time on; 0: all. False and *e: not all could be read. */
bool topic_reader_read(struct topic_reader *r, int64_t from_ms, topic_message_fn *fn,
                       void *arg, struct err *e) MUST_USE;

/* After a read: the topics may lack messages of events from before this time, because
 * brokers delete old ones. 0: they lack none; INT64_MAX: it can't be told. */
int64_t topic_reader_horizon(const struct topic_reader *r);

/* Whether brokers may have removed messages between others, by their settings. *gaps: offsets
 * without a message, also those of transactions. */
bool topic_reader_compacted(const struct topic_reader *r, uint64_t *gaps);

uint32_t topic_reader_partitions(const struct topic_reader *r);
