/* The worker's own cells of the series that /metrics shows. */
#include <stdio.h>

#include "base/clock.h"
#include "ingest/internal.h"

void meters_init(struct meters *m, uint32_t worker)
{
    static const char *const stages[N_STAGES] = {"decode", "check", "policy", "store",
                                                 "commit"};

    (void)worker;
    *m = (struct meters){0};
    accounts_init(&m->accounts);
    m->nowhere = account_of(&m->accounts, "none");
    m->stopped =
        stats_counter("sluice_policy_interrupts_total",
                      "Hooks stopped because a request's hooks used more than 31 ms of "
                      "processor time, or because a hook did not return for a second.",
                      "");
    m->blocks =
        stats_counter("sluice_commits_total", "Blocks written to the spool.", "");
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

void meters_answered(struct account *a, const struct request_mark *m, int status)
{
    traffic_answered(account_traffic(a), m, status, clock_mono_ns(),
                     m->trace[0] == '\0' ? 0 : clock_wall_ms());
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
