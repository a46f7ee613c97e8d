/* The JSON of GET /status, for people and scripts on call. */
#include <cjson/cJSON.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/admin/growth.h"
#include "server/admin/refusing.h"
#include "server/admin/totals.h"
#include "server/internal.h"
#include "server/page/history.h"
#include "server/process.h"
#include "server/upgrade/place.h"
#include "stats/stats.h"

static void add_holders(cJSON *o, const struct server *s, const struct generation *g)
{
    struct generation_holders h;
    cJSON *held;

    generation_holders(&s->generations, g, &h);
    if (h.workers + h.requests + h.sinks == 0) {
        return;
    }
    held = cJSON_AddObjectToObject(o, "held_by");
    (void)cJSON_AddNumberToObject(held, "workers", h.workers);
    (void)cJSON_AddNumberToObject(held, "requests", h.requests);
    (void)cJSON_AddNumberToObject(held, "sinks", h.sinks);
}

/* Newest first. */
static cJSON *generations(const struct server *s)
{
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = s->generations.n; i > 0; i--) {
        const struct generation *g = s->generations.list[i - 1];
        cJSON *o = cJSON_CreateObject();

        (void)cJSON_AddNumberToObject(o, "generation", (double)g->number);
        (void)cJSON_AddStringToObject(o, "hash", g->hash);
        (void)cJSON_AddStringToObject(o, "status", generation_word(g->status));
        (void)cJSON_AddNumberToObject(o, "at_ms", (double)g->at_ms);
        (void)cJSON_AddNumberToObject(o, "loaded_ms", (double)g->began_ms);
        (void)cJSON_AddStringToObject(o, "cause", g->cause);
        if (g->why[0] != '\0') {
            (void)cJSON_AddStringToObject(o, "why", g->why);
        }
        if (g->restart) {
            (void)cJSON_AddBoolToObject(o, "restart", true);
        }
        add_holders(o, s, g);
        (void)cJSON_AddItemToArray(list, o);
    }
    return list;
}

static void add_side(cJSON *o, const char *name, uint64_t generation,
                     const struct rollout_side *x)
{
    cJSON *side = cJSON_AddObjectToObject(o, name);

    (void)cJSON_AddNumberToObject(side, "generation", (double)generation);
    (void)cJSON_AddNumberToObject(side, "requests", (double)x->requests);
    (void)cJSON_AddNumberToObject(side, "events", (double)x->events);
    (void)cJSON_AddNumberToObject(side, "refused", (double)x->refused);
    (void)cJSON_AddNumberToObject(side, "failed", (double)x->failed);
    (void)cJSON_AddNumberToObject(side, "refusal_rate", analysis_refusal_rate(x));
    (void)cJSON_AddNumberToObject(side, "error_rate", analysis_error_rate(x));
    (void)cJSON_AddNumberToObject(side, "p50_ms", x->p50_ms);
    (void)cJSON_AddNumberToObject(side, "p99_ms", x->p99_ms);
}

static void add_differences(cJSON *o, const struct rollout *t)
{
    cJSON *differ = cJSON_AddObjectToObject(o, "differ");
    cJSON *codes = cJSON_AddObjectToObject(o, "accepted_refused");
    cJSON *samples = cJSON_AddArrayToObject(o, "samples");

    for (int i = 1; i < N_CONTRASTS; i++) {
        (void)cJSON_AddNumberToObject(differ, contrast_words[i], (double)t->differ[i]);
    }
    for (uint32_t i = 0; i < t->n_codes; i++) {
        (void)cJSON_AddNumberToObject(codes, t->codes[i].code, (double)t->codes[i].n);
    }
    for (uint32_t i = 0; i < t->n_samples; i++) {
        const struct shadow_sample *x = t->samples[i];
        cJSON *one = cJSON_CreateObject();

        (void)cJSON_AddStringToObject(one, "kind", contrast_words[x->kind]);
        (void)cJSON_AddStringToObject(one, "code", x->code);
        (void)cJSON_AddStringToObject(one, "route", x->route);
        (void)cJSON_AddStringToObject(one, "event", x->event);
        (void)cJSON_AddItemToArray(samples, one);
    }
}

/* The canary or shadow, or the last one; NULL: there was none. */
static cJSON *rollout(const struct server *s)
{
    const struct rollout *t = &s->rollout;
    cJSON *o;

    if (t->kind == ROLLOUT_NONE) {
        return NULL;
    }
    o = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(o, "kind",
                                  t->kind == ROLLOUT_CANARY ? "canary" : "shadow");
    (void)cJSON_AddNumberToObject(o, "generation", (double)t->number);
    (void)cJSON_AddStringToObject(o, "result", t->result);
    if (t->why[0] != '\0') {
        (void)cJSON_AddStringToObject(o, "why", t->why);
    }
    (void)cJSON_AddNumberToObject(o, "share", t->share);
    (void)cJSON_AddNumberToObject(o, "began_ms", (double)t->began_ms);
    (void)cJSON_AddNumberToObject(o, "during_ms", (double)t->during_ms);
    (void)cJSON_AddBoolToObject(o, "own_rule", t->own_rule);
    add_side(o, "old", t->live, &t->old);
    add_side(o, "new", t->number, &t->new_);
    if (t->kind == ROLLOUT_SHADOW) {
        add_differences(o, t);
    }
    return o;
}

static void add_endpoints(cJSON *sink, const struct delivery_status *d)
{
    cJSON *list;

    if (d->n_endpoints == 0) {
        return;
    }
    list = cJSON_AddArrayToObject(sink, "endpoints");
    for (uint32_t i = 0; i < d->n_endpoints; i++) {
        const struct delivery_endpoint *p = &d->endpoints[i];
        cJSON *o = cJSON_CreateObject();

        (void)cJSON_AddStringToObject(o, "url", p->url);
        (void)cJSON_AddStringToObject(o, "breaker", p->state);
        (void)cJSON_AddNumberToObject(o, "requests", p->counts.requests);
        (void)cJSON_AddNumberToObject(o, "successes", p->counts.successes);
        (void)cJSON_AddNumberToObject(o, "failures", p->counts.failures);
        (void)cJSON_AddNumberToObject(o, "slow", p->counts.slow);
        (void)cJSON_AddItemToArray(list, o);
    }
}

static void add_failure(cJSON *sink, const struct delivery_status *d)
{
    if (d->holding) {
        (void)cJSON_AddNumberToObject(sink, "failing_since_ms", (double)d->holding_ms);
        (void)cJSON_AddNumberToObject(sink, "next_try_ms", (double)d->retry_ms);
    }
    if (d->error[0] != '\0') {
        (void)cJSON_AddStringToObject(sink, "last_error", d->error);
        (void)cJSON_AddNumberToObject(sink, "last_error_ms", (double)d->error_ms);
    }
}

static void add_hedge(cJSON *sink, const struct delivery_status *d)
{
    cJSON *o;

    if (!d->hedge_wanted) {
        return;
    }
    o = cJSON_AddObjectToObject(sink, "hedge");
    (void)cJSON_AddBoolToObject(o, "on", d->hedging);
    if (!d->hedging) {
        (void)cJSON_AddStringToObject(o, "why", d->hedge_why);
    }
}

/* Of an event of that wall time; 0: there is none. */
static int64_t age_of(int64_t at_ms)
{
    int64_t now = clock_wall_ms();

    return at_ms == 0 || now < at_ms ? 0 : now - at_ms;
}

/* For how long a batch of it may wait for more events, by the live policy. */
static void add_linger(cJSON *sink, const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->n_sinks; i++) {
        if (strcmp(plan->sinks[i].name, name) == 0) {
            (void)cJSON_AddNumberToObject(sink, "linger_ms",
                                          (double)plan->sinks[i].batch.linger_ms);
        }
    }
}

static cJSON *sinks(struct server *s)
{
    cJSON *list = cJSON_CreateArray();

    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct delivery_status d;
        cJSON *o;

        if (s->sinks[i].delivery == NULL) {
            continue;
        }
        delivery_status(s->sinks[i].delivery, &d);
        o = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(o, "name", s->sinks[i].name);
        (void)cJSON_AddNumberToObject(o, "delivered", (double)d.delivered);
        (void)cJSON_AddNumberToObject(o, "dead", (double)d.dead);
        (void)cJSON_AddNumberToObject(o, "lost", (double)d.lost);
        (void)cJSON_AddNumberToObject(o, "skipped", (double)d.skipped);
        (void)cJSON_AddNumberToObject(o, "batches", (double)d.batches);
        (void)cJSON_AddNumberToObject(o, "lag_bytes", (double)d.lag_bytes);
        (void)cJSON_AddNumberToObject(o, "left_events", (double)d.remaining);
        (void)cJSON_AddNumberToObject(o, "oldest_ms", (double)age_of(d.oldest_ms));
        (void)cJSON_AddBoolToObject(o, "skips", d.skips);
        (void)cJSON_AddBoolToObject(o, "retiring", s->sinks[i].retiring);
        (void)cJSON_AddBoolToObject(o, "holding", d.holding);
        if (d.holding) {
            (void)cJSON_AddStringToObject(o, "why", d.why);
        }
        add_linger(o, policy_plan(s->policy), s->sinks[i].name);
        add_failure(o, &d);
        add_endpoints(o, &d);
        add_hedge(o, &d);
        (void)cJSON_AddItemToArray(list, o);
    }
    sinks_unlock(s);
    return list;
}

cJSON *status_retiring(struct server *s)
{
    cJSON *list = cJSON_CreateArray();

    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct delivery_status d;
        cJSON *o;

        if (s->sinks[i].delivery == NULL || !s->sinks[i].retiring) {
            continue;
        }
        delivery_status(s->sinks[i].delivery, &d);
        o = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(o, "name", s->sinks[i].name);
        (void)cJSON_AddNumberToObject(o, "left_events", (double)d.remaining);
        (void)cJSON_AddNumberToObject(o, "left_bytes", (double)d.lag_bytes);
        if (d.holding) {
            (void)cJSON_AddStringToObject(o, "why", d.why);
        }
        (void)cJSON_AddItemToArray(list, o);
    }
    sinks_unlock(s);
    return list;
}

static cJSON *streams(const struct server *s, const struct totals *t)
{
    static const char *const acks[] = {[ACK_WRITTEN] = "written",
                                       [ACK_SYNCED] = "synced",
                                       [ACK_DELIVERED] = "delivered"};
    const struct plan *plan = policy_plan(s->policy);
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        cJSON *o = cJSON_CreateObject();
        const char *name = plan->streams[i].name;

        (void)cJSON_AddStringToObject(o, "name", name);
        (void)cJSON_AddStringToObject(o, "ack", acks[plan->streams[i].ack]);
        (void)cJSON_AddNumberToObject(o, "max_bytes",
                                      (double)plan->streams[i].max_bytes);
        (void)cJSON_AddNumberToObject(
            o, "bytes", (double)totals_of_stream(t, "sluice_spool_bytes", name));
        if (s->stream_ids[i] >= 0) {
            (void)cJSON_AddNumberToObject(
                o, "used_percent", spool_stream_percent(s->spool, s->stream_ids[i]));
        }
        (void)cJSON_AddNumberToObject(
            o, "stored",
            (double)totals_of_stream(t, "sluice_stored_events_total", name));
        (void)cJSON_AddItemToArray(list, o);
    }
    return list;
}

static cJSON *process_status(const struct server *s)
{
    const struct process *p = s->process;
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "user", p->user);
    (void)cJSON_AddBoolToObject(o, "capabilities", user_has_capabilities());
    (void)cJSON_AddBoolToObject(o, "core_dumps", p->core_dumps);
    (void)cJSON_AddBoolToObject(o, "seccomp", p->sandbox.syscalls);
    (void)cJSON_AddBoolToObject(o, "landlock", p->sandbox.folders > 0);
    (void)cJSON_AddBoolToObject(o, "launcher",
                                p->launcher.entered && !p->launcher.lost);
    if (p->sandbox.why[0] != '\0') {
        (void)cJSON_AddStringToObject(o, "why", p->sandbox.why);
    }
    return o;
}

/* Those that this process has begun: it is gone when one succeeds. */
static cJSON *upgrade_status(const struct server *s)
{
    const struct process *p = s->process;
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddBoolToObject(o, "under_way",
                                s->successor != NULL || s->place->joining);
    (void)cJSON_AddNumberToObject(o, "failed", p->upgrades_failed);
    (void)cJSON_AddStringToObject(o, "why", p->upgrade_why);
    return o;
}

/* As /metrics has them: this thread waits for no disk. */
static void add_disk(cJSON *spool)
{
    uint64_t bytes = stats_value("sluice_spool_disk_bytes", "");

    if (bytes > 0) {
        (void)cJSON_AddNumberToObject(
            spool, "disk_free_bytes",
            (double)stats_value("sluice_spool_disk_free_bytes", ""));
        (void)cJSON_AddNumberToObject(spool, "disk_bytes", (double)bytes);
    }
}

/* A thread that hangs, in a disk or a library. */
static void add_silent(cJSON *o, const struct server *s)
{
    char thread[128];
    uint64_t ms = pulse_silent_ms(&s->pulse, thread, sizeof thread);

    if (ms != 0) {
        cJSON *silent = cJSON_AddObjectToObject(o, "silent");

        (void)cJSON_AddStringToObject(silent, "thread", thread);
        (void)cJSON_AddNumberToObject(silent, "ms", (double)ms);
    }
}

struct cJSON *status_object(struct server *s)
{
    const struct plan *plan = policy_plan(s->policy);
    bool writable;
    unsigned used = spool_used_percent(s->spool, &writable);
    struct totals *totals = totals_look();
    cJSON *o = cJSON_CreateObject();
    cJSON *spool;
    char listen[LISTENINGS_TEXT], why[ERR_TEXT_MAX];

    listenings_show(&s->listeners, listen, sizeof listen);
    (void)cJSON_AddStringToObject(o, "version", SLUICE_VERSION);
    (void)cJSON_AddNumberToObject(o, "pid", (double)getpid());
    (void)cJSON_AddNumberToObject(
        o, "uptime_ms", (double)((clock_mono_ns() - s->started_ns) / 1000000));
    (void)cJSON_AddNumberToObject(o, "now_ms", (double)clock_wall_ms());
    (void)cJSON_AddStringToObject(o, "began", s->began);
    (void)cJSON_AddBoolToObject(o, "draining", s->draining || s->resting);
    (void)cJSON_AddBoolToObject(o, "stopping", s->draining);
    add_silent(o, s);
    (void)cJSON_AddNumberToObject(o, "refusing_seconds",
                                  history_refusing_s(s->history));
    (void)cJSON_AddStringToObject(o, "listen", listen);
    (void)cJSON_AddNumberToObject(o, "workers", s->n_workers);
    (void)cJSON_AddNumberToObject(o, "admin_connections", http_server_open(s->admin));
    (void)cJSON_AddItemToObject(o, "process", process_status(s));
    (void)cJSON_AddItemToObject(o, "upgrade", upgrade_status(s));
    (void)cJSON_AddNumberToObject(o, "generation", (double)plan->generation);
    (void)cJSON_AddItemToObject(o, "generations", generations(s));
    rollout_look(&s->rollout);
    if (s->rollout.kind != ROLLOUT_NONE) {
        (void)cJSON_AddItemToObject(o, "trial", rollout(s));
    }
    spool = cJSON_AddObjectToObject(o, "spool");
    (void)cJSON_AddStringToObject(spool, "uuid", spool_uuid(s->spool));
    (void)cJSON_AddNumberToObject(spool, "epoch", spool_epoch(s->spool));
    (void)cJSON_AddNumberToObject(spool, "used_percent", used);
    (void)cJSON_AddBoolToObject(spool, "writable", writable);
    if (!writable) {
        spool_why_unwritable(s->spool, why, sizeof why);
        (void)cJSON_AddStringToObject(spool, "why", why);
    }
    add_disk(spool);
    (void)cJSON_AddItemToObject(o, "events", totals_events(totals));
    totals_add_faults(totals, o);
    totals_add_refusals(totals, o);
    totals_add_raised(totals, o);
    refusing_look(s->refusing, clock_mono_ns());
    (void)cJSON_AddItemToObject(o, "refusing",
                                refusing_json(s->refusing, clock_mono_ns()));
    growth_look(s->growth, clock_mono_ns());
    (void)cJSON_AddItemToObject(o, "counted", growth_json(s->growth));
    (void)cJSON_AddItemToObject(o, "streams", streams(s, totals));
    totals_free(totals);
    (void)cJSON_AddItemToObject(o, "sinks", sinks(s));
    (void)cJSON_AddItemToObject(o, "retiring", status_retiring(s));
    return o;
}

char *status_json(struct server *s)
{
    cJSON *o = status_object(s);
    char *text = cJSON_PrintBuffered(o, 4096, 1);

    cJSON_Delete(o);
    return text;
}

char *status_replay(struct delivery *d)
{
    static const char *const states[] = {[DELIVERY_REPLAY_NONE] = "none",
                                         [DELIVERY_REPLAY_RUNS] = "runs",
                                         [DELIVERY_REPLAY_DONE] = "done",
                                         [DELIVERY_REPLAY_STOPPED] = "stopped",
                                         [DELIVERY_REPLAY_FAILED] = "failed"};
    struct delivery_replay now;
    cJSON *o = cJSON_CreateObject();
    char *text;

    delivery_replay_status(d, &now);
    (void)cJSON_AddStringToObject(o, "status", states[now.state]);
    (void)cJSON_AddBoolToObject(o, "dry_run", now.dry);
    (void)cJSON_AddBoolToObject(o, "resumed", now.resumed);
    (void)cJSON_AddBoolToObject(o, "more", now.more);
    (void)cJSON_AddNumberToObject(o, "replayed", (double)now.replayed);
    (void)cJSON_AddNumberToObject(o, "dead_again", (double)now.again);
    (void)cJSON_AddNumberToObject(o, "unreadable", (double)now.unreadable);
    (void)cJSON_AddNumberToObject(o, "left", (double)now.remaining);
    (void)cJSON_AddNumberToObject(o, "left_bytes", (double)now.remaining_bytes);
    (void)cJSON_AddStringToObject(o, "why", now.why);
    text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return text;
}
