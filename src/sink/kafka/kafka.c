/*
 * The Kafka sink: a message an event, or one of NDJSON lines a batch. Delivery reports
 * tell the result of each (in_flight.c); a cluster that fails is left alone
 * (cluster.c).
 */
#include "sink/kafka/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "sink/kafka/options.h"

enum {
    STUCK_S = 5, /* a broker's restart or a new leader takes less */
    /* Batches in flight of a stream that goes on, and how many of them may wait for
     * topics: together fewer than a single stream's late ones. */
    FEW = 16,
    FEW_LACKING = LATE_MAX / 2
};

int64_t kafka_now_ms(void)
{
    return (int64_t)(clock_mono_ns() / 1000000u);
}

uint64_t kafka_ago_ns(int64_t ms)
{
    const uint64_t now_ns = clock_mono_ns(), ns = (uint64_t)ms * 1000000;

    return now_ns > ns ? now_ns - ns : 0;
}

static void take(void *arg, struct batch *b)
{
    in_flight_take(arg, b);
}

static void kafka_submit(struct sink *s, struct batch *b)
{
    queue_put(&s->queue, b);
}

static void kafka_forget(struct sink *s, struct batch *b)
{
    queue_remove(&s->queue, b);
    in_flight_forget(s, b);
}

/* Messages that wait for one partition or one topic do not hold up the rest, as long as
 * there is room for them. Once too many are late, only streams that have few batches in
 * flight go on: not those whose own are late. */
static uint32_t kafka_window(const struct sink *s)
{
    struct in_flight_counts n = in_flight_count(s);
    uint32_t queued = queue_size(&s->queue);
    uint32_t lacking = n.lacking < FEW_LACKING ? n.lacking : FEW_LACKING;

    if (s->clusters[0].next != NULL || n.live + queued + 1 >= LIVE_MAX ||
        queued + 1 >= n.free) {
        return 0;
    }
    return n.late < LATE_MAX ? LIVE_MAX + n.late + n.lacking : FEW + lacking;
}

static const char *kafka_stuck(const struct sink *s)
{
    const struct cluster *c = &s->clusters[0];

    return c->n_nothing >= STUCK_S &&
                   in_flight_undecided(s, kafka_ago_ns(STUCK_S * 1000))
               ? c->producer->last_error
               : NULL;
}

/* What brokers have is waited for, since nobody else could tell their copies. */
static void kafka_rest(struct sink *s)
{
    s->rests = true;
    lacking_rest(s);
    for (unsigned i = 0; i < CLUSTERS; i++) {
        if (s->clusters[i].producer != NULL) {
            producer_give_back(s->clusters[i].producer);
        }
        if (s->clusters[i].isolating != NULL) {
            producer_give_back(s->clusters[i].isolating);
        }
    }
    in_flight_look(s);
}

static void kafka_force(struct sink *s, bool open)
{
    for (unsigned i = 0; i < CLUSTERS; i++) {
        if (s->clusters[i].producer != NULL) {
            breaker_force(&s->clusters[i].breaker, kafka_now_ms(), open);
            cluster_show(&s->clusters[i]);
        }
    }
}

static uint32_t kafka_endpoints(struct sink *s, struct sink_endpoint *out, uint32_t max)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < CLUSTERS && n < max; i++) {
        struct cluster *c = &s->clusters[i];

        if (c->producer != NULL) {
            cluster_show(c);
            (void)snprintf(out[n].url, sizeof out[n].url, "%s", c->brokers);
            out[n].state = c->meter.shown;
            out[n].spare = i > 0;
            out[n++].counts = c->breaker.counts;
        }
    }
    return n;
}

/* ---- life ---- */

/* *out is NULL: no field is wanted. */
static bool make_fields(const struct kafka_plan *k, struct fields **out,
                        int slots[N_FIELDS], struct err *e)
{
    const char *const wanted[N_FIELDS] = {
        [KEY] = k->key, [TOPIC] = k->topic_by, [TIME] = k->timestamp};
    struct str paths[N_FIELDS];
    int n = 0;

    *out = NULL;
    for (int i = 0; i < N_FIELDS; i++) {
        slots[i] = -1;
        for (int h = 0; h < i && wanted[i] != NULL; h++) {
            if (wanted[h] != NULL && strcmp(wanted[h], wanted[i]) == 0) {
                slots[i] = slots[h];
            }
        }
        if (wanted[i] != NULL && slots[i] < 0) {
            slots[i] = n;
            paths[n++] = str_of(wanted[i]);
        }
    }
    if (n > 0) {
        *out = fields_new(paths, (unsigned)n, e);
        return *out != NULL;
    }
    return true;
}

static bool keeps_framing(const struct sink *s, const struct sink_plan *plan,
                          struct err *e)
{
    return s->plan == NULL || s->plan->framing == plan->kafka.framing ||
           err_set(e,
                   "sink \"%s\" changes its framing: give it another "
                   "name",
                   plan->name);
}

static bool check_plan(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    const struct kafka_plan *k = &plan->kafka;
    const char *const brokers[CLUSTERS] = {k->brokers, k->hedge_brokers};
    struct fields *fields = NULL;
    int slots[N_FIELDS];
    bool ok = keeps_framing(s, plan, e) && make_fields(k, &fields, slots, e);

    fields_free(fields);
    for (unsigned i = 0; ok && i < CLUSTERS; i++) {
        ok = cluster_check(&s->clusters[i], brokers[i], plan, e);
    }
    return ok;
}

static bool take_plan(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    const struct kafka_plan *k = &plan->kafka;
    const char *const brokers[CLUSTERS] = {k->brokers, k->hedge_brokers};
    struct producer *fresh[CLUSTERS] = {NULL, NULL};
    struct fields *fields;
    int slots[N_FIELDS];
    bool ok;

    if (!keeps_framing(s, plan, e)) {
        return false;
    }
    ok = make_fields(k, &fields, slots, e);
    for (unsigned i = 0; ok && i < CLUSTERS; i++) {
        ok = cluster_make(&s->clusters[i], brokers[i], plan, &fresh[i], e);
    }
    if (!ok) { /* nothing has changed */
        if (fresh[0] != NULL) {
            producer_free(fresh[0]);
        }
        fields_free(fields);
        return false;
    }
    fields_free(s->fields);
    s->fields = fields;
    memcpy(s->slots, slots, sizeof slots);
    for (unsigned i = 0; i < CLUSTERS; i++) {
        cluster_apply(&s->clusters[i], brokers[i], plan, fresh[i]);
    }
    s->conf.plan = plan;
    s->plan = k;
    in_flight_look(s); /* at a producer that is to be replaced */
    return true;
}

static void make_cells(struct sink *s)
{
    char label[160];

    (void)stats_label_pair(label, sizeof label, "sink", s->conf.plan->name);
    s->fatals = stats_counter("sluice_kafka_fatal_errors_total",
                              "Producers replaced after a fatal error of "
                              "librdkafka.",
                              label);
    s->scanned = stats_counter(
        "sluice_kafka_scanned_events_total",
        "Events that were read again at delivery for their key or topic.", label);
    s->copies = stats_counter(
        "sluice_kafka_possible_copies_total",
        "Messages sent again although the broker may have stored them.", label);
    s->defaults = stats_counter("sluice_kafka_topic_defaults_total",
                                "Events for which topic_by gave no topic.", label);
    s->hedges = stats_counter("sluice_hedges_total", HEDGES_HELP, label);
    s->hedge_wins = stats_counter("sluice_hedge_wins_total", HEDGE_WINS_HELP, label);
}

static void kafka_close(struct sink *s)
{
    s->rests = true;
    for (unsigned i = 0; i < CLUSTERS; i++) {
        cluster_close(&s->clusters[i]); /* nothing is read after this */
    }
    queue_fini(&s->queue);
    lacking_fini(s);
    in_flight_fini(s);
    fields_free(s->fields);
    free(s);
}

static struct sink *kafka_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);

    s->conf = *conf;
    queue_init(&s->queue, conf->loop, take, s);
    in_flight_init(s);
    lacking_init(s);
    make_cells(s);
    for (unsigned i = 0; i < CLUSTERS; i++) {
        cluster_init(&s->clusters[i], s, i);
    }
    if (!take_plan(s, conf->plan, e)) {
        kafka_close(s);
        return NULL;
    }
    options_warn(conf->plan);
    return s;
}

const struct sink_ops sink_kafka = {.kind = "kafka",
                                    .keep = BATCH_KEEP_ENTRIES,
                                    .open = kafka_open,
                                    .check = check_plan,
                                    .apply = take_plan,
                                    .submit = kafka_submit,
                                    .forget = kafka_forget,
                                    .window = kafka_window,
                                    .stuck = kafka_stuck,
                                    .rest = kafka_rest,
                                    .force = kafka_force,
                                    .endpoints = kafka_endpoints,
                                    .close = kafka_close};
