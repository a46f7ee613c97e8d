#include "sink/kafka/reader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "sink/kafka/options.h"
#include "sink/kafka/reader_topics.h"
#include "sink/kafka/reason.h"

enum {
    TAKE = 1000, /* messages at once */
    TAKE_MS = 500,
    LATE_MS = 60000 /* messages of one partition are out of order by so much */
};

/* ---- words ---- */

static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    struct topic_reader *r = rd_kafka_opaque(rk);

    (void)facility;
    if (level <= 4) {
        (void)pthread_mutex_lock(&r->lock);
        (void)snprintf(r->problem, sizeof r->problem, "%s", text);
        (void)pthread_mutex_unlock(&r->lock);
    }
}

/* ---- life ---- */

struct topic_reader *topic_reader_new(const struct topic_reader_conf *c, struct err *e)
{
    struct topic_reader *r;
    rd_kafka_conf_t *conf = options_reader(c->plan, true, e);
    rd_kafka_conf_t *all = conf == NULL ? NULL : options_reader(c->plan, false, e);
    char why[256];

    if (all == NULL) {
        if (conf != NULL) {
            rd_kafka_conf_destroy(conf);
        }
        return NULL;
    }
    r = mem_zalloc(sizeof *r);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)snprintf(r->brokers, sizeof r->brokers, "%s", c->plan->kafka.brokers);
    r->timeout_ms = c->timeout_ms;
    r->topics = mem_zalloc(READER_TOPICS_MAX * sizeof *r->topics);
    rd_kafka_conf_set_opaque(conf, r);
    rd_kafka_conf_set_log_cb(conf, on_log);
    r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_conf_set_opaque(all, r);
    rd_kafka_conf_set_log_cb(all, on_log);
    if (r->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        rd_kafka_conf_destroy(all);
        (void)err_set(e, "kafka \"%s\": %s", c->plan->name, why);
    } else if ((r->all = rd_kafka_new(RD_KAFKA_CONSUMER, all, why, sizeof why)) ==
               NULL) {
        rd_kafka_conf_destroy(all);
        (void)err_set(e, "kafka \"%s\": %s", c->plan->name, why);
    }
    if (r->rk == NULL || r->all == NULL ||
        !reader_topics_find(r, c->topics != NULL ? c->topics : c->plan->kafka.topic,
                            e)) {
        topic_reader_free(r);
        return NULL;
    }
    return r;
}

void topic_reader_free(struct topic_reader *r)
{
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 0; i < r->n_topics; i++) {
        rd_kafka_topic_destroy(r->topics[i].handle);
        free(r->topics[i].parts);
    }
    if (r->all != NULL) {
        rd_kafka_destroy(r->all);
    }
    if (r->rk != NULL) {
        rd_kafka_destroy(r->rk);
    }
    (void)pthread_mutex_destroy(&r->lock);
    free(r->topics);
    free(r);
}

/* ---- reading ---- */

struct reading {
    struct topic_reader *r;
    rd_kafka_queue_t *queue;
    uint32_t n_left; /* partitions */
    topic_message_fn *fn;
    void *arg;
};

static void end_part(struct reading *g, struct part *p)
{
    if (p->reading) {
        (void)rd_kafka_consume_stop(p->topic->handle, p->number);
        p->reading = false;
        g->n_left--;
    }
}

/* Where the reads begin: at the first message of that time, or at the first. */
static bool find_starts(struct topic_reader *r, int64_t from_ms, struct err *e)
{
    for (uint32_t i = 0; i < r->n_topics; i++) {
        struct topic_read *t = &r->topics[i];
        rd_kafka_topic_partition_list_t *list =
            rd_kafka_topic_partition_list_new((int)t->n);
        rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

        for (uint32_t k = 0; k < t->n; k++) {
            rd_kafka_topic_partition_list_add(list, t->name, t->parts[k].number)
                ->offset = from_ms;
        }
        if (from_ms > 0 && t->n > 0) {
            err = rd_kafka_offsets_for_times(r->rk, list, (int)r->timeout_ms);
        }
        for (uint32_t k = 0; k < t->n; k++) {
            struct part *p = &t->parts[k];
            const int64_t at = list->elems[k].offset;

            p->from = from_ms <= 0 || (at >= 0 && at < p->low) ? p->low
                      : at < 0                                 ? p->end
                                                               : at;
            err = err != RD_KAFKA_RESP_ERR_NO_ERROR ? err : list->elems[k].err;
        }
        rd_kafka_topic_partition_list_destroy(list);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return err_set(e, "Kafka %.100s: topic \"%s\": offsets of a time: %s",
                           r->brokers, t->name, reason_text(err));
        }
    }
    return true;
}

static bool start_part(struct reading *g, struct part *p, struct err *e)
{
    p->next = p->from;
    p->first_ms = -1;
    if (p->from >= p->end) {
        return true;
    }
    if (rd_kafka_consume_start_queue(p->topic->handle, p->number, p->from, g->queue) !=
        0) {
        return reader_is_refused(g->r, p->topic->name, p->number, rd_kafka_last_error(),
                                 e);
    }
    p->reading = true;
    g->n_left++;
    return true;
}

static struct topic_read *topic_of(struct topic_reader *r, const rd_kafka_topic_t *t)
{
    for (uint32_t i = 0; i < r->n_topics; i++) {
        const uint32_t k = (r->last + i) % r->n_topics; /* as a rule the last */

        if (strcmp(r->topics[k].name, rd_kafka_topic_name(t)) == 0) {
            r->last = k;
            return &r->topics[k];
        }
    }
    return NULL;
}

static struct part *part_of(struct topic_reader *r, const rd_kafka_message_t *m)
{
    struct topic_read *t = m->rkt == NULL ? NULL : topic_of(r, m->rkt);

    for (uint32_t i = 0; t != NULL && i < t->n; i++) {
        const uint32_t k = ((uint32_t)m->partition + i) % t->n; /* the first, often */

        if (t->parts[k].number == m->partition) {
            return &t->parts[k];
        }
    }
    return NULL;
}

static void take_message(struct reading *g, struct part *p, const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;
    const int64_t ms = rd_kafka_message_timestamp(m, &type);
    const bool timed = type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;

    if (m->offset >= p->end) {
        end_part(g, p);
        return;
    }
    g->r->n_gaps += (uint64_t)(m->offset - p->next);
    p->next = m->offset + 1;
    p->first_ms = p->first_ms < 0 && timed ? ms : p->first_ms;
    g->fn(g->arg, &(struct topic_message){
                      .topic = p->topic->name,
                      .partition = p->number,
                      .offset = m->offset,
                      .time_ms = timed ? ms : -1,
                      .appended = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
                      .payload = {m->payload, m->payload == NULL ? 0 : m->len}});
    if (p->next >= p->end) {
        end_part(g, p);
    }
}

/* False: it is the report of an error, in *e. */
static bool take(struct reading *g, const rd_kafka_message_t *m, struct err *e)
{
    struct part *p = part_of(g->r, m);

    if (p == NULL || !p->reading) {
        return true; /* of the cluster as a whole, or from behind a partition's end */
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        g->r->n_gaps += p->end > p->next ? (uint64_t)(p->end - p->next) : 0;
        end_part(g, p);
        return true;
    }
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set(e,
                       "Kafka %.100s: topic \"%s\" partition %" PRId32
                       " at offset %" PRId64 ": %s",
                       g->r->brokers, p->topic->name, p->number, p->next,
                       rd_kafka_message_errstr(m));
    }
    take_message(g, p, m);
    return true;
}

static bool stuck(const struct reading *g, struct err *e)
{
    char what[400] = "no message";

    for (uint32_t i = 0; i < g->r->n_topics; i++) {
        for (uint32_t k = 0; k < g->r->topics[i].n; k++) {
            const struct part *p = &g->r->topics[i].parts[k];

            if (p->reading) {
                (void)snprintf(what, sizeof what,
                               "no message of topic \"%s\" partition %" PRId32
                               " at offset %" PRId64 " of %" PRId64,
                               p->topic->name, p->number, p->next, p->end);
            }
        }
    }
    return reader_is_silent(g->r, what, e);
}

static bool read_on(struct reading *g, struct err *e)
{
    rd_kafka_message_t *list[TAKE];
    uint64_t since = clock_mono_ns();
    bool ok = true;

    while (ok && g->n_left > 0) {
        const ssize_t n = rd_kafka_consume_batch_queue(g->queue, TAKE_MS, list, TAKE);

        (void)rd_kafka_poll(g->r->rk, 0);
        for (ssize_t i = 0; i < n; i++) {
            ok = ok && take(g, list[i], e);
            rd_kafka_message_destroy(list[i]);
        }
        if (n > 0) {
            since = clock_mono_ns();
        } else if (clock_mono_ns() - since > (uint64_t)g->r->timeout_ms * 1000000) {
            ok = stuck(g, e);
        }
    }
    return ok;
}

bool topic_reader_read(struct topic_reader *r, int64_t from_ms, topic_message_fn *fn,
                       void *arg, struct err *e)
{
    struct reading g = {
        .r = r, .queue = rd_kafka_queue_new(r->rk), .fn = fn, .arg = arg};
    bool ok = find_starts(r, from_ms, e);

    r->n_gaps = 0;
    for (uint32_t i = 0; i < r->n_topics; i++) {
        for (uint32_t k = 0; ok && k < r->topics[i].n; k++) {
            ok = start_part(&g, &r->topics[i].parts[k], e);
        }
    }
    ok = ok && read_on(&g, e);
    for (uint32_t i = 0; i < r->n_topics; i++) {
        for (uint32_t k = 0; k < r->topics[i].n; k++) {
            end_part(&g, &r->topics[i].parts[k]);
        }
    }
    rd_kafka_queue_destroy(g.queue);
    return ok;
}

/* ---- what the topics lack ---- */

static int64_t part_horizon(const struct part *p)
{
    const int64_t keep = p->topic->retention_ms;
    const int64_t by_time = keep > 0 ? clock_wall_ms() - keep : 0;

    if (p->low == 0 || p->from > p->low) {
        return 0; /* it still has older ones */
    }
    if (p->first_ms < 0) { /* all are gone */
        return keep > 0 ? by_time : INT64_MAX;
    }
    return by_time > p->first_ms + LATE_MS ? by_time : p->first_ms + LATE_MS;
}

int64_t topic_reader_horizon(const struct topic_reader *r)
{
    int64_t latest = 0;

    for (uint32_t i = 0; i < r->n_topics; i++) {
        for (uint32_t k = 0; k < r->topics[i].n; k++) {
            const int64_t ms = part_horizon(&r->topics[i].parts[k]);

            latest = ms > latest ? ms : latest;
        }
    }
    return latest;
}

bool topic_reader_compacted(const struct topic_reader *r, uint64_t *gaps)
{
    *gaps = r->n_gaps;
    for (uint32_t i = 0; i < r->n_topics; i++) {
        if (r->topics[i].compacted) {
            return true;
        }
    }
    return false;
}

uint32_t topic_reader_partitions(const struct topic_reader *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_topics; i++) {
        n += r->topics[i].n;
    }
    return n;
}
