/* What a power cut can't take any more, for a consumer that keeps more than its place. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/write.h"
#include "spool/blocks.h"
#include "spool/internal.h"

enum { PIECE_BYTES = 256 << 10 };

struct held {
    bool unsure;
    uint64_t number, end;
    dev_t dev;
    ino_t ino;
};

/* The shard; NULL: it is gone, all of it was released. *opened: it has a writer. */
static struct shard *find(struct spool_consumer *c, uint32_t epoch, uint32_t worker,
                          bool *opened)
{
    struct spool *s = c->stream->spool;
    struct shard *sh;

    (void)pthread_mutex_lock(&s->lock);
    sh = c->stream->shards;
    while (sh != NULL && (sh->epoch != epoch || sh->worker != worker)) {
        sh = sh->next;
    }
    *opened = sh != NULL && sh->opened;
    (void)pthread_mutex_unlock(&s->lock);
    return sh;
}

enum spool_durable spool_durable(struct spool_consumer *c, struct spool_pos pos)
{
    bool opened;
    struct shard *sh = find(c, pos.epoch, pos.worker, &opened);
    uint64_t wanted;

    if (sh == NULL || atomic_load(&sh->synced) + 1 >= pos.seq ||
        spool_lost(c, (struct spool_pos){pos.epoch, pos.worker, pos.seq - 1})) {
        return SPOOL_DURABLE;
    }
    if (!opened) {
        return SPOOL_DURABLE_ASK;
    }
    wanted = atomic_load(&sh->wanted);
    while (wanted < pos.seq - 1 &&
           !atomic_compare_exchange_weak(&sh->wanted, &wanted, pos.seq - 1)) {
    }
    housekeeper_wake(c->stream->spool);
    return SPOOL_DURABLE_SOON;
}

/* After the end of a segment whose sync failed: also of one that no other follows yet,
 * because no event has come since. */
static bool behind_poisoned(struct spool *s, const struct shard *sh, uint64_t seq)
{
    bool lost = false;

    (void)pthread_mutex_lock(&s->lock);
    for (const struct segment *g = sh->segments; !lost && g != NULL; g = g->next) {
        lost = atomic_load(&g->state) == SEGMENT_USED && atomic_load(&g->poisoned) &&
               seq >= g->first + tail_n(atomic_load(&g->synced_tail)) &&
               seq < g->first + tail_n(atomic_load(&g->tail));
    }
    (void)pthread_mutex_unlock(&s->lock);
    return lost;
}

bool spool_lost(struct spool_consumer *c, struct spool_pos pos)
{
    bool opened;
    struct shard *sh = find(c, pos.epoch, pos.worker, &opened);
    uint64_t n = sh == NULL ? 0 : atomic_load(&sh->n_lost);

    if (sh != NULL && behind_poisoned(c->stream->spool, sh, pos.seq)) {
        return true;
    }
    for (uint64_t i = 0; i < LOST_MAX && i < n; i++) {
        if (pos.seq >= atomic_load(&sh->lost[i].from) &&
            pos.seq <= atomic_load(&sh->lost[i].to)) {
            return true;
        }
    }
    return false;
}

/* Whether the segment of that number was not released meanwhile. */
static bool is_listed(const struct shard *sh, uint64_t number)
{
    struct spool *s = sh->stream->spool;
    bool listed = false;

    (void)pthread_mutex_lock(&s->lock);
    for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
        listed |= g->number == number;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return listed;
}

/* The file of that name, or none, is not the segment's, whose folder was moved; a file alone that
 * is gone from its folder was given up. */
static bool is_elsewhere(const struct shard *sh, const struct held *h, int fd)
{
    struct stat st;
    const bool same = fd >= 0 && (h->ino == 0 || fstat(fd, &st) != 0 ||
                                  (st.st_dev == h->dev && st.st_ino == h->ino));

    return !same && is_listed(sh, h->number) && presence_of_shard(sh) != 1;
}

/* What the disk does not give is not in memory alone: its reader will see to it. */
static int copy_over(int fd, char *piece, size_t n, uint64_t at)
{
    int rc = blocks_read(fd, piece, n, at);

    if (rc == EIO && n > PAGE_BYTES) {
        for (size_t i = 0; i < n && (i == 0 || rc == 0); i += PAGE_BYTES) {
            rc = copy_over(fd, piece, n - i < PAGE_BYTES ? n - i : PAGE_BYTES, at + i);
        }
        return rc;
    }
    return rc == EIO ? 0 : rc != 0 ? rc : write_at(fd, piece, n, at) ? 0 : errno;
}

/* Writes the file's bytes over themselves, so that a sync has to take them. */
static bool write_again(int fd, uint64_t end, const char *path, struct err *e)
{
    char *piece = mem_alloc(PIECE_BYTES);
    int rc = 0;

    for (uint64_t at = 0; at < end && rc == 0; at += PIECE_BYTES) {
        rc = copy_over(fd, piece,
                       end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES, at);
    }
    free(piece);
    return rc == 0 || err_errno(e, rc, "%s", path);
}

static void note_unsure(struct shard *sh, uint64_t number, bool unsure)
{
    struct spool *s = sh->stream->spool;

    (void)pthread_mutex_lock(&s->lock);
    for (struct segment *g = sh->segments; g != NULL; g = g->next) {
        g->unsure = g->number == number ? unsure : g->unsure;
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* A sync that fails may drop what it could not write, and the next one would say that all is
 * well. */
static bool sync_fd(struct shard *sh, const struct held *h, int fd, const char *path,
                    struct err *e)
{
    bool ok = !h->unsure || write_again(fd, h->end, path, e);

    if (ok && fdatasync(fd) != 0) {
        ok = err_errno(e, errno, "%s: fdatasync", path);
    }
    if (ok == h->unsure) {
        note_unsure(sh, h->number, !ok);
    }
    return ok;
}

static bool sync_file(struct shard *sh, const struct held *h, struct err *e)
{
    char path[PATH_MAX];
    bool ok;
    int fd, why;

    segment_path(sh, h->number, path, sizeof path);
    fd = open(path, (h->unsure ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    why = errno;
    if (fd < 0 && why != ENOENT) {
        return err_errno(e, why, "%s", path);
    }
    if (is_elsewhere(sh, h, fd)) {
        ok = err_errno(e, ESTALE, "%s", path);
    } else {
        ok = fd < 0 || sync_fd(sh, h, fd, path, e);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

bool spool_make_durable(struct spool_consumer *c, uint32_t epoch, uint32_t worker,
                        struct err *e)
{
    struct spool *s = c->stream->spool;
    bool opened, poisoned = false, ok = true;
    struct shard *sh = find(c, epoch, worker, &opened);
    struct held *held = NULL;
    size_t n = 0, room = 0;

    if (sh == NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&s->lock);
    for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
        if (n == room) {
            room = room == 0 ? 16 : 2 * room;
            held = mem_realloc(held, room * sizeof *held);
        }
        held[n++] = (struct held){g->unsure, g->number, tail_end(atomic_load(&g->tail)),
                                  g->dev, g->ino};
        poisoned |= atomic_load(&g->poisoned);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (poisoned) { /* a second sync would say that all is well */
        ok = err_set(e, "a sync of %s/%u.%u failed before", c->stream->name, epoch,
                     worker);
    } else {
        ok = spool_in_place(s, e);
    }
    for (size_t i = 0; ok && i < n; i++) {
        ok = sync_file(sh, &held[i], e);
    }
    free(held);
    return ok;
}
