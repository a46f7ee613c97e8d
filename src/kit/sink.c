/* What a policy's functions decide for a sink, as the sink's thread would ask. */
#include "base/attr.h"
#include "base/err.h"
#include "kit/state.h"
#include "server/hooks.h"

static const struct sink_hooks *hooks_of(struct sluice_kit *k, uint32_t sink)
{
    struct err e;

    if (!k->asked[sink]) {
        k->asked[sink] = true;
        if (!sink_lua_new(k->policy, sink, &k->sinks[sink], &k->hooks[sink],
                          &e)) {
            k->hooks[sink] = (struct sink_hooks){0};
        }
    }
    return &k->hooks[sink];
}

uint32_t sluice_kit_trip(struct sluice_kit *k, uint32_t sink, uint32_t requests,
                         uint32_t successes, uint32_t failures,
                         uint32_t consecutive_successes,
                         uint32_t consecutive_failures, uint32_t slow)
{
    const struct breaker_counts c = {
        .requests = requests,
        .successes = successes,
        .failures = failures,
        .consecutive_successes = consecutive_successes,
        .consecutive_failures = consecutive_failures,
        .slow = slow};
    const struct sink_hooks *h = hooks_of(k, sink);

    return h->trip != NULL ? h->trip(h->arg, &c) : breaker_trips(&c);
}

uint32_t sluice_kit_adapt(struct sluice_kit *k, uint32_t sink,
                          const double *load, uint32_t n)
{
    const struct sink_plan *plan = &policy_plan(k->policy)->sinks[sink];
    const struct sink_hooks *h = hooks_of(k, sink);
    struct sink_load l = {0};
    double *const fields[] = {&l.events,        &l.bytes,  &l.age_ms,
                              &l.backlog_bytes, &l.rate,   &l.latency_ms,
                              &l.errors,        &l.target};

    for (uint32_t i = 0; i < n && i < N_ELEMS(fields); i++) {
        *fields[i] = load[i];
    }
    return adapt_target(plan, h, &l);
}
