/*
 * recover - the shards that earlier processes left in a stream's folder.
 *
 *   stream/E.W/ *.seg ─► page_decode ─► sorted by number ─► names repaired
 *                            │              └─ newest: blocks scanned to the end
 *                            └─ no page: deleted when all zero, else set aside
 *
 * The end of every other segment follows from the page of the next one, if that is
 * there; its blocks are checked when they are read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/state.h"

enum { WINDOW_BYTES = 1 << 20 };

struct found {
    struct segment **list;
    uint32_t n, room;
};

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A file whose first page is none of ours. */
static void set_aside(struct stream *st, const char *path, bool empty)
{
    char aside[PATH_MAX + 16], quoted[PATH_MAX + 32];

    if (empty) {
        (void)unlink(path);
        return;
    }
    (void)snprintf(aside, sizeof aside, "%s.damaged", path);
    (void)rename(path, aside);
    stats_add(st->damaged, 1);
    log_write(LOG_ERROR, "spool", "status=damaged file=%s why=\"no valid first "
                                  "page: set aside\"",
              log_quote(quoted, sizeof quoted, aside));
}

/* NULL without *failed: the file is gone or set aside. */
static struct segment *open_one(struct shard *sh, const char *path,
                                bool *failed, struct err *e)
{
    unsigned char bytes[PAGE_BYTES] = {0};
    struct segment *g;
    struct page p;
    struct stat info;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t n;

    if (fd < 0 || fstat(fd, &info) != 0) {
        *failed = !err_errno(e, errno, "%s", path);
        return NULL;
    }
    n = pread(fd, bytes, sizeof bytes, 0);
    if (n < (ssize_t)sizeof bytes || !page_decode(bytes, &p)) {
        (void)close(fd);
        set_aside(sh->stream, path, n < (ssize_t)sizeof bytes ||
                                        all_zero(bytes, sizeof bytes));
        return NULL;
    }
    if (memcmp(p.uuid, sh->stream->spool->uuid, sizeof p.uuid) != 0 ||
        strcmp(p.stream, sh->stream->name) != 0 || p.epoch != sh->epoch ||
        p.worker != sh->worker) {
        (void)close(fd);
        *failed = !err_set(e, "%s belongs to another spool, stream or shard",
                           path);
        return NULL;
    }
    g = mem_zalloc(sizeof *g);
    g->shard = sh;
    g->fd = fd;
    g->number = p.number;
    g->bytes = (uint64_t)info.st_size;
    g->salt = p.salt;
    g->first = p.first;
    g->unacked = p.unacked;
    g->old = true;
    atomic_store(&g->state, SEGMENT_USED);
    atomic_store(&g->sealed, true);
    return g;
}

static void add(struct found *f, struct segment *g)
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

/* A power cut between rename and fsync(dir) leaves a page under another name.
 * Two steps, for the right name may be that of another file. */
static void repair_names(const struct found *f, const char *const *paths)
{
    char want[PATH_MAX], passing[PATH_MAX + 16];

    for (uint32_t i = 0; i < f->n; i++) {
        segment_path(f->list[i]->shard, f->list[i]->number, want, sizeof want);
        if (strcmp(want, paths[i]) != 0) {
            (void)snprintf(passing, sizeof passing, "%s.moving", want);
            (void)rename(paths[i], passing);
        }
    }
    for (uint32_t i = 0; i < f->n; i++) {
        segment_path(f->list[i]->shard, f->list[i]->number, want, sizeof want);
        if (strcmp(want, paths[i]) != 0) {
            (void)snprintf(passing, sizeof passing, "%s.moving", want);
            (void)rename(passing, want);
        }
    }
}

/* How far g's blocks are whole; sets first (when its page did not say) and
 * old_end. False: there is none. */
static bool scan_blocks(struct segment *g)
{
    size_t room = WINDOW_BYTES;
    char *buf = mem_alloc(room);
    uint64_t off = PAGE_BYTES, next = g->first;
    struct spool_block b;
    bool any = false;

    for (;;) {
        size_t need;
        ssize_t n = pread(g->fd, buf, room, (off_t)off);
        enum block_result r;

        if (n <= 0) {
            break;
        }
        r = block_open(buf, (size_t)n, g->salt, &b, &need);
        if (r == BLOCK_SHORT && need > room && off + need <= g->bytes) {
            room = need;
            buf = mem_realloc(buf, room);
            continue;
        }
        if (r != BLOCK_OK || (next != 0 && b.first != next)) {
            break;
        }
        g->first = any || g->first != 0 ? g->first : b.first;
        next = b.first + b.n;
        off += need;
        any = true;
    }
    g->old_end = next;
    atomic_store(&g->tail, tail_of(off < PAGE_BYTES ? PAGE_BYTES : off, 0));
    free(buf);
    return any;
}

/* The segments in the shard's folder. */
static bool list_segments(struct shard *sh, struct found *f, struct err *e)
{
    char dir[PATH_MAX - 300];
    char **paths = NULL;
    struct dirent *d;
    bool failed = false;
    DIR *at;

    shard_path(sh, dir, sizeof dir);
    at = opendir(dir);
    if (at == NULL) {
        return err_errno(e, errno, "%s", dir);
    }
    while (!failed && (d = readdir(at)) != NULL) {
        char path[PATH_MAX];
        size_t n = strlen(d->d_name);
        struct segment *g;

        if ((n < 5 || strcmp(d->d_name + n - 4, ".seg") != 0) &&
            (n < 8 || strcmp(d->d_name + n - 7, ".moving") != 0)) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        g = open_one(sh, path, &failed, e);
        if (g != NULL) {
            paths = mem_realloc(paths, (f->n + 1) * sizeof *paths);
            paths[f->n] = mem_strdup(path);
            add(f, g);
        }
    }
    (void)closedir(at);
    repair_names(f, (const char *const *)paths);
    for (uint32_t i = 0; i < f->n; i++) {
        free(paths[i]);
    }
    free(paths);
    if (f->n > 0) {
        qsort(f->list, f->n, sizeof(struct segment *), by_number);
    }
    return !failed;
}

/* Those at the end in which nothing was written go away; the newest that has
 * blocks is scanned. */
static void find_end(struct found *f)
{
    while (f->n > 0 && !scan_blocks(f->list[f->n - 1])) {
        struct segment *g = f->list[f->n - 1];

        if (g->first != 0 && f->n > 1) {
            /* It was taken into use: the one before ended where it says. */
            f->list[f->n - 2]->old_end = g->first - g->unacked;
        }
        segment_delete(g);
        f->n--;
    }
}

static void link_segments(struct shard *sh, const struct found *f)
{
    struct segment **at = &sh->segments;

    for (uint32_t i = 0; i < f->n; i++) {
        struct segment *g = f->list[i];

        if (i + 1 < f->n) {
            const struct segment *next = f->list[i + 1];

            if (next->number == g->number + 1) {
                g->old_end = next->first - next->unacked;
            } else {
                /* Those between were given back: only a sink that was taken out
                 * of the policy needs g. */
                (void)scan_blocks(g);
            }
        }
        if (g->first == 0) {
            /* Its page was lost, its blocks may be there. */
            (void)scan_blocks(g);
            g->first = g->first == 0 ? g->old_end : g->first;
        }
        *at = g;
        at = &g->next;
        sh->last_number = g->number;
        (void)atomic_fetch_add(&sh->stream->used, g->bytes);
        sh->stream->left_bytes += g->bytes;
    }
}

static bool recover_shard(struct stream *st, uint32_t epoch, uint32_t worker,
                          struct err *e)
{
    struct shard *sh = mem_zalloc(sizeof *sh), **at = &st->shards;
    struct found f = {NULL, 0, 0};
    bool ok;

    /* Its sequences would be used twice. */
    if (epoch >= st->spool->epoch) {
        free(sh);
        return err_set(e, "%s/EPOCH says %u, but there is a shard %s/%u.%u: write "
                          "the highest number before a dot into that file",
                       st->spool->dir, st->spool->epoch, st->name, epoch, worker);
    }
    sh->stream = st;
    sh->epoch = epoch;
    sh->worker = worker;
    ok = list_segments(sh, &f, e);
    if (ok) {
        find_end(&f);
        link_segments(sh, &f);
    }
    free(f.list);
    if (!ok || sh->segments == NULL) {
        char path[PATH_MAX];

        shard_path(sh, path, sizeof path);
        (void)rmdir(path);
        free(sh);
        return ok;
    }
    while (*at != NULL && ((*at)->epoch < epoch ||
                           ((*at)->epoch == epoch && (*at)->worker < worker))) {
        at = &(*at)->next;
    }
    sh->next = *at;
    *at = sh;
    return true;
}

bool stream_recover(struct stream *st, struct err *e)
{
    char dir[PATH_MAX];
    struct dirent *d;
    bool ok = true;
    DIR *at;

    (void)snprintf(dir, sizeof dir, "%s/%s", st->spool->dir, st->name);
    at = opendir(dir);
    if (at == NULL) {
        return errno == ENOENT || err_errno(e, errno, "%s", dir);
    }
    while (ok && (d = readdir(at)) != NULL) {
        unsigned epoch, worker;
        int n = 0;

        if (sscanf(d->d_name, "%u.%u%n", &epoch, &worker, &n) == 2 &&
            d->d_name[n] == '\0') {
            ok = recover_shard(st, epoch, worker, e);
        }
    }
    (void)closedir(at);
    /* What is not here is gone for good: those who read it forget it now. */
    return ok && folder_sync(dir, e);
}
