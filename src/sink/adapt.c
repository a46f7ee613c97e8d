/*
 * How large batches should be, asked once a second: of the policy's function, or of
 * the rule "latency": half as large again while a backlog waits, since larger
 * batches cost less an event; back towards min when none does, since an event then
 * waits for nobody; half while the sink fails.
 */
#include <string.h>

#include "base/clock.h"
#include "sink/state.h"

enum { EVERY_MS = 1000, MANY_FAIL_PERCENT = 20, BACKLOG_BATCHES = 4 };

static struct sink_load load_of(const struct delivery *d, uint32_t target,
                                double seconds)
{
    double n = d->load.batches > 0 ? d->load.batches : 1;
    double tried = d->load.batches + d->load.failed;

    return (struct sink_load){
        .events = d->load.events / n,
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
    return target < b->min   ? b->min
           : target > b->max ? b->max
                             : (uint32_t)target;
}

static uint32_t by_latency(const struct sink_load *l, const struct batch_plan *b)
{
    double target = l->target;

    if (l->errors * 100 > MANY_FAIL_PERCENT) {
        target /= 2;
    } else if (l->bytes > 0 && l->backlog_bytes > BACKLOG_BATCHES * l->bytes) {
        target *= 1.5;
    } else {
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
    stats_set(d->target_gauge, d->target != 0 ? d->target : plan->batch.target);
}
