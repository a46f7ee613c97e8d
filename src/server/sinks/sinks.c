/*
 * sinks - the policy's sinks as running threads, changed by a reload:
 *
 *   kinds_fit    a name keeps its kind                      ── refused
 *   kept_write   which policy each sink has, for a restart  ── refused
 *   delivery_apply, delivery_start, or a journal taken over ── undone
 *     │ the workers have the policy
 *   sinks_retire   what it lacks delivers up to here        (retired.c)
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "server/internal.h"

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
                                  .folders = s->folders,
                                  .sink = sink,
                                  .plan = plan,
                                  .streams = streams,
                                  .n_streams = n,
                                  .wait = s->sinks_ahead && !s->undoing,
                                  .retired = on_sink_retired,
                                  .arg = s};
}

static struct kept_sink line_of(const struct plan *plan,
                                const struct sink_plan *sink)
{
    struct kept_sink l = {.generation = plan->generation};

    (void)snprintf(l.name, sizeof l.name, "%s", sink->name);
    (void)snprintf(l.kind, sizeof l.kind, "%s", plan_sink_word(sink->kind));
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
    if (r->delivery != NULL) {
        return true;
    }
    r->lua = NULL;
    /* A reload is refused; a start goes on with the sinks that can, and so does the
     * way back to the live policy. */
    if (s->workers == NULL || s->undoing) {
        struct err why = *e;

        if (held_start(s, r, c, why.text, e)) {
            sink_lua_free(lua);
            return true;
        }
    }
    return false;
}

/* A held one, with the policy's settings: started, or held still, for what ails it
 * is no fault of this policy. */
static bool alter_held(struct server *s, struct running_sink *r,
                       const struct delivery_conf *c, struct sink_lua *lua,
                       struct err *e)
{
    struct err why;

    if (held_restart(r, c, &why)) {
        r->lua = lua;
        r->retiring = false;
        return true;
    }
    if (!held_start(s, r, c, why.text, e)) {
        return false;
    }
    sink_lua_free(lua);
    r->retiring = false;
    return true;
}

static bool alter(struct server *s, struct running_sink *r,
                  const struct delivery_conf *c, struct sink_lua *lua,
                  struct err *e)
{
    if (r->held) {
        return alter_held(s, r, c, lua, e);
    }
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

/* The journal of a sink that runs under its old name. That one's place in the spool is
 * kept until the new one has its own; when it can't be started, the old one is held
 * with its journal, and started again. */
static bool take_over(struct server *s, struct running_sink *old,
                      const struct delivery_conf *c, struct sink_lua *lua,
                      struct err *e)
{
    struct delivery *d = old->delivery;
    struct running_sink *r;
    struct err why;
    bool ok;

    if (!delivery_hand_over(d, HAND_OVER_MS)) {
        old->handing = true;
        held_look(s);
        return err_set(e, "sink \"%s\": its thread does not end: \"%s\" can't take over "
                          "its journal", old->name, c->sink->name);
    }
    ok = move_journal(s, old->name, c->sink->name, e);
    if (ok && !start(s, c, lua, e)) {
        ok = false;
        (void)move_journal(s, c->sink->name, old->name, &why);
    }
    if (!ok) {
        sink_lua_free(old->lua);
        old->lua = NULL;
        held_note(s, old, e->text);
        return false;
    }
    r = sinks_find(s, c->sink->name);
    (void)snprintf(r->was, sizeof r->was, "%s", old->name);
    sink_lua_free(old->lua);
    *old = (struct running_sink){.delivery = NULL};
    delivery_free(d);
    return true;
}

static bool start_or_alter(struct server *s, const struct delivery_conf *c,
                           struct sink_lua *lua, struct err *e)
{
    struct running_sink *r = sinks_find(s, c->sink->name), *old;
    char own[PATH_MAX], was[PATH_MAX];

    if (r != NULL) {
        return alter(s, r, c, lua, e);
    } else if (c->sink->was != NULL) {
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

/* The spool knows the sink, and its journal is gone: nobody knows what was delivered,
 * so all that is there is. */
static bool journal_lost(struct server *s, const char *name)
{
    char path[PATH_MAX];

    journal_path(s, name, path);
    return s->kept_before != NULL && kept_find(s->kept_before, name) != NULL &&
           sinks_find(s, name) == NULL && access(path, F_OK) != 0 &&
           errno == ENOENT;
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

static bool apply_one(struct server *s, struct policy *p, uint32_t k,
                      const int *ids, struct err *e)
{
    struct plan *plan = policy_plan_mutable(p);
    struct delivery_stream streams[PLAN_STREAMS_MAX];
    struct delivery_conf c = conf_of(s, plan, &plan->sinks[k], streams,
                                     streams_of(plan, k, ids, streams));
    struct running_sink *r;
    struct sink_lua *lua;

    if (c.sink->was == NULL && journal_lost(s, c.sink->name)) {
        begin_at_oldest(c.sink->name, streams, c.n_streams);
    }
    if (!sink_lua_new(p, k, &lua, &c.hooks, e)) {
        return false;
    }
    if (!start_or_alter(s, &c, lua, e)) {
        r = sinks_find(s, c.sink->name);
        if (r == NULL || !delivery_hung(r->delivery)) { /* else it may be used yet */
            sink_lua_free(lua);
        }
        return false;
    }
    sinks_find(s, c.sink->name)->kept = line_of(plan, c.sink);
    return true;
}

/* The dead letters' own file sink: one NDJSON file below data/dead. */
static bool apply_dead(struct server *s, struct policy *p, int stream,
                       struct err *e)
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
            if (l == NULL || strcmp(l->kind, plan_sink_word(sink->kind)) == 0 ||
                access(path, F_OK) != 0) {
                continue;
            }
            return err_set(e, "sink \"%s\" is a %s and \"%s\" was a %s: give the new "
                              "one another name, and the old one delivers what "
                              "it has; or give that up: sluice sink drop %s",
                           sink->name, plan_sink_word(sink->kind), names[i], l->kind,
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

static bool removals_fit(const struct server *s, const struct plan *plan,
                         struct err *e)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        const struct running_sink *r = &s->sinks[i];
        struct err why;

        if (r->delivery != NULL && r->held && !sink_in_plan(plan, r->name) &&
            !delivery_held_retires(r->delivery, &why)) {
            return err_set(e, "sink \"%s\" can't be taken out while its journal "
                              "can't be used: %s",
                           r->name, why.text);
        }
    }
    return true;
}

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
    *r = (struct running_sink){.delivery = NULL};
    return d;
}

/* Sinks that the refused policy started go; returns how many still have a place. */
static uint32_t stop_fresh(struct server *s, const struct kept *before,
                           struct delivery **places)
{
    char path[PATH_MAX], was[96];
    uint32_t n = 0;

    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        const struct kept_sink *line;
        struct err e;

        if (r->delivery == NULL || !r->fresh) {
            continue;
        }
        if (r->was[0] == '\0') {
            if (delivery_stop(r->delivery, 0) == DELIVERY_STUCK) {
                continue; /* it retires, behind this */
            }
            sink_lua_free(r->lua);
            journal_path(s, r->name, path);
            (void)unlink(path);
            *r = (struct running_sink){.delivery = NULL};
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
static void undo(struct server *s, const struct kept *before)
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
        ok = apply_one(s, s->policy, k, s->stream_ids, &e) && ok;
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

void sinks_revive(struct server *s, struct running_sink *r)
{
    const struct plan *plan = policy_plan(s->policy);
    struct err e;
    bool ok = true;

    if (r->retiring) {
        ok = sink_restore(s, r, &r->kept, &e);
    } else if (!sink_in_plan(plan, r->name)) {
        return;
    }
    for (uint32_t k = 0; k < plan->n_sinks && !r->retiring; k++) {
        if (strcmp(plan->sinks[k].name, r->name) == 0) {
            ok = apply_one(s, s->policy, k, s->stream_ids, &e);
        }
    }
    if (ok && r->held && strcmp(r->name, DEAD_LETTERS) == 0) {
        ok = apply_dead(s, s->policy, s->dead_stream, &e);
    }
    if (!ok) {
        delivery_hold_why(r->delivery, e.text);
    }
}

bool sinks_apply(struct server *s, struct policy *p, const int *ids,
                 int dead_stream, struct err *e)
{
    const struct plan *plan = policy_plan(p);
    static struct kept kept, before; /* the supervisor's: one reload at a time */
    bool ok;

    if (!kept_read(&kept, s->spool_dir, e) || !kinds_fit(s, plan, &kept, e) ||
        !removals_fit(s, plan, e)) {
        return false;
    }
    before = kept;
    if (!note_kept(s, p, &kept, e)) {
        return false;
    }
    s->sinks_ahead = true;
    s->kept_before = &before;
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        s->sinks[i].fresh = false;
        s->sinks[i].was[0] = '\0';
    }
    ok = apply_dead(s, p, dead_stream, e);
    /* Those that take over another's journal come last: to go back is dear. */
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
    sinks_go(s);
    s->kept_before = NULL;
    return ok;
}
