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
 *   streams_open         new streams get their segments                      │
 *   sinks_apply          sinks opened, altered, stopped       ── error ──────┤
 *   worker_bind × N      each worker between two requests                    │
 *     │ the last has it                                                      │
 *   live; the one before retires                    nothing changed: refused ┘
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/mem.h"
#include "server/state.h"
#include "stats/stats.h"

enum { WAITING_MAX = 16, LOADER_NICE = 5 };

static const double LOOK_S = 0.1;

struct reload {
    struct server *s;
    struct reload *next;          /* behind it */
    struct reload_request asked;
    struct generation *generation;
    struct policy *from;          /* rollback: whose files; else NULL */
    pthread_t thread;
    bool loading;                 /* the thread is to be joined */
    /* The thread's results. */
    struct policy *policy;        /* NULL: refused */
    struct policy_state **states; /* one a worker */
    struct policy_report report;
    struct err e;                 /* why there are no states */
    /* The supervisor's. */
    int ids[PLAN_STREAMS_MAX];
    int dead_stream;
    uint32_t n_unbound;           /* workers that do not have it yet */
};

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

bool states_make(struct policy *p, struct policy_state **states, uint32_t n,
                 struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        states[i] = policy_state_warm(p, e);
        if (states[i] == NULL) {
            return false;
        }
    }
    return true;
}

void bindings_make(struct server *s, struct generation *g,
                   struct policy_state **states, const int *ids,
                   int dead_stream)
{
    for (uint32_t i = 0; i < s->n_workers; i++) {
        g->bindings[i] = binding_new(worker_ingest(s->workers[i]), g->policy,
                                     states[i], ids, dead_stream);
        states[i] = NULL;
    }
}

static void reload_free(struct reload *r)
{
    for (uint32_t i = 0; i < r->s->n_workers; i++) {
        policy_state_free(r->states[i]);
    }
    free(r->states);
    policy_report_fini(&r->report);
    policy_unref(r->policy);
    policy_unref(r->from);
    free(r);
}

static void count_result(struct server *s, enum reload_result result)
{
    stats_add(result == RELOAD_OK ? s->reloads_live : s->reloads_refused, 1);
}

static void begin(struct server *s);

/* Answers who asked, and lets the next one begin. */
static void finish(struct reload *r, enum reload_result result, const char *text)
{
    struct server *s = r->s;
    struct reload_answer a = {.result = result,
                              .generation = r->generation != NULL
                                                ? r->generation->number
                                                : 0,
                              .live = s->live->number,
                              .text = text,
                              .report = &r->report};

    count_result(s, result);
    r->asked.done(r->asked.arg, &a);
    s->reloading = r->next;
    if (s->reloading == NULL) {
        s->reloading_tail = &s->reloading;
    }
    s->n_reloading--;
    reload_free(r);
    begin(s);
}

static void refuse(struct reload *r, enum reload_result result, const char *why)
{
    struct server *s = r->s;
    size_t n = strlen(why);
    char *text = mem_alloc(n + 64);

    while (n > 0 && why[n - 1] == '\n') {
        n--;
    }
    (void)snprintf(text, n + 64, "%.*s; still running generation %lu\n", (int)n,
                   why, (unsigned long)s->live->number);
    generation_set(&s->generations, r->generation, GEN_REFUSED, why);
    finish(r, result, text);
    free(text);
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct server *s = OUTER(t, struct server, look_timer);

    (void)events;
    if (!generations_look(&s->generations)) {
        ev_timer_stop(loop, t);
    }
}

/* What a sink still holds is not told, so one looks. */
static void retire(struct server *s, struct generation *g, const char *why)
{
    generation_set(&s->generations, g, GEN_RETIRING, why);
    if (generations_look(&s->generations) && !ev_is_active(&s->look_timer)) {
        ev_timer_init(&s->look_timer, on_look, LOOK_S, LOOK_S);
        ev_timer_start(s->loop, &s->look_timer);
    }
}

static void went_live(struct reload *r)
{
    struct server *s = r->s;
    struct generation *old = s->live;
    char why[64];

    policy_unref(s->previous);
    s->previous = s->policy;
    s->policy = policy_ref(r->policy);
    s->live = r->generation;
    memcpy(s->stream_ids, r->ids, sizeof r->ids);
    s->dead_stream = r->dead_stream;
    (void)snprintf(why, sizeof why, "replaced by generation %lu",
                   (unsigned long)s->live->number);
    retire(s, old, why);
    generation_set(&s->generations, s->live, GEN_LIVE, NULL);
    finish(r, RELOAD_OK, r->report.text == NULL ? "" : r->report.text);
}

void reload_bound(struct server *s)
{
    struct reload *r = s->reloading;

    if (r != NULL && r->n_unbound > 0 && --r->n_unbound == 0) {
        went_live(r);
    }
}

/* The policy is loaded; from here on it is quick. */
static void apply(struct reload *r)
{
    struct server *s = r->s;
    struct plan *plan = policy_plan_mutable(r->policy);
    const char *fixed = needs_restart(s, policy_plan(s->policy), plan);
    char text[ERR_TEXT_MAX];
    struct err e;

    if (fixed != NULL) {
        (void)snprintf(text, sizeof text,
                       "%s can't change in a running server: restart it",
                       fixed);
        refuse(r, RELOAD_NEEDS_RESTART, text);
        return;
    }
    if (!streams_open(s, plan, r->ids, &r->dead_stream, &e) ||
        !sinks_apply(s, r->policy, r->ids, r->dead_stream, &e)) {
        refuse(r, RELOAD_FAILED, e.text);
        return;
    }
    bindings_make(s, r->generation, r->states, r->ids, r->dead_stream);
    r->n_unbound = s->n_workers;
    for (uint32_t i = 0; i < s->n_workers; i++) {
        worker_bind(s->workers[i], r->generation->bindings[i]);
    }
}

static void on_loaded(void *arg)
{
    struct reload *r = arg;

    reloads_join(r->s);
    if (r->policy != NULL) {
        generation_policy(r->generation, r->policy);
    }
    if (r->s->draining) {
        refuse(r, RELOAD_FAILED, "the server is draining");
    } else if (r->policy == NULL) {
        refuse(r, RELOAD_BAD_POLICY, r->report.text);
    } else if (r->e.text[0] != '\0') {
        refuse(r, RELOAD_FAILED, r->e.text);
    } else {
        apply(r);
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
                    : policy_load(s->conf.policy_path, &r->report);
    if (r->policy != NULL &&
        !states_make(r->policy, r->states, s->n_workers, &r->e) &&
        r->e.text[0] == '\0') {
        (void)err_set(&r->e, "no Lua state for a worker");
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

/* The first in line. */
static void begin(struct server *s)
{
    struct reload *r = s->reloading;

    if (r == NULL) {
        return;
    }
    if (s->draining) {
        finish(r, RELOAD_FAILED, "the server is draining\n");
        return;
    }
    if (r->asked.kind == RELOAD_ROLLBACK && s->previous == NULL) {
        finish(r, RELOAD_CONFLICT,
               "there is no previous generation to go back to\n");
        return;
    }
    r->generation = generation_new(&s->generations, r->asked.cause);
    if (r->generation == NULL) {
        finish(r, RELOAD_BUSY,
               "too many generations are still held by requests under way; "
               "reload again later\n");
        return;
    }
    if (r->asked.kind == RELOAD_ROLLBACK) {
        r->from = policy_ref(s->previous);
    }
    if (!start_loader(r)) {
        refuse(r, RELOAD_FAILED, "no thread to load it");
    }
}

bool reload_ask(struct server *s, const struct reload_request *asked)
{
    struct reload *r;

    if (s->draining || s->n_reloading >= WAITING_MAX) {
        return false;
    }
    r = mem_zalloc(sizeof *r);
    r->s = s;
    r->asked = *asked;
    r->states = mem_zalloc(s->n_workers * sizeof(struct policy_state *));
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
    static const char name[] = "sluice_policy_reloads_total";
    static const char text[] = "Reloads by their result.";

    s->reloading_tail = &s->reloading;
    s->reloads_live = stats_counter(name, text, "result=\"live\"");
    s->reloads_refused = stats_counter(name, text, "result=\"refused\"");
}

void reloads_join(struct server *s)
{
    struct reload *r = s->reloading;

    if (r != NULL && r->loading) {
        (void)pthread_join(r->thread, NULL);
        r->loading = false;
    }
}
