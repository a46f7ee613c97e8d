/*
 * recover - the shards that earlier processes left in a stream's folder.
 *
 *   stream/E.W/ *.seg ─► found_open ─► sorted by number ─► names repaired
 *                            │              └─ newest: blocks read to the end
 *                            └─ unknown: the shard is asked for again
 *
 * The end of every other segment follows from the page of the next one, if that is
 * there; its blocks are checked when they are read. Needs no room on the disk, and one
 * descriptor besides the folder's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/internal.h"

enum {
    LOOK_FIRST_MS = 100, /* between two looks at a place that the disk did not give;
                            doubled up to */
    LOOK_LAST_MS = 5000,
    FOLDER_TRIES = 6
};

struct listing {
    struct segment **list;
    uint32_t n, room;
    struct segment *idle; /* in which nothing was written, oldest first */
};

static void add(struct listing *f, struct segment *g)
{
    if (f->n == f->room) {
        f->room = f->room == 0 ? 64 : 2 * f->room;
        f->list = mem_realloc(f->list, f->room * sizeof(struct segment *));
    }
    f->list[f->n++] = g;
}

static int by_number(const void *a, const void *b)
{
    const struct segment *x = *(struct segment *const *)a;
    const struct segment *y = *(struct segment *const *)b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* A power cut between rename and fsync(dir) leaves a page under another name. Two
 * steps, because the right name may be that of another file. */
static bool repair_names(const struct listing *f, char *const *paths, struct err *e)
{
    char want[PATH_MAX], passing[PATH_MAX + 16];

    for (uint32_t i = 0; i < f->n; i++) {
        segment_path(f->list[i]->shard, f->list[i]->number, want, sizeof want);
        if (strcmp(want, paths[i]) != 0) {
            (void)snprintf(passing, sizeof passing, "%s.moving", want);
            if (rename(paths[i], passing) != 0) {
                return err_errno(e, errno, "rename %s", paths[i]);
            }
        }
    }
    for (uint32_t i = 0; i < f->n; i++) {
        segment_path(f->list[i]->shard, f->list[i]->number, want, sizeof want);
        if (strcmp(want, paths[i]) != 0) {
            (void)snprintf(passing, sizeof passing, "%s.moving", want);
            if (renameat2(AT_FDCWD, passing, AT_FDCWD, want, RENAME_NOREPLACE) != 0) {
                return err_errno(e, errno, "rename %s to %s", passing, want);
            }
        }
    }
    return true;
}

/* A copy of a segment under another name stays where it is: no file is overwritten. */
static void drop_copies(struct listing *f, char **paths)
{
    char want[PATH_MAX], quoted[PATH_MAX + 16];

    for (uint32_t i = 0; i < f->n; i++) {
        bool copy = false;

        segment_path(f->list[i]->shard, f->list[i]->number, want, sizeof want);
        for (uint32_t k = 0; k < f->n && strcmp(want, paths[i]) != 0; k++) {
            copy |= k != i && f->list[k]->number == f->list[i]->number &&
                    (k < i || strcmp(want, paths[k]) == 0);
        }
        if (copy) {
            log_write(LOG_ERROR, "segment_ignored",
                      "file=%s why=\"it is a copy of segment "
                      "%lu\"",
                      log_quote(quoted, sizeof quoted, paths[i]),
                      (unsigned long)f->list[i]->number);
            segment_close(f->list[i]);
            free(paths[i]);
            f->n--;
            f->list[i] = f->list[f->n];
            paths[i] = paths[f->n];
            i--;
        }
    }
}

/* The segments in the shard's folder; false and *e: the disk does not say. */
static bool list_segments(struct shard *sh, struct listing *f, struct err *e)
{
    char dir[PATH_MAX - 300];
    char **paths = NULL;
    struct dirent *d = NULL;
    enum found r = FOUND_NOTHING;
    struct stat st;
    DIR *at;
    int rc;

    shard_path(sh, dir, sizeof dir);
    at = opendir(dir);
    if (at == NULL) {
        return err_errno(e, errno, "%s", dir);
    }
    if (fstat(dirfd(at), &st) == 0) {
        sh->dev = st.st_dev;
        sh->ino = st.st_ino;
    }
    while (r != FOUND_UNKNOWN && (errno = 0, d = readdir(at)) != NULL) {
        char path[PATH_MAX];
        size_t n = strlen(d->d_name);
        struct segment *g;

        if ((n < 5 || strcmp(d->d_name + n - 4, ".seg") != 0) &&
            (n < 8 || strcmp(d->d_name + n - 7, ".moving") != 0)) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        r = found_open(sh, path, &g, e);
        if (r == FOUND_SEGMENT || r == FOUND_BLOCKS) {
            paths = mem_realloc(paths, (f->n + 1) * sizeof *paths);
            paths[f->n] = mem_strdup(path);
            add(f, g);
        }
    }
    rc = r == FOUND_UNKNOWN ? 0 : errno;
    (void)closedir(at);
    if (rc != 0) {
        (void)err_errno(e, rc, "%s", dir);
        r = FOUND_UNKNOWN;
    }
    if (r != FOUND_UNKNOWN) {
        drop_copies(f, paths);
        r = repair_names(f, paths, e) ? r : FOUND_UNKNOWN;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        free(paths[i]);
    }
    free(paths);
    if (f->n > 0) {
        qsort(f->list, f->n, sizeof(struct segment *), by_number);
    }
    return r != FOUND_UNKNOWN;
}

/* A segment that was prepared for a second use has the blocks of its first use still.
 * Where its page is damaged they pass for its own: but their sequences are not after
 * those of the segment before. */
static void drop_earlier_use(struct listing *f)
{
    uint64_t first = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n; i++) {
        struct segment *g = f->list[i];
        char path[PATH_MAX];

        if (g->guessed && g->first <= first) {
            segment_path(g->shard, g->number, path, sizeof path);
            damage_move(g, path);
            segment_close(g);
        } else {
            first = g->first > first ? g->first : first;
            f->list[n++] = g;
        }
    }
    f->n = n;
}

/* The end of g, as the page of a later segment tells it: also of what a failed sync left
 * in g, which is not delivered. */
static void end_by_page(struct segment *g, const struct segment *later)
{
    const uint64_t end = later->first - later->unacked;

    if (later->number == g->number + 1) {
        g->old_end = end;
        if (later->before_end >= PAGE_BYTES && later->before_end <= g->bytes) {
            atomic_store(&g->tail, tail_of(later->before_end, 0));
        }
    } else if (g->old_end > end) {
        g->old_end = end;
    }
}

/* Those at the end in which nothing was written go away, but for one whose page says that
 * events before it were refused; the newest that has blocks is read to its end. */
static bool find_end(struct listing *f, struct err *e)
{
    struct segment later = {.first = 0}; /* the first of those whose page was written */
    bool any = false;

    while (f->n > 0 && !any) {
        struct segment *g = f->list[f->n - 1];

        if (!found_end(g, &any, e)) {
            return false;
        }
        if (any || (f->n > 1 && atomic_load(&g->unacked) > 0)) {
            break;
        }
        if (g->first != 0) {
            later.number = g->number;
            later.first = g->first;
            later.before_end = g->before_end;
        }
        g->next = f->idle;
        f->idle = g;
        f->n--;
    }
    /* A page whose write failed in part may hold; small blocks went where room was. */
    if (f->n > 0 && later.first != 0 && f->list[f->n - 1]->old_end < later.first) {
        end_by_page(f->list[f->n - 1], &later);
    }
    return true;
}

/* The end of g, which `later` follows: the next one that was taken into use. Where its
 * number is not the next one either, those between were given back, so that only a sink
 * that was taken out of the policy needs g; or they were prepared, and a failed sync let
 * them go, but perhaps not the disk. */
static bool end_before(struct segment *g, const struct segment *later, struct err *e)
{
    bool any;

    if (later->number != g->number + 1 && !found_end(g, &any, e)) {
        return false;
    }
    end_by_page(g, later);
    return true;
}

static bool find_ends(const struct listing *f, struct err *e)
{
    const struct segment *later = f->n == 0 ? NULL : f->list[f->n - 1];
    bool any;

    for (uint32_t i = 0; i + 1 < f->n; i++) {
        /* Its page was lost, its blocks may be there. */
        if (f->list[i]->first == 0 && !found_end(f->list[i], &any, e)) {
            return false;
        }
    }
    for (uint32_t i = f->n - (f->n > 0); i-- > 0;) {
        if (!end_before(f->list[i], later, e)) {
            return false;
        }
        later = f->list[i]->first != 0 ? f->list[i] : later;
    }
    return true;
}

static void link_segments(struct shard *sh, const struct listing *f)
{
    struct segment **at = &sh->segments;

    for (uint32_t i = 0; i < f->n; i++) {
        struct segment *g = f->list[i];

        g->first = g->first == 0 ? g->old_end : g->first;
        *at = g;
        at = &g->next;
        sh->last_number = g->number;
        (void)atomic_fetch_add(&sh->stream->used, g->bytes);
        (void)atomic_fetch_add(&sh->stream->left_bytes, g->bytes);
    }
}

/* Deleted, unless the shard is read once more. */
static void drop_idle(struct segment *g, bool known)
{
    while (g != NULL) {
        struct segment *next = g->next;

        if (known) {
            segment_delete(g);
        } else {
            segment_close(g);
        }
        g = next;
    }
}

/* False and *e: the disk does not tell the shard's files. */
static bool read_shard(struct shard *sh, struct err *e)
{
    struct spool *s = sh->stream->spool;
    struct listing f = {NULL, 0, 0, NULL};
    bool ok = list_segments(sh, &f, e);

    if (ok) {
        drop_earlier_use(&f);
        ok = find_end(&f, e) && find_ends(&f, e);
    }
    (void)pthread_mutex_lock(&s->lock);
    if (ok) {
        link_segments(sh, &f);
    }
    sh->unknown = !ok;
    (void)pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < f.n && !ok; i++) {
        segment_close(f.list[i]);
    }
    drop_idle(f.idle, ok);
    free(f.list);
    return ok;
}

static void put_in_order(struct stream *st, struct shard *sh)
{
    struct shard **at = &st->shards;

    while (*at != NULL && ((*at)->epoch < sh->epoch ||
                           ((*at)->epoch == sh->epoch && (*at)->worker < sh->worker))) {
        at = &(*at)->next;
    }
    sh->next = *at;
    *at = sh;
}

static void tell_unknown(const struct shard *sh, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16];

    log_write(LOG_ERROR, "shard_unreadable",
              "stream=%s shard=%u.%u next_try_ms=%ld why=%s", sh->stream->name,
              sh->epoch, sh->worker, (long)sh->look_wait_ms,
              log_quote(quoted, sizeof quoted, why));
}

static bool recover_shard(struct stream *st, uint32_t epoch, uint32_t worker,
                          struct err *e)
{
    struct shard *sh;
    struct err why;

    /* Its sequences would be used twice. */
    if (epoch >= st->spool->epoch) {
        return err_set(e,
                       "%s/EPOCH says %u, but there is a shard %s/%u.%u: write "
                       "the highest number before a dot into that file",
                       st->spool->dir, st->spool->epoch, st->name, epoch, worker);
    }
    sh = mem_zalloc(sizeof *sh);
    sh->stream = st;
    sh->epoch = epoch;
    sh->worker = worker;
    if (!read_shard(sh, &why)) {
        sh->look_wait_ms = LOOK_FIRST_MS;
        sh->look_ms = mono_ms() + sh->look_wait_ms;
        tell_unknown(sh, why.text);
    } else if (sh->segments == NULL && sh->n_undeleted == 0) {
        shard_remove_folder(sh);
        free(sh);
        return true;
    }
    put_in_order(st, sh);
    return true;
}

static bool stream_has(const struct stream *st, uint32_t epoch, uint32_t worker)
{
    for (const struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        if (sh->epoch == epoch && sh->worker == worker) {
            return true;
        }
    }
    return false;
}

/* False and *again: the disk does not tell the folder's files. */
static bool recover_shards(struct stream *st, const char *dir, bool *again,
                           struct err *e)
{
    struct dirent *d;
    bool ok = true;
    DIR *at = opendir(dir);
    int rc;

    *again = at == NULL;
    if (at == NULL) {
        return errno == ENOENT || err_errno(e, errno, "%s", dir);
    }
    while (ok && (errno = 0, d = readdir(at)) != NULL) {
        unsigned epoch, worker;
        int n = 0;

        if (sscanf(d->d_name, "%u.%u%n", &epoch, &worker, &n) == 2 &&
            d->d_name[n] == '\0' && !stream_has(st, epoch, worker)) {
            ok = recover_shard(st, epoch, worker, e);
        }
    }
    rc = errno;
    (void)closedir(at);
    *again = ok && rc != 0;
    if (*again) {
        return err_errno(e, rc, "%s", dir);
    }
    /* Shards that are not here are gone for good: their readers forget them now. */
    return ok && (folder_sync(dir, e) || !(*again = true));
}

bool stream_recover(struct stream *st, struct err *e)
{
    struct timespec pause = {0, LOOK_FIRST_MS * 1000000L};
    char dir[PATH_MAX];
    bool again = false;

    (void)snprintf(dir, sizeof dir, "%s/%s", st->spool->dir, st->name);
    for (int i = 0; i < FOLDER_TRIES; i++) {
        if (recover_shards(st, dir, &again, e)) {
            return true;
        }
        if (!again) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
        pause.tv_nsec += pause.tv_nsec < 500000000L ? pause.tv_nsec : 0;
    }
    return false;
}

/* ---- later ---- */

static struct shard *next_unknown(struct stream *st, int64_t now)
{
    struct spool *s = st->spool;
    struct shard *sh;

    (void)pthread_mutex_lock(&s->lock);
    for (sh = st->shards; sh != NULL; sh = sh->next) {
        if (sh->unknown && sh->look_ms <= now) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return sh;
}

void stream_recover_unknown(struct stream *st)
{
    int64_t now = mono_ms();
    struct shard *sh;
    struct err e;

    while ((sh = next_unknown(st, now)) != NULL) {
        if (read_shard(sh, &e)) {
            log_write(LOG_INFO, "shard_readable", "stream=%s shard=%u.%u", st->name,
                      sh->epoch, sh->worker);
            consumers_wake(st);
            continue;
        }
        sh->look_wait_ms *= sh->look_wait_ms < LOOK_LAST_MS ? 2 : 1;
        sh->look_ms = mono_ms() + sh->look_wait_ms;
        tell_unknown(sh, e.text);
    }
}
