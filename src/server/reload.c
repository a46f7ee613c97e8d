/*
 * reload - another policy takes over, or nothing changes.
 *
 *   policy_load          every file once, checked, examples run   ── problems ─┐
 *   what can't change    listen, workers, the spool's place       ── restart ──┤
 *   streams_open         new streams get their segments                        │
 *   binding_new × N      a Lua state a worker, off the hot path   ── error ────┤
 *   sinks_apply          sinks opened, altered, stopped           ── error ────┤
 *   worker_bind × N      each worker between two requests                      │
 *   note_generation      live                          nothing changed: refused
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/state.h"
#include "stats/stats.h"

enum { BIND_WAIT_MS = 5000 };

void note_generation(struct server *s, uint64_t number, const char *hash,
                     const char *status, const char *why)
{
    struct generation *g;
    int n = (int)strcspn(why, "\n");

    if (s->n_history == GENERATIONS_KEPT) {
        memmove(s->history, s->history + 1,
                (GENERATIONS_KEPT - 1) * sizeof *s->history);
        s->n_history--;
    }
    for (uint32_t i = 0; i < s->n_history; i++) {
        if (strcmp(status, "live") == 0 &&
            strcmp(s->history[i].status, "live") == 0) {
            (void)snprintf(s->history[i].status, sizeof s->history[i].status,
                           "retired");
        }
    }
    g = &s->history[s->n_history++];
    *g = (struct generation){.number = number, .at_ms = clock_wall_ms()};
    (void)snprintf(g->hash, sizeof g->hash, "%s", hash);
    (void)snprintf(g->status, sizeof g->status, "%s", status);
    (void)snprintf(g->why, sizeof g->why, "%.*s", n, why);
}

bool bind_workers(struct server *s, struct policy *p, const int *ids,
                  int dead_stream, bool first, struct err *e)
{
    struct binding **made = mem_zalloc(s->n_workers * sizeof *made);
    bool ok = true;

    for (uint32_t i = 0; i < s->n_workers && ok; i++) {
        made[i] = binding_new(worker_ingest(s->workers[i]), p, ids, dead_stream,
                              e);
        ok = made[i] != NULL;
    }
    for (uint32_t i = 0; i < s->n_workers; i++) {
        if (!ok) {
            binding_free(made[i]);
        } else if (!first) {
            worker_bind(s->workers[i], made[i]);
        } else {
            ok = worker_start(s->workers[i], made[i], e);
        }
    }
    free(made);
    return ok;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* NULL: all of next can take effect live; else what can't. */
static const char *needs_restart(const struct server *s,
                                 const struct plan *now,
                                 const struct plan *next)
{
    if (s->conf.listen == NULL && !same(now->server.listen, next->server.listen)) {
        return "server.listen";
    }
    if (s->conf.admin == NULL && !same(now->admin_listen, next->admin_listen)) {
        return "admin.listen";
    }
    if (now->server.workers != next->server.workers) {
        return "server.workers";
    }
    if (!same(now->spool.dir, next->spool.dir)) {
        return "spool.dir";
    }
    if (now->spool.segment_bytes != next->spool.segment_bytes) {
        return "spool.segment";
    }
    return NULL;
}

static enum reload_result switch_to(struct server *s, struct policy *next,
                                    struct err *e)
{
    struct plan *plan = policy_plan_mutable(next);
    const char *fixed = needs_restart(s, policy_plan(s->policy), plan);
    int ids[PLAN_STREAMS_MAX];
    int dead_stream;

    if (fixed != NULL) {
        (void)err_set(e, "%s can't change in a running server: restart it",
                      fixed);
        return RELOAD_NEEDS_RESTART;
    }
    plan->generation = s->next_generation;
    if (!streams_open(s, plan, ids, &dead_stream, e) ||
        !sinks_apply(s, next, ids, dead_stream, e) ||
        !bind_workers(s, next, ids, dead_stream, false, e)) {
        return RELOAD_FAILED;
    }
    for (uint32_t i = 0; i < s->n_workers; i++) {
        if (!worker_bound(s->workers[i], BIND_WAIT_MS)) {
            log_write(LOG_WARN, "policy",
                      "generation=%lu status=slow worker=%u",
                      (unsigned long)plan->generation, i);
        }
    }
    memcpy(s->stream_ids, ids, sizeof ids);
    s->dead_stream = dead_stream;
    return RELOAD_OK;
}

static void count_reload(const char *result)
{
    char labels[64];

    (void)stats_label_pair(labels, sizeof labels, "result", result);
    stats_add(stats_counter("sluice_policy_reloads_total",
                            "Reloads by their result.", labels),
              1);
}

static void refused(struct server *s, uint64_t number, const char *hash,
                    const char *cause, const char *why)
{
    char quoted[1024];

    note_generation(s, number, hash, "refused", why);
    count_reload("refused");
    log_write(LOG_ERROR, "policy",
              "generation=%lu status=refused cause=%s live=%lu why=%s",
              (unsigned long)number, cause,
              (unsigned long)policy_plan(s->policy)->generation,
              log_quote(quoted, sizeof quoted, why));
}

static void went_live(struct server *s, struct policy *next, const char *cause)
{
    const struct plan *plan = policy_plan(next);

    policy_unref(s->previous);
    s->previous = s->policy;
    s->policy = next;
    note_generation(s, plan->generation, plan->hash, "live", "");
    count_reload("live");
    log_write(LOG_INFO, "policy",
              "generation=%lu status=live cause=%s hash=%.12s",
              (unsigned long)plan->generation, cause, plan->hash);
}

static char *append_still(char *text, uint64_t generation)
{
    size_t n = strlen(text);
    char *out = mem_alloc(n + 64);

    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    (void)snprintf(out, n + 64, "%.*s; still running generation %lu\n", (int)n,
                   text, (unsigned long)generation);
    free(text);
    return out;
}

enum reload_result reload_policy(struct server *s, bool rollback,
                                 const char *cause, char **report)
{
    uint64_t live = policy_plan(s->policy)->generation;
    struct policy_report pr = {0};
    struct policy *next;
    struct err e;
    enum reload_result r;

    if (rollback && s->previous == NULL) {
        *report = mem_strdup("there is no previous generation to go back to\n");
        return RELOAD_FAILED;
    }
    if (rollback) {
        next = policy_ref(s->previous);
    } else {
        next = policy_load(s->conf.policy_path, &pr);
    }
    *report = mem_strdup(pr.text == NULL ? "" : pr.text);
    policy_report_fini(&pr);
    s->next_generation++;
    if (next == NULL) {
        refused(s, s->next_generation, "", cause, *report);
        *report = append_still(*report, live);
        return RELOAD_BAD_POLICY;
    }
    r = switch_to(s, next, &e);
    if (r != RELOAD_OK) {
        refused(s, s->next_generation, policy_plan(next)->hash, cause, e.text);
        free(*report);
        *report = append_still(mem_strdup(e.text), live);
        policy_unref(next);
        return r;
    }
    went_live(s, next, cause);
    return RELOAD_OK;
}
