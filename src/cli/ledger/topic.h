/*
 * topic - sluice ledger --kafka: the sink of a policy whose topics are compared
 * with the ledger of each stream that it reads.
 *
 *   ledger_topic_open -> ledger_topic_check* -> ledger_topic_close
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct ledger_stream;
struct policy;
struct sink_plan;

struct ledger_topic {
    const char *sink, *file; /* names of the sink and of the policy */
    const char *topics;      /* NULL: the sink's own */
    int64_t since_ms, until_ms, timeout_ms;
    uint64_t memory_bytes; /* for ids */
    struct policy *policy;
    const struct sink_plan *plan;
    unsigned n_checked; /* streams */
};

/* The policy's mistakes go to standard error. False and *e: it has some, or has no such
 * Kafka sink, or the topics of the sink must be named. */
bool ledger_topic_open(struct ledger_topic *t, struct err *e) MUST_USE;
void ledger_topic_close(struct ledger_topic *t);

/* Whether the sink reads the stream. */
bool ledger_topic_reads(const struct ledger_topic *t, const struct ledger_stream *l);
/* Whether its messages do not tell when their events were accepted. */
bool ledger_topic_is_timeless(const struct ledger_topic *t);

/* For a stream that the sink reads: lines on stdout, and *differs. field: path of the ids.
 * False and *e: it could not be compared. */
bool ledger_topic_check(struct ledger_topic *t, const char *spool,
                        const struct ledger_stream *l, const char *field, bool *differs,
                        struct err *e) MUST_USE;
