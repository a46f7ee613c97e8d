/* A running delivery altered: every change is a task on its thread, which the
 * supervisor waits for, but not for long. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/internal.h"

typedef bool change_fn(struct delivery *d, const void *arg, struct err *e);

enum { CHANGE_MS = 1000 };

struct leaving {
    bool removed;
    bool undo;
    const int *ids;
    uint32_t n;
    const struct subscription_ends *ends; /* of those streams; NULL: those of now */
};

/* Copies of all that it is made of: the caller may have given up. */
struct change {
    struct delivery *d;
    change_fn *fn;
    const void *arg;
    struct delivery_conf conf;
    struct delivery_stream streams[PLAN_STREAMS_MAX];
    struct leaving leaving;
    int ids[PLAN_STREAMS_MAX];
    struct subscription_ends ends[PLAN_STREAMS_MAX];
    bool live; /* of the plan that is waited for */
    bool runs, done, ok;
    bool given_up;  /* the caller does not wait: it frees itself */
    bool cancelled; /* and does nothing */
    struct err why;
};

static void change_free(struct change *ch)
{
    for (uint32_t i = 0; i < ch->leaving.n; i++) {
        free(ch->ends[i].list);
    }
    plan_unref(ch->conf.plan);
    free(ch);
}

static void on_change(void *arg)
{
    struct change *ch = arg;
    struct delivery *d = ch->d;
    bool cancelled, given_up;

    (void)pthread_mutex_lock(&d->lock);
    cancelled = ch->cancelled;
    d->n_late -= cancelled;
    ch->runs = true;
    (void)pthread_mutex_unlock(&d->lock);
    if (cancelled) {
        change_free(ch);
        return;
    }
    ch->ok = ch->fn(d, ch->arg, &ch->why);
    pump_show(d);
    pump_later(d);
    (void)pthread_mutex_lock(&d->lock);
    ch->done = true;
    given_up = ch->given_up;
    d->n_late -= given_up;
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    if (given_up) {
        if (!ch->ok && ch->conf.undo) {
            settings_tell(d, "not_undone", ch->why.text);
        }
        change_free(ch);
    }
}

/* must: it is made also when the caller does not wait any more. Takes ch. */
static bool change(struct change *ch, bool must, struct err *e)
{
    struct delivery *d = ch->d;
    uint64_t until_ns = clock_mono_ns() + CHANGE_MS * 1000000ull;
    bool done, ok;

    mailbox_post(&d->mail, on_change, ch);
    (void)pthread_mutex_lock(&d->lock);
    while (!ch->done && d->n_late == 0 &&
           latch_sleep(&d->changed, &d->lock, until_ns)) {
    }
    done = ch->done;
    if (!done) {
        ch->given_up = true;
        ch->cancelled = !must && !ch->runs;
        d->n_late++;
    }
    /* Noted here, because the thread may go on at any time from now on. */
    d->end = done ? CHANGE_MADE : ch->cancelled ? CHANGE_CANCELLED : CHANGE_LEFT;
    (void)pthread_mutex_unlock(&d->lock);
    if (!done) { /* the thread's from here on */
        return err_set(e,
                       "sink \"%s\": its thread does not answer, and is in a "
                       "call that does not return (a disk or file system that "
                       "hangs?)",
                       d->name);
    }
    ok = ch->ok || err_set(e, "%s", ch->why.text);
    change_free(ch);
    return ok;
}

static struct change *change_new(struct delivery *d, change_fn *fn)
{
    struct change *ch = mem_zalloc(sizeof *ch);

    ch->d = d;
    ch->fn = fn;
    return ch;
}

bool delivery_hung(struct delivery *d)
{
    bool hung;

    (void)pthread_mutex_lock(&d->lock);
    hung = d->n_late > 0;
    (void)pthread_mutex_unlock(&d->lock);
    return hung;
}

bool delivery_left(const struct delivery *d)
{
    return d->end == CHANGE_LEFT;
}

bool delivery_post(struct delivery *d, void (*fn)(void *arg), void *arg)
{
    bool over;

    (void)pthread_mutex_lock(&d->lock);
    over = d->over;
    (void)pthread_mutex_unlock(&d->lock);
    if (!over) {
        mailbox_post(&d->mail, fn, arg);
    }
    return !over;
}

/* ---- a new plan ---- */

/* The place where it begins to read a new stream is on the disk before the stream takes
 * its first event: otherwise, after a power cut, it would begin at the end that the
 * stream has then. */
static bool keep_records(struct delivery *d, uint64_t known, struct err *e)
{
    return journal_bytes(d->journal) == known || journal_sync(d->journal, e) ||
           pump_compact(d, e);
}

/* True: the journal does not have the stream any more. */
static bool forget(struct delivery *d, struct subscription *o, struct err *e)
{
    const struct record gone = {
        .type = RECORD_START, .value = 1, .stream = str_of(o->name)};
    bool ok = journal_append(d->journal, &gone, e);

    subscription_refuse(o);
    o->traced = !ok;
    return ok || pump_compact(d, e);
}

static void forget_marks(struct subscription *o)
{
    o->fresh = false;
    o->back = false;
}

void change_mark_new(struct delivery *d)
{
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];

        forget_marks(o);
        o->fresh = o->wanted && o->consumer == NULL && !o->known;
    }
}

/* Noted since c->before read the journal, or not forgotten there: by another delivery, of
 * a plan that was refused. Where that had another name, or did not start, c->before has
 * not had the stream. */
static bool is_trace(const struct delivery_conf *c, const struct subscription *before)
{
    return c->before != NULL && c->before->read_all &&
           (before == NULL || (!before->known && before->consumer == NULL));
}

bool change_forget_refused(struct delivery *d, const struct delivery_conf *c,
                           struct err *e)
{
    bool ok = true;

    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];
        const struct subscription *before = subscription_before(c, o);
        bool refused = c->undo && !o->wanted && before != NULL && before->fresh;

        if (o->known && (refused || is_trace(c, before))) {
            const struct record gone = {
                .type = RECORD_START, .value = 1, .stream = str_of(o->name)};

            /* Not written again: the other streams are not opened yet. */
            ok = journal_append(d->journal, &gone, e) && ok;
            subscription_forget(o);
        }
    }
    return ok;
}

/* The streams that are new with this plan; those of the plan before it, which was
 * refused, leave no trace: a later plan that has one begins anew. Those that it brought
 * back end where they ended. One of which events are on their way retires. */
static bool look_fresh(struct delivery *d, bool undo, struct err *e)
{
    bool ok = true;

    if (!undo) {
        change_mark_new(d);
    }
    for (uint32_t i = 0; i < d->n_subscriptions && undo; i++) {
        struct subscription *o = &d->subscriptions[i];

        if (o->back && !o->wanted) {
            subscription_unreturn(o, d->journal);
        } else if (o->fresh && !o->wanted && subscription_idle(o)) {
            ok = forget(d, o, e) && ok;
        }
    }
    return ok;
}

/* Whatever fails on the way back, all else goes back: a trace that is not erased is known
 * as one, and one stream that can't begin leaves no other as the refused plan had it. */
static bool apply_streams(struct delivery *d, const struct delivery_conf *c,
                          struct err *e)
{
    uint64_t known = journal_bytes(d->journal);
    bool ok, erased;

    /* Before anything fails: the way back must not take other streams for new ones. */
    for (uint32_t i = 0; i < d->n_subscriptions && !c->undo; i++) {
        forget_marks(&d->subscriptions[i]);
    }
    ok = (c->undo || pump_erase_traces(d, e)) && take_streams(d, c, e);
    erased = ok && look_fresh(d, c->undo, e);
    ok = ok && open_subscriptions(d, c, e) && keep_records(d, known, e);
    return ok && erased;
}

enum delivery_asks delivery_asks(const struct delivery *d)
{
    return d->asks;
}

static bool apply_here(struct delivery *d, const void *arg, struct err *e)
{
    const struct delivery_conf *c = arg;
    struct err why;

    d->took = false;
    if (d->sink == NULL) {
        return err_set(e, "sink \"%s\": its thread has ended", d->name);
    }
    if (d->ops != &sink_absent && sink_kind_ops(c->sink->kind) != d->ops) {
        return err_set(e,
                       "sink \"%s\" changes its kind from %s to %s: give the "
                       "new one another name, and the old one retires",
                       d->name, d->ops->kind, sink_kind_ops(c->sink->kind)->kind);
    }
    settings_expect_none(d); /* their plan was refused */
    if (c->undo) {
        settings_owe(d, c); /* its streams go back, whatever comes of that */
    } else if (!(c->wait ? settings_expect(d, c, e) : settings_take(d, c, e))) {
        return false;
    }
    d->took = true;
    d->removed = false;
    (void)pthread_mutex_lock(&d->lock);
    d->status.finished = false;
    (void)pthread_mutex_unlock(&d->lock);
    d->new_waits = c->wait;
    d->spares = c->wait;
    if (!apply_streams(d, c, &why)) {
        return err_set(e, "sink \"%s\": %s", d->name, why.text);
    }
    return true;
}

bool delivery_apply(struct delivery *d, const struct delivery_conf *c, struct err *e)
{
    struct change *ch;
    bool ok;

    d->asks = DELIVERY_ASKS_BEFORE;
    if (d->over) {
        return err_set(e, "sink \"%s\" is held", d->name);
    }
    d->goes = c->wait;
    ch = change_new(d, apply_here);
    ch->conf = *c;
    (void)plan_ref(c->plan);
    if (c->n_streams > 0) {
        memcpy(ch->streams, c->streams, c->n_streams * sizeof *c->streams);
    }
    ch->conf.streams = ch->streams;
    ch->arg = &ch->conf;
    ok = change(ch, c->undo, e);
    if (delivery_left(d)) {
        d->asks = DELIVERY_ASKS_EITHER;
    } else if (d->end == CHANGE_MADE && d->took) {
        d->asks = settings_asks(d);
    }
    return ok;
}

static bool go_here(struct delivery *d, const void *arg, struct err *e)
{
    const bool *live = arg;

    (void)e;
    d->new_waits = false;
    if (*live) {
        settings_arrive(d);
    } else {
        settings_expect_none(d);
    }
    return true;
}

/* A task like the others: it is made after the changes that came before it, also where
 * the thread hung in one. */
void delivery_go(struct delivery *d, bool live)
{
    struct change *ch;
    struct err e;

    d->asks = DELIVERY_ASKS_BEFORE;
    if (atomic_exchange(&d->waiting, false)) {
        ev_async_send(d->loop, &d->woken);
    }
    if (d->over && live) {
        spared_no_more(d); /* it has no thread */
    }
    if (d->over || !d->goes) {
        return;
    }
    d->goes = false;
    ch = change_new(d, go_here);
    ch->live = live;
    ch->arg = &ch->live;
    if (!change(ch, true, &e)) {
        d->asks = DELIVERY_ASKS_EITHER;
    } else if (live) {
        d->asks = settings_asks(d);
    }
}

/* ---- streams that leave ---- */

static uint32_t place_of(const struct leaving *l, int id)
{
    uint32_t i = 0;

    while (i < l->n && l->ids[i] != id) {
        i++;
    }
    return i;
}

static bool named(const void *arg, int id)
{
    const struct leaving *l = arg;

    return l->ids == NULL || place_of(l, id) < l->n;
}

static bool retire_here(struct delivery *d, const void *arg, struct err *e)
{
    const struct leaving *l = arg;

    (void)e;
    d->removed |= l->removed;
    d->new_waits &= !l->removed;
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];

        o->wanted &= !l->removed;
        if (o->consumer != NULL && !o->wanted && named(l, o->conf.id)) {
            if (l->undo) {
                subscription_unreturn(o, d->journal);
            }
            subscription_retire(o, d->spool, d->journal,
                                l->ends == NULL ? NULL
                                                : &l->ends[place_of(l, o->conf.id)]);
        }
    }
    return true;
}

void delivery_retire(struct delivery *d, bool removed, bool undo, const int *ids,
                     uint32_t n)
{
    const struct leaving l = {removed, undo, ids, n, NULL};
    struct change *ch;
    struct err e;

    if (d->over) {
        paused_retire(d, removed, named, &l);
        return;
    }
    ch = change_new(d, retire_here);
    ch->leaving = (struct leaving){removed, undo, NULL, 0, NULL};
    if (ids != NULL) {
        memcpy(ch->ids, ids, n * sizeof *ids);
        ch->leaving = (struct leaving){removed, undo, ch->ids, n, ch->ends};
    }
    /* Where they end now, whatever comes while the thread hangs. */
    for (uint32_t i = 0; i < ch->leaving.n; i++) {
        ch->ends[i] = subscription_ends(d->spool, ids[i]);
    }
    ch->arg = &ch->leaving;
    if (!change(ch, true, &e)) {
        char quoted[ERR_TEXT_MAX + 16];

        log_write(LOG_WARN, "sink", "sink=%s status=retires_later why=%s", d->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

/* ---- breakers by hand ---- */

static void on_force(void *arg)
{
    struct delivery *d = arg;

    if (d->sink != NULL) {
        d->ops->force(d->sink, atomic_load(&d->shut));
    }
    pump_later(d);
}

/* Under lock. Of one that is held without its plan nobody knows the kind. */
static bool may_have_breaker(const struct delivery *d, bool held)
{
    return held ? d->conf->kind == SINK_KIND_NULL ||
                      sink_kind_ops(d->conf->kind)->force != NULL
                : d->ops->force != NULL;
}

/* Noted here: the thread may have ended, and the one after it is to have it. */
enum delivery_forced delivery_force(struct delivery *d, bool open)
{
    bool held, has;

    (void)pthread_mutex_lock(&d->lock);
    held = d->over || d->ops == &sink_absent;
    has = may_have_breaker(d, held);
    (void)pthread_mutex_unlock(&d->lock);
    if (!has) {
        return DELIVERY_FORCED_NONE;
    }
    atomic_store(&d->shut, open);
    if (held) {
        return DELIVERY_FORCED_LATER;
    }
    mailbox_post(&d->mail, on_force, d);
    return DELIVERY_FORCED_NOW;
}

void delivery_force_as(struct delivery *d, const struct delivery *before)
{
    const bool open = atomic_load(&before->shut);

    if (open != atomic_load(&d->shut)) {
        (void)delivery_force(d, open);
    }
}
