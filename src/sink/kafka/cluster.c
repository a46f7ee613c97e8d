/* One Kafka cluster of a sink: its producer, and the breaker in front of it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sink/kafka/kafka.h"

enum { UNREACHED_MS = 1000 };

int64_t kafka_now_ms(void)
{
    return (int64_t)(clock_mono_ns() / 1000000u);
}

void cluster_show(struct cluster *c)
{
    meter_show(&c->meter, &c->breaker, kafka_now_ms());
}

bool cluster_take(struct cluster *c, struct cargo_try *t, int64_t *wait_ms)
{
    int64_t now = kafka_now_ms();
    bool ok = breaker_allow(&c->breaker, now, &t->generation);

    *wait_ms = ok ? 0 : breaker_wait_ms(&c->breaker, now);
    if (ok) {
        t->open = true;
        t->failed = t->purged = t->overdue = false;
        t->began_ns = clock_mono_ns();
    }
    cluster_show(c);
    return ok;
}

void cluster_done(struct cluster *c, struct cargo_try *t)
{
    uint64_t ns = clock_mono_ns() - t->began_ns;

    t->open = false;
    if (t->overdue) {
        return;
    }
    if (t->purged && !t->failed) { /* a producer went, not the cluster */
        breaker_forget(&c->breaker, t->generation);
        return;
    }
    breaker_done(&c->breaker, kafka_now_ms(), t->generation, !t->failed,
                 ns / 1000000u > (uint64_t)c->breaker.plan->slow_ms);
    meter_count(&c->meter, !t->failed);
    cluster_show(c);
}

void cluster_overdue(struct cluster *c, struct cargo_try *t)
{
    if (!t->overdue) {
        t->overdue = true;
        breaker_done(&c->breaker, kafka_now_ms(), t->generation, false, false);
        meter_count(&c->meter, false);
    }
}

/* ---- the producer's words ---- */

static void on_report(void *arg, const rd_kafka_message_t *m)
{
    cargo_report(arg, m);
}

/* Each second. librdkafka tries for a minute before it reports a failure. While no
 * broker is reached what waits has failed, as far as the breaker goes, and so has
 * each further second of waiting. */
static void on_stats(void *arg, bool reached)
{
    struct cluster *c = arg;
    int64_t now = kafka_now_ms();
    uint64_t generation;

    if (!reached &&
        cargo_overdue(c, clock_mono_ns() - UNREACHED_MS * 1000000ull) > 0 &&
        breaker_allow(&c->breaker, now, &generation)) {
        breaker_done(&c->breaker, now, generation, false, false);
        meter_count(&c->meter, false);
    }
    cluster_show(c);
}

/* Everything that has no report is to be sent again, by another producer. What had
 * been on its way may be there twice then: its position tells. */
static void on_fatal(void *arg, const char *why);

static void on_alone_fatal(void *arg, const char *why)
{
    struct cluster *c = arg;
    struct producer *old = c->alone;

    (void)why;
    c->alone = NULL; /* another is made when one is needed */
    producer_free(old);
}

struct producer *cluster_alone(struct cluster *c, struct err *e)
{
    if (c->alone == NULL) {
        c->alone = producer_new(
            &(struct producer_conf){.loop = c->sink->conf.loop,
                                    .brokers = c->brokers,
                                    .plan = c->sink->conf.plan,
                                    .report = on_report,
                                    .fatal = on_alone_fatal,
                                    .arg = c,
                                    .alone = true},
            e);
    }
    return c->alone;
}

static struct producer *make(struct cluster *c, const char *brokers,
                             const struct sink_plan *plan, struct err *e)
{
    const struct producer_conf conf = {.loop = c->sink->conf.loop,
                                       .brokers = brokers,
                                       .plan = plan,
                                       .cells = &c->cells,
                                       .report = on_report,
                                       .stats = on_stats,
                                       .fatal = on_fatal,
                                       .arg = c};

    return producer_new(&conf, e);
}

static void on_fatal(void *arg, const char *why)
{
    struct cluster *c = arg;
    struct sink *s = c->sink;
    struct producer *old = c->producer, *fresh;
    char quoted[WHY_MAX + 20];
    struct err e;

    fresh = make(c, c->brokers, s->conf.plan, &e);
    if (fresh == NULL) { /* asked again with the next statistics */
        log_write(LOG_ERROR, "sink", "sink=%s why=%s", s->conf.plan->name,
                  log_quote(quoted, sizeof quoted, e.text));
        return;
    }
    stats_add(s->fatals, 1);
    log_write(LOG_ERROR, "sink", "sink=%s status=new_producer why=%s",
              s->conf.plan->name, log_quote(quoted, sizeof quoted, why));
    c->producer = fresh;
    producer_free(old); /* reports come from in here */
}

/* ---- life ---- */

void cluster_init(struct cluster *c, struct sink *s, unsigned number)
{
    *c = (struct cluster){.sink = s, .number = number};
}

void cluster_close(struct cluster *c)
{
    struct producer *p = c->producer;

    c->producer = NULL;
    if (p != NULL) {
        producer_free(p);
    }
    p = c->alone; /* which the last reports may have wanted */
    c->alone = NULL;
    if (p != NULL) {
        producer_free(p);
    }
}

/* The settings that a producer is made of. */
static bool same(const struct sink_plan *a, const struct sink_plan *b)
{
    const struct kafka_plan *k = &a->kafka, *l = &b->kafka;
    bool ok = strcmp(k->compression, l->compression) == 0 &&
              k->partitioner == l->partitioner && k->n_options == l->n_options &&
              a->batch.linger_ms == b->batch.linger_ms &&
              a->batch.max == b->batch.max;

    for (uint32_t i = 0; ok && i < k->n_options; i++) {
        ok = strcmp(k->options[i].name, l->options[i].name) == 0 &&
             strcmp(k->options[i].value, l->options[i].value) == 0;
    }
    return ok;
}

static void look_after(struct cluster *c, const char *brokers,
                       const struct breaker_plan *plan, bool first)
{
    const struct sink_hooks *hooks = c->sink->conf.hooks;
    breaker_trip_fn *trip = plan->has_trip ? hooks->trip : NULL;

    if (first) {
        breaker_init(&c->breaker, plan, trip, hooks->arg, kafka_now_ms());
        (void)snprintf(c->brokers, sizeof c->brokers, "%s", brokers);
        meter_init(&c->meter, c->sink->conf.plan->name, c->brokers);
        producer_cells_init(&c->cells, c->sink->conf.plan->name, c->brokers);
    }
    c->breaker.plan = plan;
    c->breaker.trip = trip;
    c->breaker.arg = hooks->arg;
}

bool cluster_make(struct cluster *c, const char *brokers,
                  const struct sink_plan *plan, const struct sink_plan *before,
                  struct producer **fresh, struct err *e)
{
    *fresh = NULL;
    if (brokers == NULL ||
        (c->producer != NULL && strcmp(brokers, c->brokers) == 0 &&
         same(plan, before))) {
        return true;
    }
    if (strlen(brokers) >= sizeof c->brokers) {
        return err_set(e, "sink \"%s\": brokers are more than %zu bytes",
                       plan->name, sizeof c->brokers - 1);
    }
    *fresh = make(c, brokers, plan, e);
    return *fresh != NULL;
}

void cluster_apply(struct cluster *c, const char *brokers,
                   const struct sink_plan *plan, struct producer *fresh)
{
    if (fresh != NULL || brokers == NULL) {
        cluster_close(c);
    }
    if (brokers == NULL) {
        return;
    }
    look_after(c, brokers, &plan->kafka.breaker,
               strcmp(brokers, c->brokers) != 0);
    c->producer = fresh != NULL ? fresh : c->producer;
    c->producer->plan = &plan->kafka;
    if (c->alone != NULL) {
        c->alone->plan = &plan->kafka;
    }
}
