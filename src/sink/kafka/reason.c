#include "sink/kafka/reason.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

/* Only librdkafka has these; brokers' errors are in Kafka's own documents. */
static const struct {
    rd_kafka_resp_err_t err;
    const char *text;
} own[] = {
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, "the producer was replaced before it had sent "
                                     "these messages: they are sent again"},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,
     "the producer was replaced before a broker had answered: the messages are sent "
     "again"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, "no broker took the messages in time"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, "a broker did not answer in time"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
     "a request waited too long to be sent to a broker"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, "the connection to a broker failed"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "no broker can be reached"},
    {RD_KAFKA_RESP_ERR__RESOLVE, "a broker's name can't be resolved"},
    {RD_KAFKA_RESP_ERR__SSL, "TLS with a broker failed"},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, "a broker refused the login"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "the brokers do not have the topic"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "the brokers do not have the partition"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_BROKER, "the cluster does not have this broker"},
    {RD_KAFKA_RESP_ERR__NOENT, "the topic or partition is gone"},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, "librdkafka's queue is full"},
    {RD_KAFKA_RESP_ERR__FATAL,
     "the producer is broken and is replaced: the messages are sent again"},
    {RD_KAFKA_RESP_ERR__INCONSISTENT,
     "the brokers' answers contradict what the producer has sent"},
    {RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE,
     "a message could not be sent, and the order of the others would have a gap"},
    {RD_KAFKA_RESP_ERR__FENCED, "another producer has taken this one's place"},
    {RD_KAFKA_RESP_ERR__STATE, "the producer can't do that now"},
    {RD_KAFKA_RESP_ERR__DESTROY, "the producer was stopped"},
    {RD_KAFKA_RESP_ERR__BAD_MSG, "a broker's answer can't be read"},
    {RD_KAFKA_RESP_ERR__BAD_COMPRESSION, "the messages could not be compressed"},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,
     "the brokers do not have a function that the settings need"},
    {RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE,
     "the machine has no memory, thread or file descriptor left"},
    {RD_KAFKA_RESP_ERR__FS, "a file could not be read or written"},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, "librdkafka does not accept a setting"},
    {RD_KAFKA_RESP_ERR__FAIL, "librdkafka failed without a reason"},
};

static bool is_own(rd_kafka_resp_err_t err)
{
    return err < RD_KAFKA_RESP_ERR__END && err >= RD_KAFKA_RESP_ERR__BEGIN;
}

const char *reason_text(rd_kafka_resp_err_t err)
{
    static const char local[] = "Local: ";
    const char *text;

    for (size_t i = 0; i < N_ELEMS(own); i++) {
        if (own[i].err == err) {
            return own[i].text;
        }
    }
    text = rd_kafka_err2str(err);
    return strncmp(text, local, sizeof local - 1) == 0 ? text + sizeof local - 1 : text;
}

const char *reason_detail(rd_kafka_resp_err_t err, const char *detail, char *out,
                          size_t max)
{
    (void)snprintf(out, max, "%s: %s",
                   is_own(err) ? reason_text(err) : rd_kafka_err2name(err), detail);
    return out;
}

const char *reason_write(rd_kafka_resp_err_t err, const char *topic, char *out,
                         size_t max)
{
    const bool named = topic[0] != '\0';

    (void)snprintf(out, max, "%s%s%s%s%s%s", is_own(err) ? "" : rd_kafka_err2name(err),
                   is_own(err) ? "" : ": ", reason_text(err), named ? " (topic " : "",
                   topic, named ? ")" : "");
    return out;
}
