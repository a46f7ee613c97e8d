#include "cli/watch/condition.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/show.h"
#include "cli/watch/facts.h"
#include "cli/watch/findings.h"

/* As in docker/prometheus/rules.yml: whoever is called by an alert finds it here. */
enum { SPOOL_FULL_PERCENT = 80, DISK_FULL_PERCENT = 90, CERTIFICATE_DAYS = 14 };
/* As ingest/health.c: a load balancer sends nobody any more. */
enum { UNREADY_PERCENT = 90 };
#define SLOW_SYNC_S .1
/* Clients get three quarters of them. */
#define FEW_DESCRIPTORS .7

/* A canary is worse from here on, while it runs. */
enum { CANARY_REQUESTS = 20 };
#define WORSE .01
#define WORSE_MS 5.

/* ---- the spool, its disk, what is lost ---- */

/* The fullest stream; NULL: the server does not say. Clients see that the room in its
 * segments ends, the alert SluiceSpoolFills what the segments take on the disk: whichever is
 * more. */
static const cJSON *fullest_of(const struct findings *m, double *percent)
{
    const cJSON *x, *most = NULL;

    *percent = 0;
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(m->status, "streams"))
    {
        double max = facts_number(x, "max_bytes");
        double bytes = max > 0 ? 100 * facts_number(x, "bytes") / max : 0;
        double used = facts_number(x, "used_percent");
        double share = used > bytes ? used : bytes;

        if (share > *percent) {
            *percent = share;
            most = x;
        }
    }
    return most;
}

/* used: of the fullest stream, for older servers that do not say it of each. */
static void judge_room(struct findings *m, double used)
{
    double percent;
    const cJSON *stream = fullest_of(m, &percent);
    char bytes[SHOW_BYTES], max[SHOW_BYTES];

    if (stream != NULL && percent >= SPOOL_FULL_PERCENT) {
        (void)findings_tell(
            m->problems, "spool_full", facts_text(stream, "name"),
            "stream %s is %.0f %% full, %s of its max_bytes %s are on the disk; %s",
            facts_text(stream, "name"), percent,
            show_bytes(bytes, facts_number(stream, "bytes")),
            show_bytes(max, facts_number(stream, "max_bytes")),
            used >= UNREADY_PERCENT
                ? "/readyz answers 503, and so does a request that has no room"
                : "when it is full, its clients get 503");
    } else if (used >= SPOOL_FULL_PERCENT) {
        (void)findings_tell(
            m->problems, "spool_full", "spool",
            "the spool is %.0f %% full; when it is full, clients get 503", used);
    }
}

/* As the alert SluiceSyncSlow has it, of this look alone. */
static void judge_syncs(struct findings *m)
{
    double s = series_quantile(m->before, m->now, "sluice_spool_sync_seconds", .99);
    char text[SHOW_BYTES], when[FINDINGS_WHEN];

    if (s > SLOW_SYNC_S) {
        (void)findings_tell(m->notes, "sync_slow", "disk",
                            "the slowest syncs of the disk take %s %s: with ack = "
                            "\"synced\" clients wait for them",
                            show_seconds(text, s), findings_when(m, when));
    }
}

void condition_spool(struct findings *m)
{
    const cJSON *from = cJSON_GetObjectItem(m->status, "spool");
    cJSON *o = cJSON_AddObjectToObject(m->facts, "spool"), *lost;
    double used = facts_number(from, "used_percent");
    double disk = facts_number(from, "disk_bytes");
    double free_share = disk > 0 ? facts_number(from, "disk_free_bytes") / disk : 1;
    const char *why = facts_text(from, "why");
    double blocks = findings_total(m, "sluice_spool_damaged_blocks_total", NULL);
    double events = findings_total(m, "sluice_spool_damaged_events_total", NULL);
    char left[SHOW_BYTES];

    findings_copy(o, from, "disk_bytes");
    findings_copy(o, from, "disk_free_bytes");
    findings_copy(o, from, "used_percent");
    findings_copy(o, from, "writable");
    findings_copy(o, from, "why");
    findings_put(o, "bytes", findings_total(m, "sluice_spool_bytes", NULL));
    lost = cJSON_AddObjectToObject(m->facts, "lost");
    findings_put(lost, "sinks", findings_total(m, "sluice_sink_lost_events", NULL));
    findings_put(lost, "skipped",
                 findings_total(m, "sluice_sink_skipped_events", NULL));
    findings_put(lost, "damaged_events", events);
    findings_put(lost, "damaged_blocks", blocks);
    if (cJSON_IsFalse(cJSON_GetObjectItem(from, "writable"))) {
        (void)findings_tell(m->problems, "spool_fails", "spool",
                            "the spool can't be written: clients get 503%s%s",
                            why[0] == '\0' ? "" : "; ", why);
    } else {
        judge_room(m, used);
    }
    if (100 * (1 - free_share) >= DISK_FULL_PERCENT) {
        (void)findings_tell(m->problems, "disk_full", "disk",
                            "the disk of the spool is %.0f %% full, %s are left",
                            100 * (1 - free_share),
                            show_bytes(left, facts_number(from, "disk_free_bytes")));
    }
    judge_syncs(m);
    if (blocks > 0) {
        (void)findings_tell(m->problems, "damaged", "spool",
                            "%.0f damaged block%s found, with %.0f event%s; the bytes "
                            "are in spool/damaged",
                            blocks, blocks == 1 ? " was" : "s were", events,
                            show_s(events));
    }
}

/* ---- the policy: what was loaded last, and whether it runs ---- */

/* How long ago the server's wall clock had that time, as " 3 min ago"; "": unknown. */
static const char *ago(const struct findings *m, double at_ms, char out[48])
{
    double now_ms = facts_number(m->status, "now_ms");
    char text[SHOW_BYTES];

    out[0] = '\0';
    if (at_ms > 0 && now_ms >= at_ms) {
        (void)snprintf(out, 48, " %s ago", show_seconds(text, (now_ms - at_ms) / 1000));
    }
    return out;
}

static void judge_running(struct findings *m, const cJSON *trial)
{
    const cJSON *old = cJSON_GetObjectItem(trial, "old");
    const cJSON *fresh = cJSON_GetObjectItem(trial, "new");
    bool own = facts_true(trial, "own_rule");
    double refuses = facts_number(fresh, "refusal_rate");
    double fails = facts_number(fresh, "error_rate"),
           p99 = facts_number(fresh, "p99_ms");
    double live_p99 = facts_number(old, "p99_ms");

    if (facts_number(fresh, "requests") < CANARY_REQUESTS ||
        (refuses <= facts_number(old, "refusal_rate") + WORSE &&
         fails <= facts_number(old, "error_rate") + WORSE &&
         p99 <= 2 * live_p99 + WORSE_MS)) {
        return;
    }
    (void)findings_tell(
        own ? m->problems : m->notes, "canary_worse", "canary",
        "canary %.0f does worse than the live policy: it refuses %.1f %% of %.0f "
        "events "
        "(%.1f %%), its hooks fail on %.1f %% (%.1f %%), p99 %.3g ms (%.3g ms); %s",
        facts_number(trial, "generation"), 100 * refuses, facts_number(fresh, "events"),
        100 * facts_number(old, "refusal_rate"), 100 * fails,
        100 * facts_number(old, "error_rate"), p99, live_p99,
        own ? "only its own roll_back_if ends it"
            : "sluice rolls it back by itself unless this is chance");
}

/* One that was rolled back is still in the file, and a restart has nothing to compare it
 * with. */
static void judge_ended(struct findings *m, const cJSON *trial, const cJSON *last)
{
    const char *why = facts_text(trial, "why"), *kind = facts_text(trial, "kind");
    bool alone = strcmp(kind, "canary") == 0 && strcmp(why, "by hand") != 0 &&
                 strcmp(facts_text(trial, "result"), "rolled_back") == 0 &&
                 facts_number(last, "generation") == facts_number(trial, "generation");
    char when[48];

    if (alone) {
        (void)findings_tell(m->problems, "canary_rolled_back", "canary",
                            "canary %.0f was rolled back%s: %s; generation %.0f stays "
                            "live, but a restart would take the policy of the file",
                            facts_number(trial, "generation"),
                            ago(m, facts_number(last, "at_ms"), when), why,
                            facts_number(m->status, "generation"));
    } else if (why[0] != '\0') {
        (void)findings_tell(m->notes, "trial", kind, "%s %.0f: %s (%s)", kind,
                            facts_number(trial, "generation"),
                            facts_text(trial, "result"), why);
    }
}

/* Most are of a file that no process would take. */
static void judge_refused(struct findings *m, const cJSON *last)
{
    bool restart = facts_true(last, "restart");
    char when[48];

    if (strcmp(facts_text(last, "status"), "refused") != 0) {
        return;
    }
    (void)findings_tell(
        m->problems, restart ? "load_waits" : "load_refused", "policy",
        "the last load of the policy was refused%s: %s; generation %.0f stays live, "
        "but a restart would %s",
        ago(m, facts_number(last, "at_ms"), when), facts_text(last, "why"),
        facts_number(m->status, "generation"),
        restart ? "take the policy of the file" : "fail");
}

void condition_policy(struct findings *m)
{
    const cJSON *list = cJSON_GetObjectItem(m->status, "generations");
    const cJSON *trial = cJSON_GetObjectItem(m->status, "trial");
    const cJSON *last = cJSON_GetArrayItem(list, 0);
    cJSON *o = cJSON_AddObjectToObject(m->facts, "policy");

    findings_copy(o, m->status, "generation");
    if (last != NULL) {
        (void)cJSON_AddItemToObject(o, "last", cJSON_Duplicate(last, true));
    }
    judge_refused(m, last);
    if (trial == NULL) {
        return;
    }
    findings_copy(o, m->status, "trial");
    if (strcmp(facts_text(trial, "result"), "running") != 0) {
        judge_ended(m, trial, last);
    } else if (strcmp(facts_text(trial, "kind"), "canary") == 0) {
        judge_running(m, trial);
    }
}

/* ---- the process ---- */

static void judge_upgrade(struct findings *m)
{
    const cJSON *upgrade = cJSON_GetObjectItem(m->status, "upgrade");

    if (facts_true(upgrade, "under_way")) {
        (void)findings_tell(m->notes, "upgrade", "server",
                            "an upgrade is under way: another process takes this one's "
                            "place");
    } else if (facts_number(upgrade, "failed") > 0) {
        (void)findings_tell(m->notes, "upgrade_failed", "server",
                            "an upgrade failed, the old process serves: %s",
                            facts_text(upgrade, "why"));
    }
}

/* A certificate that lives for a few days is renewed in time with fewer left. */
static double fewest_days(const struct findings *m, const char *listener)
{
    double days = CERTIFICATE_DAYS;

    for (size_t i = 0; i < m->now->n; i++) {
        const struct series *x = &m->now->list[i];
        char other[128];

        if (strcmp(x->name, "sluice_tls_certificate_lifetime_seconds") != 0) {
            continue;
        }
        (void)series_label(x, "listener", other, sizeof other);
        if (strcmp(other, listener) == 0 && x->value / 86400 / 4 < days) {
            days = x->value / 86400 / 4;
        }
    }
    return days;
}

static void judge_certificates(struct findings *m)
{
    for (size_t i = 0; i < m->now->n; i++) {
        const struct series *x = &m->now->list[i];
        char listener[128], left[SHOW_BYTES];
        bool failing = strcmp(x->name, "sluice_tls_renewal_failing") == 0;

        if (!failing && strcmp(x->name, "sluice_tls_certificate_expiry_seconds") != 0) {
            continue;
        }
        (void)series_label(x, "listener", listener, sizeof listener);
        if (failing && x->value != 0) {
            (void)findings_tell(m->problems, "certificate_not_renewed", listener,
                                "a changed certificate of %s can't be used: the one "
                                "before stays",
                                listener);
        } else if (!failing &&
                   (x->value <= 0 || x->value / 86400 < fewest_days(m, listener))) {
            (void)findings_tell(m->problems, "certificate", listener,
                                x->value > 0 ? "the certificate of %s expires in %s"
                                             : "the certificate of %s has expired, or "
                                               "is not valid yet: clients refuse it",
                                listener, show_seconds(left, x->value));
        }
    }
}

void condition_server(struct findings *m)
{
    const cJSON *silent = cJSON_GetObjectItem(m->status, "silent");
    double open = findings_total(m, "process_open_fds", NULL);
    double max = findings_total(m, "process_max_fds", NULL);
    char text[SHOW_BYTES];

    if (facts_true(m->status, "stopping")) {
        (void)findings_tell(m->problems, "stopping", "server",
                            "the server stops: it finishes requests and sinks for as "
                            "long as drain says, then it ends");
    } else if (facts_true(m->status, "draining")) {
        (void)findings_tell(m->problems, "draining", "server",
                            "the server drains: its health is 503");
    }
    if (silent != NULL) {
        (void)findings_tell(m->problems, "silent", facts_text(silent, "thread"),
                            "the thread %s has not come back for %s: what it serves "
                            "waits",
                            facts_text(silent, "thread"),
                            show_seconds(text, facts_number(silent, "ms") / 1000));
    }
    judge_upgrade(m);
    judge_certificates(m);
    if (max > 0 && open > FEW_DESCRIPTORS * max) {
        (void)findings_tell(m->problems, "descriptors", "process",
                            "%.0f of %.0f file descriptors are open: new connections "
                            "are refused from three quarters on",
                            open, max);
    }
}
