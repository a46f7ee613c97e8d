#include "cli/counted.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

#include "base/attr.h"
#include "cli/findings.h"
#include "cli/series.h"
#include "cli/show.h"

/* A counter whose growth is a fault. pair: only series with it; not: only those without it.
 * label: the one that names what is at fault; NULL: nothing. The text is begin, the number,
 * middle, the name and end. mild: a note, also while it grows. */
static const struct {
    const char *name, *pair, *not, *label, *what, *begin, *middle, *end;
    bool mild;
} counters[] = {
    {"sluice_spool_segments_total", "op=\"poisoned\"", NULL, "stream", "sync_fails",
     "the disk failed to sync ", " segments of stream ", "", false},
    {"sluice_connections_refused_total", "reason=\"limit\"", NULL, NULL,
     "connections_refused", "",
     " connections were refused: max_connections was reached", "", false},
    {"sluice_connections_refused_total", "reason=\"descriptors\"", NULL, NULL,
     "connections_refused", "",
     " connections were refused: few file descriptors were left", "", false},
    {"sluice_connections_refused_total", "reason=\"address\"", NULL, NULL,
     "connections_refused", "",
     " connections were refused: one address had more than the listener allows", "",
     false},
    {"sluice_connections_evicted_total", NULL, NULL, NULL, "connections_evicted", "",
     " connections of clients that do not read were closed: the buffers were full", "",
     false},
    {"sluice_policy_interrupts_total", NULL, NULL, NULL, "hook_stopped",
     "hooks used up their processor time and were stopped ", " times", "", false},
    {"sluice_events_total", "result=\"dead\"", NULL, "route", "policy_dead", "",
     " events of ", " became dead letters before a sink saw them", true},
    {"sluice_refused_records_total", NULL, "result=\"stored\"", "stream",
     "records_lost", "", " refusals were not kept in stream ", "", true},
    {"sluice_dedup_forgotten_total", NULL, NULL, "stream", "dedup_forgets",
     "dedup forgot ", " keys of stream ",
     " too early: repeats of their events are stored", false},
    {"sluice_dedup_damaged_total", NULL, NULL, "stream", "dedup_forgets",
     "dedup found ", " damaged files or pages of keys of stream ",
     ": repeats of those are stored", false},
    {"sluice_limit_forgotten_total", NULL, NULL, "limit", "limit_forgets", "",
     " keys were forgotten too early by limit ", ": their clients may send more",
     false},
    {"sluice_sink_function_errors_total", NULL, NULL, "sink", "function_fails", "",
     " calls of a Lua function failed in sink ", ": its default is used", false},
    {"sluice_kafka_fatal_errors_total", NULL, NULL, "sink", "kafka_resends", "",
     " producers were replaced after a fatal error in sink ",
     ": Kafka may have some events twice", false},
    {"sluice_kafka_possible_copies_total", NULL, NULL, "sink", "kafka_resends", "",
     " messages were sent again by sink ", ": Kafka may have some twice", false},
    {"sluice_tls_renewals_total", "result=\"failed\"", NULL, "listener",
     "certificate_not_renewed", "a changed certificate could not be used ",
     " times for ", ": the one before stays", false},
    {"sluice_access_log_dropped_total", NULL, NULL, "reason", "access_log_drops",
     "the access log lacks ", " lines: ", "", false},
};

/* Of one counter, at most so many problems, and as many notes: a policy may have thousands
 * of routes. One more says how many more there are. */
enum { TOLD_MAX = 8 };

struct told {
    size_t problems, notes;
};

static bool is_counted(const struct series *x, size_t i)
{
    return strcmp(x->name, counters[i].name) == 0 && x->value > 0 &&
           (counters[i].pair == NULL || strstr(x->labels, counters[i].pair) != NULL) &&
           (counters[i].not == NULL || strstr(x->labels, counters[i].not ) == NULL);
}

static void tell(struct findings *m, const struct series *x, size_t i,
                 struct told *told)
{
    const double now = findings_grown(m, x);
    const bool problem = now > 0 && !counters[i].mild;
    char name[256] = "", count[SHOW_BYTES];

    if ((problem ? told->problems++ : told->notes++) >= TOLD_MAX) {
        return;
    }
    if (counters[i].label != NULL) {
        (void)series_label(x, counters[i].label, name, sizeof name);
    }
    (void)findings_tell(problem ? m->problems : m->notes, counters[i].what,
                        name[0] == '\0' ? "server" : name, "%s%s%s%s%s (%s)",
                        counters[i].begin, show_count(count, now > 0 ? now : x->value),
                        counters[i].middle, name, counters[i].end,
                        now > 0 ? "just now" : "since the start");
}

/* The rest of n; series: the metric that has them all. */
static void tell_more(cJSON *list, const char *what, const char *series, size_t n)
{
    if (n > TOLD_MAX) {
        (void)findings_tell(list, what, "server",
                            "%zu more like these: /metrics has %s", n - TOLD_MAX,
                            series);
    }
}

static void breaker(struct findings *m, const struct series *x, size_t *told)
{
    char sink[128], endpoint[256];

    if (strcmp(x->name, "sluice_breaker_state") == 0 && x->value == 2 &&
        (*told)++ < TOLD_MAX) {
        (void)series_label(x, "sink", sink, sizeof sink);
        (void)series_label(x, "endpoint", endpoint, sizeof endpoint);
        (void)findings_tell(m->notes, "breaker", sink,
                            "sink %s sends nothing to %s: its breaker is open", sink,
                            endpoint);
    }
}

void counted_facts(struct findings *m)
{
    size_t open = 0;

    for (size_t i = 0; i < N_ELEMS(counters); i++) {
        struct told told = {0, 0};

        for (size_t k = 0; k < m->now->n; k++) {
            if (is_counted(&m->now->list[k], i)) {
                tell(m, &m->now->list[k], i, &told);
            }
        }
        tell_more(m->problems, counters[i].what, counters[i].name, told.problems);
        tell_more(m->notes, counters[i].what, counters[i].name, told.notes);
    }
    for (size_t k = 0; k < m->now->n; k++) {
        breaker(m, &m->now->list[k], &open);
    }
    tell_more(m->notes, "breaker", "sluice_breaker_state", open);
}
