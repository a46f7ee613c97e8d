/*
 * sinks - the policy's sinks as running threads, changed by a reload:
 *
 *   kinds_fit    a name keeps its kind                      ── refused
 *   kept_write   which policy each sink has, for a restart  ── refused
 *   delivery_apply, delivery_start, or a journal taken over ── undone
 *     │ the workers have the policy
 *   sinks_retire   what it lacks delivers up to here        (retired.c)
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "server/state.h"

enum { HAND_OVER_MS = 5000 };

struct running_sink *sinks_find(struct server *s, const char *name)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (s->sinks[i].delivery != NULL &&
            strcmp(s->sinks[i].name, name) == 0) {
            return &s->sinks[i];
        }
    }
    return NULL;
}

static void journal_path(const struct server *s, const char *name,
                         char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/sinks/%s.journal", s->spool_dir, name);
}

static struct delivery_conf conf_of(struct server *s, struct plan *plan,
                                    const struct sink_plan *sink,
                                    const struct delivery_stream *streams,
                                    uint32_t n)
{
    return (struct delivery_conf){.spool = s->spool,
                                  .spool_dir = s->spool_dir,
                                  .data_dir = s->conf.data_dir,
                                  .sink = sink,
                                  .plan = plan,
                                  .streams = streams,
                                  .n_streams = n,
                                  .retired = on_sink_retired,
                                  .arg = s};
}

static struct kept_sink line_of(const struct plan *plan,
                                const struct sink_plan *sink)
{
    struct kept_sink l = {.generation = plan->generation};

    (void)snprintf(l.name, sizeof l.name, "%s", sink->name);
    (void)snprintf(l.kind, sizeof l.kind, "%s", kept_kind(sink->kind));
    (void)snprintf(l.hash, sizeof l.hash, "%s", plan->hash);
    return l;
}

/* ---- one sink ---- */

/* lua is taken when it succeeds. */
static bool start(struct server *s, const struct delivery_conf *c,
                  struct sink_lua *lua, struct err *e)
{
    struct running_sink *r = s->sinks;

    while (r < s->sinks + SINKS_RUNNING_MAX && r->delivery != NULL) {
        r++;
    }
    if (r == s->sinks + SINKS_RUNNING_MAX) {
        return err_set(e, "more than %d sinks, those that retire included",
                       SINKS_RUNNING_MAX - 1);
    }
    *r = (struct running_sink){.lua = lua, .fresh = true};
    (void)snprintf(r->name, sizeof r->name, "%s", c->sink->name);
    r->delivery = delivery_start(c, e);
    return r->delivery != NULL;
}

static bool alter(struct running_sink *r, const struct delivery_conf *c,
                  struct sink_lua *lua, struct err *e)
{
    if (!delivery_apply(r->delivery, c, e)) {
        return false;
    }
    sink_lua_free(r->lua);
    r->lua = lua;
    if (r->retiring) {
        r->retiring = false;
        log_write(LOG_INFO, "sink", "sink=%s status=back", r->name);
    }
    return true;
}

static bool move_journal(const struct server *s, const char *from,
                         const char *to, struct err *e)
{
    char a[PATH_MAX], b[PATH_MAX];

    journal_path(s, from, a);
    journal_path(s, to, b);
    if (rename(a, b) != 0) {
        return err_set(e, "sink \"%s\": can't take over the journal %s", to, a);
    }
    log_write(LOG_INFO, "sink", "sink=%s status=taken_over was=%s", to, from);
    return true;
}

/* The journal of a sink that runs under its old name; when the new one can't be
 * started, the old one's is put back, for the next start. */
static bool take_over(struct server *s, struct running_sink *old,
                      const struct delivery_conf *c, struct sink_lua *lua,
                      struct err *e)
{
    struct delivery *d = old->delivery;
    struct err why;
    bool ok;

    delivery_hand_over(d, HAND_OVER_MS);
    ok = move_journal(s, old->name, c->sink->name, e);
    if (ok && !start(s, c, lua, e)) {
        ok = false;
        (void)move_journal(s, c->sink->name, old->name, &why);
    }
    sink_lua_free(old->lua);
    *old = (struct running_sink){.delivery = NULL};
    delivery_free(d);
    return ok;
}

static bool start_or_alter(struct server *s, const struct delivery_conf *c,
                           struct sink_lua *lua, struct err *e)
{
    struct running_sink *r = sinks_find(s, c->sink->name), *old;
    char own[PATH_MAX], was[PATH_MAX];

    if (r != NULL) {
        return alter(r, c, lua, e);
    }
    if (c->sink->was != NULL) {
        journal_path(s, c->sink->name, own);
        journal_path(s, c->sink->was, was);
        old = sinks_find(s, c->sink->was);
        if (old != NULL) {
            return take_over(s, old, c, lua, e);
        }
        if (access(own, F_OK) != 0 && access(was, F_OK) == 0 &&
            !move_journal(s, c->sink->was, c->sink->name, e)) {
            return false;
        }
    }
    return start(s, c, lua, e);
}

static bool apply_one(struct server *s, struct policy *p, uint32_t k,
                      const int *ids, struct err *e)
{
    struct plan *plan = policy_plan_mutable(p);
    struct delivery_stream streams[PLAN_STREAMS_MAX];
    struct delivery_conf c = conf_of(s, plan, &plan->sinks[k], streams,
                                     streams_of(plan, k, ids, streams));
    struct sink_lua *lua;

    if (!sink_lua_new(p, k, &lua, &c.hooks, e)) {
        return false;
    }
    if (!start_or_alter(s, &c, lua, e)) {
        sink_lua_free(lua);
        return false;
    }
    sinks_find(s, c.sink->name)->kept = line_of(plan, c.sink);
    return true;
}

/* The dead letters' own file sink: one NDJSON file below data/dead. */
static bool apply_dead(struct server *s, struct policy *p, int stream,
                       struct err *e)
{
    static const struct sink_plan plan = {.name = "dead-letters",
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
    struct delivery_stream st = {.id = stream, .name = "dead",
                                 .from_oldest = true};
    struct delivery_conf c = conf_of(s, policy_plan_mutable(p), &plan, &st, 1);

    return stream < 0 || start_or_alter(s, &c, NULL, e);
}

/* ---- all of them ---- */

/* What a sink of another kind has journaled means nothing to it. */
static bool kinds_fit(const struct server *s, const struct plan *plan,
                      const struct kept *kept, struct err *e)
{
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        const struct sink_plan *sink = &plan->sinks[k];
        const char *names[] = {sink->name, sink->was};

        for (size_t i = 0; i < N_ELEMS(names) && names[i] != NULL; i++) {
            const struct kept_sink *l = kept_find(kept, names[i]);
            char path[PATH_MAX];

            journal_path(s, names[i], path);
            if (l == NULL || strcmp(l->kind, kept_kind(sink->kind)) == 0 ||
                access(path, F_OK) != 0) {
                continue;
            }
            return err_set(e, "sink \"%s\" is a %s and \"%s\" was a %s: give the new "
                              "one another name, and the old one delivers what "
                              "it has; or give that up: sluice sink drop %s",
                           sink->name, kept_kind(sink->kind), names[i], l->kind,
                           names[i]);
        }
    }
    return true;
}

/* What is running, what an earlier process left, and the plan's, which comes
 * before both. */
static bool note_kept(struct server *s, struct policy *p, struct kept *kept,
                      struct err *e)
{
    const struct plan *plan = policy_plan(p);

    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        struct kept_sink l = line_of(plan, &plan->sinks[k]);

        if (!kept_put(kept, &l)) {
            return err_set(e, "more than %d sinks have left something",
                           KEPT_MAX);
        }
    }
    return kept_write(kept, s->spool_dir, p, e);
}

/* A policy that was refused leaves no trace: what it altered is as the live one
 * has it, what it started is gone. */
static void undo(struct server *s, const struct kept *before)
{
    const struct plan *plan = policy_plan(s->policy);
    char path[PATH_MAX], quoted[ERR_TEXT_MAX + 16];
    struct err e;
    bool ok = kept_write(before, s->spool_dir, NULL, &e);

    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];

        if (r->delivery != NULL && r->fresh) {
            (void)delivery_stop(r->delivery, 0);
            sink_lua_free(r->lua);
            journal_path(s, r->name, path);
            (void)unlink(path);
            *r = (struct running_sink){.delivery = NULL};
        }
    }
    for (uint32_t k = 0; k < plan->n_sinks && ok; k++) {
        ok = apply_one(s, s->policy, k, s->stream_ids, &e);
    }
    sinks_retire(s);
    if (!ok) {
        log_write(LOG_ERROR, "sink", "status=not_undone why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

bool sinks_apply(struct server *s, struct policy *p, const int *ids,
                 int dead_stream, struct err *e)
{
    const struct plan *plan = policy_plan(p);
    static struct kept kept, before; /* the supervisor's: one reload at a time */
    bool ok;

    if (!kept_read(&kept, s->spool_dir, e) || !kinds_fit(s, plan, &kept, e)) {
        return false;
    }
    before = kept;
    if (!note_kept(s, p, &kept, e)) {
        return false;
    }
    s->sinks_ahead = true;
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        s->sinks[i].fresh = false;
    }
    ok = apply_dead(s, p, dead_stream, e);
    /* Those that take over another's journal come last: that can't be undone. */
    for (int last = 0; last < 2; last++) {
        for (uint32_t k = 0; k < plan->n_sinks && ok; k++) {
            if ((plan->sinks[k].was != NULL) == last) {
                ok = apply_one(s, p, k, ids, e);
            }
        }
    }
    if (!ok && s->workers != NULL) {
        undo(s, &before);
    }
    return ok;
}
