/* Reading a shard: block by block, from a copy, with the crc checked on it. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "spool/state.h"

enum {
    WINDOW_BYTES = 1 << 20,
    READ_AGAIN_MS = 10000 /* then what can't be read is lost */
};

struct spool_cursor {
    struct spool_consumer *consumer;
    struct shard *shard;  /* NULL: gone, all of it was released */
    struct hold *hold;
    struct segment *seg;  /* pinned; NULL: not yet in one */
    uint64_t off;         /* of the next block in seg */
    uint64_t seq;         /* the next event's */
    char *window;         /* bytes of seg from window_off */
    size_t window_room, window_n;
    uint64_t window_off;
    bool unread;          /* the disk did not give the block */
};

struct spool_cursor *spool_cursor_open(struct spool_consumer *c,
                                       struct spool_pos pos)
{
    struct spool_cursor *cur = mem_zalloc(sizeof *cur);
    struct spool *s = c->stream->spool;

    cur->consumer = c;
    cur->seq = pos.seq == 0 ? 1 : pos.seq;
    (void)pthread_mutex_lock(&s->lock);
    for (struct shard *sh = c->stream->shards; sh != NULL; sh = sh->next) {
        if (sh->epoch == pos.epoch && sh->worker == pos.worker) {
            cur->shard = sh;
            cur->hold = hold_of(sh, c);
            sh->cursors++;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return cur;
}

static void unpin(struct spool_cursor *cur)
{
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
    keeper_wake(s);
    free(cur->window);
    free(cur);
}

static void pin(struct spool_cursor *cur, struct segment *g)
{
    cur->seg = g;
    g->pins++;
    cur->off = PAGE_BYTES;
    cur->window_n = 0;
}

/* The segment with cur->seq in it, or the first behind it; with after, only
 * those behind that one. False: there is none (yet). */
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
    ssize_t got;

    n = n < want ? want : n;
    if (n > cur->window_room) {
        cur->window_room = n;
        free(cur->window);
        cur->window = mem_alloc(n);
    }
    got = pread(cur->seg->fd, cur->window, n, (off_t)cur->off);
    cur->window_off = cur->off;
    cur->window_n = got > 0 ? (size_t)got : 0;
    cur->unread = got != (ssize_t)n;
    return !cur->unread;
}

/* The block at cur->off, of which bytes up to end may be read. */
static enum block_result load(struct spool_cursor *cur, uint64_t end,
                              struct spool_block *b, size_t *size)
{
    size_t skip = (size_t)(cur->off - cur->window_off);
    enum block_result r = BLOCK_SHORT;

    cur->unread = false;
    *size = BLOCK_HEAD_BYTES;
    if (cur->window_n > skip) {
        r = block_open(cur->window + skip, cur->window_n - skip, cur->seg->salt,
                       b, size);
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

static enum spool_read gap(struct spool_cursor *cur, uint64_t to,
                           uint64_t *lost)
{
    *lost = to - cur->seq;
    cur->seq = to;
    return SPOOL_READ_GAP;
}

/* The segment just entered begins behind cur->seq. */
static enum spool_read before_first(struct spool_cursor *cur, uint64_t *lost)
{
    bool promised = cur->seg->first - cur->seg->unacked > cur->seq;

    (void)gap(cur, cur->seg->first, lost);
    return promised ? SPOOL_READ_GAP : SPOOL_READ_VOID;
}

/* A block that should be there is none: what is left of its segment is lost. */
static enum spool_read damage(struct spool_cursor *cur, uint64_t *lost)
{
    struct segment *g = cur->seg;
    uint64_t end = g->old ? g->old_end
                          : g->first + tail_n(segment_readable(g));
    char path[PATH_MAX];

    segment_path(cur->shard, g->number, path, sizeof path);
    log_write(LOG_ERROR, "spool",
              "status=damaged file=%s offset=%lu lost=%lu sink=%s", path,
              (unsigned long)cur->off, (unsigned long)(end - cur->seq),
              cur->consumer->name);
    g->damaged = true;
    stats_add_shared(cur->consumer->stream->damaged, 1);
    cur->off = g->old ? g->bytes : tail_end(segment_readable(g));
    return gap(cur, end, lost);
}

enum step { STEP_READ, STEP_NEXT, STEP_WAIT };

/* What is to be done at cur->off; *end: how far seg may be read. */
static enum step look(struct spool_cursor *cur, uint64_t *end)
{
    struct segment *g = cur->seg;
    bool sealed = atomic_load(&g->sealed);
    bool poisoned = atomic_load(&g->poisoned);
    uint64_t last = tail_end(atomic_load(&g->tail));

    if (g->old) {
        *end = g->bytes;
        return cur->seq < g->old_end ? STEP_READ : STEP_NEXT;
    }
    *end = tail_end(segment_readable(g));
    if (cur->off < *end) {
        return STEP_READ;
    }
    return sealed && (poisoned || cur->off >= last) ? STEP_NEXT : STEP_WAIT;
}

/* A disk that gives nothing may again: only after a while that is damage. */
static bool may_come_back(struct spool_cursor *cur)
{
    struct hold *h = cur->hold;
    int64_t now = mono_ms();
    char path[PATH_MAX];

    if (!cur->unread) {
        return false;
    }
    if (h->unread_number != cur->seg->number || h->unread_off != cur->off) {
        h->unread_number = cur->seg->number;
        h->unread_off = cur->off;
        h->unread_ms = now;
        segment_path(cur->shard, cur->seg->number, path, sizeof path);
        log_write(LOG_WARN, "spool", "status=unreadable file=%s offset=%lu sink=%s",
                  path, (unsigned long)cur->off, cur->consumer->name);
    }
    cur->window_n = 0;
    return now - h->unread_ms < READ_AGAIN_MS;
}

static enum spool_read read_block(struct spool_cursor *cur, uint64_t end,
                                  struct spool_block *out, uint64_t *lost,
                                  bool *again)
{
    size_t size;

    *again = false;
    if (load(cur, end, out, &size) != BLOCK_OK) {
        return may_come_back(cur) ? SPOOL_READ_AGAIN : damage(cur, lost);
    }
    if (out->first + out->n <= cur->seq) {
        cur->off += size;
        *again = true;
        return SPOOL_READ_AGAIN;
    }
    if (out->first > cur->seq) {
        return gap(cur, out->first, lost);
    }
    cur->off += size;
    cur->seq = out->first + out->n;
    return SPOOL_READ_OK;
}

enum spool_read spool_cursor_next(struct spool_cursor *cur,
                                  struct spool_block *out, uint64_t *lost)
{
    bool again = true;
    enum spool_read r = SPOOL_READ_AGAIN;

    *lost = 0;
    if (cur->shard == NULL) {
        return SPOOL_READ_END;
    }
    while (again) {
        bool old = cur->shard->epoch != cur->consumer->stream->spool->epoch;
        uint64_t end, skipped = atomic_load(&cur->hold->released);

        if (skipped > cur->seq) {
            (void)pthread_mutex_lock(&cur->consumer->stream->spool->lock);
            unpin(cur);
            (void)pthread_mutex_unlock(&cur->consumer->stream->spool->lock);
            return gap(cur, skipped, lost);
        }
        if (cur->seg == NULL) {
            if (!enter(cur, 0)) {
                return old ? SPOOL_READ_END : SPOOL_READ_AGAIN;
            }
            if (cur->seg->first > cur->seq) {
                return before_first(cur, lost);
            }
        }
        switch (look(cur, &end)) {
        case STEP_READ:
            r = read_block(cur, end, out, lost, &again);
            break;
        case STEP_NEXT:
            if (!enter(cur, cur->seg->number)) {
                return old ? SPOOL_READ_END : SPOOL_READ_AGAIN;
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
    uint64_t released = cur->shard == NULL ? 0 : atomic_load(&cur->hold->released);

    return released != UINT64_MAX && released > cur->seq ? released - cur->seq : 0;
}

void spool_cursor_rest(struct spool_cursor *cur)
{
    struct spool *s = cur->consumer->stream->spool;

    if (cur->seg == NULL || atomic_load(&cur->hold->released) <= cur->seq) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    unpin(cur);
    (void)pthread_mutex_unlock(&s->lock);
    keeper_wake(s);
}

void spool_cursor_release(struct spool_cursor *cur, uint64_t seq)
{
    uint64_t before;

    if (cur->shard == NULL) {
        return;
    }
    /* The housekeeper moves it too, when it skips. */
    before = atomic_load(&cur->hold->released);
    while (seq > before) {
        if (atomic_compare_exchange_weak(&cur->hold->released, &before, seq)) {
            keeper_wake(cur->consumer->stream->spool);
            return;
        }
    }
}
