#include "sink/kafka/reader_topics.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "sink/kafka/reason.h"

enum {
    SETTINGS_MS = 5000, /* for an answer that is not needed */
    TRANSACTION_LOOK_NS = 100000000
};

/* ---- words ---- */

bool reader_is_silent(struct topic_reader *r, const char *what, struct err *e)
{
    char problem[sizeof r->problem];

    (void)pthread_mutex_lock(&r->lock);
    memcpy(problem, r->problem, sizeof problem);
    (void)pthread_mutex_unlock(&r->lock);
    return err_set(e, "Kafka %.100s: %s within %" PRId64 " s%s%.200s", r->brokers, what,
                   r->timeout_ms / 1000, problem[0] != '\0' ? ": " : "", problem);
}

bool reader_is_refused(const struct topic_reader *r, const char *topic,
                       int32_t partition, rd_kafka_resp_err_t err, struct err *e)
{
    return err_set(e, "Kafka %.100s: topic \"%s\" partition %" PRId32 ": %s",
                   r->brokers, topic, partition, reason_text(err));
}

/* ---- their settings, if a broker tells them ---- */

static void take_settings(struct topic_read *t, const rd_kafka_ConfigResource_t *res)
{
    size_t n = 0;
    const rd_kafka_ConfigEntry_t **list = rd_kafka_ConfigResource_configs(res, &n);

    for (size_t i = 0; i < n; i++) {
        const char *name = rd_kafka_ConfigEntry_name(list[i]);
        const char *value = rd_kafka_ConfigEntry_value(list[i]);

        if (value != NULL && strcmp(name, "cleanup.policy") == 0) {
            t->has_settings = true;
            t->compacted = strstr(value, "compact") != NULL;
        } else if (value != NULL && strcmp(name, "retention.ms") == 0) {
            t->retention_ms = strtoll(value, NULL, 10);
        }
    }
}

static void read_settings(struct topic_reader *r)
{
    rd_kafka_ConfigResource_t *asked[READER_TOPICS_MAX];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(r->rk);
    rd_kafka_AdminOptions_t *o =
        rd_kafka_AdminOptions_new(r->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_event_t *answer;
    char why[200];
    size_t n = 0;

    for (uint32_t i = 0; i < r->n_topics; i++) {
        asked[i] =
            rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, r->topics[i].name);
    }
    (void)rd_kafka_AdminOptions_set_request_timeout(o, SETTINGS_MS, why, sizeof why);
    rd_kafka_DescribeConfigs(r->rk, asked, r->n_topics, o, queue);
    answer = rd_kafka_queue_poll(queue, SETTINGS_MS);
    if (answer != NULL && rd_kafka_event_DescribeConfigs_result(answer) != NULL) {
        const rd_kafka_ConfigResource_t **list =
            rd_kafka_DescribeConfigs_result_resources(
                rd_kafka_event_DescribeConfigs_result(answer), &n);

        for (size_t i = 0; i < n && i < r->n_topics; i++) {
            if (rd_kafka_ConfigResource_error(list[i]) == RD_KAFKA_RESP_ERR_NO_ERROR) {
                take_settings(&r->topics[i], list[i]); /* in the order of asking */
            }
        }
    }
    if (answer != NULL) {
        rd_kafka_event_destroy(answer);
    }
    rd_kafka_ConfigResource_destroy_array(asked, r->n_topics);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_queue_destroy(queue);
}

/* ---- topics and partitions ---- */

static bool ask_offsets(struct topic_reader *r, rd_kafka_t *rk, struct part *p,
                        struct err *e)
{
    const rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(
        rk, p->topic->name, p->number, &p->low, &p->end, (int)r->timeout_ms);

    if (err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT) {
        return reader_is_silent(r, "no answer about its partitions", e);
    }
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ||
           reader_is_refused(r, p->topic->name, p->number, err, e);
}

/* A reader of committed messages sees none behind the first of an open transaction, not
 * even those of others: they are not lost. Waits for its end. */
static bool find_end(struct topic_reader *r, struct part *p, struct err *e)
{
    static const struct timespec look = {.tv_nsec = TRANSACTION_LOOK_NS};
    const uint64_t began = clock_mono_ns();
    int64_t end;

    if (!ask_offsets(r, r->all, p, e)) {
        return false;
    }
    end = p->end;
    for (;;) {
        if (!ask_offsets(r, r->rk, p, e)) {
            return false;
        }
        if (p->end >= end) {
            return true;
        }
        if (clock_mono_ns() - began > (uint64_t)r->timeout_ms * 1000000) {
            return err_set(e,
                           "Kafka %.100s: topic \"%s\" partition %" PRId32
                           ": a transaction open since offset %" PRId64
                           " hides all messages from there up to %" PRId64
                           ", of other producers too, for more than %" PRId64
                           " s: try again when it has ended",
                           r->brokers, p->topic->name, p->number, p->end, end,
                           r->timeout_ms / 1000);
        }
        (void)nanosleep(&look, NULL);
    }
}

static bool add_part(struct topic_reader *r, struct topic_read *t,
                     const rd_kafka_metadata_partition_t *m, struct err *e)
{
    struct part *p = &t->parts[t->n++];

    *p = (struct part){.topic = t, .number = m->id, .first_ms = -1};
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
        m->err != RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE) {
        return reader_is_refused(r, t->name, m->id, m->err, e);
    }
    return find_end(r, p, e);
}

static bool add_topic(struct topic_reader *r, const rd_kafka_metadata_topic_t *m,
                      struct err *e)
{
    struct topic_read *t = &r->topics[r->n_topics];
    bool ok = true;

    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set(e, "Kafka %.100s: topic \"%s\": %s", r->brokers, m->topic,
                       reason_text(m->err));
    }
    if (r->n_topics == READER_TOPICS_MAX) {
        return err_set(e, "more than %d topics: name fewer", READER_TOPICS_MAX);
    }
    r->n_topics++;
    (void)snprintf(t->name, sizeof t->name, "%s", m->topic);
    t->retention_ms = -1;
    t->handle = rd_kafka_topic_new(r->rk, t->name, NULL);
    t->parts = mem_zalloc((size_t)(m->partition_cnt + 1) * sizeof *t->parts);
    for (int i = 0; ok && i < m->partition_cnt; i++) {
        ok = add_part(r, t, &m->partitions[i], e);
    }
    return ok;
}

/* All topics where name is a pattern, else that one: librdkafka asks so that brokers
 * make none. */
static bool add_named(struct topic_reader *r, const char *name, struct err *e)
{
    const bool pattern = strpbrk(name, "*?[") != NULL;
    rd_kafka_topic_t *only = pattern ? NULL : rd_kafka_topic_new(r->rk, name, NULL);
    const struct rd_kafka_metadata *m = NULL;
    const uint32_t before = r->n_topics;
    bool ok = true;

    if (rd_kafka_metadata(r->rk, pattern, only, &m, (int)r->timeout_ms) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        m = NULL;
        ok = reader_is_silent(r, "no answer", e);
    }
    for (int i = 0; m != NULL && ok && i < m->topic_cnt; i++) {
        if (!pattern || fnmatch(name, m->topics[i].topic, 0) == 0) {
            ok = add_topic(r, &m->topics[i], e);
        }
    }
    if (m != NULL) {
        rd_kafka_metadata_destroy(m);
    }
    if (only != NULL) {
        rd_kafka_topic_destroy(only);
    }
    return ok && (r->n_topics > before ||
                  err_set(e, "Kafka %.100s: no topic \"%.60s\"", r->brokers, name));
}

bool reader_topics_find(struct topic_reader *r, const char *names, struct err *e)
{
    char *list = mem_strdup(names), *rest = list;
    bool ok = true;

    for (char *name; ok && (name = strtok_r(rest, ",", &rest)) != NULL;) {
        ok = add_named(r, name, e);
    }
    free(list);
    ok = ok && (r->n_topics > 0 || err_set(e, "no topic is named"));
    if (ok) {
        read_settings(r);
    }
    return ok;
}
