/*
 * How large batches should be, asked once a second: of the policy's function, or of the
 * rule "latency": half as large again while a backlog waits, since larger batches cost
 * less an event; back towards min when none does, since an event then waits for no
 * other; as it is while some wait and no batch has ended; half while the sink fails. On
 * top of either, twice as large and more while a server says that it has too many parts.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "delivery/internal.h"

enum {
    EVERY_MS = 1000,
    MANY_FAIL_PERCENT = 20,
    BACKLOG_BATCHES = 4,
    GROWN_MAX = 64,
    SHRINK_MS = 3000 /* without being asked to grow */
};

static struct sink_load load_of(const struct delivery *d, uint32_t target,
                                double seconds)
{
    double n = d->load.batches > 0 ? d->load.batches : 1;
    double tried = d->load.batches + d->load.failed;

    return (struct sink_load){.events = d->load.events / n,
                              .bytes = d->load.bytes / n,
                              .age_ms = d->load.age_ms / n,
                              .backlog_bytes = (double)d->status.lag_bytes,
                              .rate = d->load.events / seconds,
                              .latency_ms = d->load.latency_ms / n,
                              .errors = tried > 0 ? d->load.failed / tried : 0,
                              .target = target};
}

static uint32_t clamp(double target, const struct batch_plan *b)
{
    return target < b->min ? b->min : target > b->max ? b->max : (uint32_t)target;
}

static uint32_t by_latency(const struct sink_load *l, const struct batch_plan *b)
{
    double target = l->target;

    if (l->errors * 100 > MANY_FAIL_PERCENT) {
        target /= 2;
    } else if (l->bytes > 0 && l->backlog_bytes > BACKLOG_BATCHES * l->bytes) {
        target *= 1.5;
    } else if (l->bytes > 0 || l->backlog_bytes <= 0) { /* else no batch has ended */
        target *= 0.8;
    }
    return clamp(target, b);
}

uint32_t adapt_target(const struct sink_plan *plan, const struct sink_hooks *h,
                      const struct sink_load *l)
{
    uint32_t wanted = 0;

    if (plan->adapt_latency) {
        return by_latency(l, &plan->batch);
    }
    if (plan->has_adapt && h->adapt != NULL) {
        wanted = h->adapt(h->arg, l);
    }
    return wanted != 0 ? clamp(wanted, &plan->batch) : (uint32_t)l->target;
}

/* A Kafka client batches messages by itself, by the plan's numbers: ours would only
 * stack a second wait on top. */
struct batch_limits adapt_limits(const struct delivery *d)
{
    const struct batch_plan *b = &d->conf->batch;
    struct batch_limits l = {.target = b->target,
                             .min = b->min,
                             .max = b->max,
                             .max_bytes = b->max_bytes,
                             .linger_ms = b->linger_ms};

    if (d->conf->kind == SINK_KIND_KAFKA && d->conf->kafka.framing == KAFKA_EVENT) {
        return (struct batch_limits){
            .target = 1000, .min = 1, .max = 2000, .max_bytes = 1 << 20};
    }
    if (d->target != 0) {
        l.target = clamp(d->target, b);
    }
    if (d->grown > 1) {
        l.target = clamp((double)l.target * d->grown, b);
        l.min = clamp((double)l.min * d->grown, b);
    }
    l.min = l.min < l.target ? l.min : l.target;
    return l;
}

void adapt_enlarge(struct delivery *d)
{
    uint64_t now = clock_mono_ns();

    if (d->grown < GROWN_MAX &&
        (d->grown == 0 || now - d->grown_ns > EVERY_MS * 1000000ull / 2)) {
        d->grown = d->grown == 0 ? 2 : 2 * d->grown;
        log_write(LOG_WARN, "sink", "sink=%s status=enlarged target=%u", d->name,
                  adapt_limits(d).target);
    }
    d->grown_ns = now;
    stats_set(d->target_gauge, adapt_limits(d).target);
}

/* Step by step, as long as the sink does not ask again. */
static void shrink(struct delivery *d, uint64_t now)
{
    if (d->grown > 0 && now - d->grown_ns > SHRINK_MS * 1000000ull) {
        d->grown = d->grown > 2 ? d->grown / 2 : 0;
        d->grown_ns = now;
    }
}

void adapt(struct delivery *d)
{
    const struct sink_plan *plan = d->conf;
    uint32_t target = d->target != 0 ? d->target : plan->batch.target;
    uint64_t now = clock_mono_ns();
    struct sink_load l;

    if (now - d->load.since_ns < EVERY_MS * 1000000ull) {
        return;
    }
    l = load_of(d, target, (double)(now - d->load.since_ns) / 1e9);
    if (plan->adapt_latency || plan->has_adapt) {
        d->target = adapt_target(plan, &d->hooks, &l);
    }
    memset(&d->load, 0, sizeof d->load);
    d->load.since_ns = now;
    shrink(d, now);
    stats_set(d->target_gauge, adapt_limits(d).target);
    stats_set(d->linger_gauge, (uint64_t)plan->batch.linger_ms / 1000);
}
