/* A policy that was refused, while its sinks were applied: the way back. */
#include "base/err.h"
#include "base/log.h"
#include "server/internal.h"
#include "server/sinks/taken.h"

enum { STOP_MS = 2000 };

/* Sinks that the refused policy started go. */
static void stop_fresh(struct server *s, const struct persisted *before)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        const struct persisted_sink *line;
        struct err e;

        if (r->delivery == NULL || !r->fresh) {
            continue;
        }
        if (r->was[0] == '\0') {
            sink_end_soon(s, r, STOP_MS);
            continue;
        }
        taken_back(s, r);
        line = persisted_find(before, r->name);
        r->kept = line != NULL ? *line : r->kept;
        /* One that retires: no policy starts it. */
        if (r->paused && r->at[0] == '\0' &&
            !sink_in_plan(policy_plan(s->policy), r->name) &&
            !sink_restore(s, r, line, &e)) {
            delivery_pause_why(r->delivery, e.text);
            log_write(LOG_ERROR, "sink", "sink=%s status=not_undone", r->name);
        }
    }
}

/* A journal that has not come back yet is another's as far as the disk says. */
static bool restore_kept(struct server *s, const struct persisted *before,
                         struct err *e)
{
    static struct persisted now, kept;
    bool ok = spool_in_place(s->spool, e) && persisted_read(&now, s->spool_dir, e);

    kept = *before;
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX && ok; i++) {
        const struct running_sink *r = &s->sinks[i];
        const struct persisted_sink *line = r->delivery != NULL && r->at[0] != '\0'
                                                ? persisted_find(&now, r->at)
                                                : NULL;

        if (line != NULL) {
            (void)!persisted_put(&kept, line);
        }
    }
    return ok && persisted_write(&kept, s->spool_dir, NULL, e);
}

/* One whose thread hangs has the change in its line: it is made before all that comes
 * later. */
static bool is_left_to_its_thread(struct server *s, const char *name, const char *why)
{
    const struct running_sink *r = sinks_find(s, name);
    char quoted[ERR_TEXT_MAX + 16];

    if (r == NULL || !delivery_left(r->delivery)) {
        return false;
    }
    log_write(LOG_WARN, "sink", "sink=%s status=undone_later why=%s", name,
              log_quote(quoted, sizeof quoted, why));
    return true;
}

/* Sinks on their way out that the refused policy took up. */
static void turn_back(struct server *s, const struct persisted *before)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        const struct persisted_sink *line = persisted_find(before, r->name);
        char quoted[ERR_TEXT_MAX + 16];
        struct err why;

        if (r->delivery == NULL || !r->altered || r->ending || line == NULL ||
            sink_in_plan(policy_plan(s->policy), r->name)) {
            continue;
        }
        r->kept = *line; /* one that is held starts by that */
        if (!r->paused && !r->handing && !sink_turn_back(s, r, &why) &&
            !is_left_to_its_thread(s, r->name, why.text)) {
            log_write(LOG_ERROR, "sink", "sink=%s status=not_undone why=%s", r->name,
                      log_quote(quoted, sizeof quoted, why.text));
        }
    }
}

static bool undo_one(struct server *s, const char *name, bool applied,
                     const struct err *why, struct err *e)
{
    return applied || is_left_to_its_thread(s, name, why->text) ||
           err_set(e, "%s", why->text);
}

/* A policy that was refused leaves no trace: the sinks that it altered are as the live
 * policy has them, those that it started are gone. */
void sinks_undo(struct server *s, const struct persisted *before)
{
    const struct plan *plan = policy_plan(s->policy);
    char quoted[ERR_TEXT_MAX + 16];
    struct err e, why;
    bool ok = true;

    s->undoing = true;
    stop_fresh(s, before);
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        ok =
            undo_one(s, plan->sinks[k].name,
                     sinks_apply_one(s, s->policy, k, s->stream_ids, &why), &why, &e) &&
            ok;
    }
    ok = undo_one(s, DEAD_LETTERS, sinks_apply_dead(s, s->policy, s->dead_stream, &why),
                  &why, &e) &&
         ok;
    turn_back(s, before);
    sinks_retire(s);
    s->undoing = false;
    ok = restore_kept(s, before, &e) && ok;
    if (!ok) {
        log_write(LOG_ERROR, "sink", "status=not_undone why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}
