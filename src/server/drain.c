/*
 * drain - SIGTERM to exit: readyz 503, drain_delay, no new connections, requests under
 * way are finished, sinks flush, cursors are persisted.
 */
#include "base/clock.h"
#include "base/log.h"
#include "ingest/ingest.h"
#include "server/internal.h"
#include "server/process.h"
#include "server/upgrade/successor.h"

static const double LOOK_S = 0.01;

static uint64_t ms_to_ns(int64_t ms)
{
    return (uint64_t)ms * 1000000u;
}

static bool all_idle(const struct server *s)
{
    for (uint32_t i = 0; i < s->n_workers; i++) {
        if (!worker_idle(s->workers[i])) {
            return false;
        }
    }
    return true;
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct server *s = OUTER(t, struct server, drain_timer);
    uint64_t now = clock_mono_ns();

    (void)events;
    if (s->drain_from_ns != 0 && now >= s->drain_from_ns) {
        s->drain_from_ns = 0;
        for (uint32_t i = 0; i < s->n_workers; i++) {
            worker_drain(s->workers[i]);
        }
    }
    if (now >= s->drain_until_ns || (s->drain_from_ns == 0 && all_idle(s))) {
        ev_timer_stop(loop, t);
        ev_break(loop, EVBREAK_ALL);
    }
}

void drain_begin(struct server *s, const char *cause)
{
    const struct server_plan *plan = &policy_plan(s->policy)->server;

    if (successor_leaving(s)) {
        successor_drains(s);
        return;
    }
    if (s->draining) {
        /* A second signal: no more patience. */
        s->drain_until_ns = 0;
        return;
    }
    successor_drop(s);
    s->draining = true;
    process_stopping(s->process);
    atomic_store(&s->leaving, true);
    s->drain_from_ns = clock_mono_ns() + ms_to_ns(plan->drain_delay_ms);
    s->drain_until_ns = s->drain_from_ns + ms_to_ns(plan->drain_ms);
    log_write(LOG_INFO, "drain", "cause=%s drain_ms=%ld", cause, (long)plan->drain_ms);
    ev_timer_init(&s->drain_timer, on_look, 0., LOOK_S);
    ev_timer_start(s->loop, &s->drain_timer);
}

static void on_rest(void *arg) /* a worker's thread */
{
    ingest_rest(arg, true);
}

static void on_return(void *arg) /* a worker's thread */
{
    ingest_rest(arg, false);
}

void drain_rest(struct server *s, bool on)
{
    if (s->draining || s->resting == on) {
        return;
    }
    s->resting = on;
    atomic_store(&s->leaving, on);
    for (uint32_t i = 0; i < s->n_workers; i++) {
        worker_post(s->workers[i], on ? on_rest : on_return,
                    worker_ingest(s->workers[i]));
    }
    log_write(LOG_INFO, "drain", "cause=POST status=%s", on ? "rests" : "returns");
}
