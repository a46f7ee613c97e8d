/* A try of a batch at a Kafka cluster, and what it says to the breaker in front of that. */
#include "base/clock.h"
#include "sink/kafka/internal.h"

void cluster_show(struct cluster *c)
{
    meter_show(&c->meter, &c->breaker, kafka_now_ms());
}

bool cluster_take(struct cluster *c, struct in_flight_attempt *t, int64_t *wait_ms)
{
    int64_t now = kafka_now_ms();
    bool ok = breaker_allow(&c->breaker, now, &t->generation);

    *wait_ms = ok ? 0 : breaker_wait_ms(&c->breaker, now);
    if (ok) {
        t->open = true;
        t->failed = t->purged = t->judged = t->forgotten = t->asked = t->taken = false;
        t->began_ns = clock_mono_ns();
    }
    cluster_show(c);
    return ok;
}

void cluster_done(struct cluster *c, struct in_flight_attempt *t)
{
    uint64_t ns = clock_mono_ns() - t->began_ns;

    t->open = false;
    if (t->judged) {
        if (!t->failed && !t->purged) {
            meter_passes(&c->meter);
        }
        return;
    }
    /* A producer went, not the cluster; or librdkafka refused all by itself. */
    if ((t->purged || !t->asked) && !t->failed) {
        cluster_unjudged(c, t);
        t->judged = true;
        return;
    }
    t->judged = true; /* a message of it may yet be sent alone */
    breaker_done(&c->breaker, kafka_now_ms(), t->generation, !t->failed,
                 ns / 1000000u > (uint64_t)c->breaker.plan->slow_ms);
    meter_count(&c->meter, !t->failed);
    cluster_show(c);
}

void cluster_overdue(struct cluster *c, struct in_flight_attempt *t)
{
    if (!t->judged) {
        t->judged = true;
        breaker_done(&c->breaker, kafka_now_ms(), t->generation, false, false);
        meter_count(&c->meter, false);
    }
}

void cluster_taken(struct cluster *c, struct in_flight_attempt *t)
{
    if (!t->judged && t->taken) {
        t->judged = true;
        breaker_done(&c->breaker, kafka_now_ms(), t->generation, !t->failed, false);
        meter_count(&c->meter, !t->failed);
    }
}

void cluster_unjudged(struct cluster *c, struct in_flight_attempt *t)
{
    if (!t->judged && !t->forgotten) {
        t->forgotten = true;
        breaker_forget(&c->breaker, t->generation);
    }
}
