/*
 * reload - another policy takes over, or nothing changes. One at a time; those
 * that come meanwhile wait in order, and the admin listener goes on answering.
 *
 *   reload_ask           in line                              ── too many ── 503
 *     │ a thread of its own
 *   policy_load          every file once, checked, examples run ─ problems ──┐
 *   policy_state_warm ×N a Lua state a worker, compiled          ── error ───┤
 *     │ the supervisor                                                       │
 *   needs_restart        listen, workers, the spool's place   ── restart ────┤
 *     ├── canary, shadow ─► worker_try × N ─► rollout_begin ── drop ► retires  │
 *     │                        promote ─┐                                    │
 *     │ the changer            ◄─────────┘                                    │
 *   streams_open         new streams get their segments                       │
 *   sinks_apply          sinks opened, altered, stopped       ── error ──────┤
 *     │ the supervisor                                                       │
 *   worker_bind × N      each worker between two requests                    │
 *     │ the last has it                                                      │
 *   live; the one before retires                    nothing changed: refused ┘
 *
 * A rollout ends in the same line, by hand or by itself; a load that holds ends the
 * one before.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/run/run.h"
#include "server/lines.h"
#include "server/policies/quarantine.h"
#include "server/policies/reload.h"
#include "server/policies/snapshots.h"
#include "server/process.h"
#include "server/renewal.h"
#include "server/rights.h"
#include "server/upgrade/successor.h"
#include "stats/stats.h"

enum { WAITING_MAX = 16, LOADER_NICE = 5 };

static const double LATE_S = 10.; /* a journal that is handed over may take 7 */

/* The results of a reload, in answers and metrics. */
static const char *const ends[RELOAD_ENDS] = {"live",   "refused",     "canary",
                                              "shadow", "rolled_back", "done"};

static void reload_free(struct reload *r)
{
    for (uint32_t i = 0; i < r->s->n_workers; i++) {
        policy_state_free(r->states[i]);
    }
    free(r->states);
    policy_state_free(r->rule_state);
    certificates_free(&r->certificates);
    policy_report_fini(&r->report);
    policy_unref(r->policy);
    policy_unref(r->from);
    free(r);
}

static void count_result(struct server *s, const char *status)
{
    for (int i = 0; i < RELOAD_ENDS; i++) {
        if (strcmp(status, ends[i]) == 0) {
            stats_add(s->reloads[i], 1);
        }
    }
}

static void begin(struct server *s);

void reload_finish(struct reload *r, enum reload_result result, const char *status,
                   const char *text)
{
    struct server *s = r->s;
    struct reload_answer a = {.result = result,
                              .status = status,
                              .generation =
                                  r->generation != NULL ? r->generation->number : 0,
                              .live = s->live->number,
                              .text = text,
                              .report = &r->report,
                              .server = s};

    s->reload_late = false;
    count_result(s, status);
    if (r->asked.kind == RELOAD_FILE && strcmp(status, "live") == 0) {
        successor_loaded(s);
    }
    r->asked.done(r->asked.arg, &a);
    if (!s->draining) {
        process_reloaded(s);
    }
    s->reloading = r->next;
    if (s->reloading == NULL) {
        s->reloading_tail = &s->reloading;
    }
    s->n_reloading--;
    reload_free(r);
    begin(s);
}

/* ---- a change that takes long ---- */

/* The log has it, because no caller waits any more. */
static void on_late_done(void *arg, const struct reload_answer *a)
{
    (void)arg;
    (void)a;
}

static void answer_late(struct reload *r, const char *text)
{
    const struct reload_answer a = {.result = RELOAD_BUSY,
                                    .status = "waits",
                                    .live = r->s->live->number,
                                    .text = text,
                                    .report = &r->report,
                                    .server = r->s};

    r->asked.done(r->asked.arg, &a);
    r->asked.done = on_late_done;
}

/* The first in line goes on, and can't be called back; those after it are refused. */
static void on_late(struct ev_loop *loop, ev_timer *t, int events)
{
    struct server *s = OUTER(t, struct server, late_timer);
    struct reload *r = s->reloading, *behind = r->next;
    char sink[96], text[ERR_TEXT_MAX];

    (void)loop;
    (void)events;
    (void)changer_late(&s->changer, 0, sink, sizeof sink);
    log_write(LOG_ERROR, "reload_waits",
              "generation=%lu sink=%s why=\"a call does not return: its disk or file "
              "system hangs?\"",
              (unsigned long)r->generation->number, sink[0] == '\0' ? "-" : sink);
    reload_late_text(s, text, sizeof text);
    s->reload_late = true;
    answer_late(r, text);
    r->next = NULL;
    s->reloading_tail = &r->next;
    while (behind != NULL) {
        struct reload *next = behind->next;

        answer_late(behind, text);
        s->n_reloading--;
        reload_free(behind);
        behind = next;
    }
}

void reload_late_text(struct server *s, char *text, size_t bytes)
{
    char sink[96];

    (void)changer_late(&s->changer, 0, sink, sizeof sink);
    (void)snprintf(text, bytes,
                   "a reload waits for the disk of sink \"%s\", and goes on by itself "
                   "once that answers; look at /status, and reload again then\n",
                   sink);
}

static void on_changed(void *arg)
{
    struct reload *r = arg;

    ev_timer_stop(r->s->loop, &r->s->late_timer);
    if (r->s->ended) { /* there are no workers to go on with */
        r->altered = false;
        (void)err_set(&r->e, "the server ends");
    }
    r->changed(r);
}

void reload_change(struct reload *r, changer_fn *run, changer_fn *done)
{
    struct server *s = r->s;

    r->changed = done;
    r->altered = false;
    (void)err_set(&r->e, "the server ends");
    if (!s->reload_late) {
        ev_timer_init(&s->late_timer, on_late, LATE_S, 0.);
        ev_timer_start(s->loop, &s->late_timer);
    }
    changer_post(&s->changer, run, on_changed, r);
}

void reload_refuse(struct reload *r, enum reload_result result, const char *why)
{
    struct server *s = r->s;
    size_t n = strlen(why);
    const char *denied =
        r->s->process->sandbox.folders > 0 && strstr(why, strerror(EACCES)) != NULL
            ? " (the sandbox lets this process use only the folders "
              "that the policy named at its start: \"sluice upgrade\" starts "
              "a process that may use others)"
            : "";
    char *text = mem_alloc(n + 256);

    while (n > 0 && why[n - 1] == '\n') {
        n--;
    }
    (void)snprintf(text, n + 256, "%.*s%s; still running generation %lu\n", (int)n, why,
                   denied, (unsigned long)s->live->number);
    r->generation->restart = result == RELOAD_NEEDS_RESTART || denied[0] != '\0';
    generation_set(&s->generations, r->generation, GEN_REFUSED, why);
    rights_restore(s);
    reload_finish(r, result, "refused", text);
    free(text);
}

/* The very text that a worker did not come back from. */
static void look_for_suspect(struct reload *r)
{
    struct quarantine x;

    if (!quarantine_read(r->s->spool_dir, &x) ||
        strcmp(x.hash, policy_plan(r->policy)->hash) != 0) {
        return;
    }
    (void)snprintf(r->suspect, sizeof r->suspect,
                   "a worker did not come back from this very policy, in the hook "
                   "of %s that begins in %s:%d: change it, or remove %s/suspect",
                   x.route, x.file, x.line, r->s->spool_dir);
}

static void on_loaded(void *arg)
{
    struct reload *r = arg;

    /* Posting was the last that the thread did. */
    (void)reloads_join(r->s, UINT64_MAX / 2);
    if (r->policy != NULL) {
        generation_policy(r->generation, r->policy);
    }
    if (r->s->draining) {
        reload_refuse(r, RELOAD_FAILED, "the server is draining");
    } else if (r->policy == NULL) {
        reload_refuse(r, RELOAD_BAD_POLICY, r->report.text);
    } else if (r->e.text[0] != '\0') {
        reload_refuse(r, RELOAD_FAILED, r->e.text);
    } else if (r->suspect[0] != '\0') {
        reload_refuse(r, RELOAD_CONFLICT, r->suspect);
    } else {
        activation_apply(r);
    }
}

static bool make_judge(struct reload *r)
{
    if (r->from == NULL && policy_plan(r->policy)->rollout.has_roll_back_if) {
        r->rule_state = policy_state_new(r->policy, &r->e);
        return r->rule_state != NULL;
    }
    return true;
}

/* For a start that must not use the policy's file. Without such a policy the start
 * fails. */
static void keep(const struct reload *r)
{
    char quoted[ERR_TEXT_MAX * 2];
    struct err e;

    if (!snapshots_save(r->s->spool_dir, r->policy, &e)) {
        log_write(LOG_WARN, "policy", "status=not_kept why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

static void *load(void *arg)
{
    struct reload *r = arg;
    struct server *s = r->s;

    /* On Linux this is the thread's own: requests go first. */
    (void)setpriority(PRIO_PROCESS, 0, LOADER_NICE);
    r->policy = r->from != NULL
                    ? policy_again(r->from, &r->report)
                    : policy_load_in(s->conf.policy_path, s->tables_dir, &r->report);
    /* A shadow's counting and limiting is for itself. */
    if (r->policy != NULL &&
        (r->from != NULL || policy_plan(r->policy)->rollout.kind != ROLLOUT_SHADOW)) {
        policy_share(r->policy, s->registry);
    }
    if (r->policy != NULL &&
        (!states_make(r->policy, r->states, s->n_workers, &r->e) || !make_judge(r)) &&
        r->e.text[0] == '\0') {
        (void)err_set(&r->e, "no Lua state for a worker");
    }
    if (r->policy != NULL && r->e.text[0] == '\0' && r->from == NULL &&
        !lines_try(s, policy_plan(r->policy), &r->e) && r->e.text[0] == '\0') {
        (void)err_set(&r->e, "the access log can't be opened");
    }
    if (r->policy != NULL && r->e.text[0] == '\0' &&
        certificates_read(&r->certificates, r->policy, renewal_tickets(s->renewal),
                          &r->e) &&
        spool_in_place(s->spool, &r->e)) {
        keep(r);
        snapshots_forget_tables(s->spool_dir, s->tables_dir);
    }
    if (r->policy != NULL && r->from == NULL) {
        look_for_suspect(r);
    }
    mailbox_post(&s->mail, on_loaded, r);
    return NULL;
}

static bool start_loader(struct reload *r)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&r->thread, NULL, load, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    r->loading = rc == 0;
    return r->loading;
}

/* A load of the policy's file, or of files that were loaded before. */
static void begin_load(struct reload *r)
{
    struct server *s = r->s;

    r->generation = generation_new(&s->generations, r->asked.cause);
    if (r->generation == NULL) {
        reload_finish(r, RELOAD_BUSY, "refused",
                      "too many generations are still held by requests under "
                      "way; reload again later\n");
    } else if (!start_loader(r)) {
        reload_refuse(r, RELOAD_FAILED, "no thread to load it");
    }
}

/* True: it is about the rollout that is under way, or about nothing at all. */
static bool settles(struct reload *r)
{
    struct server *s = r->s;
    const struct rollout *t = &s->rollout;
    bool meant =
        t->g != NULL && (r->asked.rollout == 0 || r->asked.rollout == t->number);

    if (r->asked.kind == RELOAD_FILE) {
        return false;
    }
    if (r->asked.kind == RELOAD_FRESH) {
        r->from = policy_ref(s->policy);
        return false;
    }
    if (meant && r->asked.kind != RELOAD_PROMOTE) {
        activation_drop(r);
    } else if (meant && t->kind == ROLLOUT_CANARY) {
        activation_promote(r);
    } else if (meant) {
        /* A shadow has no writers: it comes again, for good. */
        r->from = policy_ref(t->g->policy);
        return false;
    } else if (r->asked.kind == RELOAD_ROLLBACK && s->previous != NULL) {
        r->from = policy_ref(s->previous);
        return false;
    } else {
        reload_finish(r, RELOAD_CONFLICT, "refused",
                      r->asked.kind == RELOAD_ROLLBACK
                          ? "there is no previous generation to go back to\n"
                          : "there is no canary or shadow\n");
    }
    return true;
}

/* The first in line. */
static void begin(struct server *s)
{
    struct reload *r = s->reloading;

    if (r == NULL) {
        return;
    }
    if (s->draining) {
        reload_finish(r, RELOAD_FAILED, "refused", "the server is draining\n");
    } else if (!settles(r)) {
        process_reloading(s);
        begin_load(r);
    }
}

bool reload_ask(struct server *s, const struct reload_request *asked)
{
    struct reload *r;

    if (s->draining || successor_leaving(s) || s->reload_late ||
        s->n_reloading >= WAITING_MAX) {
        return false;
    }
    r = mem_zalloc(sizeof *r);
    r->s = s;
    r->asked = *asked;
    r->states = mem_zalloc(s->n_workers * sizeof(struct policy_state *));
    if (asked->kind == RELOAD_FILE) {
        successor_reloads(s); /* it may have read the file before */
    }
    s->n_reloading++;
    *s->reloading_tail = r;
    s->reloading_tail = &r->next;
    if (s->reloading == r) {
        begin(s);
    }
    return true;
}

void reloads_init(struct server *s)
{
    s->reloading_tail = &s->reloading;
    for (int i = 0; i < RELOAD_ENDS; i++) {
        char labels[64];

        (void)stats_label_pair(labels, sizeof labels, "result", ends[i]);
        s->reloads[i] =
            stats_counter("sluice_policy_reloads_total", "Reloads, by result.", labels);
    }
}

bool reloads_join(struct server *s, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / 1000000000u),
                                   (long)(until_ns % 1000000000u)};
    struct reload *r = s->reloading;

    if (r == NULL || !r->loading) {
        return true;
    }
    if (pthread_clockjoin_np(r->thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
        log_write(LOG_WARN, "policy",
                  "generation=%lu status=abandoned why=\"the load did not come "
                  "back; is its file system hung?\"",
                  (unsigned long)r->generation->number);
        return false;
    }
    r->loading = false;
    return true;
}
