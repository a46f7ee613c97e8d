#include "cli/facts.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "cli/series.h"
#include "cli/show.h"

/* A sink is late from here on, and a code refuses much. */
#define LATE_S 60.
#define MUCH .05

enum { SPOOL_FULL_PERCENT = 90, DISK_FULL_PERCENT = 95, REFUSALS_MAX = 200 };

struct making {
    cJSON *facts, *problems, *notes;
    const cJSON *status;
    const struct series_list *before, *now;
    double seconds;
};

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

static void put(cJSON *o, const char *name, double value)
{
    (void)cJSON_AddNumberToObject(o, name, value);
}

static void copy(cJSON *to, const cJSON *from, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(from, name);

    if (x != NULL) {
        (void)cJSON_AddItemToObject(to, name, cJSON_Duplicate(x, true));
    }
}

PRINTF(4, 5)
static void tell(cJSON *list, const char *what, const char *subject, const char *fmt,
                 ...)
{
    cJSON *o = cJSON_CreateObject();
    char text[600];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)cJSON_AddStringToObject(o, "what", what);
    (void)cJSON_AddStringToObject(o, "subject", subject);
    (void)cJSON_AddStringToObject(o, "text", text);
    (void)cJSON_AddItemToArray(list, o);
}

/* ---- numbers of the metrics ---- */

static double total(const struct making *m, const char *name, const char *pair)
{
    return series_sum(m->now, name, pair);
}

/* A counter that a restart has reset counts from 0. */
static double during(const struct making *m, const char *name, const char *pair)
{
    double now = series_sum(m->now, name, pair);
    double before = series_sum(m->before, name, pair);

    return now >= before ? now - before : now;
}

static double rate(const struct making *m, const char *name, const char *pair)
{
    return m->seconds > 0 ? during(m, name, pair) / m->seconds : 0;
}

static void put_rate(cJSON *o, const struct making *m, const char *name,
                     const char *label, const char *value)
{
    char pair[64];

    (void)snprintf(pair, sizeof pair, "%s=\"%s\"", label, value);
    put(o, value, rate(m, name, pair));
}

/* ---- what clients see ---- */

static void put_ms(cJSON *o, const struct making *m, const char *name, double q)
{
    double s = series_quantile(m->before, m->now, "sluice_request_seconds", q);

    if (s >= 0) {
        put(o, name, s * 1000);
    }
}

static void clients(struct making *m)
{
    cJSON *o = cJSON_AddObjectToObject(m->facts, "clients"), *by;

    put(o, "requests_per_second", rate(m, "sluice_requests_total", NULL));
    put(o, "events_per_second", rate(m, "sluice_received_events_total", NULL));
    put_ms(o, m, "p50_ms", .5);
    put_ms(o, m, "p99_ms", .99);
    put_ms(o, m, "p999_ms", .999);
    put(o, "connections", total(m, "sluice_connections_open", NULL));
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

static void events(struct making *m)
{
    static const char *const results[] = {"stored",    "rejected", "dropped",
                                          "duplicate", "dead",     "refused"};
    cJSON *o = cJSON_AddObjectToObject(m->facts, "events");
    cJSON *now = cJSON_AddObjectToObject(o, "per_second");
    cJSON *since = cJSON_AddObjectToObject(o, "since_start");
    double failed = during(m, "sluice_store_failures_total", NULL);
    double raised = during(m, "sluice_policy_errors_total", NULL);

    for (size_t i = 0; i < N_ELEMS(results); i++) {
        char pair[64];

        (void)snprintf(pair, sizeof pair, "result=\"%s\"", results[i]);
        put(now, results[i], rate(m, "sluice_events_total", pair));
        put(since, results[i], total(m, "sluice_events_total", pair));
    }
    put(o, "waiting", total(m, "sluice_waiting_events", NULL));
    if (failed > 0) {
        tell(m->problems, "not_stored", "spool",
             "%.0f events could not be written to the disk just now; their clients got "
             "503 and must send them again",
             failed);
    }
    if (raised > 0) {
        tell(m->problems, "hook_raises", "policy",
             "hooks raised an error %.0f times just now; the log has the line of the "
             "policy (event=policy status=raised)",
             raised);
    } else if (total(m, "sluice_policy_errors_total", NULL) > 0) {
        tell(m->notes, "hook_raised", "policy",
             "hooks have raised an error %.0f times since the start",
             total(m, "sluice_policy_errors_total", NULL));
    }
}

static void refusal(struct making *m, cJSON *list, const struct series *x)
{
    cJSON *o = cJSON_CreateObject();
    double now = during(m, x->name, x->labels);
    char route[256], code[128], status[16];

    (void)series_label(x, "route", route, sizeof route);
    (void)series_label(x, "code", code, sizeof code);
    (void)series_label(x, "status", status, sizeof status);
    (void)cJSON_AddStringToObject(o, "route", route);
    (void)cJSON_AddStringToObject(o, "code", code);
    (void)cJSON_AddStringToObject(o, "status", status);
    put(o, "per_second", m->seconds > 0 ? now / m->seconds : 0);
    put(o, "since_start", x->value);
    (void)cJSON_AddItemToArray(list, o);
}

/* By events, and not by the refusals of the list above: a batch that is refused as a whole
 * is one refusal of all its events. The share is that of the route's events, so that much
 * traffic elsewhere does not hide it. */
static void judge_refusals(struct making *m, const struct series *x)
{
    char route[256], code[128], pair[600];
    double now, received;
    const char *end = strstr(x->labels, ",result=");

    (void)series_label(x, "code", code, sizeof code);
    if (code[0] == '\0' || x->value == 0 || end == NULL) {
        return;
    }
    now = during(m, x->name, x->labels);
    if (now == 0) {
        return;
    }
    (void)snprintf(pair, sizeof pair, "%.*s", (int)(end - x->labels), x->labels);
    (void)series_label(x, "route", route, sizeof route);
    /* Outside of all routes everything is refused: that counts when it is much of all. */
    received = during(m, "sluice_received_events_total",
                      strcmp(route, "none") == 0 ? NULL : pair);
    if (received == 0 || now / received >= MUCH) {
        tell(m->problems, "refuses", code,
             "%s refuses %.0f %% of %s events just now with %s; sluice tap --refused "
             "shows them",
             route, received == 0 || now > received ? 100 : 100 * now / received,
             strcmp(route, "none") == 0 ? "all" : "its", code);
    }
}

static void refusals(struct making *m)
{
    cJSON *list = cJSON_AddArrayToObject(m->facts, "refusals");
    size_t n = 0;

    for (size_t i = 0; i < m->now->n; i++) {
        const struct series *x = &m->now->list[i];

        if (strcmp(x->name, "sluice_refusals_total") == 0 && n < REFUSALS_MAX) {
            refusal(m, list, x);
            n++;
        } else if (strcmp(x->name, "sluice_events_total") == 0) {
            judge_refusals(m, x);
        }
    }
}

/* ---- sinks ---- */

static double of_sink(const struct making *m, const char *metric, const char *pair)
{
    return total(m, metric, pair);
}

static void judge_sink(struct making *m, const char *name, const cJSON *sink,
                       double oldest_s)
{
    char left[SHOW_BYTES], age[SHOW_BYTES];
    const char *why = facts_text(sink, "why");
    bool holding = facts_true(sink, "holding");

    (void)show_count(left, facts_number(sink, "left_events"));
    (void)show_seconds(age, oldest_s);
    if (facts_number(sink, "lost") > 0) {
        tell(m->problems, "lost", name,
             "sink %s will never get %.0f events, which the spool lost", name,
             facts_number(sink, "lost"));
    }
    if (facts_number(sink, "skipped") > 0) {
        tell(m->problems, "skipped", name, "sink %s has skipped %.0f events", name,
             facts_number(sink, "skipped"));
    }
    if (holding) {
        tell(m->problems, "sink_holds", name,
             "sink %s takes nothing, %s events wait for it, the oldest for %s: %s",
             name, left, age, why[0] == '\0' ? "it does not say why" : why);
    } else if (oldest_s > LATE_S) {
        tell(m->problems, "sink_late", name,
             "sink %s is %s behind, %s events wait for it: it is slower than the "
             "clients",
             name, age, left);
    }
    if (facts_number(sink, "dead") > 0) {
        tell(m->notes, "dead", name,
             "sink %s has refused %.0f events for good since the start; sluice dead "
             "list "
             "shows why",
             name, facts_number(sink, "dead"));
    }
}

static void sinks(struct making *m)
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
        oldest = of_sink(m, "sluice_sink_oldest_event_seconds", pair);
        put(o, "oldest_seconds", oldest);
        put(o, "delivered_per_second", rate(m, "sluice_delivered_events_total", pair));
        put(o, "retries_per_second", rate(m, "sluice_sink_retries_total", pair));
        (void)cJSON_AddItemToArray(list, o);
        judge_sink(m, name, o, oldest);
    }
}

/* ---- the spool, what is lost, the policy ---- */

static void spool(struct making *m)
{
    const cJSON *from = cJSON_GetObjectItem(m->status, "spool");
    cJSON *o = cJSON_AddObjectToObject(m->facts, "spool"), *lost;
    double used = facts_number(from, "used_percent");
    double disk = facts_number(from, "disk_bytes");
    double free_share = disk > 0 ? facts_number(from, "disk_free_bytes") / disk : 1;
    char left[SHOW_BYTES];

    copy(o, from, "disk_bytes");
    copy(o, from, "disk_free_bytes");
    copy(o, from, "used_percent");
    copy(o, from, "writable");
    put(o, "bytes", total(m, "sluice_spool_bytes", NULL));
    lost = cJSON_AddObjectToObject(m->facts, "lost");
    put(lost, "sinks", total(m, "sluice_sink_lost_events", NULL));
    put(lost, "skipped", total(m, "sluice_sink_skipped_events", NULL));
    put(lost, "damaged_events", total(m, "sluice_spool_damaged_events_total", NULL));
    put(lost, "damaged_blocks", total(m, "sluice_spool_damaged_blocks_total", NULL));
    if (!facts_true(from, "writable")) {
        tell(m->problems, "spool_fails", "spool",
             "the spool can't be written: clients get 503");
    } else if (used >= SPOOL_FULL_PERCENT) {
        tell(m->problems, "spool_full", "spool", "the spool is %.0f %% full", used);
    }
    if (100 * (1 - free_share) >= DISK_FULL_PERCENT) {
        tell(m->problems, "disk_full", "disk",
             "the disk of the spool is %.0f %% full, %s are left",
             100 * (1 - free_share),
             show_bytes(left, facts_number(from, "disk_free_bytes")));
    }
    if (facts_number(lost, "damaged_blocks") > 0) {
        tell(m->problems, "damaged", "spool",
             "%.0f damaged blocks were found, with %.0f events; the bytes are in "
             "spool/damaged",
             facts_number(lost, "damaged_blocks"),
             facts_number(lost, "damaged_events"));
    }
}

static void policy(struct making *m)
{
    const cJSON *list = cJSON_GetObjectItem(m->status, "generations");
    const cJSON *trial = cJSON_GetObjectItem(m->status, "trial");
    cJSON *o = cJSON_AddObjectToObject(m->facts, "policy");

    copy(o, m->status, "generation");
    if (cJSON_GetArraySize(list) > 0) {
        (void)cJSON_AddItemToObject(o, "last",
                                    cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true));
    }
    if (trial != NULL) {
        copy(o, m->status, "trial");
        if (facts_text(trial, "why")[0] != '\0') {
            tell(m->notes, "trial", facts_text(trial, "kind"), "%s %.0f: %s (%s)",
                 facts_text(trial, "kind"), facts_number(trial, "generation"),
                 facts_text(trial, "result"), facts_text(trial, "why"));
        }
    }
}

cJSON *facts_new(const cJSON *status, const struct series_list *before,
                 const struct series_list *now, double seconds)
{
    static const char *const server[] = {"version", "pid",     "uptime_ms",
                                         "listen",  "workers", "draining"};
    struct making m = {.facts = cJSON_CreateObject(),
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
        copy(o, status, server[i]);
    }
    put(m.facts, "measured_seconds", seconds);
    if (facts_true(status, "draining")) {
        tell(m.problems, "draining", "server", "the server drains: its health is 503");
    }
    spool(&m);
    sinks(&m);
    clients(&m);
    events(&m);
    refusals(&m);
    copy(m.facts, status, "streams");
    policy(&m);
    if (cJSON_GetArraySize(m.problems) > 0) {
        (void)cJSON_ReplaceItemInObject(m.facts, "ok", cJSON_CreateFalse());
    }
    return m.facts;
}
