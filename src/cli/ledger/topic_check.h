/*
 * topic_check - a stream's ledger against the Kafka topics of a sink. First counts and
 * checksums by minute; where they differ, each id of these minutes (12 bytes each in
 * memory, at most memory_bytes at once; for more ids the topics are read again, once for
 * each part of the fingerprints); then the ids that differ, in the whole period.
 *
 * The minute of a message is its timestamp, which the sink sets to the time at which the
 * event was accepted. Where it is another time, all ids are compared at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/ledger/read.h"
#include "cli/ledger/suspects.h"

struct away;
struct err;
struct sink_plan;

struct topic_check {
    const char *spool;
    const char *field;            /* path of the ids */
    const struct sink_plan *plan; /* of a Kafka sink */
    const char *topics;           /* NULL: the plan's */
    const struct away *away;      /* events that need not be in these */
    uint32_t sink;                /* the same among those of the ledger */
    int64_t since_ms;             /* 0: the whole topics are read */
    int64_t until_ms;             /* INT64_MAX: up to their ends */
    int64_t timeout_ms;
    uint64_t memory_bytes; /* for ids */
};

struct topic_result {
    struct check_result all;
    uint64_t unconfirmed; /* events of which the sink has not confirmed the delivery */
    uint64_t foreign;     /* messages that are no events of the stream and period */
    uint64_t tombstones, anonymous; /* messages without a payload, without an id */
    int64_t from_ms;  /* only events from then on: the topics lack older ones; 0: all */
    uint64_t deleted; /* events from before that */
    bool compacted;   /* brokers may have removed what is missing */
    uint64_t gaps;    /* offsets without a message */
    uint32_t partitions;
};

/* Writes a line for each id to stdout. False and *e: not all could be compared. */
bool topic_check(const struct topic_check *c, const struct ledger_stream *l,
                 struct topic_result *out, struct err *e) MUST_USE;
