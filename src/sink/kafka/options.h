/*
 * options - a Kafka sink's settings as librdkafka's. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/plan.h"

struct err;
struct rd_kafka_conf_s;

enum { OPTIONS_MAX = 256 };

/* alone: one message a request. The caller's. NULL and *e: an option is not one. */
struct rd_kafka_conf_s *options_conf(const struct sink_plan *plan, const char *brokers,
                                     bool alone, struct err *e) MUST_USE;
/* Of a consumer for topic_reader, with the plan's brokers and options; committed: it sees
 * neither aborted nor open transactions. Options of producers alone have no effect. */
struct rd_kafka_conf_s *options_reader(const struct sink_plan *plan, bool committed,
                                       struct err *e) MUST_USE;
size_t options_message_max(const struct rd_kafka_conf_s *conf);
/* Whether brokers tell copies by their sequence numbers, as sluice has it; the sink's own
 * options may say otherwise. */
bool options_idempotent(const struct rd_kafka_conf_s *conf);

/* Whether librdkafka takes the plan's options, without connecting. Files that they name
 * are not looked at. Takes some milliseconds. False and *e: it does not. */
bool options_try(const struct sink_plan *plan, struct err *e) MUST_USE;

/* A hash of the files that options name, so that a renewed certificate is noticed. */
uint64_t options_files(const struct kafka_plan *k);

/* Logs the known limits of this librdkafka. */
void options_warn(const struct sink_plan *plan);
