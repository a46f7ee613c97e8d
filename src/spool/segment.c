/* One segment: a file with a first page. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "spool/blocks.h"
#include "spool/internal.h"

enum { ROOM_LEFT_BYTES = 4 << 20 };

int64_t mono_ms(void)
{
    return (int64_t)(clock_mono_ns() / 1000000u);
}

void shard_path(const struct shard *sh, char *out, size_t n)
{
    (void)snprintf(out, n, "%s/%s/%u.%u", sh->stream->spool->dir, sh->stream->name,
                   sh->epoch, sh->worker);
}

void shard_remove_folder(const struct shard *sh)
{
    char folder[PATH_MAX], probe[PATH_MAX + 8];

    shard_path(sh, folder, sizeof folder);
    (void)snprintf(probe, sizeof probe, "%s/" PROBE_FILE, folder);
    if (rmdir(folder) != 0 && errno == ENOTEMPTY && unlink(probe) == 0) {
        (void)rmdir(folder);
    }
}

void segment_path(const struct shard *sh, uint64_t number, char *out, size_t n)
{
    char dir[PATH_MAX - 32];

    shard_path(sh, dir, sizeof dir);
    (void)snprintf(out, n, "%s/%010lu.seg", dir, (unsigned long)number);
}

static uint32_t random_salt(void)
{
    uint32_t salt = 0;

    while (getrandom(&salt, sizeof salt, 0) != (ssize_t)sizeof salt) {
    }
    return salt;
}

static bool write_page(const struct segment *g, uint64_t first, uint64_t before_end,
                       uint64_t unacked)
{
    const struct shard *sh = g->shard;
    unsigned char bytes[PAGE_BYTES];
    struct page p = {.epoch = sh->epoch,
                     .worker = sh->worker,
                     .number = g->number,
                     .segment_bytes = g->bytes,
                     .first = first,
                     .before_end = before_end,
                     .unacked = unacked,
                     .salt = g->salt};

    memcpy(p.uuid, spool_uuid_at(sh->stream->spool, sh->epoch), sizeof p.uuid);
    (void)snprintf(p.stream, sizeof p.stream, "%s", sh->stream->name);
    page_encode(&p, bytes);
    errno = ENOSPC; /* of a short write */
    return pwrite(g->fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes;
}

bool segment_write_page(struct segment *g, uint64_t first, uint64_t before_end,
                        uint64_t unacked)
{
    if (!write_page(g, first, before_end, unacked)) {
        return false;
    }
    g->first = first;
    atomic_store(&g->unacked, unacked);
    return true;
}

void segment_mark_unsure(const struct segment *g)
{
    unsigned char bytes[PAGE_BYTES];
    struct page p;

    if (blocks_read(g->fd, bytes, sizeof bytes, 0) == 0 && page_decode(bytes, &p)) {
        p.unsure = 1 + (uint32_t)tail_n(segment_kept(g));
        page_encode(&p, bytes);
        (void)!pwrite(g->fd, bytes, sizeof bytes, 0);
    }
}

static void reset(struct segment *g, uint64_t number)
{
    g->number = number;
    g->salt = random_salt();
    g->first = 0;
    atomic_store(&g->begun_ms, 0);
    g->given_up = false;
    atomic_store(&g->unacked, 0);
    g->written_back = PAGE_BYTES;
    atomic_store(&g->tail, tail_of(PAGE_BYTES, 0));
    atomic_store(&g->synced_tail, tail_of(PAGE_BYTES, 0));
    atomic_store(&g->given_tail, tail_of(PAGE_BYTES, 0));
    atomic_store(&g->sealed, false);
    atomic_store(&g->poisoned, false);
    atomic_store(&g->state, SEGMENT_PREPARED);
}

/* Before this returns, a power cut leaves either no such segment, or an empty
 * one with its own salt. */
static bool make_durable(struct segment *g, struct err *e)
{
    char dir[PATH_MAX];

    if (!write_page(g, 0, 0, 0)) {
        return err_errno(e, errno, "write a segment's first page");
    }
    if (fdatasync(g->fd) != 0) {
        return err_errno(e, errno, "fdatasync a new segment");
    }
    shard_path(g->shard, dir, sizeof dir);
    return folder_sync(dir, e);
}

static bool free_bytes(const struct spool *s, uint64_t *bytes)
{
    struct statvfs st;

    if (statvfs(s->dir, &st) != 0) {
        return false;
    }
    *bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return true;
}

/* The last bytes of a disk are for the journals: only a sink that can note its
 * deliveries makes room again. */
bool segment_fits(const struct spool *s, uint64_t n)
{
    uint64_t bytes;

    return !free_bytes(s, &bytes) ||
           bytes >= n * s->conf.segment_bytes + ROOM_LEFT_BYTES;
}

static bool no_room(const struct spool *s, const char *path, struct err *e)
{
    uint64_t bytes = 0;

    (void)free_bytes(s, &bytes);
    return err_set(
        e,
        "%s: No space left on device: a segment takes %lu bytes, and %d stay "
        "free for journals; %lu bytes are free",
        path, (unsigned long)s->conf.segment_bytes, (int)ROOM_LEFT_BYTES,
        (unsigned long)bytes);
}

struct segment *segment_create(struct shard *sh, uint64_t number, struct err *e)
{
    struct segment *g = mem_zalloc(sizeof *g);
    char path[PATH_MAX];
    struct stat st;

    g->shard = sh;
    g->bytes = sh->stream->spool->conf.segment_bytes;
    reset(g, number);
    segment_path(sh, number, path, sizeof path);
    if (!segment_fits(sh->stream->spool, 1)) {
        (void)no_room(sh->stream->spool, path, e);
        free(g);
        return NULL;
    }
    g->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (g->fd < 0) {
        (void)err_errno(e, errno, "%s", path);
        free(g);
        return NULL;
    }
    if (fstat(g->fd, &st) == 0) {
        g->dev = st.st_dev;
        g->ino = st.st_ino;
    }
    if ((fallocate(g->fd, 0, 0, (off_t)g->bytes) != 0 &&
         (errno != EOPNOTSUPP || ftruncate(g->fd, (off_t)g->bytes) != 0) &&
         !err_errno(e, errno, "%s: allocate %lu bytes", path,
                    (unsigned long)g->bytes)) ||
        !make_durable(g, e)) {
        (void)unlink(path);
        segment_close(g);
        return NULL;
    }
    return g;
}

bool segment_fill(struct segment *g, uint64_t bytes, struct err *e)
{
    static const char zeros[256 << 10];
    uint64_t from = g->filled < PAGE_BYTES ? PAGE_BYTES : g->filled;
    uint64_t end = from + bytes < g->bytes ? from + bytes : g->bytes;

    for (uint64_t at = from; at < end;) {
        uint64_t n = end - at < sizeof zeros ? end - at : sizeof zeros;
        ssize_t written = pwrite(g->fd, zeros, n, (off_t)at);

        if (written <= 0) {
            return err_errno(e, errno, "write zeros to a new segment");
        }
        at += (uint64_t)written;
    }
    (void)sync_file_range(g->fd, (off_t)from, (off_t)(end - from),
                          SYNC_FILE_RANGE_WRITE);
    if (end == g->bytes && fdatasync(g->fd) != 0) {
        return err_errno(e, errno, "fdatasync a new segment");
    }
    g->filled = end;
    return true;
}

bool segment_recycle(struct segment *g, uint64_t number, struct err *e)
{
    char from[PATH_MAX], to[PATH_MAX];
    int there;

    segment_path(g->shard, g->number, from, sizeof from);
    segment_path(g->shard, number, to, sizeof to);
    if (!segment_open(g, e)) {
        return false;
    }
    there = presence_of_segment(g);
    if (there != 1) {
        return err_errno(e, there < 0 ? errno : ENOENT, "rename %s", from);
    }
    if (rename(from, to) != 0) {
        return err_errno(e, errno, "rename %s", from);
    }
    reset(g, number);
    return make_durable(g, e);
}

bool segment_open(struct segment *g, struct err *e)
{
    struct spool *s = g->shard->stream->spool;
    char path[PATH_MAX];
    int fd;

    if (g->fd >= 0) {
        return true;
    }
    segment_path(g->shard, g->number, path, sizeof path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    if (presence_of_segment(g) < 0) { /* a sync of another's file would count as its */
        (void)err_errno(e, errno, "%s", path);
        (void)close(fd);
        return false;
    }
    (void)pthread_mutex_lock(&s->lock);
    g->fd = fd;
    (void)pthread_mutex_unlock(&s->lock);
    return true;
}

void segment_shut(struct segment *g)
{
    struct spool *s = g->shard->stream->spool;
    int fd;

    (void)pthread_mutex_lock(&s->lock);
    fd = g->fd;
    g->fd = -1;
    (void)pthread_mutex_unlock(&s->lock);
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Without it the next start takes a damaged last block for one that was cut, and delivers
 * what a failed sync left: clients have been told by now that it is not stored. */
void segment_mark_closed(const struct segment *g)
{
    char mark[BLOCK_HEAD_BYTES];
    uint64_t tail = atomic_load(&g->poisoned) ? segment_kept(g) : atomic_load(&g->tail);

    if (g->fd < 0) {
        return;
    }
    block_seal_closed(mark, g->salt, g->first + tail_n(tail));
    (void)!pwrite(g->fd, mark, sizeof mark, (off_t)tail_end(tail));
}

void segment_close(struct segment *g)
{
    if (g->fd >= 0) {
        (void)close(g->fd);
    }
    free(g);
}
