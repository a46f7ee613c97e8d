#include "spool/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/read.h"
#include "spool/format.h"

enum { WINDOW_BYTES = 1 << 20, CHECK_BYTES = 64 << 10 };

int blocks_read(int fd, void *out, size_t n, uint64_t off)
{
    ssize_t got = read_at(fd, out, n, off);

    if (got < 0) {
        return errno;
    }
    return (size_t)got == n ? 0 : EIO;
}

/* ---- the search ---- */

/* Piece by piece: a length that is made up costs no memory. */
static int check(int fd, uint32_t salt, const struct block_head *h, uint64_t off,
                 char *piece)
{
    uint32_t crc = block_head_crc(h, salt);
    uint64_t at = off + BLOCK_HEAD_BYTES, end = off + h->block_bytes;

    while (at < end) {
        size_t n = end - at < CHECK_BYTES ? (size_t)(end - at) : CHECK_BYTES;
        int rc = blocks_read(fd, piece, n, at);

        if (rc != 0) {
            return rc;
        }
        crc = crc32c(crc, piece, n);
        at += n;
    }
    return crc == h->crc ? 0 : ENOENT;
}

int blocks_check(int fd, uint32_t salt, const struct block_head *h, uint64_t off)
{
    char *piece = mem_alloc(CHECK_BYTES);
    int rc = check(fd, salt, h, off, piece);

    free(piece);
    return rc;
}

struct search {
    int fd;
    uint32_t salt;
    uint64_t end, seq;
    char *piece;
    struct blocks_hit *hit;
};

/* The n bytes at p are those of the file from at. Only a head can hold FF at a multiple
 * of 8, because no text does. */
static int search_window(const struct search *s, const char *p, size_t n, uint64_t at)
{
    const char *stop = p + n;

    for (const char *q = p; (q = memchr(q, 0xFF, (size_t)(stop - q))) != NULL; q++) {
        uint64_t off = at + (uint64_t)(q - p);
        struct block_head h;
        int rc;

        if (off % 8 != 0) {
            continue;
        }
        if (stop - q < BLOCK_HEAD_BYTES) {
            return ENOENT; /* the next window begins before it */
        }
        if (!block_head(q, &h) || h.first < s->seq || h.block_bytes > s->end - off) {
            continue;
        }
        rc = check(s->fd, s->salt, &h, off, s->piece);
        if (rc == 0) {
            *s->hit = (struct blocks_hit){off, h.first, h.n == 0};
        }
        if (rc != ENOENT) {
            return rc;
        }
    }
    return ENOENT;
}

int blocks_search(int fd, uint32_t salt, uint64_t from, uint64_t end, uint64_t seq,
                  struct blocks_hit *hit)
{
    struct search s = {fd, salt, end, seq, mem_alloc(CHECK_BYTES), hit};
    char *window = mem_alloc(WINDOW_BYTES);
    uint64_t at = from;
    int rc = ENOENT;

    while (rc == ENOENT && at < end && end - at >= BLOCK_HEAD_BYTES) {
        size_t n = end - at < WINDOW_BYTES ? (size_t)(end - at) : WINDOW_BYTES;

        rc = blocks_read(fd, window, n, at);
        if (rc == 0) {
            rc = search_window(&s, window, n, at);
        }
        at += n < WINDOW_BYTES ? n : n - BLOCK_HEAD_BYTES;
    }
    free(window);
    free(s.piece);
    return rc;
}

/* ---- the walk ---- */

void blocks_init(struct blocks *w, int fd, uint32_t salt, uint64_t end, uint64_t next)
{
    *w = (struct blocks){.fd = fd,
                         .salt = salt,
                         .end = end,
                         .off = PAGE_BYTES,
                         .next = next,
                         .search = true,
                         .room = WINDOW_BYTES};
    w->buf = mem_alloc(w->room + BLOCKS_PAD_BYTES);
}

void blocks_fini(struct blocks *w)
{
    free(w->buf);
    w->buf = NULL;
}

/* At least want bytes from off on are in the window; 0 or an errno. */
static int fill(struct blocks *w, size_t want)
{
    uint64_t left = w->end - w->off;
    size_t n = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
    int rc;

    n = n < want ? want : n;
    if (n > w->room) {
        free(w->buf);
        w->room = n;
        w->buf = mem_alloc(n + BLOCKS_PAD_BYTES);
    }
    w->at = w->off;
    rc = blocks_read(w->fd, w->buf, n, w->off);
    w->n = rc == 0 ? n : 0;
    return rc;
}

/* BLOCK_SHORT: the disk did not give it. */
static enum block_result open_here(struct blocks *w, struct spool_block *b,
                                   size_t *size)
{
    enum block_result r = BLOCK_SHORT;

    *size = BLOCK_HEAD_BYTES;
    for (int i = 0; i < 3 && r == BLOCK_SHORT; i++) {
        size_t skip = (size_t)(w->off - w->at);

        if (w->n > skip) {
            r = block_open(w->buf + skip, w->n - skip, w->salt, b, size);
        }
        if (r == BLOCK_SHORT) {
            if (w->off > w->end || *size > w->end - w->off) {
                return BLOCK_BAD;
            }
            w->error = fill(w, *size);
            if (w->error != 0) {
                return BLOCK_SHORT;
            }
        }
    }
    return r;
}

static bool at_closed_end(struct blocks *w)
{
    size_t skip = (size_t)(w->off - w->at);
    uint64_t next;

    if (w->n <= skip || !block_closed(w->buf + skip, w->n - skip, w->salt, &next) ||
        next < w->next) {
        return false;
    }
    w->closed = true;
    w->next = next;
    return true;
}

void blocks_pass(struct blocks *w, uint64_t until)
{
    while (w->pass <= PASS_ON && !w->closed && w->next != 0 && w->off < w->end) {
        const size_t skip = (size_t)(w->off - w->at);
        char bytes[BLOCK_HEAD_BYTES];
        const char *head = bytes;
        struct block_head h;

        if (w->n > skip && w->n - skip >= sizeof bytes) {
            head = w->buf + skip;
        } else if (blocks_read(w->fd, bytes, sizeof bytes, w->off) != 0) {
            return;
        }
        /* A segment that is used again has old blocks, too, with lower sequences. */
        if (!block_head(head, &h) || h.n == 0 || h.first != w->next ||
            h.first + h.n > until || h.block_bytes > w->end - w->off) {
            return;
        }
        w->last_passed = (struct blocks_place){w->off, w->next};
        w->first_passed = w->pass == PASS_NONE ? w->last_passed : w->first_passed;
        w->pass = PASS_ON;
        w->off += h.block_bytes;
        w->next += h.n;
    }
}

/* Something is wrong after blocks that were passed: a head may have been damaged. The
 * last of them tells, and if that is no block, all are read. */
static bool go_back(struct blocks *w)
{
    struct blocks_place to = w->pass == PASS_ON ? w->last_passed : w->first_passed;

    if (w->pass != PASS_ON && w->pass != PASS_BACK) {
        return false;
    }
    w->pass = w->pass == PASS_ON ? PASS_BACK : PASS_NEVER;
    w->off = to.off;
    w->next = to.next;
    w->n = 0;
    return true;
}

static int look_ahead(const struct blocks *w, struct blocks_hit *hit)
{
    return w->search && w->off <= UINT64_MAX - 8
               ? blocks_search(w->fd, w->salt, w->off + 8, w->end, w->next, hit)
               : ENOENT;
}

static enum blocks_result pass_over(struct blocks *w, int found,
                                    const struct blocks_hit *hit)
{
    if (found == ENOENT) {
        return BLOCKS_STOP;
    }
    if (found != 0) {
        w->error = found;
        return BLOCKS_UNREAD;
    }
    w->damage.from = w->off;
    w->damage.to = hit->off;
    w->damage.lost = w->next == 0 ? 0 : hit->first - w->next;
    w->off = hit->off;
    w->next = hit->first;
    return BLOCKS_DAMAGE;
}

enum blocks_result blocks_next(struct blocks *w, struct spool_block *b)
{
    struct blocks_hit hit;
    enum block_result r;
    int found = ENOENT;
    size_t size;

    if (w->closed) {
        return BLOCKS_CLOSED;
    }
    /* Bad bytes are read again: a writer may have come by since the window was read. */
    for (int i = 0; i < 2; i++) {
        r = open_here(w, b, &size);
        if (r == BLOCK_SHORT) {
            return BLOCKS_UNREAD;
        }
        if (r == BLOCK_OK && b->first >= w->next) {
            w->off += size;
            w->next = b->first + b->n;
            w->pass = w->pass == PASS_NEVER ? PASS_NEVER : PASS_NONE;
            return BLOCKS_BLOCK;
        }
        if (at_closed_end(w)) {
            return BLOCKS_CLOSED;
        }
        if (go_back(w)) {
            i = -1;
            continue;
        }
        if (i == 0) {
            found = look_ahead(w, &hit);
        }
        w->n = 0;
    }
    return pass_over(w, found, &hit);
}
