/*
 * activation - a loaded policy goes to the workers: for all requests, or in rollout
 * beside the live one. Its place in a reload is drawn in reload.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "policy/run/run.h"
#include "server/index/indexes.h"
#include "server/keys/keystores.h"
#include "server/lines.h"
#include "server/policies/quarantine.h"
#include "server/policies/reload.h"
#include "server/policies/snapshots.h"
#include "server/renewal.h"
#include "server/rights.h"
#include "server/sandbox.h"
#include "server/sinks/taken.h"

static const double LOOK_S = 0.1;

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* An address that --listen or --admin replaces may be anything. */
static bool same_address(const struct listener_plan *a, const struct listener_plan *b)
{
    return a->address == NULL || b->address == NULL ? a->address == b->address
                                                    : same(a->address, b->address);
}

/* The others have the order of their addresses. */
static bool same_listeners(const struct plan *now, const struct plan *next)
{
    bool all = now->n_listeners == next->n_listeners;

    for (uint32_t i = 1; all && i < now->n_listeners; i++) {
        all = same_address(&now->listeners[i], &next->listeners[i]);
    }
    return all;
}

/* The names of all settings of next that can't take effect live, for a person; "": all
 * take effect. */
static bool same_user(const struct plan *a, const struct plan *b)
{
    const char *x = a->server.user, *y = b->server.user;

    return x == NULL || y == NULL ? x == y : same(x, y);
}

static void needs_restart(const struct server *s, const struct plan *now,
                          const struct plan *next, char *out, size_t n)
{
    const struct {
        bool changed;
        const char *name;
    } list[] = {
        {s->conf.listen == NULL &&
             !same_address(&now->listeners[0], &next->listeners[0]),
         "server.listen"},
        {!same_listeners(now, next), "the addresses of the listen blocks"},
        {s->conf.admin == NULL &&
             !same_address(&now->admin.listener, &next->admin.listener),
         "admin.listen"},
        {now->server.workers != next->server.workers, "server.workers"},
        {!same_user(now, next), "server.user"},
        {now->server.core_dumps != next->server.core_dumps, "server.core_dumps"},
        {now->server.sandbox != next->server.sandbox, "server.sandbox"},
        {!same(now->spool.dir, next->spool.dir), "spool.dir"},
        {now->spool.segment_bytes != next->spool.segment_bytes, "spool.segment"}};
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < N_ELEMS(list); i++) {
        if (list[i].changed && at < n) {
            at += (size_t)snprintf(out + at, n - at, "%s%s", at == 0 ? "" : ", ",
                                   list[i].name);
        }
    }
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

void bindings_make(struct server *s, struct generation *g, struct policy_state **states,
                   const int *ids, int dead_stream)
{
    for (uint32_t i = 0; i < s->n_workers; i++) {
        if (ids != NULL) {
            policy_publish(states[i]); /* a shadow's counters are its own */
        }
        g->bindings[i] = binding_new(worker_ingest(s->workers[i]), g->policy, states[i],
                                     ids, dead_stream);
        states[i] = NULL;
    }
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct server *s = OUTER(t, struct server, look_timer);

    (void)events;
    if (!generations_look(&s->generations)) {
        ev_timer_stop(loop, t);
    }
}

/* Sinks do not report the policies that they still hold, so the supervisor looks. */
static void retire(struct server *s, struct generation *g, const char *why)
{
    generation_set(&s->generations, g, GEN_RETIRING, why);
    if (generations_look(&s->generations) && !ev_is_active(&s->look_timer)) {
        ev_timer_init(&s->look_timer, on_look, LOOK_S, LOOK_S);
        ev_timer_start(s->loop, &s->look_timer);
    }
}

static const char *report_text(const struct reload *r)
{
    return r->report.text == NULL ? "" : r->report.text;
}

void activation_note(struct server *s, bool from_file)
{
    char quoted[ERR_TEXT_MAX * 2];
    struct quarantine x;
    struct err e;

    if (!snapshots_live(s->spool_dir, s->policy, &e)) {
        log_write(LOG_WARN, "policy", "status=not_kept why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
    if (from_file && quarantine_read(s->spool_dir, &x) &&
        strcmp(x.hash, s->live->hash) != 0) {
        quarantine_remove(s->spool_dir);
    }
}

/* The changer. */
static void on_live(void *arg)
{
    struct reload *r = arg;
    struct server *s = r->s;

    sinks_retire(s); /* first: until then they get what this policy stores */
    activation_note(s, r->from == NULL);
    taken_forget_names(s);
    streams_used(s);
}

static void on_over(void *arg)
{
    struct reload *r = arg;

    r->s->sinks_ahead = false;
    sinks_retire_rest(r->s);
    reload_finish(r, RELOAD_OK, "live", report_text(r));
}

static void went_live(void *arg)
{
    struct reload *r = arg;
    struct server *s = r->s;
    struct generation *old = s->live;
    char why[64];

    /* The same again is nothing to go back to. */
    if (same(policy_plan(s->policy)->hash, policy_plan(r->policy)->hash)) {
        policy_unref(s->policy);
    } else {
        policy_unref(s->previous);
        s->previous = s->policy;
    }
    s->policy = policy_ref(r->policy);
    admin_follow(s);
    lines_follow(s);
    rights_restore(s); /* of a rollout's policy they are new */
    log_follow(policy_plan(s->policy));
    renewal_set(s->renewal, s->policy, NULL); /* a canary's were not set before */
    s->live = r->generation;
    memcpy(s->stream_ids, r->ids, sizeof r->ids);
    s->dead_stream = r->dead_stream;
    (void)snprintf(why, sizeof why, "replaced by generation %lu",
                   (unsigned long)s->live->number);
    retire(s, old, why);
    generation_set(&s->generations, s->live, GEN_LIVE, NULL);
    reload_change(r, on_live, on_over);
}

/* ---- a policy in rollout ---- */

static void on_tried(void *arg)
{
    struct reload *r = arg;
    struct server *s = r->s;
    bool canary = policy_plan(r->policy)->rollout.kind == ROLLOUT_CANARY;

    generation_set(&s->generations, r->generation, canary ? GEN_CANARY : GEN_SHADOW,
                   NULL);
    rollout_begin(&s->rollout, r->generation, r->rule_state);
    r->rule_state = NULL;
    reload_finish(r, RELOAD_OK, canary ? "canary" : "shadow", report_text(r));
}

/* Its workers go on with the live one alone. */
static void end_rollout(struct reload *r, bool promote, void (*done)(void *arg))
{
    struct server *s = r->s;

    rollout_look(&s->rollout);
    r->step = (struct worker_step){s->n_workers, done, r};
    for (uint32_t i = 0; i < s->n_workers; i++) {
        worker_end_rollout(s->workers[i], promote, &r->step);
    }
}

/* The result of a canary that was dropped, and of a shadow that is over. */
static const char *end_of(const struct rollout *t)
{
    return t->kind == ROLLOUT_CANARY ? "rolled_back" : "done";
}

static void on_dropped(void *arg)
{
    struct reload *r = arg;
    struct server *s = r->s;
    const char *end = end_of(&s->rollout);
    bool wanted = r->asked.kind != RELOAD_PROMOTE;

    rollout_end(&s->rollout, end, r->why);
    retire(s, r->generation, r->why);
    reload_finish(r, wanted ? RELOAD_OK : RELOAD_FAILED, end, r->why);
}

void activation_drop(struct reload *r)
{
    (void)snprintf(r->why, sizeof r->why, "%s",
                   r->asked.why != NULL ? r->asked.why : "by hand");
    r->generation = r->s->rollout.g;
    end_rollout(r, false, on_dropped);
}

static void on_promoted(void *arg)
{
    struct reload *r = arg;

    rollout_end(&r->s->rollout, "promoted",
                r->asked.why != NULL ? r->asked.why : "by hand");
    went_live(r);
}

/* Unlike a start, a load is not tried again by itself. */
static void say_again(struct err *e)
{
    struct err why = *e;

    if (err_no_room(e)) {
        (void)err_set(e, "%.400s: make room on the disk, then load it again", why.text);
    }
}

/* The changer: streams and sinks as the new policy says. */
static void alter(void *arg)
{
    struct reload *r = arg;
    struct server *s = r->s;

    r->altered =
        spool_in_place(s->spool, &r->e) &&
        streams_open(s, policy_plan(r->policy), r->ids, &r->dead_stream, &r->e) &&
        keystores_open(s, r->policy, r->ids, &r->e) &&
        indexes_open(s, policy_plan(r->policy), r->ids, true, &r->e) &&
        sinks_apply(s, r->policy, r->ids, r->dead_stream, &r->e);
    if (!r->altered) {
        say_again(&r->e);
        streams_restore(s);
    }
}

/* Nothing has come of it: they are as before. */
static void undone(struct server *s)
{
    s->sinks_ahead = false;
    sinks_retire_rest(s);
}

static void cant_promote(struct reload *r, const char *why)
{
    if (r->s->ended) {
        reload_finish(r, RELOAD_FAILED, "refused", "the server ends\n");
        return;
    }
    (void)snprintf(r->why, sizeof r->why, "it can't go live: %.200s", why);
    end_rollout(r, false, on_dropped);
}

static void on_altered_rollout(void *arg)
{
    struct reload *r = arg;

    if (r->altered) {
        end_rollout(r, true, on_promoted);
        return;
    }
    undone(r->s);
    cant_promote(r, r->e.text);
}

static void promote(void *arg, const char *late)
{
    struct reload *r = arg;

    if (late != NULL || r->s->ended) {
        cant_promote(r, late);
        return;
    }
    r->s->sinks_ahead = true;
    reload_change(r, alter, on_altered_rollout);
}

void activation_promote(struct reload *r)
{
    r->generation = r->s->rollout.g;
    r->policy = policy_ref(r->generation->policy);
    sinks_ready(r->s, policy_plan(r->policy), promote, r);
}

/* A load that holds ends the rollout of the one before: workers do as they are told
 * in order. */
static void supersede(struct reload *r)
{
    struct server *s = r->s;
    struct generation *g = s->rollout.g;
    char why[64];

    if (g == NULL) {
        return;
    }
    (void)snprintf(why, sizeof why, "generation %lu was loaded",
                   (unsigned long)r->generation->number);
    rollout_look(&s->rollout);
    s->superseded.n_left = UINT32_MAX; /* no caller waits for it */
    for (uint32_t i = 0; i < s->n_workers; i++) {
        worker_end_rollout(s->workers[i], false, &s->superseded);
    }
    rollout_end(&s->rollout, end_of(&s->rollout), why);
    retire(s, g, why);
}

/* A canary may not add streams: no sink would deliver them if it were rolled back. */
static bool canary_streams(struct reload *r, const struct plan *plan, struct err *e)
{
    struct server *s = r->s;
    const struct plan *live = policy_plan(s->policy);

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        r->ids[i] = -1;
        for (uint32_t k = 0; k < live->n_streams; k++) {
            if (same(plan->streams[i].name, live->streams[k].name)) {
                r->ids[i] = s->stream_ids[k];
            }
        }
        if (r->ids[i] < 0) {
            return err_set(e,
                           "stream \"%s\" is new, and a canary can't add "
                           "streams: load it without canary { } first",
                           plan->streams[i].name);
        }
    }
    if (!spool_in_place(s->spool, e) ||
        !dead_stream_open(s, plan, &r->dead_stream, e)) {
        return false;
    }
    if (r->dead_stream == s->dead_stream) {
        return true;
    }
    if (!sinks_apply(s, s->policy, s->stream_ids, r->dead_stream, e)) {
        return false;
    }
    s->dead_stream = r->dead_stream; /* not without its sink */
    sinks_retire(s);
    return true;
}

static void begin_rollout(struct reload *r, bool canary)
{
    struct server *s = r->s;

    supersede(r);
    bindings_make(s, r->generation, r->states, canary ? r->ids : NULL, r->dead_stream);
    r->step = (struct worker_step){s->n_workers, on_tried, r};
    for (uint32_t i = 0; i < s->n_workers; i++) {
        worker_try(s->workers[i], r->generation->bindings[i], &r->step);
    }
}

static void alter_canary(void *arg) /* the changer */
{
    struct reload *r = arg;

    r->altered = canary_streams(r, policy_plan(r->policy), &r->e) &&
                 keystores_open(r->s, r->policy, r->ids, &r->e) &&
                 indexes_open(r->s, policy_plan(r->policy), r->ids, true, &r->e);
    if (!r->altered) {
        say_again(&r->e);
    }
}

static void on_altered_canary(void *arg)
{
    struct reload *r = arg;

    undone(r->s);
    if (r->altered) {
        begin_rollout(r, true);
    } else {
        reload_refuse(r, RELOAD_NEEDS_RESTART, r->e.text);
    }
}

/* ---- a policy for all requests ---- */

static void on_altered(void *arg)
{
    struct reload *r = arg;
    struct server *s = r->s;

    if (!r->altered) {
        undone(s);
        reload_refuse(r, RELOAD_FAILED, r->e.text);
        return;
    }
    supersede(r);
    renewal_set(s->renewal, r->policy, &r->certificates);
    bindings_make(s, r->generation, r->states, r->ids, r->dead_stream);
    r->step = (struct worker_step){s->n_workers, went_live, r};
    for (uint32_t i = 0; i < s->n_workers; i++) {
        worker_bind(s->workers[i], r->generation->bindings[i], &r->step);
    }
}

/* All that it needs answers: the changer should be quick. */
static void apply(void *arg, const char *late)
{
    struct reload *r = arg;
    struct server *s = r->s;
    enum rollout_kind kind = policy_plan(r->policy)->rollout.kind;
    bool canary = r->from == NULL && kind == ROLLOUT_CANARY;

    if (late != NULL || s->ended) {
        reload_refuse(r, RELOAD_FAILED, s->ended ? "the server ends" : late);
    } else if (r->from == NULL && kind == ROLLOUT_SHADOW) {
        begin_rollout(r, false);
    } else {
        s->sinks_ahead = true;
        reload_change(r, canary ? alter_canary : alter,
                      canary ? on_altered_canary : on_altered);
    }
}

void activation_apply(struct reload *r)
{
    struct server *s = r->s;
    char fixed[200];
    char text[ERR_TEXT_MAX];

    needs_restart(s, policy_plan(s->policy), policy_plan(r->policy), fixed,
                  sizeof fixed);
    if (fixed[0] != '\0') {
        (void)snprintf(
            text, sizeof text,
            "%s can't change in a running server: have a new process take its "
            "place (sluice upgrade, or SIGUSR2), or restart it",
            fixed);
        reload_refuse(r, RELOAD_NEEDS_RESTART, text);
        return;
    }
    if (!sandbox_reaches(s, policy_plan(r->policy), &r->e) ||
        ((r->from != NULL || policy_plan(r->policy)->rollout.kind == ROLLOUT_NONE) &&
         !rights_follow(s, policy_plan(r->policy), &r->e))) {
        reload_refuse(r, RELOAD_FAILED, r->e.text);
        return;
    }
    sinks_ready(s, policy_plan(r->policy), apply, r);
}
