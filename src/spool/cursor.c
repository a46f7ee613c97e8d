/* Reading a shard: block by block, from a copy, with the crc checked on it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/blocks.h"
#include "spool/internal.h"

enum {
    WINDOW_BYTES = 1 << 20,
    TRY_FIRST_MS =
        50, /* between two tries of a place that can't be read; doubled up to */
    TRY_LAST_MS = 5000,
    TELL_MS = 60000
};

struct spool_cursor {
    struct spool_consumer *consumer;
    struct shard *shard; /* NULL: gone, all of it was released */
    struct place *place;
    struct segment *seg; /* pinned; NULL: not yet in one */
    int fd;              /* of seg; -1: closed */
    uint64_t off;        /* of the next block in seg */
    uint64_t seq;        /* the next event's */
    uint64_t at;         /* the sequence that begins at off; less than seq before it */
    char *window;        /* bytes of seg from window_off */
    size_t window_room, window_n;
    uint64_t window_off;
    int unread; /* errno of the block or the segment; ENOENT: the file is gone */
};

struct spool_cursor *spool_cursor_open(struct spool_consumer *c, struct spool_pos pos)
{
    struct spool_cursor *cur = mem_zalloc(sizeof *cur);
    struct spool *s = c->stream->spool;

    cur->consumer = c;
    cur->fd = -1;
    cur->seq = pos.seq == 0 ? 1 : pos.seq;
    (void)pthread_mutex_lock(&s->lock);
    for (struct shard *sh = c->stream->shards; sh != NULL; sh = sh->next) {
        if (sh->epoch == pos.epoch && sh->worker == pos.worker) {
            cur->shard = sh;
            cur->place = place_of(sh, c);
            sh->cursors++;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return cur;
}

static void shut(struct spool_cursor *cur)
{
    if (cur->fd >= 0) {
        (void)close(cur->fd);
        cur->fd = -1;
    }
}

static void unpin(struct spool_cursor *cur)
{
    shut(cur);
    if (cur->seg != NULL) {
        cur->seg->pins--;
        cur->seg = NULL;
        cur->window_n = 0;
    }
}

void spool_cursor_close(struct spool_cursor *cur)
{
    struct spool *s = cur->consumer->stream->spool;

    (void)pthread_mutex_lock(&s->lock);
    unpin(cur);
    if (cur->shard != NULL) {
        cur->shard->cursors--;
    }
    (void)pthread_mutex_unlock(&s->lock);
    housekeeper_wake(s);
    free(cur->window);
    free(cur);
}

static void pin(struct spool_cursor *cur, struct segment *g)
{
    cur->seg = g;
    g->pins++;
    cur->off = PAGE_BYTES;
    cur->at = g->first;
    cur->window_n = 0;
    /* Not opened under the lock; a file that is open already is used. */
    cur->fd = g->fd >= 0 ? fcntl(g->fd, F_DUPFD_CLOEXEC, 0) : -1;
}

/* False: unread says why. A pinned segment keeps its name; that the file is gone is
 * an operator's doing, unless its folder is, or one above it: a folder that was moved, or
 * a disk that is not mounted any more, has its files still. */
static bool open_segment(struct spool_cursor *cur)
{
    char path[PATH_MAX];
    int there;

    if (cur->fd >= 0) {
        return true;
    }
    segment_path(cur->shard, cur->seg->number, path, sizeof path);
    cur->fd = open(path, O_RDONLY | O_CLOEXEC);
    cur->unread = cur->fd < 0 ? errno : 0;
    if (cur->unread == 0 || cur->unread == ENOENT) {
        there = presence_of_segment(cur->seg);
        if (there < 0 || (there == 1 && cur->unread == ENOENT)) {
            cur->unread = there < 0 ? errno : ESTALE;
            shut(cur);
        }
    }
    return cur->fd >= 0;
}

/* The segment with cur->seq in it, or the first after it; with after, only those after
 * that one. False: there is no such segment (yet). */
static bool enter(struct spool_cursor *cur, uint64_t after)
{
    struct spool *s = cur->consumer->stream->spool;
    struct segment *g;

    (void)pthread_mutex_lock(&s->lock);
    for (g = cur->shard->segments; g != NULL; g = g->next) {
        bool used = g->old || atomic_load(&g->state) == SEGMENT_USED;
        bool open = !g->old && !atomic_load(&g->sealed);

        if (used && g->number > after &&
            (open || segment_written_seq(g) > cur->seq || after > 0)) {
            unpin(cur);
            pin(cur, g);
            break;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return g != NULL;
}

static bool fill(struct spool_cursor *cur, size_t want, uint64_t end)
{
    uint64_t left = end - cur->off;
    size_t n = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;

    n = n < want ? want : n;
    if (n > cur->window_room) {
        cur->window_room = n;
        free(cur->window);
        cur->window = mem_alloc(n + BLOCKS_PAD_BYTES);
    }
    cur->window_n = 0;
    if (!open_segment(cur)) {
        return false;
    }
    cur->unread = blocks_read(cur->fd, cur->window, n, cur->off);
    cur->window_off = cur->off;
    cur->window_n = cur->unread == 0 ? n : 0;
    return cur->unread == 0;
}

/* The block at cur->off, of which bytes up to end may be read. */
static enum block_result load(struct spool_cursor *cur, uint64_t end,
                              struct spool_block *b, size_t *size)
{
    size_t skip = (size_t)(cur->off - cur->window_off);
    enum block_result r = BLOCK_SHORT;

    cur->unread = 0;
    *size = BLOCK_HEAD_BYTES;
    if (cur->window_n > skip) {
        r = block_open(cur->window + skip, cur->window_n - skip, cur->seg->salt, b,
                       size);
    }
    /* Once for the rest of the window, once for a block larger than that. */
    for (int i = 0; i < 2 && r == BLOCK_SHORT; i++) {
        if (cur->off + *size > end || !fill(cur, *size, end)) {
            return BLOCK_BAD;
        }
        r = block_open(cur->window, cur->window_n, cur->seg->salt, b, size);
    }
    return r;
}

static enum spool_read gap(struct spool_cursor *cur, uint64_t to, uint64_t *lost)
{
    *lost = to - cur->seq;
    cur->seq = to;
    return SPOOL_READ_GAP;
}

/* The segment just entered begins after cur->seq. */
static enum spool_read before_first(struct spool_cursor *cur, uint64_t *lost)
{
    bool promised = cur->seg->first - cur->seg->unacked > cur->seq;

    (void)gap(cur, cur->seg->first, lost);
    return promised ? SPOOL_READ_GAP : SPOOL_READ_VOID;
}

/* The sequence after the last event of g that there can be to read now, and the
 * place after its block. */
static uint64_t end_of(const struct segment *g, uint64_t *off)
{
    uint64_t tail = g->old ? atomic_load(&g->tail) : segment_readable(g);

    *off = tail_end(tail);
    return g->old ? g->old_end : g->first + tail_n(tail);
}

/* A block that should be there is not: the next one is searched for, and only the
 * events between are lost, *lost of them for this reader. AGAIN: the disk does not say. */
static enum spool_read damage(struct spool_cursor *cur, uint64_t *lost)
{
    struct segment *g = cur->seg;
    uint64_t off, seq = end_of(g, &off), from = cur->at < cur->seq ? cur->at : cur->seq;
    struct blocks_hit hit;
    int rc;

    if (!open_segment(cur)) {
        return SPOOL_READ_AGAIN;
    }
    rc = blocks_search(cur->fd, g->salt, cur->off + 8, off, from, &hit);
    if (rc != 0 && rc != ENOENT) {
        cur->unread = rc;
        return SPOOL_READ_AGAIN;
    }
    if (rc == 0 && hit.first <= seq) {
        off = hit.off;
        seq = hit.first;
    }
    damage_note(g, cur->fd, cur->off, off, seq - from);
    cur->off = off;
    cur->at = seq;
    cur->window_n = 0;
    return gap(cur, seq > cur->seq ? seq : cur->seq, lost);
}

/* Its file was taken away. */
static enum spool_read gone(struct spool_cursor *cur, uint64_t *lost)
{
    char path[PATH_MAX], quoted[PATH_MAX + 16];
    uint64_t seq = end_of(cur->seg, &cur->off);

    segment_path(cur->shard, cur->seg->number, path, sizeof path);
    log_write(LOG_ERROR, "segment_missing", "file=%s events=%lu sink=%s",
              log_quote(quoted, sizeof quoted, path), (unsigned long)(seq - cur->seq),
              cur->consumer->name);
    return gap(cur, seq, lost);
}

enum step { STEP_READ, STEP_NEXT, STEP_WAIT };

/* The next step at cur->off; *end: how far seg may be read. */
static enum step look(struct spool_cursor *cur, uint64_t *end)
{
    struct segment *g = cur->seg;
    bool sealed = atomic_load(&g->sealed);
    bool poisoned = atomic_load(&g->poisoned);
    uint64_t last = atomic_load(&g->tail);

    if (g->old) {
        *end = tail_end(last);
        return cur->seq < g->old_end ? STEP_READ : STEP_NEXT;
    }
    *end = tail_end(segment_readable(g));
    if (cur->off < *end) {
        return STEP_READ;
    }
    return sealed && (poisoned || cur->off >= tail_end(last)) ? STEP_NEXT : STEP_WAIT;
}

static void tell_unread(const struct spool_cursor *cur, int64_t since_ms)
{
    char path[PATH_MAX], quoted[PATH_MAX + 16], why[ERR_TEXT_MAX + 16];
    struct err e;

    segment_path(cur->shard, cur->seg->number, path, sizeof path);
    (void)err_errno(&e, cur->unread, "read");
    log_write(LOG_WARN, "segment_unreadable",
              "status=unreadable file=%s offset=%lu sink=%s "
              "since_ms=%ld why=%s%s",
              log_quote(quoted, sizeof quoted, path), (unsigned long)cur->off,
              cur->consumer->name, (long)since_ms, log_quote(why, sizeof why, e.text),
              cur->unread == ESTALE
                  ? " hint=\"the spool's folder was moved, or its disk "
                    "is not mounted: put it back\""
              : since_ms > 0 ? " hint=\"sluice inspect --salvage; to give its events "
                               "up, move the file out of the folder\""
                             : "");
}

/* A disk that gives nothing may again: tried for ever, but not all the time. */
static enum spool_read unread(struct spool_cursor *cur)
{
    struct place *h = cur->place;
    int64_t now = mono_ms();

    if (h->unread_number != cur->seg->number || h->unread_off != cur->off) {
        h->unread_number = cur->seg->number;
        h->unread_off = cur->off;
        h->unread_ms = now;
        h->unread_wait_ms = TRY_FIRST_MS / 2;
        h->unread_told_ms = now - TELL_MS;
    }
    if (now - h->unread_told_ms >= TELL_MS) {
        h->unread_told_ms = now;
        tell_unread(cur, now - h->unread_ms);
    }
    h->unread_wait_ms *= h->unread_wait_ms < TRY_LAST_MS ? 2 : 1;
    h->unread_next_ms = now + h->unread_wait_ms;
    cur->window_n = 0;
    shut(cur); /* opened again, it shows whether the file is there still */
    return SPOOL_READ_AGAIN;
}

/* The place that could not be read was read. */
static void is_read(struct place *h)
{
    if (h->unread_number != 0) {
        h->unread_number = 0;
        h->unread_next_ms = 0;
    }
}

static enum spool_read read_block(struct spool_cursor *cur, uint64_t end,
                                  struct spool_block *out, uint64_t *lost, bool *again)
{
    enum block_result r;
    size_t size;

    *again = false;
    if (cur->place->unread_next_ms != 0 && mono_ms() < cur->place->unread_next_ms) {
        return SPOOL_READ_AGAIN;
    }
    r = load(cur, end, out, &size);
    if (r != BLOCK_OK && cur->unread == 0) {
        enum spool_read lost_there = damage(cur, lost);

        if (cur->unread == 0) {
            is_read(cur->place);
            *again = *lost == 0; /* those before it are not asked for */
            return lost_there;
        }
    }
    if (r != BLOCK_OK) {
        return cur->unread == ENOENT ? gone(cur, lost) : unread(cur);
    }
    is_read(cur->place);
    if (out->first + out->n <= cur->seq) {
        cur->off += size;
        cur->at = out->first + out->n;
        *again = true;
        return SPOOL_READ_AGAIN;
    }
    if (out->first > cur->seq) {
        return gap(cur, out->first, lost);
    }
    cur->off += size;
    cur->seq = cur->at = out->first + out->n;
    ages_note(cur->place, out->first, cur->seq, out->wall_ms);
    return SPOOL_READ_OK;
}

/* Whether the next block is `given`, all of it before `end`: then it was taken. */
static bool pass(struct spool_cursor *cur, const struct spool_written *given,
                 uint64_t end, struct spool_block *out)
{
    const struct segment *g = cur->seg;

    if (g->old || g->number != given->number || cur->off != given->off ||
        cur->seq != given->first || given->bytes > end - cur->off) {
        return false;
    }
    is_read(cur->place);
    *out = (struct spool_block){.first = given->first,
                                .n = given->n,
                                .payload_bytes = given->payload_bytes,
                                .wall_ms = given->wall_ms,
                                .policy8 = given->policy8};
    cur->off += given->bytes;
    cur->seq = cur->at = given->first + given->n;
    ages_note(cur->place, given->first, cur->seq, given->wall_ms);
    return true;
}

/* The disk has not told yet which events the shard has. */
static bool unknown(const struct spool_cursor *cur)
{
    struct spool *s = cur->consumer->stream->spool;
    bool is;

    (void)pthread_mutex_lock(&s->lock);
    is = cur->shard->unknown;
    (void)pthread_mutex_unlock(&s->lock);
    return is;
}

enum spool_read spool_cursor_next(struct spool_cursor *cur, struct spool_block *out,
                                  uint64_t *lost)
{
    return spool_cursor_next_but(cur, NULL, out, lost);
}

enum spool_read spool_cursor_next_but(struct spool_cursor *cur,
                                      const struct spool_written *given,
                                      struct spool_block *out, uint64_t *lost)
{
    bool again = true;
    enum spool_read r = SPOOL_READ_AGAIN;

    *lost = 0;
    if (cur->shard == NULL) {
        return SPOOL_READ_END;
    }
    while (again) {
        /* Asked first: its events may become known meanwhile. */
        bool ends =
            cur->shard->epoch != cur->consumer->stream->spool->epoch && !unknown(cur);
        uint64_t end, skipped = atomic_load(&cur->place->released);

        if (skipped > cur->seq) {
            (void)pthread_mutex_lock(&cur->consumer->stream->spool->lock);
            unpin(cur);
            (void)pthread_mutex_unlock(&cur->consumer->stream->spool->lock);
            return gap(cur, skipped, lost);
        }
        if (cur->seg == NULL) {
            if (!enter(cur, 0)) {
                return ends ? SPOOL_READ_END : SPOOL_READ_AGAIN;
            }
            if (cur->seg->first > cur->seq) {
                return before_first(cur, lost);
            }
        }
        switch (look(cur, &end)) {
        case STEP_READ:
            if (given != NULL && pass(cur, given, end, out)) {
                return SPOOL_READ_OK;
            }
            r = read_block(cur, end, out, lost, &again);
            break;
        case STEP_NEXT:
            if (!enter(cur, cur->seg->number)) {
                return ends ? SPOOL_READ_END : SPOOL_READ_AGAIN;
            }
            if (cur->seg->first > cur->seq) {
                return before_first(cur, lost);
            }
            break;
        default:
            return SPOOL_READ_AGAIN;
        }
    }
    return r;
}

uint64_t spool_cursor_skipping(const struct spool_cursor *cur)
{
    uint64_t released = cur->shard == NULL ? 0 : atomic_load(&cur->place->released);

    return released != UINT64_MAX && released > cur->seq ? released - cur->seq : 0;
}

void spool_cursor_rest(struct spool_cursor *cur)
{
    struct spool *s = cur->consumer->stream->spool;

    if (cur->seg == NULL || atomic_load(&cur->place->released) <= cur->seq) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    unpin(cur);
    (void)pthread_mutex_unlock(&s->lock);
    housekeeper_wake(s);
}

void spool_cursor_release(struct spool_cursor *cur, uint64_t seq)
{
    uint64_t before;

    if (cur->shard == NULL) {
        return;
    }
    /* The housekeeper moves it too, when it skips. */
    before = atomic_load(&cur->place->released);
    while (seq > before) {
        if (atomic_compare_exchange_weak(&cur->place->released, &before, seq)) {
            housekeeper_wake(cur->consumer->stream->spool);
            return;
        }
    }
}
