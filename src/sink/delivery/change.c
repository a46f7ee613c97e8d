/* A running delivery altered: every change is a task on its thread, which the
 * supervisor waits for. */
#include <stdlib.h>

#include "base/mem.h"
#include "sink/delivery/state.h"

typedef bool change_fn(struct delivery *d, const void *arg, struct err *e);

struct change {
    struct delivery *d;
    change_fn *fn;
    const void *arg;
};

static void on_change(void *arg)
{
    struct change *ch = arg;
    struct delivery *d = ch->d;
    bool ok = ch->fn(d, ch->arg, &d->apply_why);

    pump_show(d);
    pump_later(d);
    (void)pthread_mutex_lock(&d->lock);
    d->apply_ok = ok;
    d->applied = true;
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
}

static bool change(struct delivery *d, change_fn *fn, const void *arg,
                   struct err *e)
{
    struct change ch = {d, fn, arg};
    bool ok;

    d->applied = false;
    mailbox_post(&d->mail, on_change, &ch);
    (void)pthread_mutex_lock(&d->lock);
    while (!d->applied) {
        (void)pthread_cond_wait(&d->changed, &d->lock);
    }
    ok = d->apply_ok;
    (void)pthread_mutex_unlock(&d->lock);
    return ok || err_set(e, "%s", d->apply_why.text);
}

/* ---- a new plan ---- */

/* Where it begins to read a stream that is new to it is known for good before that
 * takes its first event: else, after a power cut, it would begin at what is then. */
static bool keep_records(struct delivery *d, uint64_t known, struct err *e)
{
    return journal_bytes(d->journal) == known || journal_sync(d->journal, e) ||
           pump_compact(d, e);
}

static bool apply_here(struct delivery *d, const void *arg, struct err *e)
{
    const struct delivery_conf *c = arg;
    struct plan *before = d->plan;
    struct sink_hooks hooks = d->hooks;
    uint64_t known = journal_bytes(d->journal);
    struct err why;

    if (d->ops != &sink_absent && sink_ops_of(c->sink->kind) != d->ops) {
        return err_set(e, "sink \"%s\" changes its kind from %s to %s: give the "
                          "new one another name, and the old one retires",
                       d->name, d->ops->kind, sink_ops_of(c->sink->kind)->kind);
    }
    d->hooks = c->hooks;
    if (!d->ops->apply(d->sink, c->sink, e)) {
        d->hooks = hooks;
        return false;
    }
    d->conf = c->sink;
    d->plan = plan_ref(c->plan);
    plan_unref(before);
    d->target = 0;
    d->left = false;
    (void)pthread_mutex_lock(&d->lock);
    d->status.finished = false;
    (void)pthread_mutex_unlock(&d->lock);
    if (!take_streams(d, c, &why) || !open_outlets(d, c, &why) ||
        !keep_records(d, known, &why)) {
        return err_set(e, "sink \"%s\": %s", d->name, why.text);
    }
    return true;
}

bool delivery_apply(struct delivery *d, const struct delivery_conf *c,
                    struct err *e)
{
    if (d->over) {
        return err_set(e, "sink \"%s\" is held", d->name);
    }
    return change(d, apply_here, c, e);
}

/* ---- streams that leave ---- */

struct leaving {
    bool left;
    const int *ids;
    uint32_t n;
};

static bool named(const void *arg, int id)
{
    const struct leaving *l = arg;

    for (uint32_t i = 0; i < l->n && l->ids != NULL; i++) {
        if (l->ids[i] == id) {
            return true;
        }
    }
    return l->ids == NULL;
}

static bool retire_here(struct delivery *d, const void *arg, struct err *e)
{
    const struct leaving *l = arg;

    (void)e;
    d->left |= l->left;
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        struct outlet *o = &d->outlets[i];

        o->wanted &= !l->left;
        if (o->consumer != NULL && !o->wanted && named(l, o->conf.id)) {
            outlet_retire(o, d->spool, d->journal);
        }
    }
    return true;
}

void delivery_retire(struct delivery *d, bool left, const int *ids, uint32_t n)
{
    struct leaving l = {left, ids, n};
    struct err e;

    if (d->over) {
        (void)hold_retire(d, left, named, &l);
        return;
    }
    (void)change(d, retire_here, &l, &e);
}

/* ---- breakers by hand ---- */

struct forcing {
    struct delivery *d;
    bool open;
};

static void on_force(void *arg)
{
    struct forcing *f = arg;

    f->d->ops->force(f->d->sink, f->open);
    pump_later(f->d);
    free(f);
}

bool delivery_force(struct delivery *d, bool open)
{
    struct forcing *f;

    if (d->over || d->ops->force == NULL) {
        return false;
    }
    f = mem_alloc(sizeof *f);
    *f = (struct forcing){d, open};
    mailbox_post(&d->mail, on_force, f);
    return true;
}
