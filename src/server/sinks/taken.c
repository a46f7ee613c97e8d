#include "server/sinks/taken.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "delivery/places.h"
#include "server/internal.h"

enum { HAND_OVER_MS = 5000 };

int taken_there(const struct server *s, const char *name)
{
    char path[PATH_MAX];

    journal_path(s, name, path);
    return path_there(path);
}

static bool move(const struct server *s, const char *from, const char *to,
                 void (*places)(const char *, const char *), struct err *e)
{
    char a[PATH_MAX], b[PATH_MAX];

    if (!spool_in_place(s->spool, e)) {
        return false;
    }
    journal_path(s, from, a);
    journal_path(s, to, b);
    if (rename(a, b) != 0) {
        return err_errno(e, errno, "sink \"%s\": can't take over the journal %s", to,
                         a);
    }
    places(a, b);
    log_write(LOG_INFO, "sink", "sink=%s status=taken_over was=%s", to, from);
    return true;
}

bool taken_move(const struct server *s, const char *from, const char *to, struct err *e)
{
    return move(s, from, to, places_move, e);
}

bool taken_over(struct server *s, struct running_sink *old,
                const struct delivery_conf *c, struct sink_lua *lua, struct err *e)
{
    struct delivery *d = old->delivery;
    struct delivery_conf own = *c;
    struct running_sink *r;
    struct err why;
    bool moved;

    if (!delivery_hand_over(d, HAND_OVER_MS)) {
        old->handing = true;
        paused_look(s);
        return err_set(e,
                       "sink \"%s\": its thread does not end: \"%s\" can't take over "
                       "its journal",
                       old->name, c->sink->name);
    }
    own.before = d;
    moved = taken_home(s, old, e) && taken_move(s, old->name, c->sink->name, e);
    if (!moved || !running_start(s, &own, lua, e)) {
        sink_hooks_free(old->lua);
        old->lua = NULL;
        if (moved) {
            (void)snprintf(old->at, sizeof old->at, "%s", c->sink->name);
        }
        paused_note(s, old, e->text);
        (void)!taken_home(s, old, &why);
        return false;
    }
    r = sinks_find(s, c->sink->name);
    (void)snprintf(r->was, sizeof r->was, "%s", old->name);
    r->before = d;
    sink_hooks_free(old->lua);
    running_clear(s, old);
    return true;
}

void taken_own(struct server *s, struct running_sink *r)
{
    sink_hooks_free(r->lua);
    r->lua = NULL;
    if (r->before != NULL) {
        delivery_free(running_set(s, r, r->before));
        r->before = NULL;
    }
}

void taken_back(struct server *s, struct running_sink *r)
{
    bool ended = delivery_hand_over(r->delivery, HAND_OVER_MS);
    struct err why;

    running_back(s, r);
    paused_look(s);
    if (!ended) {
        r->handing = true;
        delivery_pause_why(r->delivery, "its thread does not end");
        return;
    }
    taken_own(s, r);
    if (taken_home(s, r, &why)) {
        r->paused = true; /* its place stays until a delivery has its own */
        delivery_pause_why(r->delivery,
                           "a policy with another name for it was refused");
    }
}

bool taken_home(struct server *s, struct running_sink *r, struct err *e)
{
    static struct persisted kept;
    struct err why;

    if (r->at[0] == '\0') {
        return true;
    }
    if (!move(s, r->at, r->name, places_move_back, e)) {
        paused_note(s, r, e->text);
        return false;
    }
    if (!s->applying && spool_in_place(s->spool, &why) &&
        persisted_read(&kept, s->spool_dir, &why)) {
        persisted_remove(&kept, r->at);
        (void)!persisted_write(&kept, s->spool_dir, NULL, &why);
    }
    r->at[0] = '\0';
    return true;
}

/* Those whose journals were taken, and need no place any more. */
static void forget_before(struct server *s)
{
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct running_sink *r = &s->sinks[i];

        if (r->delivery != NULL && r->before != NULL && !r->handing) {
            delivery_free(r->before);
            r->before = NULL;
        }
    }
}

void taken_forget_names(struct server *s)
{
    const struct plan *plan = policy_plan(s->policy);
    static struct persisted kept;
    char quoted[ERR_TEXT_MAX + 16];
    bool any = false;
    struct err e;

    forget_before(s);
    if (!spool_in_place(s->spool, &e) || !persisted_read(&kept, s->spool_dir, &e)) {
        return; /* told when it is wanted */
    }
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        const char *was = plan->sinks[k].was;

        if (was != NULL && persisted_find(&kept, was) != NULL &&
            !sink_in_plan(plan, was) && sinks_find(s, was) == NULL &&
            taken_there(s, was) == 0) {
            persisted_remove(&kept, was);
            any = true;
        }
    }
    if (any && !persisted_write(&kept, s->spool_dir, NULL, &e)) {
        log_write(LOG_WARN, "sink", "status=not_noted why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

/* Whether the policy that the sink of line had took over name's journal. */
static bool took(const struct server *s, const struct persisted_sink *line,
                 const char *name)
{
    struct err e;
    struct policy *p = persisted_load(s->spool_dir, s->tables_dir, line->hash, &e);
    bool is = false;

    for (uint32_t k = 0; p != NULL && k < policy_plan(p)->n_sinks; k++) {
        const struct sink_plan *sink = &policy_plan(p)->sinks[k];

        is |= sink->was != NULL && strcmp(sink->was, name) == 0 &&
              strcmp(sink->name, line->name) == 0;
    }
    policy_unref(p);
    return is;
}

/* The journal of name is another sink's, by a policy that never went live. */
static bool restore(struct server *s, const struct plan *plan,
                    const struct persisted *kept, const char *name, struct err *e)
{
    for (uint32_t i = 0; i < kept->n; i++) {
        const struct persisted_sink *l = &kept->list[i];
        int there;

        if (sink_in_plan(plan, l->name)) {
            continue;
        }
        there = taken_there(s, l->name);
        if (there < 0) {
            return err_errno(e, errno, "can't look for the journal of the sink \"%s\"",
                             l->name);
        }
        if (there == 1 && took(s, l, name)) {
            return move(s, l->name, name, places_move_back, e);
        }
    }
    return true;
}

bool taken_restore(struct server *s, const struct plan *plan, struct err *e)
{
    static struct persisted kept;

    if (!persisted_read(&kept, s->spool_dir, e)) {
        return false;
    }
    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        const char *name = plan->sinks[k].name;
        int there = persisted_find(&kept, name) == NULL ? 1 : taken_there(s, name);

        if (there < 0) {
            return err_errno(e, errno, "can't look for the journal of the sink \"%s\"",
                             name);
        }
        if (there == 0 && !restore(s, plan, &kept, name, e)) {
            return false;
        }
    }
    return true;
}
