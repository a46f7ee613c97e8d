/* A quota on disk: a head, then one entry of two words for each key that has used some. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/read.h"
#include "base/write.h"
#include "shared/quota_table.h"

enum { CHUNK = 4096, VERSION = 1 };

struct entry {
    uint64_t hash, n;
};

struct head {
    char magic[8];
    uint32_t version, crc; /* of all that follows crc */
    uint32_t window_s,
        ahead; /* of the window that the epoch began with; 0 of old files */
    uint64_t window, n_entries;
    struct siphash_key key;
};

_Static_assert(sizeof(struct head) == 56 && sizeof(struct entry) == 16, "as on disk");

static const char MAGIC[8] = {'s', 'l', 'u', 'i', 'c', 'e', 'Q', '\n'};

static uint32_t crc_of_head(const struct head *h)
{
    const char *from = (const char *)&h->window_s;

    return crc32c(0, from, sizeof *h - (size_t)(from - (const char *)h));
}

bool quota_unsaved(const struct quota *q)
{
    return atomic_load(&q->unsaved);
}

struct writing {
    int fd;
    uint64_t at;
    uint32_t n, crc;
    uint64_t n_entries;
    struct entry chunk[CHUNK];
};

static bool flush(struct writing *w)
{
    size_t bytes = w->n * sizeof *w->chunk;

    if (!write_at(w->fd, w->chunk, bytes, w->at)) {
        return false;
    }
    w->crc = crc32c(w->crc, w->chunk, bytes);
    w->at += bytes;
    w->n_entries += w->n;
    w->n = 0;
    return true;
}

static bool write_entries(const struct quota *q, uint64_t epoch, struct writing *w)
{
    for (uint64_t i = 0; i < (uint64_t)q->n_sets * QUOTA_WAYS; i++) {
        const struct quota_place *p = &q->sets[i / QUOTA_WAYS].places[i % QUOTA_WAYS];
        uint64_t hash = atomic_load(&p->hash);
        uint64_t n = quota_count(atomic_load(&p->usage), epoch, hash);

        if (hash != 0 && n > 0) {
            w->chunk[w->n++] = (struct entry){hash, n};
            if (w->n == CHUNK && !flush(w)) {
                return false;
            }
        }
    }
    return flush(w);
}

/* How far the clock was set back since the epoch began. */
static uint32_t ahead_of(const struct quota *q, uint64_t now)
{
    uint64_t began = atomic_load(&q->began);
    uint64_t ahead = (began >> EPOCH_BITS) - (now >> EPOCH_BITS);

    return ((began ^ now) & EPOCH_MASK) == 0 && ahead <= UINT32_MAX ? (uint32_t)ahead
                                                                    : 0;
}

/* The head last: it has the checksum of all. */
static bool write_file(const struct quota *q, int fd)
{
    struct writing *w = mem_alloc(sizeof *w);
    uint64_t now = atomic_load(&q->now);
    struct head h = {.version = VERSION, .window_s = q->conf.window_s, .key = q->key};
    bool ok;

    memcpy(h.magic, MAGIC, sizeof h.magic);
    h.window = now >> EPOCH_BITS;
    h.ahead = ahead_of(q, now);
    w->fd = fd;
    w->at = sizeof h;
    w->n = 0;
    w->crc = 0;
    w->n_entries = 0;
    ok = write_entries(q, now & EPOCH_MASK, w);
    h.n_entries = w->n_entries;
    h.crc = crc_of_head(&h) ^ w->crc;
    free(w);
    return ok && write_at(fd, &h, sizeof h, 0) && fdatasync(fd) == 0;
}

static bool replace(struct quota *q, const char *path, const char *draft, struct err *e)
{
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok;

    if (fd < 0) {
        return err_errno(e, errno, "can't make %s", draft);
    }
    ok = write_file(q, fd);
    if (!ok) {
        (void)err_errno(e, errno, "can't write %s", draft);
    }
    (void)close(fd);
    if (!ok) {
        return false;
    }
    if (rename(draft, path) != 0) {
        return err_errno(e, errno, "can't rename %s", draft);
    }
    return folder_sync_of(path, e);
}

bool quota_save(struct quota *q, const char *path, struct err *e)
{
    char draft[PATH_MAX];

    if (snprintf(draft, sizeof draft, "%s.new", path) >= (int)sizeof draft) {
        return err_set(e, "%s: the path is too long", path);
    }
    atomic_store(&q->unsaved, false);
    if (!replace(q, path, draft, e)) {
        atomic_store(&q->unsaved, true);
        (void)unlink(draft);
        return false;
    }
    return true;
}

/* ---- back again ---- */

/* -1: the disk does not give it; 0: it is not whole. */
static int read_whole(int fd, struct head *h, struct entry **list)
{
    struct stat st;
    ssize_t n;
    size_t bytes;

    if (fstat(fd, &st) != 0) {
        return -1;
    }
    n = read_at(fd, h, sizeof *h, 0);
    if (n < 0) {
        return -1;
    }
    bytes = (size_t)st.st_size - sizeof *h;
    if (n != (ssize_t)sizeof *h || memcmp(h->magic, MAGIC, sizeof MAGIC) != 0 ||
        h->version != VERSION || bytes % sizeof **list != 0 ||
        h->n_entries != bytes / sizeof **list) {
        return 0;
    }
    *list = mem_alloc(bytes + 1);
    n = read_at(fd, *list, bytes, sizeof *h);
    return n < 0 ? -1
                 : (size_t)n == bytes &&
                       h->crc == (crc_of_head(h) ^ crc32c(0, *list, bytes));
}

static enum quota_read take_in(struct quota *q, const struct head *h,
                               const struct entry *list)
{
    if (h->window_s != q->conf.window_s || h->window == 0 || h->window > WINDOW_MASK ||
        h->window + h->ahead > WINDOW_MASK) {
        return QUOTA_DAMAGED;
    }
    q->key = h->key;
    atomic_store(&q->now, h->window << EPOCH_BITS | 1);
    atomic_store(&q->began, (h->window + h->ahead) << EPOCH_BITS | 1);
    for (uint64_t i = 0; i < h->n_entries; i++) {
        quota_put(q, list[i].hash, list[i].n);
    }
    return QUOTA_READ;
}

enum quota_read quota_restore(struct quota *q, const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), whole;
    struct entry *list = NULL;
    enum quota_read result;
    struct head h;

    if (fd < 0) {
        result = errno == ENOENT ? QUOTA_NONE : QUOTA_UNREAD;
        (void)err_errno(e, errno, "can't open %s", path);
        return result;
    }
    whole = read_whole(fd, &h, &list);
    if (whole < 0) {
        (void)err_errno(e, errno, "can't read %s", path);
        result = QUOTA_UNREAD;
    } else if (whole == 0) {
        (void)err_set(e, "%s is damaged", path);
        result = QUOTA_DAMAGED;
    } else {
        result = take_in(q, &h, list);
        if (result == QUOTA_DAMAGED) {
            (void)err_set(e, "%s has windows of another length", path);
        }
    }
    free(list);
    (void)close(fd);
    return result;
}
