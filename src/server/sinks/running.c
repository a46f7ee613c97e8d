/*
 * running - the table of running sinks, and one of them started, altered, or given
 * another's journal. The changer's thread alters the table; others look at it under the
 * lock, and what they see of it stays until they let it go.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "server/internal.h"

enum { HAND_OVER_MS = 5000 };

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
        if (s->sinks[i].delivery != NULL &&
            strcmp(s->sinks[i].name, name) == 0) {
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

/* ---- one sink ---- */

/* lua is taken when it succeeds. */
static bool start(struct server *s, const struct delivery_conf *c,
                  struct sink_lua *lua, struct err *e)
{
    struct running_sink *r = running_new(s, c->sink->name);
    struct delivery *d;

    if (r == NULL) {
        return err_set(e, "more than %d sinks, those that retire included",
                       SINKS_RUNNING_MAX - 1);
    }
    r->lua = lua;
    r->fresh = true;
    d = delivery_start(c, e);
    if (d != NULL) {
        (void)running_set(s, r, d);
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

    if (held_restart(s, r, c, &why)) {
        r->lua = lua;
        running_retires(s, r, false);
        return true;
    }
    if (!held_start(s, r, c, why.text, e)) {
        return false;
    }
    sink_lua_free(lua);
    running_retires(s, r, false);
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
        running_retires(s, r, false);
        log_write(LOG_INFO, "sink", "sink=%s status=back", r->name);
    }
    return true;
}

bool move_journal(const struct server *s, const char *from,
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
    running_clear(s, old);
    delivery_free(d);
    return true;
}

bool start_or_alter(struct server *s, const struct delivery_conf *c,
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
