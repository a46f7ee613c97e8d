/* Bytes of a segment that were a block once and are not any more: counted and told
 * once, and kept in spool/damaged for an operator; also whole files that are not ours
 * to read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/blocks.h"
#include "spool/internal.h"

enum { COPY_MAX = 4 << 20 /* more: the whole segment is kept, by a rename */ };

/* spool/damaged/STREAM-E.W-NUMBER, with the offset or without. */
static void aside_path(const struct segment *g, const char *tail, char *out, size_t n)
{
    const struct shard *sh = g->shard;

    (void)snprintf(out, n, "%s/%s/%s-%u.%u-%lu%s", sh->stream->spool->dir, DAMAGED_DIR,
                   sh->stream->name, sh->epoch, sh->worker, (unsigned long)g->number,
                   tail);
}

static bool make_folder(const struct spool *s)
{
    char path[PATH_MAX];

    if (identity_in_place(s) != 1) { /* another spool's, or none */
        errno = ESTALE;
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/%s", s->dir, DAMAGED_DIR);
    return mkdir(path, 0750) == 0 || errno == EEXIST;
}

static bool copy(const struct segment *g, int fd, uint64_t from, uint64_t to,
                 char *path, size_t room)
{
    char tail[32];
    size_t n = (size_t)(to - from);
    char *bytes;
    bool ok;
    int out;

    (void)snprintf(tail, sizeof tail, "-%lu", (unsigned long)from);
    aside_path(g, tail, path, room);
    if (!make_folder(g->shard->stream->spool)) {
        return false;
    }
    out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (out < 0) {
        return errno == EEXIST; /* by an earlier process */
    }
    bytes = mem_alloc(n);
    ok = blocks_read(fd, bytes, n, from) == 0 && write(out, bytes, n) == (ssize_t)n;
    free(bytes);
    (void)close(out);
    if (!ok) {
        (void)unlink(path);
    }
    return ok;
}

void damage_note(struct segment *g, int fd, uint64_t from, uint64_t to, uint64_t events)
{
    struct stream *st = g->shard->stream;
    char file[PATH_MAX], kept[PATH_MAX], quoted[PATH_MAX + 16], word[PATH_MAX + 16];
    uint64_t before = atomic_load(&g->damaged_to);

    /* Each sink comes along here. */
    do {
        if (before > from) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&g->damaged_to, &before,
                                           to > from ? to : from + 1));
    if (before == 0) {
        stats_add_shared(st->damaged, 1);
    }
    stats_add_shared(st->damaged_blocks, 1);
    stats_add_shared(st->damaged_events, events);
    segment_path(g->shard, g->number, file, sizeof file);
    if (to <= from) {
        (void)snprintf(kept, sizeof kept, "nothing");
    } else if (to - from > COPY_MAX || !copy(g, fd, from, to, kept, sizeof kept)) {
        atomic_store(&g->damaged, true);
        aside_path(g, ".seg", kept, sizeof kept);
    }
    log_write(LOG_ERROR, "block_damaged",
              "file=%s offset=%lu bytes=%lu events=%lu kept=%s",
              log_quote(quoted, sizeof quoted, file), (unsigned long)from,
              (unsigned long)(to - from), (unsigned long)events,
              log_word(word, sizeof word, kept));
}

void damage_torn(struct segment *g, int fd, uint64_t from, uint64_t to)
{
    char file[PATH_MAX], kept[PATH_MAX], quoted[PATH_MAX + 16], word[PATH_MAX + 16];

    segment_path(g->shard, g->number, file, sizeof file);
    if (to - from > COPY_MAX || !copy(g, fd, from, to, kept, sizeof kept)) {
        atomic_store(&g->damaged, true);
        aside_path(g, ".seg", kept, sizeof kept);
    }
    log_write(LOG_WARN, "tail_torn",
              "file=%s offset=%lu bytes=%lu kept=%s why=\"the last "
              "block is not whole: the process ended while it wrote the block, or "
              "the block was damaged later\"",
              log_quote(quoted, sizeof quoted, file), (unsigned long)from,
              (unsigned long)(to - from), log_word(word, sizeof word, kept));
}

void damage_cut(struct segment *g)
{
    char file[PATH_MAX], kept[PATH_MAX], quoted[PATH_MAX + 16], word[PATH_MAX + 16];

    stats_add_shared(g->shard->stream->damaged_blocks, 1);
    atomic_store(&g->damaged, true);
    segment_path(g->shard, g->number, file, sizeof file);
    aside_path(g, ".seg", kept, sizeof kept);
    log_write(LOG_ERROR, "block_damaged",
              "file=%s offset=%lu bytes=%lu events=unknown kept=%s",
              log_quote(quoted, sizeof quoted, file), (unsigned long)g->bytes,
              (unsigned long)(g->made_bytes - g->bytes),
              log_word(word, sizeof word, kept));
}

bool damage_try_move(const struct segment *g, const char *path, struct err *e)
{
    char aside[PATH_MAX], quoted[PATH_MAX + 16], word[PATH_MAX + 16];

    aside_path(g, ".seg", aside, sizeof aside);
    if (!make_folder(g->shard->stream->spool) || rename(path, aside) != 0) {
        return err_errno(e, errno, "move %s to %s", path, aside);
    }
    log_write(LOG_WARN, "segment_set_aside", "file=%s kept=%s",
              log_quote(quoted, sizeof quoted, path),
              log_word(word, sizeof word, aside));
    return true;
}

void damage_move(const struct segment *g, const char *path)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!damage_try_move(g, path, &e)) {
        log_write(LOG_ERROR, "segment_not_moved", "why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
}
