/*
 * found - the kind of one file in a shard's folder.
 *
 *   page whole ─► a segment            read by a process that is allowed to be wrong
 *   all zeros  ─► made, never used     about nothing: a file is deleted only when every
 *   page bad   ─► known by its blocks, byte of it was read; a read that fails is
 *                 or set aside         FOUND_UNKNOWN
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/blocks.h"
#include "spool/guess.h"
#include "spool/internal.h"

enum { PIECE_BYTES = 256 << 10 };

/* 0: every byte from `at` on is zero; ENOENT: not; else the errno of a read. */
static int all_zero(int fd, uint64_t at, uint64_t end)
{
    char *piece = mem_alloc(PIECE_BYTES);
    int rc = 0;

    while (rc == 0 && at < end) {
        size_t n = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;

        rc = blocks_read(fd, piece, n, at);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            rc = piece[i] == 0 ? 0 : ENOENT;
        }
        at += n;
    }
    free(piece);
    return rc;
}

static enum found bad_page(struct shard *sh, int fd, const char *path, uint64_t size,
                           struct page *p, int *why)
{
    struct segment g = {.shard = sh};
    char quoted[PATH_MAX + 16];
    int rc = all_zero(fd, 0, size);

    if (rc == 0) {
        (void)unlink(path);
        return FOUND_NOTHING;
    }
    rc = rc == ENOENT ? page_guess(fd, path, size, p) : rc;
    *why = rc;
    if (rc != 0 && rc != ENOENT) {
        return FOUND_UNKNOWN;
    }
    stats_add_shared(sh->stream->damaged, 1);
    stats_add_shared(sh->stream->damaged_blocks, 1);
    log_write(LOG_ERROR, "page_damaged", "file=%s blocks=%s",
              log_quote(quoted, sizeof quoted, path),
              rc == 0 ? "readable" : "unreadable");
    if (rc == 0) {
        return FOUND_BLOCKS;
    }
    g.number = p->number;
    damage_move(&g, path);
    return FOUND_NOTHING;
}

/* ---- a file ---- */

static bool is_ours(const struct shard *sh, const struct page *p)
{
    return memcmp(p->uuid, spool_uuid_at(sh->stream->spool, sh->epoch),
                  sizeof p->uuid) == 0 &&
           strcmp(p->stream, sh->stream->name) == 0 && p->epoch == sh->epoch &&
           p->worker == sh->worker;
}

static enum found read_page(struct shard *sh, int fd, const char *path,
                            struct stat *info, struct page *p, int *why)
{
    unsigned char bytes[PAGE_BYTES] = {0};
    char quoted[PATH_MAX + 16];
    uint64_t size;

    if (fstat(fd, info) != 0) {
        *why = errno;
        return FOUND_UNKNOWN;
    }
    size = (uint64_t)info->st_size;
    *why = blocks_read(fd, bytes, size < sizeof bytes ? (size_t)size : sizeof bytes, 0);
    if (*why != 0) {
        return FOUND_UNKNOWN;
    }
    if (!page_decode(bytes, p)) {
        return bad_page(sh, fd, path, size, p, why);
    }
    if (!is_ours(sh, p)) {
        log_write(LOG_ERROR, "segment_ignored",
                  "file=%s why=\"it belongs to another spool, "
                  "stream or shard\"",
                  log_quote(quoted, sizeof quoted, path));
        return FOUND_NOTHING;
    }
    return FOUND_SEGMENT;
}

enum found found_open(struct shard *sh, const char *path, struct segment **out,
                      struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), why = errno;
    enum found r = FOUND_UNKNOWN;
    struct segment *g;
    struct stat info;
    struct page p;

    if (fd < 0 && why == ENOENT) {
        return FOUND_NOTHING;
    }
    if (fd >= 0) {
        r = read_page(sh, fd, path, &info, &p, &why);
        (void)close(fd);
    }
    if (r == FOUND_UNKNOWN) {
        (void)err_errno(e, why, "%s", path);
    }
    if (r != FOUND_SEGMENT && r != FOUND_BLOCKS) {
        return r;
    }
    g = mem_zalloc(sizeof *g);
    g->shard = sh;
    g->guessed = r == FOUND_BLOCKS;
    g->fd = -1;
    g->number = p.number;
    g->bytes = (uint64_t)info.st_size;
    g->dev = info.st_dev;
    g->ino = info.st_ino;
    g->made_bytes = r == FOUND_SEGMENT ? p.segment_bytes : g->bytes;
    g->salt = p.salt;
    g->first = p.first;
    g->before_end = p.before_end;
    g->unacked = p.unacked;
    g->old = true;
    atomic_store(&g->tail, tail_of(g->bytes, 0));
    atomic_store(&g->state, SEGMENT_USED);
    atomic_store(&g->sealed, true);
    *out = g;
    return r;
}

/* ---- where the blocks end ---- */

/* Whether the block would be the next one with the right sequence: 0, ENOENT or an errno.
 * A block of an earlier use of the segment would not. */
static int look_misnumbered(const struct segment *g, const struct blocks *w,
                            const struct block_head *head)
{
    struct block_head h = *head;

    if (h.magic != BLOCK_MAGIC || h.block_bytes <= sizeof h ||
        h.block_bytes > g->bytes - w->off) {
        return ENOENT;
    }
    h.first = w->next;
    return blocks_check(w->fd, g->salt, &h, w->off);
}

/* The bytes after the last whole block are the beginning of the next one: it was
 * cut, or damaged. */
static int look_torn(struct segment *g, const struct blocks *w)
{
    char head[BLOCK_HEAD_BYTES];
    uint64_t left = g->bytes - w->off, n = SPOOL_BLOCK_BYTES;
    struct block_head h;
    bool sized;
    int rc;

    if (w->next == 0 || g->bytes < w->off || left < sizeof head) {
        return 0;
    }
    rc = blocks_read(w->fd, head, sizeof head, w->off);
    if (rc != 0) {
        return rc;
    }
    memcpy(&h, head, sizeof h);
    sized = h.block_bytes == block_size(h.payload_bytes, h.n, false) ||
            h.block_bytes == block_size(h.payload_bytes, h.n, true);
    rc = h.first != w->next                ? look_misnumbered(g, w, &h)
         : h.magic == BLOCK_MAGIC || sized ? 0
                                           : ENOENT;
    if (rc != 0 && rc != ENOENT) {
        return rc;
    }
    if (rc == 0) {
        n = sized ? h.block_bytes : n;
        damage_torn(g, w->fd, w->off, w->off + (n < left ? n : left));
    }
    return 0;
}

static int blocks_to_end(struct segment *g, struct blocks *w, bool *any)
{
    enum blocks_result r;
    struct spool_block b;

    do {
        r = blocks_next(w, &b);
        if (r == BLOCKS_BLOCK) {
            g->first = g->first == 0 ? b.first : g->first;
            *any = true;
        }
    } while (r == BLOCKS_BLOCK || r == BLOCKS_DAMAGE);
    if (r == BLOCKS_UNREAD) {
        return w->error;
    }
    /* The place where it was closed also tells the bytes after the last whole block. */
    *any |= g->first != 0 && w->next > g->first;
    if (r == BLOCKS_STOP && g->bytes < g->made_bytes) {
        damage_cut(g);
    }
    return r == BLOCKS_STOP ? look_torn(g, w) : 0;
}

bool found_end(struct segment *g, bool *any, struct err *e)
{
    char path[PATH_MAX];
    struct blocks w;
    int fd, rc;

    *any = false;
    segment_path(g->shard, g->number, path, sizeof path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    blocks_init(&w, fd, g->salt, g->bytes, g->first);
    w.search = g->first != 0; /* a prepared one has a page only */
    rc = blocks_to_end(g, &w, any);
    g->old_end = w.next;
    atomic_store(&g->tail, tail_of(w.off < g->bytes ? w.off : g->bytes, 0));
    blocks_fini(&w);
    (void)close(fd);
    return rc == 0 || err_errno(e, rc, "%s", path);
}
