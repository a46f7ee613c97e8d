/* The letters' file of a replay, and the batches made of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"
#include "delivery/replay.h"
#include "sink/position.h"

enum { BYTES = 1 << 20, EVENT_MAX = 64 << 20 };

/* ---- the file in hand ---- */

/* Also when the disk does not say: another file must not get its name. */
static bool is_there(const char *path)
{
    return path_there(path) != 0;
}

/* The files that a replay takes, the oldest letters first. */
enum { IN_HAND, OLD_IN_HAND, OF_OLD_NAME, OWN, N_SOURCES };

/* The letters of the sink, or of the one that it was. */
static void letters_path(const struct delivery *d, unsigned which, char out[3300])
{
    int folder = (int)(strrchr(d->dead.path, '/') - d->dead.path);

    if (which == OLD_IN_HAND || which == OF_OLD_NAME) {
        (void)snprintf(out, 3300, "%.*s/sink-%s.ndjson", folder, d->dead.path,
                       d->conf->was);
    } else {
        (void)snprintf(out, 3300, "%s", d->dead.path);
    }
}

/* A replay that a rename ended goes on under the old name. */
static void paths(const struct delivery *d, struct replay *r)
{
    char own[3300];

    letters_path(d, r->source == OLD_IN_HAND ? OLD_IN_HAND : OWN, own);
    (void)snprintf(r->path, sizeof r->path, "%s.replay", own);
    (void)snprintf(r->mark, sizeof r->mark, "%s.replay-mark", own);
}

static bool source(const struct delivery *d, unsigned which, char out[3300])
{
    char own[3300];
    bool old = which == OLD_IN_HAND || which == OF_OLD_NAME;

    if (old && d->conf->was == NULL) {
        return false;
    }
    letters_path(d, which, own);
    (void)snprintf(out, 3300, "%s%s", own,
                   which == IN_HAND || which == OLD_IN_HAND ? ".replay" : "");
    return is_there(out);
}

bool replay_more(const struct delivery *d, const struct replay *r)
{
    char path[3300];

    for (unsigned i = r->source + 1; i < N_SOURCES; i++) {
        if (source(d, i, path)) {
            return true;
        }
    }
    return false;
}

/* A name of its own, under which no receiver knows its batches yet. */
static bool new_mark(struct replay *r, struct err *e)
{
    if (getrandom(&r->at.id, sizeof r->at.id, 0) != (ssize_t)sizeof r->at.id) {
        return err_errno(e, errno, "random bytes");
    }
    r->at.id |= 1;
    return r->dry || progress_write(r->mark, &r->at, e);
}

/* How far the replay before came. Without its mark, which an operator has deleted after
 * an edit, all letters of the file are sent. */
static bool resume(struct replay *r, struct err *e)
{
    if (path_there(r->mark) == 0) {
        r->resumed = false;
        return new_mark(r, e);
    }
    if (!progress_read(r->mark, &r->at, e)) {
        return false;
    }
    r->rebuild = r->at.end > r->at.done;
    return true;
}

/* The letters so far, under a name that no new ones get. */
static bool take_file(struct delivery *d, struct replay *r, const char *from,
                      struct err *e)
{
    char posted[3400];

    (void)snprintf(posted, sizeof posted, "%s.replayed", from);
    if (is_there(posted)) {
        return err_set(e,
                       "%s says that some of the letters were posted to a route: "
                       "go on with --to, or delete it to send all of them",
                       posted);
    }
    if (!new_mark(r, e)) {
        return false;
    }
    if (rename(from, r->path) != 0) {
        return err_errno(e, errno, "%s", from);
    }
    if (r->source == OWN) {
        stats_set(d->dead_bytes, 0);
    }
    return folder_sync_of(r->path, e);
}

bool replay_open_file(struct delivery *d, struct replay *r, struct err *e)
{
    char from[3300];

    while (r->source < N_SOURCES && !source(d, r->source, from)) {
        r->source++;
    }
    if (r->source == N_SOURCES) {
        return true; /* there are none */
    }
    paths(d, r);
    r->resumed = r->source == IN_HAND || r->source == OLD_IN_HAND;
    if (r->resumed && !resume(r, e)) {
        return false;
    }
    r->letters = letters_open(from, e);
    /* Not while a command posts them to a route. */
    return r->letters != NULL && (r->dry || letters_lock(r->letters, e)) &&
           (r->resumed || r->dry || take_file(d, r, from, e)) &&
           letters_go_to(r->letters, r->at.done, e);
}

bool replay_close_file(struct replay *r, struct err *e)
{
    char kept[3300];

    if (is_there(r->path) && !letters_are(r->letters, r->path)) {
        return err_set(e,
                       "%s was put in place of the letters that were replayed: "
                       "give it another name",
                       r->path);
    }
    if (r->at.unreadable == 0) {
        if (unlink(r->path) != 0 && errno != ENOENT) {
            return err_errno(e, errno, "%s", r->path);
        }
    } else {
        (void)snprintf(kept, sizeof kept, "%.*s.replayed-%016lx",
                       (int)(strlen(r->path) - strlen(".replay")), r->path,
                       (unsigned long)r->at.id);
        if (rename(r->path, kept) != 0) {
            return err_errno(e, errno, "%s", r->path);
        }
    }
    if (!folder_sync_of(r->path, e)) {
        return false;
    }
    (void)unlink(r->mark); /* alone it says nothing */
    return true;
}

/* ---- batches ---- */

/* Where the event lies that the letter is of; false: not in this sink's spool. */
static bool position_of(const struct delivery *d, const struct letter *x,
                        struct batch_range *out)
{
    struct position at;

    if (!position_read(x->position, &at) ||
        (at.stream.p != NULL && !str_eq(at.stream, x->stream)) ||
        !str_eq(at.uuid, str_of(spool_uuid_of(d->spool, at.epoch)))) {
        return false;
    }
    *out = (struct batch_range){at.epoch, at.worker, at.seq, 1};
    return true;
}

/* Of this sink, also under the name that it had. */
static bool is_own(const struct delivery *d, struct str sink)
{
    return sink.p != NULL &&
           (str_eq(sink, str_of(d->name)) ||
            (d->conf->was != NULL && str_eq(sink, str_of(d->conf->was))));
}

static struct subscription *stream_of(struct delivery *d, const struct letter *x,
                                      struct batch_range *range)
{
    struct subscription *o = x->stream.p == NULL ? NULL : subscription_of(d, x->stream);

    return o != NULL && is_own(d, x->sink) && x->event.n < EVENT_MAX &&
                   position_of(d, x, range)
               ? o
               : NULL;
}

static void append(struct batch *b, const struct letter *x,
                   const struct batch_range *range)
{
    const struct batch_source source = {x->event.p, (int64_t)x->time_ms, 0};
    const struct batch_entry entry = {.off = 0, .len = (uint32_t)x->event.n};

    batch_append(b, range, &source, &entry, (int64_t)(clock_mono_ns() / 1000000u));
    b->bytes[b->n_bytes - 1] = '\n'; /* in the letter more comes after it */
}

bool replay_fill(struct delivery *d, struct replay *r, struct batch *b, struct err *e)
{
    uint64_t until = r->rebuild ? r->at.end : UINT64_MAX;
    uint64_t before = letters_at(r->letters), bad = letters_bad(r->letters);
    uint64_t bad_from = bad;
    uint32_t n = 0;
    const struct subscription *stream = NULL;
    size_t bytes = 0;
    struct letter x;

    r->bad = 0;
    while (n < PROGRESS_LETTERS && before < until && letters_next(r->letters, &x)) {
        struct batch_range range;
        const struct subscription *o = stream_of(d, &x, &range);

        if (o == NULL) {
            r->bad++;
        } else if (n > 0 && (o != stream || bytes + x.event.n > BYTES)) {
            /* The unreadable lines between are read again, too. */
            r->bad += bad - bad_from;
            r->at.end = before;
            r->at.n = n;
            return letters_go_to(r->letters, before, e);
        } else {
            stream = o;
            bytes += x.event.n;
            if (!r->rebuild || !progress_has(&r->at, n)) {
                r->place[b->n] = n;
                append(b, &x, &range);
                b->stream = o->number;
            }
            n++;
        }
        before = letters_at(r->letters);
        bad = letters_bad(r->letters);
    }
    r->bad += letters_bad(r->letters) - bad_from;
    if (!letters_ended(r->letters, e)) {
        return false;
    }
    if (r->rebuild && (letters_at(r->letters) != r->at.end || n != r->at.n)) {
        return err_set(e,
                       "%s was edited while it was being replayed: delete %s to "
                       "send all its letters again",
                       r->path, r->mark);
    }
    r->at.end = letters_at(r->letters);
    r->at.n = n;
    return true;
}
