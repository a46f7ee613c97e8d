/*
 * reason - an error of Kafka in words for people: a broker's with its public name, one of
 * librdkafka's own as what it means for the sink. Any thread.
 */
#pragma once

#include <stddef.h>

#include <librdkafka/rdkafka.h>

/* Static text. */
const char *reason_text(rd_kafka_resp_err_t err);

/* "MSG_SIZE_TOO_LARGE: Broker: Message size too large (topic t)", "a broker did not answer
 * in time (topic t)"; topic: "" none. Returns out, cut to max. */
const char *reason_write(rd_kafka_resp_err_t err, const char *topic, char *out,
                         size_t max);

/* With the details that librdkafka has for its error. Returns out, cut to max. */
const char *reason_detail(rd_kafka_resp_err_t err, const char *detail, char *out,
                          size_t max);
