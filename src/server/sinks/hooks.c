/* A sink's questions to its policy, as the sinks' C calls: each sink has a Lua
 * state of its own, made by the supervisor, used by the sink's thread. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "policy/load/load.h"
#include "policy/run/run.h"
#include "server/sinks/hooks.h"
#include "stats/stats.h"

struct sink_lua {
    struct sink_lua *before; /* kept as long; NULL: none */
    struct policy_state *state;
    uint32_t sink; /* in the plan */
    stats_cell *failed;
    uint64_t raised; /* of the state, that were counted */
    struct stats_owner series;
};

static void count(struct sink_lua *l)
{
    uint64_t raised = policy_state_raised(l->state);

    if (raised != l->raised) {
        stats_add(l->failed, raised - l->raised);
        l->raised = raised;
    }
}

static bool on_trip(void *arg, const struct breaker_counts *c)
{
    struct sink_lua *l = arg;
    const struct policy_number list[] = {
        {"requests", c->requests},
        {"successes", c->successes},
        {"failures", c->failures},
        {"consecutive_successes", c->consecutive_successes},
        {"consecutive_failures", c->consecutive_failures},
        {"slow", c->slow}};
    double result;
    bool ok =
        policy_sink_call(l->state, l->sink, POLICY_TRIP, list, N_ELEMS(list), &result);

    count(l);
    /* A function that fails must not keep a dead server's breaker closed. */
    return ok ? result != 0 : breaker_trips(c);
}

static uint32_t on_adapt(void *arg, const struct sink_load *load)
{
    struct sink_lua *l = arg;
    const struct policy_number list[] = {
        {"events", load->events}, {"bytes", load->bytes},
        {"age_ms", load->age_ms}, {"backlog_bytes", load->backlog_bytes},
        {"rate", load->rate},     {"latency_ms", load->latency_ms},
        {"errors", load->errors}, {"target", load->target}};
    double result;
    bool ok =
        policy_sink_call(l->state, l->sink, POLICY_ADAPT, list, N_ELEMS(list), &result);

    count(l);
    return ok && result >= 1 && result < UINT32_MAX ? (uint32_t)result : 0;
}

static struct str on_topic(void *arg, struct str event)
{
    struct sink_lua *l = arg;

    struct str topic = policy_sink_topic(l->state, l->sink, event);

    count(l);
    return topic;
}

bool sink_hooks_new(struct policy *p, uint32_t sink, struct sink_lua **out,
                    struct sink_hooks *hooks, struct err *e)
{
    const struct sink_plan *plan = &policy_plan(p)->sinks[sink];
    struct policy_state *state;
    struct stats_owner *before;
    char labels[100];

    *out = NULL;
    *hooks = (struct sink_hooks){0};
    if (!plan->has_adapt && !plan->upload.breaker.has_trip &&
        !plan->kafka.breaker.has_trip && !plan->kafka.has_topic) {
        return true;
    }
    state = policy_state_new(p, e);
    if (state == NULL) {
        return false;
    }
    (void)snprintf(labels, sizeof labels, "sink=\"%s\"", plan->name);
    *out = mem_alloc(sizeof **out);
    **out = (struct sink_lua){.state = state, .sink = sink};
    before = stats_own(&(*out)->series);
    (*out)->failed = stats_counter("sluice_sink_function_errors_total",
                                   "Calls of a sink's Lua function that failed; "
                                   "sluice used the default instead.",
                                   labels);
    (void)stats_own(before);
    *hooks = (struct sink_hooks){*out, on_trip, on_adapt, on_topic};
    return true;
}

void sink_hooks_free(struct sink_lua *l)
{
    while (l != NULL) {
        struct sink_lua *before = l->before;

        policy_state_free(l->state);
        stats_disown(&l->series);
        free(l);
        l = before;
    }
}

bool sink_hooks_has(const struct sink_lua *l, const struct sink_lua *one)
{
    while (l != NULL && l != one) {
        l = l->before;
    }
    return l != NULL;
}

struct sink_lua *sink_hooks_join(struct sink_lua *l, struct sink_lua *before)
{
    struct sink_lua *last = l;

    while (last != NULL && last->before != NULL) {
        last = last->before;
    }
    if (last != NULL) {
        last->before = before;
    }
    return l != NULL ? l : before;
}
