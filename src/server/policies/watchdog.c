#include "server/policies/watchdog.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/binding.h"
#include "policy/run/run.h"
#include "server/internal.h"
#include "server/policies/quarantine.h"

static const double LOOK_S = 0.1;

#define INTERRUPT_NS 1000000000ull
#define STUCK_NS 1800000000ull
#define FRESHEN_NS 10000000000ull
/* A machine that gives the worker a quarter of a core is no reason. */
enum { RUNNING_PART = 4 };

/* The state whose hook worker number i is in, and where. NULL: none. */
static const struct generation *find(const struct server *s, uint32_t i,
                                     struct policy_at *at, const void **state)
{
    for (uint32_t k = s->generations.n; k > 0; k--) {
        const struct generation *g = s->generations.list[k - 1];

        if (g->bindings[i] != NULL && policy_state_at(g->bindings[i]->state, at)) {
            *state = g->bindings[i]->state;
            return g;
        }
    }
    return NULL;
}

static void note(struct quarantine *x, const struct generation *g,
                 const struct policy_at *at)
{
    *x = (struct quarantine){.generation = g->number, .line = at->line};
    (void)snprintf(x->hash, sizeof x->hash, "%s", g->hash);
    (void)snprintf(x->route, sizeof x->route, "%s %s", at->route->method,
                   at->route->path);
    (void)snprintf(x->file, sizeof x->file, "%s", at->file);
}

static void give_up(struct server *s, uint32_t i, const struct generation *g,
                    const struct policy_at *at, uint64_t ns, uint64_t ran_ns)
{
    struct quarantine x;
    char quoted[ERR_TEXT_MAX * 2], route[sizeof x.route * 2], begins[PATH_MAX];
    struct err e;

    note(&x, g, at);
    log_write(
        LOG_ERROR, "stuck",
        "worker=%u generation=%lu hash=%.12s route=%s hook=%s "
        "begins=%s ms=%lu ran_ms=%lu exit=%d",
        i, (unsigned long)g->number, g->hash, log_quote(route, sizeof route, x.route),
        at->hook, quarantine_place(&x, begins, sizeof begins),
        (unsigned long)(ns / 1000000u), (unsigned long)(ran_ns / 1000000u), EXIT_STUCK);
    if (!quarantine_write(s->spool_dir, &x, &e)) {
        log_write(LOG_ERROR, "stuck", "why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
    s->exit_code = EXIT_STUCK;
    ev_break(s->loop, EVBREAK_ALL);
}

static void interrupt(struct watch *w, uint32_t i, const struct generation *g,
                      const struct policy_at *at)
{
    struct quarantine x;
    char route[sizeof x.route * 2], begins[PATH_MAX];

    note(&x, g, at);
    w->seen[i].interrupted = true;
    stats_add(w->stopped, 1);
    log_write(LOG_WARN, "slow", "worker=%u generation=%lu route=%s hook=%s begins=%s",
              i, (unsigned long)g->number, log_quote(route, sizeof route, x.route),
              at->hook, quarantine_place(&x, begins, sizeof begins));
    worker_signal(w->s->workers[i], POLICY_SIGNAL);
}

static void look_at(struct watch *w, uint32_t i, uint64_t now)
{
    struct watch_seen *x = &w->seen[i];
    struct server *s = w->s;
    struct policy_at at;
    const void *state = NULL;
    const struct generation *g = find(s, i, &at, &state);
    uint64_t ran, since;

    if (g == NULL) {
        x->state = NULL;
        return;
    }
    ran = worker_ran_ns(s->workers[i]);
    if (x->state != state || x->pass != at.pass || x->event != at.event) {
        *x = (struct watch_seen){state, at.pass, at.event, now, ran, false};
        return;
    }
    since = now - x->since_ns;
    if (ran - x->ran_ns < since / RUNNING_PART) {
        since = (ran - x->ran_ns) * RUNNING_PART;
    }
    if (since >= STUCK_NS) {
        give_up(s, i, g, &at, now - x->since_ns, ran - x->ran_ns);
    } else if (since >= INTERRUPT_NS && !x->interrupted) {
        interrupt(w, i, g, &at);
    }
}

static void on_freshened(void *arg, const struct reload_answer *a)
{
    (void)arg;
    (void)a; /* its generation tells */
}

/* The live policy in new states. Not during a rollout, whose sides are compared. */
static void freshen(struct watch *w, uint32_t i, uint64_t now)
{
    struct server *s = w->s;
    const struct binding *b = s->live->bindings[i];

    if (b == NULL || s->rollout.g != NULL || s->n_reloading > 0 ||
        !policy_state_worn(b->state) ||
        (w->freshened_ns != 0 && now - w->freshened_ns < FRESHEN_NS)) {
        return;
    }
    if (!reload_ask(s, &(struct reload_request){.kind = RELOAD_FRESH,
                                                .cause = "memory",
                                                .done = on_freshened})) {
        return; /* too many wait; it is looked at again */
    }
    w->freshened_ns = now;
    log_write(LOG_WARN, "policy",
              "generation=%lu status=full worker=%u why=\"what the policy keeps "
              "fills the state's memory\"",
              (unsigned long)s->live->number, i);
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct watch *w = OUTER(t, struct watch, look);
    uint64_t now = clock_mono_ns();

    (void)loop;
    (void)events;
    for (uint32_t i = 0; i < w->s->n_workers; i++) {
        look_at(w, i, now);
        freshen(w, i, now);
    }
}

void watchdog_start(struct watch *w, struct server *s)
{
    policy_interrupts();
    w->s = s;
    w->seen = mem_zalloc(s->n_workers * sizeof *w->seen);
    w->stopped =
        stats_counter("sluice_policy_interrupts_total",
                      "Hooks stopped because a request's hooks used more than 31 ms of "
                      "processor time, or because a hook did not return for a second.",
                      "");
    ev_timer_init(&w->look, on_look, LOOK_S, LOOK_S);
    ev_timer_start(s->loop, &w->look);
}

void watchdog_stop(struct watch *w)
{
    if (w->s != NULL) {
        ev_timer_stop(w->s->loop, &w->look);
        free(w->seen);
        w->s = NULL;
    }
}
