/* A delivery that can't run: it keeps its sink's place in the spool, so that no
 * event is given up, until another one starts in its stead. It has no thread, and
 * the journal is open only while something is noted in it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/folder.h"
#include "delivery/internal.h"

void delivery_pause_why(struct delivery *d, const char *why)
{
    (void)pthread_mutex_lock(&d->lock);
    pump_show_error(d, why);
    (void)pthread_mutex_unlock(&d->lock);
    stats_set(d->holding, 1);
    if (d->over) {
        pump_show(d); /* the backlog, which may be larger by now */
    }
}

static void on_wake_held(void *arg)
{
    (void)arg;
}

/* Its files have events that its journal does not tell yet, and of those before that the
 * spool has let go: what it gives up begins where it is now, or was when it was held first. */
static void keep_firsts(struct subscription *o, const struct subscription *before)
{
    const bool again = before != NULL && before->held;
    uint32_t n;
    struct spool_shard_id *ids = subscription_shards(o, &n);

    for (uint32_t i = 0; i < n; i++) {
        const struct cursor *c =
            again ? ack_tracker_find(&before->firsts, ids[i].epoch, ids[i].worker)
                  : NULL;

        if (c != NULL || !again) {
            ack_tracker_start(&o->firsts, ids[i].epoch, ids[i].worker,
                              c != NULL ? c->next : ids[i].first);
        }
    }
    free(ids);
}

/* Of one without its plan nobody knows whether it has files. */
static bool may_have_files(const struct delivery_conf *c)
{
    return c->sink->kind == SINK_KIND_NULL || sink_kind_ops(c->sink->kind)->journals;
}

static bool open_places(struct delivery *d, const struct delivery_conf *c,
                        struct err *e)
{
    for (uint32_t k = 0; k < c->n_streams; k++) {
        struct subscription *o = subscription_of(d, str_of(c->streams[k].name));
        const struct delivery_stream st = stream_for(d, c, k, o);

        subscription_open(o, d->spool, &st, d->name, subscription_before(c, o),
                          on_wake_held, d);
        o->places = &d->places;
        o->held = d->ops == &sink_absent;
        if (may_have_files(c)) {
            keep_firsts(o, subscription_before(c, o));
        }
    }
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];

        if (o->consumer == NULL && o->known) {
            struct delivery_stream st = {.name = o->name};
            char name[sizeof o->name];

            memcpy(name, o->name, sizeof name);
            st.name = name;
            st.id = spool_stream_left(d->spool, name, e);
            if (st.id < 0) {
                return false;
            }
            subscription_open(o, d->spool, &st, d->name, subscription_before(c, o),
                              on_wake_held, d);
            (void)!subscription_ending_as(o, subscription_before(c, o));
        }
    }
    return true;
}

/* Where it begins to read a stream that is new to it is where that ends now, and not
 * where it ends when the sink can start. */
static bool note_starts(struct delivery *d, const struct delivery_conf *c,
                        struct err *e)
{
    for (uint32_t k = 0; k < c->n_streams; k++) {
        struct subscription *o = subscription_of(d, str_of(c->streams[k].name));

        if (!subscription_adopt(o, subscription_before(c, o), d->journal, e) ||
            !subscription_look(o, d->journal, e)) {
            return false;
        }
    }
    return journal_sync(d->journal, e);
}

static void mark_starts(struct delivery *d, const struct delivery_conf *c)
{
    for (uint32_t k = 0; k < c->n_streams; k++) {
        struct subscription *o = subscription_of(d, str_of(c->streams[k].name));

        subscription_mark(o, subscription_before(c, o));
    }
}

/* The first of its streams that the journal does not know; NULL: it knows all. */
static const char *new_stream(struct delivery *d, const struct delivery_conf *c)
{
    for (uint32_t k = 0; k < c->n_streams; k++) {
        if (!subscription_of(d, str_of(c->streams[k].name))->known) {
            return c->streams[k].name;
        }
    }
    return NULL;
}

/* A journal that can't be read may have noted where the sink begins. An empty one has
 * not, nor has one of which the disk does not say that it is there. */
static bool may_know(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_size > 0;
}

/* Before it is noted where the sink begins nothing may be promised: a later start
 * would find it new, and begin where the stream ends then. */
static bool note_all(struct delivery *d, const struct delivery_conf *c, bool is_read,
                     struct err *e)
{
    const char *stream = new_stream(d, c);
    struct err why = *e;
    bool ok = d->journal != NULL && note_starts(d, c, &why);

    journal_close(d->journal);
    d->journal = NULL;
    if (ok || stream == NULL) {
        return true;
    }
    if (!is_read && may_know(d->journal_path)) {
        mark_starts(d, c);
        return true;
    }
    return err_set(e,
                   "sink \"%s\" is new to the stream \"%s\", and where it begins "
                   "can't be noted: %s",
                   d->name, stream, why.text);
}

void paused_carry(struct delivery *d, const struct delivery_conf *c)
{
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];
        const struct subscription *before = subscription_before(c, o);

        o->lost += before == NULL ? 0 : before->lost;
        o->skipped += before == NULL ? 0 : before->skipped;
    }
    if (atomic_load(&d->shut) && d->ops->force != NULL) {
        d->ops->force(d->sink, true);
    }
}

struct delivery *delivery_pause(const struct delivery_conf *c, const char *why,
                                struct err *e)
{
    struct delivery *d = delivery_new(c);
    struct journal_scan scan = {.damaged_bytes = 0};
    bool is_read = true;
    struct err ignored;

    (void)err_set(e, "%s", "");
    d->ops = &sink_absent;
    d->over = true;
    /* A journal that is damaged still says which streams it knows. */
    if (!take_streams(d, c, e) || !open_journal(d, c->spool_dir, e)) {
        is_read = journal_scan(d->journal_path, on_journal_record, d, &scan, &ignored);
        d->patched |= is_read && scan.damaged_bytes > 0;
        is_read &= !d->patched;
    }
    d->read_all = is_read;
    if (!take_streams(d, c, e)) {
        delivery_free(d);
        return NULL;
    }
    if (d->journal != NULL) {
        /* One that stays in the journal ends before this process. */
        (void)!change_forget_refused(d, c, &ignored);
    }
    change_mark_new(d);
    if (!open_places(d, c, e)) {
        delivery_free(d);
        return NULL;
    }
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        subscription_replayed(&d->subscriptions[i]);
    }
    if (!note_all(d, c, is_read, e)) {
        delivery_free(d);
        return NULL;
    }
    paused_carry(d, c);
    delivery_pause_why(d, why);
    return d;
}

static void ignore(void *arg, const struct record *r)
{
    (void)arg;
    (void)r;
}

/* One that is not there has another sink's name as yet, and no new one may take its
 * place. */
static struct journal *reopen(const struct delivery *d, struct err *e)
{
    if (path_there(d->journal_path) != 1) {
        (void)err_errno(e, errno, "%s", d->journal_path);
        return NULL;
    }
    return journal_open(d->journal_path, ignore, NULL, e);
}

bool delivery_paused_retires(const struct delivery *d, struct err *e)
{
    struct journal *j;

    if (!d->over) {
        return true;
    }
    j = reopen(d, e);
    journal_close(j);
    return j != NULL;
}

void paused_retire(struct delivery *d, bool removed, bool (*named)(const void *, int),
                   const void *arg)
{
    struct err e;
    struct journal *j = reopen(d, &e);

    d->removed |= removed;
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        struct subscription *o = &d->subscriptions[i];

        o->wanted &= !removed;
        if (o->consumer != NULL && !o->wanted && named(arg, o->conf.id)) {
            subscription_retire(o, d->spool, j, NULL);
        }
    }
    journal_close(j);
    pump_show(d);
}
