/* The worker's own cells of the series that /metrics shows. */
#include <stdio.h>

#include "base/clock.h"
#include "ingest/internal.h"

static stats_cell *requests_of(int status)
{
    char labels[32];

    (void)snprintf(labels, sizeof labels, "status=\"%d\"", status);
    return stats_counter("sluice_requests_total", "Requests answered, by status.",
                         labels);
}

void meters_init(struct meters *m, uint32_t worker)
{
    static const char *const stages[N_STAGES] = {"decode", "check", "policy", "store",
                                                 "commit"};
    /* There from the start, so that an alert on them has data. */
    static const int usual[] = {202, 400, 413, 422, 500, 503};

    (void)worker;
    *m = (struct meters){0};
    accounts_init(&m->accounts);
    m->nowhere = account_of(&m->accounts, "none");
    m->raised =
        stats_counter("sluice_policy_errors_total", "Hooks that raised an error.", "");
    m->stopped =
        stats_counter("sluice_policy_interrupts_total",
                      "Hooks stopped because a request's hooks used more than 31 ms of "
                      "processor time, or because a hook did not return for a second.",
                      "");
    m->blocks =
        stats_counter("sluice_commits_total", "Blocks written to the spool.", "");
    m->latency = stats_histogram(
        "sluice_request_seconds",
        "Time from a request's headers to its answer, for requests with a "
        "route.",
        "", STATS_NS);
    for (size_t i = 0; i < N_ELEMS(usual); i++) {
        m->requests[usual[i]] = requests_of(usual[i]);
    }
    for (int i = 0; i < N_STAGES; i++) {
        char labels[64];

        (void)snprintf(labels, sizeof labels, "stage=\"%s\"", stages[i]);
        m->stages[i] = stats_histogram(
            "sluice_stage_seconds",
            "Time of a stage of a request. Commits: all; other stages: one "
            "request in 64.",
            labels, STATS_NS);
    }
}

void meters_request(struct meters *m, int status)
{
    if (UNLIKELY(m->requests[status] == NULL)) {
        m->requests[status] = requests_of(status);
    }
    stats_add(m->requests[status], 1);
}

void meters_answered(struct meters *m, int status, uint64_t began_ns)
{
    meters_request(m, status);
    stats_record(m->latency, clock_mono_ns() - began_ns);
}

void meters_stage(struct ingest *in, int stage)
{
    uint64_t now;

    if (LIKELY(!in->sampling)) {
        return;
    }
    now = clock_mono_ns();
    stats_record(in->m.stages[stage], now - in->stage_began_ns);
    in->stage_began_ns = now;
}
