/*
 * presence - whether the spool's files still have their names: the directory may have been
 * moved, removed, replaced or unmounted under the process, or one stream's.
 *
 * What is written to the open files may then never be found again, so nothing more is
 * taken: looked at each second, and before a segment is made.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/internal.h"

enum { ASKED_MS = 500 };

int presence_of(const char *path, dev_t dev, ino_t ino)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
    }
    return st.st_dev == dev && st.st_ino == ino;
}

int presence_of_shard(const struct shard *sh)
{
    char path[PATH_MAX];

    shard_path(sh, path, sizeof path);
    return sh->ino == 0 ? path_there(path) : presence_of(path, sh->dev, sh->ino);
}

/* A worker writes to it, or will. */
static bool is_written(const struct segment *g)
{
    return !g->old && g->ino != 0 && !atomic_load(&g->sealed) &&
           !atomic_load(&g->poisoned) && !atomic_load(&g->shard->stream->ended);
}

int presence_of_segment(const struct segment *g)
{
    int there = identity_in_place(g->shard->stream->spool);
    char path[PATH_MAX];

    if (there != 1) {
        errno = there < 0 ? errno : ESTALE;
        return -1;
    }
    segment_path(g->shard, g->number, path, sizeof path);
    there = g->ino == 0 ? path_there(path) : presence_of(path, g->dev, g->ino);
    if (there == 0 && (is_written(g) || presence_of_shard(g->shard) != 1)) {
        errno = ESTALE;
        return -1;
    }
    return there;
}

/* ---- a stream ---- */

/* By the file, which is held open: a directory that is removed may leave its inode number to
 * the next one, and some file systems give a directory another number at times. */
struct written {
    const struct shard *shard; /* one of this process: it stays */
    uint64_t number;
    dev_t dev;
    ino_t ino;
};

/* Under lock. Segments of it are to be found, whoever wrote them. */
static bool has_segments(const struct stream *st)
{
    bool has = false;

    for (const struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        has |= sh->segments != NULL || sh->unknown;
    }
    return has && !atomic_load(&st->ended);
}

/* Up to max of them; returns how many there are. Under lock. */
static uint32_t list_written(const struct stream *st, struct written *out, uint32_t max)
{
    uint32_t n = 0;

    for (const struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        for (const struct segment *g = sh->segments;
             g != NULL && !atomic_load(&st->ended); g = g->next) {
            if (is_written(g) && n++ < max) {
                out[n - 1] = (struct written){sh, g->number, g->dev, g->ino};
            }
        }
    }
    return n;
}

/* It was not reclaimed meanwhile, which takes its name, too. */
static bool still_written(struct spool *s, const struct written *x)
{
    bool is = false;

    (void)pthread_mutex_lock(&s->lock);
    for (const struct segment *g = x->shard->segments; g != NULL; g = g->next) {
        is |= g->number == x->number && g->ino == x->ino && is_written(g);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return is;
}

/* 1; 0 and *e; -1: the disk does not say. Any thread. Where nothing is written, as on a full
 * disk, the directory is to be there for the events of earlier processes. */
static int look_at(struct stream *st, struct err *e)
{
    struct spool *s = st->spool;
    const uint32_t max = 2 * s->conf.n_workers + 2;
    struct written *list = mem_alloc(max * sizeof *list);
    char path[PATH_MAX];
    int there = 1;
    uint32_t n;
    bool needed;

    (void)pthread_mutex_lock(&s->lock);
    n = list_written(st, list, max);
    needed = n == 0 && has_segments(st);
    (void)pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < n && i < max && there == 1; i++) {
        segment_path(list[i].shard, list[i].number, path, sizeof path);
        there = presence_of(path, list[i].dev, list[i].ino);
        if (there == 0 && !still_written(s, &list[i])) {
            there = 1;
        }
    }
    if (needed) {
        (void)snprintf(path, sizeof path, "%s/%s", s->dir, st->name);
        there = path_there(path);
    }
    free(list);
    return there != 0
               ? there
               : err_set(e,
                         "%s is not %s: the directory of the stream \"%s\", or a "
                         "file in it, was moved, removed or unmounted; put it back",
                         path,
                         needed ? "there" : "the file that this process writes to",
                         st->name);
}

bool presence_look_at_stream(struct stream *st)
{
    struct spool *s = st->spool;
    const uint64_t bit = 1ull << st->id;
    const bool was = (atomic_load(&s->away_streams) & bit) != 0;
    struct err e;
    int there;

    if (atomic_load(&s->away)) {
        return false;
    }
    there = look_at(st, &e);
    if (there < 0 || (there == 0) == was) {
        return !was;
    }
    (void)pthread_mutex_lock(&s->lock);
    (void)snprintf(st->why_away, sizeof st->why_away, "%s", there == 0 ? e.text : "");
    if (there == 0) {
        (void)atomic_fetch_or(&s->away_streams, bit);
    } else {
        (void)atomic_fetch_and(&s->away_streams, ~bit);
    }
    (void)pthread_cond_broadcast(&s->prepared);
    (void)pthread_mutex_unlock(&s->lock);
    writable_tell(st, there == 0 ? e.text : NULL);
    return there == 1;
}

/* ---- the spool ---- */

/* An error says nothing. */
bool presence_look(struct spool *s)
{
    const bool was = atomic_load(&s->away);
    const int there = identity_in_place(s);
    struct err e;

    if (there < 0 || (there == 0) == was || (there == 0 && spool_in_place(s, &e))) {
        return !was;
    }
    (void)pthread_mutex_lock(&s->lock);
    (void)snprintf(s->why_away, sizeof s->why_away, "%s", there == 0 ? e.text : "");
    atomic_store(&s->away, there == 0);
    atomic_store(&s->away_streams, there == 0 ? UINT64_MAX : 0);
    (void)pthread_cond_broadcast(&s->prepared);
    (void)pthread_mutex_unlock(&s->lock);
    writable_tell(NULL, there == 0 ? e.text : NULL);
    return there == 1;
}

void presence_look_at_all(struct spool *s)
{
    const uint32_t n = atomic_load(&s->n_streams);

    if (presence_look(s)) {
        for (uint32_t i = 0; i < n; i++) {
            (void)presence_look_at_stream(s->streams[i]);
        }
    }
}

bool spool_stream_in_place(const struct spool *s, int stream, struct err *e)
{
    return spool_in_place(s, e) && look_at(s->streams[stream], e) != 0;
}

const char *presence_why(const struct spool *s)
{
    const uint32_t n = atomic_load(&s->n_streams);

    if (atomic_load(&s->away)) {
        return s->why_away;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!presence_of_stream(s->streams[i])) {
            return s->streams[i]->why_away;
        }
    }
    return NULL;
}

/* ---- for the supervisor, which waits for no disk ---- */

static uint32_t want_look(struct spool *s)
{
    uint32_t wanted;

    (void)pthread_mutex_lock(&s->lock);
    wanted = ++s->looks_wanted;
    (void)pthread_mutex_unlock(&s->lock);
    housekeeper_wake(s);
    return wanted;
}

bool spool_whole(struct spool *s, struct err *e)
{
    const uint32_t wanted = want_look(s);
    const char *why;
    struct timespec t;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ASKED_MS * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    (void)pthread_mutex_lock(&s->lock);
    while (s->looks < wanted && rc == 0) {
        rc = pthread_cond_timedwait(&s->prepared, &s->lock, &t);
    }
    why = presence_why(s);
    if (why != NULL) {
        (void)err_set(e, "%s", why);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return why == NULL;
}

void presence_look_as_asked(struct spool *s)
{
    uint32_t wanted;

    (void)pthread_mutex_lock(&s->lock);
    wanted = s->looks_wanted;
    (void)pthread_mutex_unlock(&s->lock);
    if (wanted == s->looks) {
        return; /* only this thread changes it */
    }
    presence_look_at_all(s);
    (void)pthread_mutex_lock(&s->lock);
    s->looks = wanted;
    (void)pthread_cond_broadcast(&s->prepared);
    (void)pthread_mutex_unlock(&s->lock);
}
