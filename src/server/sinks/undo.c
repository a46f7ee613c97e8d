/* A policy that was refused, while its sinks were applied: the way back. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/internal.h"

enum { HAND_OVER_MS = 5000, STOP_MS = 2000 };

/* Back to the sink that it was taken over from; that one is started, or held, before
 * this place in the spool is let go. */
static struct delivery *give_back(struct server *s, struct running_sink *r)
{
    struct delivery *d = r->delivery;
    struct err e;

    if (!delivery_hand_over(d, HAND_OVER_MS)) {
        return NULL;
    }
    (void)move_journal(s, r->name, r->was, &e);
    sink_lua_free(r->lua);
    running_clear(s, r);
    return d;
}

/* One that hangs retires, behind this. */
static void stop_one(struct server *s, struct running_sink *r)
{
    struct delivery *d = r->delivery;
    struct sink_lua *lua = r->lua;
    char path[PATH_MAX];

    delivery_ask_stop(d, clock_mono_ns());
    if (!delivery_halt(d, clock_mono_ns() + STOP_MS * 1000000ull)) {
        return;
    }
    journal_path(s, r->name, path);
    running_clear(s, r);
    delivery_free(d);
    sink_lua_free(lua);
    (void)unlink(path);
}

/* Sinks that the refused policy started go; returns how many still have a place. */
static uint32_t stop_fresh(struct server *s, const struct kept *before,
                           struct delivery **places)
{
    uint32_t n = 0;
    char was[96];

    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        const struct kept_sink *line;
        struct err e;

        if (r->delivery == NULL || !r->fresh) {
            continue;
        }
        if (r->was[0] == '\0') {
            stop_one(s, r);
            continue;
        }
        memcpy(was, r->was, sizeof was);
        places[n] = give_back(s, r);
        if (places[n] == NULL) {
            continue; /* its thread hangs: it retires, behind this */
        }
        n++;
        /* One that retires: no policy starts it. */
        line = kept_find(before, was);
        if (!sink_in_plan(policy_plan(s->policy), was)) {
            (void)snprintf(r->name, sizeof r->name, "%s", was);
            if (!sink_restore(s, r, line, &e)) {
                log_write(LOG_ERROR, "sink", "sink=%s status=not_undone", was);
            }
        }
    }
    return n;
}

/* A policy that was refused leaves no trace: what it altered is as the live one
 * has it, what it started is gone. */
void sinks_undo(struct server *s, const struct kept *before)
{
    const struct plan *plan = policy_plan(s->policy);
    struct delivery *places[SINKS_RUNNING_MAX];
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;
    bool ok = kept_write(before, s->spool_dir, NULL, &e);
    uint32_t n;

    s->undoing = true;
    n = stop_fresh(s, before, places);
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        ok = sinks_apply_one(s, s->policy, k, s->stream_ids, &e) && ok;
    }
    for (uint32_t i = 0; i < n; i++) {
        delivery_free(places[i]);
    }
    s->undoing = false;
    sinks_retire(s);
    if (!ok) {
        log_write(LOG_ERROR, "sink", "status=not_undone why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}
