/*
 * sinks - the policy's sinks as running threads, changed by a reload:
 *
 *   kinds_fit    a name keeps its kind                      ── refused
 *   persisted_write   which policy each sink has, for a restart  ── refused
 *   delivery_apply, delivery_start, or a journal taken over ── undone
 *     │ the workers have the policy
 *   sinks_retire   what it lacks delivers up to here        (retired.c)
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "server/internal.h"
#include "server/sinks/taken.h"

static struct delivery_conf conf_of(struct server *s, struct plan *plan,
                                    const struct sink_plan *sink,
                                    const struct delivery_stream *streams, uint32_t n)
{
    return (struct delivery_conf){.spool = s->spool,
                                  .spool_dir = s->spool_dir,
                                  .data_dir = s->conf.data_dir,
                                  .folders = s->folders,
                                  .sink = sink,
                                  .plan = plan,
                                  .streams = streams,
                                  .n_streams = n,
                                  .wait = s->applying && !s->undoing,
                                  .undo = s->undoing,
                                  .retired = on_sink_retired,
                                  .arg = s};
}

static struct persisted_sink line_of(const struct plan *plan,
                                     const struct sink_plan *sink)
{
    struct persisted_sink l = {.generation = plan->generation};

    (void)snprintf(l.name, sizeof l.name, "%s", sink->name);
    (void)snprintf(l.kind, sizeof l.kind, "%s", plan_sink_word(sink->kind));
    (void)snprintf(l.hash, sizeof l.hash, "%s", plan->hash);
    return l;
}

/* The spool knows the sink, but its journal is missing: the delivered events are not
 * known, so all events of the spool are delivered. */
static bool journal_lost(struct server *s, const char *name, bool *lost, struct err *e)
{
    int there, never;

    *lost = false;
    if (s->persisted_before == NULL || sinks_find(s, name) != NULL ||
        persisted_find(s->persisted_before, name) == NULL) {
        return true;
    }
    there = taken_there(s, name);
    never = there == 0 ? persisted_without(s->spool_dir, name) : 0;
    *lost = there == 0 && never == 0;
    return (there >= 0 && never >= 0) ||
           err_errno(e, errno, "can't look for the journal of the sink \"%s\"", name);
}

static void begin_at_oldest(const char *name, struct delivery_stream *streams,
                            uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        streams[i].from_oldest = true;
    }
    log_write(LOG_WARN, "journal_missing",
              "sink=%s begins=oldest why=\"the journal is gone: events may be "
              "delivered twice\"",
              name);
}

bool sinks_apply_one(struct server *s, struct policy *p, uint32_t k, const int *ids,
                     struct err *e)
{
    struct plan *plan = policy_plan_mutable(p);
    struct delivery_stream streams[PLAN_STREAMS_MAX];
    struct delivery_conf c =
        conf_of(s, plan, &plan->sinks[k], streams, streams_of(plan, k, ids, streams));
    struct running_sink *r;
    struct sink_lua *lua;
    bool lost = false;

    changer_at(&s->changer, c.sink->name);
    if (c.sink->was == NULL && !journal_lost(s, c.sink->name, &lost, e)) {
        return false;
    }
    if (lost) {
        begin_at_oldest(c.sink->name, streams, c.n_streams);
    }
    if (!sink_hooks_new(p, k, &lua, &c.hooks, e)) {
        return false;
    }
    if (!start_or_alter(s, &c, lua, e)) {
        r = sinks_find(s, c.sink->name);
        if (r != NULL && s->undoing) {
            r->kept = line_of(plan, c.sink);
        }
        return false;
    }
    sinks_find(s, c.sink->name)->kept = line_of(plan, c.sink);
    return true;
}

/* The dead letters' own file sink: one NDJSON file below data/dead. */
bool sinks_apply_dead(struct server *s, struct policy *p, int stream, struct err *e)
{
    static const struct sink_plan plan = {.name = DEAD_LETTERS,
                                          .kind = SINK_KIND_FILE,
                                          .batch = {.target = 1000,
                                                    .min = 1,
                                                    .max = 10000,
                                                    .max_bytes = 1 << 20,
                                                    .linger_ms = 100},
                                          .dir = "dead",
                                          .rotate_bytes = 256u << 20,
                                          .rotate_age_ms = 24 * 3600 * 1000,
                                          .compress = COMPRESS_NONE};
    struct delivery_stream st = {.id = stream, .name = "dead", .from_oldest = true};
    struct delivery_conf c = conf_of(s, policy_plan_mutable(p), &plan, &st, 1);

    return stream < 0 || start_or_alter(s, &c, NULL, e);
}

/* ---- all of them ---- */

/* The journal of a sink of another kind means nothing to it. */
static bool kinds_fit(const struct server *s, const struct plan *plan,
                      const struct persisted *kept, struct err *e)
{
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        const struct sink_plan *sink = &plan->sinks[k];
        const char *names[] = {sink->name, sink->was};

        for (size_t i = 0; i < N_ELEMS(names) && names[i] != NULL; i++) {
            const struct persisted_sink *l = persisted_find(kept, names[i]);
            int there;

            if (l == NULL || strcmp(l->kind, plan_sink_word(sink->kind)) == 0) {
                continue;
            }
            there = taken_there(s, names[i]);
            if (there < 0) {
                return err_errno(e, errno,
                                 "can't look for the journal of the sink \"%s\"",
                                 names[i]);
            }
            if (there == 0) {
                continue;
            }
            return err_set(e,
                           "sink \"%s\" is a %s and \"%s\" was a %s: give the new "
                           "one another name, and the old one delivers what "
                           "it has; or give that up: sluice sink drop %s",
                           sink->name, plan_sink_word(sink->kind), names[i], l->kind,
                           names[i]);
        }
    }
    return true;
}

/* The running sinks, those of an earlier process, and the plan's, which come before
 * both. */
static bool note_kept(struct server *s, struct policy *p, struct persisted *kept,
                      struct err *e)
{
    const struct plan *plan = policy_plan(p);

    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        const struct sink_plan *sink = &plan->sinks[k];
        struct persisted_sink l = line_of(plan, sink);

        if (sink->was == NULL && persisted_find(kept, sink->name) == NULL &&
            !persisted_begin(s->spool_dir, sink->name, e)) {
            return false;
        }
        if (!persisted_put(kept, &l)) {
            return err_set(e, "more than %d sinks have left something", KEPT_MAX);
        }
    }
    return persisted_write(kept, s->spool_dir, p, e);
}

/* Journals of held sinks that still have another sink's name come back now, and not with
 * the next look at these sinks: this policy may take them out, or take them over. */
static void bring_home(struct server *s)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        struct err why;

        if (r->delivery != NULL && r->paused) {
            (void)!taken_home(s, r, &why);
        }
    }
}

static bool removals_fit(const struct server *s, const struct plan *plan, struct err *e)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        const struct running_sink *r = &s->sinks[i];
        struct err why;

        if (r->delivery != NULL && r->paused && !sink_in_plan(plan, r->name) &&
            !delivery_paused_retires(r->delivery, &why)) {
            return err_set(e,
                           "sink \"%s\" can't be taken out while its journal "
                           "can't be used: %s",
                           r->name, why.text);
        }
    }
    return true;
}

void sinks_revive(struct server *s, struct running_sink *r)
{
    const struct plan *plan = policy_plan(s->policy);
    struct err e;
    bool ok = true;

    if (!taken_home(s, r, &e)) {
        return;
    }
    if (r->retiring) {
        ok = sink_restore(s, r, &r->kept, &e);
    } else if (!sink_in_plan(plan, r->name)) {
        return;
    }
    for (uint32_t k = 0; k < plan->n_sinks && !r->retiring; k++) {
        if (strcmp(plan->sinks[k].name, r->name) == 0) {
            ok = sinks_apply_one(s, s->policy, k, s->stream_ids, &e);
        }
    }
    if (ok && r->paused && strcmp(r->name, DEAD_LETTERS) == 0) {
        ok = sinks_apply_dead(s, s->policy, s->dead_stream, &e);
    }
    if (!ok) {
        delivery_pause_why(r->delivery, e.text);
    }
}

bool sinks_apply(struct server *s, struct policy *p, const int *ids, int dead_stream,
                 struct err *e)
{
    const struct plan *plan = policy_plan(p);
    static struct persisted kept, before; /* the changer's: one reload at a time */
    bool ok;

    bring_home(s);
    if (!persisted_read(&kept, s->spool_dir, e) || !kinds_fit(s, plan, &kept, e) ||
        !removals_fit(s, plan, e)) {
        return false;
    }
    before = kept;
    if (!note_kept(s, p, &kept, e)) {
        return false;
    }
    s->applying = true;
    s->persisted_before = &before;
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        s->sinks[i].fresh = false;
        s->sinks[i].altered = false;
        s->sinks[i].was[0] = '\0';
    }
    ok = sinks_apply_dead(s, p, dead_stream, e);
    /* Those that take over another's journal come last: to go back is dear. */
    for (int last = 0; last < 2; last++) {
        for (uint32_t k = 0; k < plan->n_sinks && ok; k++) {
            if ((plan->sinks[k].was != NULL) == last) {
                ok = sinks_apply_one(s, p, k, ids, e);
            }
        }
    }
    if (!ok && s->workers != NULL) {
        sinks_undo(s, &before);
    } else if (ok) {
        persisted_sweep(&kept, s->spool_dir);
    }
    sinks_go(s, ok);
    s->applying = false;
    s->persisted_before = NULL;
    return ok;
}
