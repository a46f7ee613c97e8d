/*
 * Sinks that the policy does not have any more: each delivers the events that it had
 * when its policy was replaced, in this process or in a later one, and goes. Until then
 * its journal and its plan stay.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/internal.h"
#include "stats/stats.h"

enum { END_MS = 1000, STOP_GRACE_MS = 2000, LOOK_NS = 10000000 };

static const char TAIL[] = ".journal";

/* ---- a reload ---- */

bool sink_in_plan(const struct plan *plan, const char *name)
{
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        if (strcmp(plan->sinks[k].name, name) == 0) {
            return true;
        }
    }
    return strcmp(name, DEAD_LETTERS) == 0;
}

/* One whose thread hangs has not shown its streams since, and has the order in its line. */
static bool leaves(struct delivery *d, const struct delivery_status *status)
{
    return status->leaving || delivery_hung(d);
}

static void retire(struct server *s, struct running_sink *r)
{
    const struct plan *plan = policy_plan(s->policy);
    struct delivery_status status;

    delivery_status(r->delivery, &status);
    if (!sink_in_plan(plan, r->name)) {
        bool first = !r->retiring;

        running_retires(s, r, true);
        delivery_retire(r->delivery, true, s->undoing, s->stream_ids, plan->n_streams);
        delivery_status(r->delivery, &status);
        if (first) {
            log_write(LOG_INFO, "sink",
                      "sink=%s status=retiring left_events=%lu left_bytes=%lu", r->name,
                      (unsigned long)status.remaining, (unsigned long)status.lag_bytes);
        }
    } else if (leaves(r->delivery, &status)) {
        delivery_retire(r->delivery, false, s->undoing, s->stream_ids, plan->n_streams);
    }
}

void sinks_retire(struct server *s)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (s->sinks[i].delivery != NULL && !s->sinks[i].ending) {
            changer_at(&s->changer, s->sinks[i].name);
            retire(s, &s->sinks[i]);
        }
    }
}

static void retire_rest(void *arg)
{
    struct server *s = arg;

    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        struct delivery_status status;

        if (r->delivery == NULL) {
            continue;
        }
        delivery_status(r->delivery, &status);
        if (leaves(r->delivery, &status)) {
            changer_at(&s->changer, r->name);
            delivery_retire(r->delivery, r->retiring, false, NULL, 0);
        }
    }
}

void sinks_retire_rest(struct server *s)
{
    if (!s->sinks_ahead && !generations_under_way(&s->generations)) {
        changer_post(&s->changer, retire_rest, NULL, s);
    }
}

/* ---- the end ---- */

static void tell_removed(const struct running_sink *r)
{
    struct delivery_status x;

    delivery_status(r->delivery, &x);
    log_write(LOG_INFO, "sink",
              "sink=%s status=removed left=nothing delivered=%lu dead=%lu", r->name,
              (unsigned long)x.delivered, (unsigned long)x.dead);
}

/* Its journal is not needed any more; its dead letters stay. */
bool sink_end(struct server *s, struct running_sink *r, int64_t ms)
{
    static struct persisted kept;
    char quoted[ERR_TEXT_MAX + 16];
    uint64_t now = clock_mono_ns();
    struct delivery *d = r->delivery;
    struct sink_lua *lua = r->lua;
    struct err e;
    bool halted;

    changer_at(&s->changer, r->name);
    delivery_ask_stop(d, now);
    halted = delivery_halt(d, now + (uint64_t)ms * 1000000u) ||
             err_set(&e, "its thread does not end");
    if (!halted || !spool_in_place(s->spool, &e)) { /* asked again each second */
        if (!r->ending) {
            log_write(halted ? LOG_WARN : LOG_ERROR, "sink", "sink=%s status=%s why=%s",
                      r->name, halted ? "not_removed" : "stuck",
                      log_quote(quoted, sizeof quoted, e.text));
        }
        return false;
    }
    if (!running_end_journal(s, r, &e)) {
        log_write(LOG_ERROR, "sink", "sink=%s why=%s", r->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
    /* While a policy is applied the lines are that one's, or come back whole. */
    if (!s->applying && persisted_read(&kept, s->spool_dir, &e)) {
        persisted_remove(&kept, r->name);
        persisted_remove(&kept, r->at);
        (void)!persisted_write(&kept, s->spool_dir, NULL, &e);
    }
    if (r->before != NULL) {
        delivery_free(r->before);
    }
    if (r->removed) {
        tell_removed(r);
    }
    running_clear(s, r);
    delivery_free(d);
    sink_hooks_free(lua);
    return true;
}

void sink_end_soon(struct server *s, struct running_sink *r, int64_t ms)
{
    if (!sink_end(s, r, ms)) {
        running_retires(s, r, true);
        r->ending = true;
        paused_look(s);
    }
}

static void look(void *arg)
{
    struct server *s = arg;

    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        struct delivery_status status;

        if (r->delivery == NULL || !r->retiring || r->ending) {
            continue;
        }
        delivery_status(r->delivery, &status);
        r->removed = status.finished;
        if (status.finished) {
            sink_end_soon(s, r, END_MS);
        }
    }
}

void on_sink_retired(void *arg)
{
    struct server *s = arg;

    changer_post(&s->changer, look, NULL, s);
}

bool sink_drop(struct server *s, struct running_sink *r, const char *cause,
               struct delivery_status *dropped)
{
    char labels[160], name[sizeof r->name];

    (void)snprintf(name, sizeof name, "%s", r->name);
    delivery_status(r->delivery, dropped);
    if (!sink_end(s, r, END_MS)) {
        if (!r->ending) { /* its thread ends once it goes on, and another begins */
            r->handing = true;
            paused_look(s);
        }
        return false;
    }
    (void)stats_label_pair(labels, sizeof labels, "sink", name);
    stats_add(stats_counter("sluice_sink_dropped_events_total",
                            "Events that an operator gave up with sluice sink "
                            "drop.",
                            labels),
              dropped->remaining);
    log_write(LOG_WARN, "sink", "sink=%s status=dropped cause=%s events=%lu bytes=%lu",
              name, cause, (unsigned long)dropped->remaining,
              (unsigned long)dropped->lag_bytes);
    return true;
}

/* ---- a start ---- */

static const struct sink_plan *find_plan(const struct plan *plan, const char *name,
                                         uint32_t *k)
{
    for (*k = 0; *k < plan->n_sinks; (*k)++) {
        if (strcmp(plan->sinks[*k].name, name) == 0) {
            return &plan->sinks[*k];
        }
    }
    return NULL;
}

/* Without its plan it holds its events: an operator must decide. */
static struct delivery *restore_absent(const struct running_sink *r,
                                       struct delivery_conf *c, const char *why,
                                       struct err *e)
{
    struct delivery *d;
    char words[ERR_TEXT_MAX + 200], quoted[sizeof words + 16];
    struct plan *none = plan_new();
    struct sink_plan *sink = arena_alloc(&none->arena, sizeof *sink);

    *sink = (struct sink_plan){.name = arena_copy(&none->arena, str_of(r->name)).p};
    (void)snprintf(words, sizeof words,
                   "it is not in the policy, and its own can't be used: %s; put "
                   "it back, or give its events up: sluice sink drop %s",
                   why, r->name);
    c->sink = sink;
    c->plan = none;
    c->absent = words;
    d = delivery_start(c, e);
    plan_unref(none);
    if (d != NULL) {
        log_write(LOG_ERROR, "sink", "sink=%s status=holding why=%s", r->name,
                  log_quote(quoted, sizeof quoted, words));
    }
    return d;
}

static struct delivery *restore_with(struct running_sink *r, struct delivery_conf *c,
                                     struct policy *p, struct err *e)
{
    struct plan *plan = policy_plan_mutable(p);
    uint32_t k;

    c->sink = find_plan(plan, r->name, &k);
    c->plan = plan;
    plan->generation = r->kept.generation;
    if (c->sink == NULL) {
        return restore_absent(r, c, "it does not have this sink", e);
    }
    return sink_hooks_new(p, k, &r->lua, &c->hooks, e) ? delivery_start(c, e) : NULL;
}

bool sink_turn_back(struct server *s, struct running_sink *r, struct err *e)
{
    struct policy *p = persisted_load(s->spool_dir, s->tables_dir, r->kept.hash, e);
    struct delivery_conf c = {.spool = s->spool,
                              .spool_dir = s->spool_dir,
                              .data_dir = s->conf.data_dir,
                              .folders = s->folders,
                              .undo = true,
                              .retired = on_sink_retired,
                              .arg = s};
    struct sink_lua *lua;
    uint32_t k;
    bool ok;

    if (p == NULL) {
        return false;
    }
    c.plan = policy_plan_mutable(p);
    c.plan->generation = r->kept.generation;
    c.sink = find_plan(c.plan, r->name, &k);
    ok = c.sink != NULL
             ? sink_hooks_new(p, k, &lua, &c.hooks, e) && start_or_alter(s, &c, lua, e)
             : err_set(e, "its policy does not have this sink");
    policy_unref(p);
    return ok;
}

/* A delivery for r by the policy that is kept for it. */
static struct delivery *restore_kept(struct server *s, struct running_sink *r,
                                     bool known, struct delivery_conf *c, struct err *e)
{
    struct err why = {"the spool does not say which that was"};
    struct policy *p =
        known ? persisted_load(s->spool_dir, s->tables_dir, r->kept.hash, &why) : NULL;
    struct delivery *d =
        p == NULL ? restore_absent(r, c, why.text, e) : restore_with(r, c, p, e);

    policy_unref(p);
    return d;
}

/* Its journal or its folder can't be used: it keeps its place. */
static bool start_paused(struct server *s, struct running_sink *r,
                         struct delivery_conf *c, const char *why, struct err *e)
{
    struct plan *none = plan_new();
    struct sink_plan *sink = arena_alloc(&none->arena, sizeof *sink);
    bool ok;

    *sink = (struct sink_plan){.name = arena_copy(&none->arena, str_of(r->name)).p};
    c->sink = sink;
    c->plan = none;
    c->absent = NULL;
    ok = paused_start(s, r, c, why, e);
    plan_unref(none);
    return ok;
}

bool sink_restore(struct server *s, struct running_sink *r,
                  const struct persisted_sink *line, struct err *e)
{
    struct delivery_conf c = {.spool = s->spool,
                              .spool_dir = s->spool_dir,
                              .data_dir = s->conf.data_dir,
                              .folders = s->folders,
                              .removed = true,
                              .before = r->delivery,
                              .retired = on_sink_retired,
                              .arg = s};
    struct delivery *held = r->delivery, *d;
    struct delivery_status status;
    struct err why;

    running_retires(s, r, true);
    if (line != NULL && line != &r->kept) {
        r->kept = *line;
    }
    d = restore_kept(s, r, line != NULL, &c, &why);
    if (d == NULL) {
        sink_hooks_free(r->lua);
        r->lua = NULL;
        return held != NULL ? err_set(e, "%s", why.text)
                            : start_paused(s, r, &c, why.text, e);
    }
    (void)running_set(s, r, d);
    if (held != NULL) {
        delivery_free(held);
    }
    r->paused = false;
    delivery_status(r->delivery, &status);
    log_write(LOG_INFO, "sink",
              "sink=%s status=retiring left_events=%lu left_bytes=%lu", r->name,
              (unsigned long)status.remaining, (unsigned long)status.lag_bytes);
    return true;
}

static bool restore(struct server *s, const char *name,
                    const struct persisted_sink *line, struct err *e)
{
    struct running_sink *r = running_new(s, name);

    if (r == NULL) {
        return err_set(e, "more than %d sinks have left something", SINKS_RUNNING_MAX);
    }
    return sink_restore(s, r, line, e);
}

/* A new sink of the plan takes its journal over. */
static bool is_taken_over(const struct plan *plan, const char *name)
{
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        if (plan->sinks[k].was != NULL && strcmp(plan->sinks[k].was, name) == 0) {
            return true;
        }
    }
    return false;
}

/* file is a name in the folder of the journals. */
static bool restore_file(struct server *s, const struct plan *plan,
                         const struct persisted *kept, const char *file, bool again,
                         struct err *e)
{
    size_t n = strlen(file), tail = sizeof TAIL - 1;
    char name[96];

    if (n <= tail || n - tail >= sizeof name || strcmp(file + n - tail, TAIL) != 0) {
        return true;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(n - tail), file);
    return sinks_find(s, name) != NULL || sink_in_plan(plan, name) ||
           (!again && is_taken_over(plan, name)) ||
           restore(s, name, persisted_find(kept, name), e);
}

/* A folder that can't be listed is no folder without journals: the spool would give up
 * the events that their sinks are owed. */
bool sinks_restore(struct server *s, const struct policy *p, bool again, struct err *e)
{
    static struct persisted kept;
    char path[PATH_MAX];
    struct dirent *d;
    bool ok = true;
    DIR *dir;

    if (!persisted_read(&kept, s->spool_dir, e)) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/sinks", s->spool_dir);
    dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT || err_errno(e, errno, "%s", path);
    }
    while (ok && (errno = 0, d = readdir(dir)) != NULL) {
        ok = restore_file(s, policy_plan(p), &kept, d->d_name, again, e);
    }
    if (ok && errno != 0) {
        ok = err_errno(e, errno, "%s", path);
    }
    (void)closedir(dir);
    return ok;
}

/* The changer hangs, and has the table: nothing is freed, but all is flushed. */
static void flush_all(struct server *s, uint64_t until_ns)
{
    const struct timespec look = {.tv_nsec = LOOK_NS};
    bool ended = false;

    while (!ended && clock_mono_ns() < until_ns) {
        ended = true;
        sinks_lock(s);
        for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
            struct delivery *d = s->sinks[i].delivery;

            ended &= d == NULL || delivery_ended(d);
        }
        sinks_unlock(s);
        if (!ended) {
            (void)nanosleep(&look, NULL);
        }
    }
}

bool sinks_stop(struct server *s, uint64_t until_ns, bool alone)
{
    bool all = true;

    if (s->spool != NULL) {
        spool_rest(s->spool);
    }
    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (s->sinks[i].delivery != NULL) {
            delivery_ask_stop(s->sinks[i].delivery, until_ns);
        }
    }
    sinks_unlock(s);
    if (!alone) {
        flush_all(s, until_ns + STOP_GRACE_MS * 1000000ull);
        return false;
    }
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];
        enum delivery_end end;

        if (r->delivery == NULL) {
            continue;
        }
        end = delivery_join(r->delivery, until_ns + STOP_GRACE_MS * 1000000ull);
        log_write(end == DELIVERY_STUCK ? LOG_ERROR : LOG_INFO, "sink",
                  "sink=%s status=%s left=%s", r->name,
                  end == DELIVERY_STUCK ? "stuck" : "stopped",
                  end == DELIVERY_EMPTY ? "nothing" : "events");
        if (end == DELIVERY_STUCK) {
            all = false;
            continue;
        }
        sink_hooks_free(r->lua);
        sink_hooks_free(r->lua_next);
        if (r->before != NULL) {
            delivery_free(r->before);
        }
        *r = (struct running_sink){.delivery = NULL};
    }
    return all;
}
