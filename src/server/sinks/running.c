/*
 * running - the table of running sinks, and one of them started, altered, or given
 * another's journal. The changer's thread alters the table; others read it under the
 * lock, and the sinks that they see stay until they release the lock.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "server/internal.h"
#include "server/sinks/taken.h"

void sinks_lock(struct server *s)
{
    (void)pthread_mutex_lock(&s->sinks_lock);
}

void sinks_unlock(struct server *s)
{
    (void)pthread_mutex_unlock(&s->sinks_lock);
}

struct running_sink *sinks_find(struct server *s, const char *name)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (s->sinks[i].delivery != NULL && strcmp(s->sinks[i].name, name) == 0) {
            return &s->sinks[i];
        }
    }
    return NULL;
}

struct running_sink *running_new(struct server *s, const char *name)
{
    struct running_sink *r = s->sinks;

    while (r < s->sinks + SINKS_RUNNING_MAX && r->delivery != NULL) {
        r++;
    }
    if (r == s->sinks + SINKS_RUNNING_MAX) {
        return NULL;
    }
    sinks_lock(s);
    *r = (struct running_sink){.delivery = NULL};
    (void)snprintf(r->name, sizeof r->name, "%s", name);
    sinks_unlock(s);
    return r;
}

struct delivery *running_set(struct server *s, struct running_sink *r,
                             struct delivery *d)
{
    struct delivery *before;

    sinks_lock(s);
    before = r->delivery;
    if (before != NULL) { /* until now orders by hand came to that one */
        delivery_force_as(d, before);
    }
    r->delivery = d;
    sinks_unlock(s);
    return before;
}

void running_clear(struct server *s, struct running_sink *r)
{
    sinks_lock(s);
    *r = (struct running_sink){.delivery = NULL};
    sinks_unlock(s);
}

void running_back(struct server *s, struct running_sink *r)
{
    sinks_lock(s);
    memcpy(r->at, r->name, sizeof r->at);
    memcpy(r->name, r->was, sizeof r->name);
    r->was[0] = '\0';
    r->fresh = false;
    sinks_unlock(s);
}

void running_retires(struct server *s, struct running_sink *r, bool retires)
{
    sinks_lock(s);
    r->retiring = retires;
    sinks_unlock(s);
}

void journal_path(const struct server *s, const char *name, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/sinks/%s.journal", s->spool_dir, name);
}

bool journal_end(const struct server *s, const char *at, const char *name,
                 enum places_had by, struct err *e)
{
    return spool_in_place(s->spool, e) &&
           persisted_end_as(s->spool_dir, at, name, by, e);
}

/* Where one that waits begins, its journal says, too; what one that is dropped has sent, and
 * nobody has confirmed, no journal says. */
static enum places_had had_by(const struct running_sink *r)
{
    return r->waits     ? PLACES_HAD_BY_PLACES
           : r->removed ? PLACES_HAD_BY_JOURNAL
                        : PLACES_HAD_MAYBE;
}

bool running_end_journal(const struct server *s, const struct running_sink *r,
                         struct err *e)
{
    return journal_end(s, r->at[0] != '\0' ? r->at : r->name, r->name, had_by(r), e);
}

/* ---- one sink ---- */

/* A refused policy leaves no journal of a sink that is new: the next policy that has it
 * would begin where that one began. */
static void forget_journal(const struct server *s, const char *name)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!journal_end(s, name, name, PLACES_HAD_BY_PLACES, &e) &&
        taken_there(s, name) != 0) {
        log_write(LOG_ERROR, "sink", "sink=%s status=not_undone why=%s", name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

bool running_start(struct server *s, const struct delivery_conf *c,
                   struct sink_lua *lua, struct err *e)
{
    struct running_sink *r = running_new(s, c->sink->name);
    bool new = taken_there(s, c->sink->name) == 0;
    struct delivery *d;

    if (r == NULL) {
        return err_set(e, "more than %d sinks, those that retire included",
                       SINKS_RUNNING_MAX - 1);
    }
    r->lua = lua;
    r->fresh = true;
    r->waits = new && c->wait;
    d = delivery_start(c, e);
    if (d != NULL) {
        if (c->before != NULL) {
            delivery_force_as(d, c->before); /* by its name of before */
        }
        (void)running_set(s, r, d);
        return true;
    }
    r->lua = NULL;
    /* A reload is refused; a start goes on with the sinks that can, and so does the
     * way back to the live policy. */
    if (s->workers == NULL || s->undoing) {
        struct err why = *e;

        if (paused_start(s, r, c, why.text, e)) {
            sink_hooks_free(lua);
            return true;
        }
    } else if (new) {
        forget_journal(s, c->sink->name);
    }
    return false;
}

/* A held one, with the policy's settings: started, or held still, because its trouble
 * is not this policy's fault. Without its journal it is not even tried. */
static bool alter_paused(struct server *s, struct running_sink *r,
                         const struct delivery_conf *c, struct sink_lua *lua,
                         struct err *e)
{
    struct err why;

    if (r->handing || !taken_home(s, r, e)) {
        if (!s->undoing) { /* it has no place for other streams */
            return r->handing &&
                   err_set(e, "sink \"%s\": its thread does not end", r->name);
        }
        sink_hooks_free(lua);
        running_retires(s, r, false);
        return true;
    }
    if (paused_restart(s, r, c, &why)) {
        r->lua = lua;
        running_retires(s, r, false);
        return true;
    }
    if (!paused_start(s, r, c, why.text, e)) {
        return false;
    }
    sink_hooks_free(lua);
    running_retires(s, r, false);
    return true;
}

void running_go(struct running_sink *r, bool live)
{
    enum delivery_asks asks;

    delivery_go(r->delivery, live);
    r->waits &= !live;
    asks = delivery_asks(r->delivery);
    if (asks == DELIVERY_ASKS_EITHER) {
        r->lua = sink_hooks_join(r->lua_next, r->lua);
    } else if (asks == DELIVERY_ASKS_NEW) {
        sink_hooks_free(r->lua);
        r->lua = r->lua_next;
    } else {
        sink_hooks_free(r->lua_next);
    }
    r->lua_next = NULL;
}

static bool alter(struct server *s, struct running_sink *r,
                  const struct delivery_conf *c, struct sink_lua *lua, struct err *e)
{
    enum delivery_asks asks;
    bool ok;

    if (r->paused || r->handing) {
        r->altered = true;
        return alter_paused(s, r, c, lua, e);
    }
    ok = delivery_apply(r->delivery, c, e);
    asks = delivery_asks(r->delivery);
    if (asks == DELIVERY_ASKS_LATER) {
        sink_hooks_free(r->lua_next);
        r->lua_next = lua;
    } else if (asks == DELIVERY_ASKS_EITHER) {
        r->lua = sink_hooks_join(lua, sink_hooks_join(r->lua_next, r->lua));
        r->lua_next = NULL;
    } else if (asks == DELIVERY_ASKS_NEW) {
        sink_hooks_free(r->lua);
        sink_hooks_free(r->lua_next);
        r->lua = lua;
        r->lua_next = NULL;
    }
    r->altered |= asks != DELIVERY_ASKS_BEFORE;
    if (ok && r->retiring) {
        running_retires(s, r, false);
        log_write(LOG_INFO, "sink", "sink=%s status=back", r->name);
    }
    return ok;
}

/* The journal of a sink of an earlier process that has another name now. */
static bool take_left(struct server *s, const struct sink_plan *sink, struct err *e)
{
    int own = taken_there(s, sink->name);
    int left = own == 0 ? taken_there(s, sink->was) : 0;

    if (own < 0 || left < 0) {
        return err_errno(e, errno,
                         "sink \"%s\": can't look for the journal of the sink \"%s\"",
                         sink->name, own < 0 ? sink->name : sink->was);
    }
    return left == 0 || taken_move(s, sink->was, sink->name, e);
}

/* A refused policy may have given the journal of a sink this name, which the disk has not
 * given back. */
static bool name_is_free(const struct server *s, const char *name, struct err *e)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        const struct running_sink *r = &s->sinks[i];

        if (r->delivery != NULL && r->at[0] != '\0' && strcmp(r->at, name) == 0) {
            return err_set(e,
                           "sink \"%s\": the journal of \"%s\" still has this name: "
                           "the disk did not rename it when a policy was refused; "
                           "load the policy again, or name this sink otherwise",
                           name, r->name);
        }
    }
    return true;
}

/* In a running server a journal without a sink is left of a policy that was refused, or
 * of a sink that ended, when the disk did not put it away: a new sink does not go on
 * with it. That of the dead letters is nobody's until a policy has them. */
static bool put_left_away(const struct server *s, const char *name, struct err *e)
{
    struct err why;
    int there;

    if (s->workers == NULL || s->undoing || strcmp(name, DEAD_LETTERS) == 0) {
        return true;
    }
    there = taken_there(s, name);
    if (there == 0 ||
        (there > 0 && journal_end(s, name, name, PLACES_HAD_BY_JOURNAL, &why))) {
        return true;
    }
    if (there < 0) {
        (void)err_errno(&why, errno, "the disk does not say whether it is there");
    }
    return err_set(e, "sink \"%s\": the journal of the one before: %s", name, why.text);
}

static bool find_or_start(struct server *s, const struct delivery_conf *c,
                          struct sink_lua *lua, struct err *e)
{
    struct running_sink *r = sinks_find(s, c->sink->name), *old;

    if (r != NULL && r->ending) {
        if (!sink_end(s, r, 0)) {
            return err_set(e, "sink \"%s\": the thread of the one before does not end",
                           c->sink->name);
        }
        r = NULL;
    }
    if (r != NULL) {
        return alter(s, r, c, lua, e);
    }
    if (!name_is_free(s, c->sink->name, e) || !put_left_away(s, c->sink->name, e)) {
        return false;
    }
    if (c->sink->was != NULL) {
        old = sinks_find(s, c->sink->was);
        if (old != NULL) {
            return taken_over(s, old, c, lua, e);
        }
        if (!take_left(s, c->sink, e)) {
            return false;
        }
    }
    return running_start(s, c, lua, e);
}

bool start_or_alter(struct server *s, const struct delivery_conf *c,
                    struct sink_lua *lua, struct err *e)
{
    const struct running_sink *r;
    bool ok = find_or_start(s, c, lua, e);

    if (!ok) {
        /* One whose streams failed may have these settings all the same. */
        r = sinks_find(s, c->sink->name);
        if (r == NULL ||
            (!sink_hooks_has(r->lua, lua) && !sink_hooks_has(r->lua_next, lua))) {
            sink_hooks_free(lua);
        }
    }
    return ok;
}
