#include "cli/watch/facts.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "cli/show.h"
#include "cli/watch/condition.h"
#include "cli/watch/counted.h"
#include "cli/watch/findings.h"
#include "cli/watch/refused_facts.h"
#include "cli/watch/series.h"

/* A sink is late from here on, and from when its batches may wait for more events. */
#define LATE_S 60.

double facts_number(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return cJSON_IsNumber(x) ? x->valuedouble : 0;
}

const char *facts_text(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(o, name);

    return cJSON_IsString(x) ? x->valuestring : "";
}

bool facts_true(const cJSON *o, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItem(o, name));
}

/* ---- what clients see ---- */

static void put_ms(cJSON *o, const struct findings *m, const char *name, double q)
{
    double s = series_quantile(m->before, m->now, "sluice_request_seconds", q);

    if (s >= 0) {
        findings_put(o, name, s * 1000);
    }
}

static void put_rate(cJSON *o, const struct findings *m, const char *name,
                     const char *label, const char *value)
{
    char pair[64];

    (void)snprintf(pair, sizeof pair, "%s=\"%s\"", label, value);
    findings_put(o, value, findings_rate(m, name, pair));
}

static void clients(struct findings *m)
{
    cJSON *o = cJSON_AddObjectToObject(m->facts, "clients"), *by;

    findings_put(o, "requests_per_second",
                 findings_rate(m, "sluice_requests_total", NULL));
    findings_put(o, "events_per_second",
                 findings_rate(m, "sluice_received_events_total", NULL));
    put_ms(o, m, "p50_ms", .5);
    put_ms(o, m, "p99_ms", .99);
    put_ms(o, m, "p999_ms", .999);
    /* The gauge counts those of the admin listener, too. */
    findings_put(o, "connections",
                 findings_total(m, "sluice_connections_open", NULL) -
                     facts_number(m->status, "admin_connections"));
    by = cJSON_AddObjectToObject(o, "statuses_per_second");
    for (size_t i = 0; i < m->now->n; i++) {
        char status[16];

        if (strcmp(m->now->list[i].name, "sluice_requests_total") != 0) {
            continue;
        }
        (void)series_label(&m->now->list[i], "status", status, sizeof status);
        if (status[0] != '\0' && cJSON_GetObjectItem(by, status) == NULL) {
            put_rate(by, m, "sluice_requests_total", "status", status);
        }
    }
}

static double value_of(const struct findings *m, const struct series *x)
{
    (void)m;
    return x->value;
}

/* ", most by on_event of POST /e"; "": no hook is named. */
static const char *worst_hook(const struct findings *m,
                              double (*of)(const struct findings *m,
                                           const struct series *x),
                              char out[400])
{
    double most = 0;

    out[0] = '\0';
    for (size_t i = 0; i < m->now->n; i++) {
        const struct series *x = &m->now->list[i];
        char route[256], hook[64];

        if (strcmp(x->name, "sluice_policy_errors_total") != 0 || of(m, x) <= most) {
            continue;
        }
        most = of(m, x);
        (void)series_label(x, "route", route, sizeof route);
        (void)series_label(x, "hook", hook, sizeof hook);
        if (hook[0] != '\0') {
            (void)snprintf(out, 400, ", most by %s of %s", hook, route);
        }
    }
    return out;
}

static void events(struct findings *m)
{
    static const char *const results[] = {"stored",    "rejected", "dropped",
                                          "duplicate", "dead",     "refused"};
    cJSON *o = cJSON_AddObjectToObject(m->facts, "events");
    cJSON *now = cJSON_AddObjectToObject(o, "per_second");
    cJSON *since = cJSON_AddObjectToObject(o, "since_start");
    double failed = findings_during(m, "sluice_store_failures_total", NULL);
    char hook[400], when[FINDINGS_WHEN];
    double raised = findings_during(m, "sluice_policy_errors_total", NULL);
    double all = findings_total(m, "sluice_policy_errors_total", NULL);

    for (size_t i = 0; i < N_ELEMS(results); i++) {
        char pair[64];

        (void)snprintf(pair, sizeof pair, "result=\"%s\"", results[i]);
        findings_put(now, results[i], findings_rate(m, "sluice_events_total", pair));
        findings_put(since, results[i], findings_total(m, "sluice_events_total", pair));
    }
    findings_put(o, "waiting", findings_total(m, "sluice_waiting_events", NULL));
    if (failed > 0) {
        (void)findings_tell(m->problems, "not_stored", "spool",
                            "%.0f event%s could not be written to the disk %s; %s",
                            failed, show_s(failed), findings_when(m, when),
                            failed == 1
                                ? "its client got 503 and must send it again"
                                : "their clients got 503 and must send them again");
    }
    if (raised > 0) {
        (void)findings_tell(m->problems, "hook_raises", "policy",
                            "hooks raised an error %.0f time%s %s, %.0f time%s since "
                            "the start%s",
                            raised, show_s(raised), findings_when(m, when), all,
                            show_s(all), worst_hook(m, findings_grown, hook));
    } else if (all > 0) {
        (void)findings_tell(m->notes, "hook_raised", "policy",
                            "hooks have raised an error %.0f time%s since the start%s",
                            all, show_s(all), worst_hook(m, value_of, hook));
    }
}

/* ---- sinks ---- */

/* " for 10 min", from when it began to fail; "": not yet known. */
static const char *failing_since(const struct findings *m, const char *name,
                                 char out[64])
{
    char pair[256], text[SHOW_BYTES];
    double s;

    (void)snprintf(pair, sizeof pair, "sink=\"%s\"", name);
    s = findings_total(m, "sluice_sink_failing_seconds", pair);
    out[0] = '\0';
    if (s >= 1) {
        (void)snprintf(out, 64, " for %s", show_seconds(text, s));
    }
    return out;
}

static const char FAILS[] = "mend what the reason names: events wait in the spool";
static const char CATCHES_UP[] = "wait: the backlog shrinks";
static const char SKIPS[] = "mend what the reason names: until then the sink skips its "
                            "oldest events beyond max_lag";
static const char LOST[] =
    "mend what the reason names: the events that still wait are kept in the spool";

/* A sink that takes events, and is behind: why. */
static void tell_late(struct findings *m, const char *name, const cJSON *sink,
                      const char *age, const char *wait)
{
    static const char left[] = "sluice_sink_left_events";
    const char *error = facts_text(sink, "last_error");
    bool fails = facts_number(sink, "failing_since_ms") > 0 && error[0] != '\0';
    char pair[256];
    bool shrinks;
    cJSON *o;

    (void)snprintf(pair, sizeof pair, "sink=\"%s\"", name);
    shrinks = series_sum(m->now, left, pair) < series_sum(m->before, left, pair);
    o = findings_tell(m->problems, "sink_late", name, "sink %s is %s behind, %s: %s%s",
                      name, age, wait,
                      fails     ? "its tries fail: "
                      : shrinks ? "it catches up"
                                : "it is slower than the clients",
                      fails ? error : "");
    if (fails || shrinks) {
        (void)cJSON_ReplaceItemInObject(o, "next",
                                        cJSON_CreateString(fails ? FAILS : CATCHES_UP));
    }
}

static void judge_sink(struct findings *m, const char *name, const cJSON *sink,
                       double oldest_s)
{
    char left[SHOW_BYTES], age[SHOW_BYTES], since[64], wait[80];
    const char *why = facts_text(sink, "why");
    const double n = facts_number(sink, "left_events"),
                 lost = facts_number(sink, "lost");
    const double skipped = facts_number(sink, "skipped"),
                 dead = facts_number(sink, "dead");
    bool holding = facts_true(sink, "holding"),
         skips = skipped > 0 || facts_true(sink, "skips");

    (void)snprintf(wait, sizeof wait, "%s event%s wait%s for it", show_count(left, n),
                   show_s(n), n == 1 ? "s" : "");
    (void)show_seconds(age, oldest_s);
    if (lost > 0) {
        (void)findings_tell(m->problems, "lost", name,
                            "sink %s will never get %.0f event%s, which the spool lost",
                            name, lost, show_s(lost));
    }
    if (skipped > 0) {
        (void)findings_tell(m->problems, "skipped", name,
                            "sink %s has skipped %.0f event%s", name, skipped,
                            show_s(skipped));
    }
    if (holding) {
        cJSON *o = findings_tell(m->problems, "sink_holds", name,
                                 "sink %s takes nothing%s, %s%s%s: %s", name,
                                 failing_since(m, name, since), wait,
                                 n == 0 ? "" : ", the oldest for ", n == 0 ? "" : age,
                                 why[0] == '\0' ? "it does not say why" : why);

        if (skips || lost > 0) { /* that none is lost would not be true */
            (void)cJSON_ReplaceItemInObject(o, "next",
                                            cJSON_CreateString(skips ? SKIPS : LOST));
        }
    } else if (oldest_s > LATE_S + facts_number(sink, "linger_ms") / 1000) {
        tell_late(m, name, sink, age, wait);
    }
    if (dead > 0) {
        (void)findings_tell(m->notes, "dead", name,
                            "sink %s has refused %.0f event%s for good since the start",
                            name, dead, show_s(dead));
    }
}

static void sinks(struct findings *m)
{
    cJSON *list = cJSON_AddArrayToObject(m->facts, "sinks");
    const cJSON *x;

    cJSON_ArrayForEach(x, cJSON_GetObjectItem(m->status, "sinks"))
    {
        cJSON *o = cJSON_Duplicate(x, true);
        const char *name = facts_text(x, "name");
        char pair[256];
        double oldest;

        (void)snprintf(pair, sizeof pair, "sink=\"%s\"", name);
        oldest = findings_total(m, "sluice_sink_oldest_event_seconds", pair);
        findings_put(o, "oldest_seconds", oldest);
        findings_put(o, "delivered_per_second",
                     findings_rate(m, "sluice_delivered_events_total", pair));
        findings_put(o, "retries_per_second",
                     findings_rate(m, "sluice_sink_retries_total", pair));
        (void)cJSON_AddItemToArray(list, o);
        judge_sink(m, name, o, oldest);
    }
}

cJSON *facts_new(const cJSON *status, const struct series_list *before,
                 const struct series_list *now, double seconds)
{
    static const char *const server[] = {"version",  "pid",     "uptime_ms",
                                         "listen",   "workers", "draining",
                                         "stopping", "now_ms",  "admin_connections"};
    struct findings m = {.facts = cJSON_CreateObject(),
                         .status = status,
                         .before = before,
                         .now = now,
                         .seconds = seconds};
    cJSON *o;

    (void)cJSON_AddBoolToObject(m.facts, "ok", true);
    m.problems = cJSON_AddArrayToObject(m.facts, "problems");
    m.notes = cJSON_AddArrayToObject(m.facts, "notes");
    o = cJSON_AddObjectToObject(m.facts, "server");
    for (size_t i = 0; i < N_ELEMS(server); i++) {
        findings_copy(o, status, server[i]);
    }
    findings_put(m.facts, "measured_seconds", seconds);
    condition_server(&m);
    condition_spool(&m);
    sinks(&m);
    clients(&m);
    events(&m);
    refused_facts(&m);
    findings_copy(m.facts, status, "streams");
    condition_policy(&m);
    counted_facts(&m);
    if (cJSON_GetArraySize(m.problems) > 0) {
        (void)cJSON_ReplaceItemInObject(m.facts, "ok", cJSON_CreateFalse());
    }
    return m.facts;
}
