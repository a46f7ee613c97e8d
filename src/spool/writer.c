/* A worker's end of a shard: events are gathered, then written as one block. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/mem.h"
#include "spool/internal.h"
#include "spool/writer.h"

enum {
    BYTES_FIRST = 64 << 10,
    ENTRIES_FIRST = 256,
    BYTES_KEPT = 4 << 20,
    BYTES_PAD = 24, /* readable after an event's text: member_find wants 16 */
    FIRST_SEGMENT_MS = 5000,
    WRITE_TRIES = 3 /* in one segment: where a bad place is, others may be good */
};

static struct shard *make_shard(struct stream *st, uint32_t worker)
{
    struct shard *sh = mem_zalloc(sizeof *sh);
    struct shard **at = &st->shards;

    sh->stream = st;
    sh->epoch = st->spool->epoch;
    sh->worker = worker;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = sh;
    return sh;
}

struct spool_writer *spool_writer_open(struct spool *s, int stream, uint32_t worker,
                                       spool_wake_fn *wake, void *wake_arg)
{
    struct stream *st = s->streams[stream];
    struct spool_writer *w = mem_zalloc(sizeof *w);
    struct shard *sh;

    w->wake = wake;
    w->wake_arg = wake_arg;
    w->next_seq = 1;
    w->room = BYTES_FIRST;
    w->bytes = mem_alloc(BLOCK_HEAD_BYTES + w->room + BYTES_PAD);
    w->entries_room = ENTRIES_FIRST;
    w->entries = mem_alloc(w->entries_room * sizeof *w->entries);
    (void)pthread_mutex_lock(&s->lock);
    sh = make_shard(st, worker);
    sh->writer = w;
    sh->opened = true;
    w->shard = sh;
    w->waits = atomic_load(&st->synced);
    roll_wait(s, sh, FIRST_SEGMENT_MS);
    (void)pthread_mutex_unlock(&s->lock);
    atomic_store(&st->live[worker], sh);
    return w;
}

void spool_writer_close(struct spool_writer *w)
{
    struct shard *sh = w->shard;
    struct spool *s = sh->stream->spool;

    atomic_store(&sh->stream->live[sh->worker], NULL);
    (void)pthread_mutex_lock(&s->lock);
    sh->writer = NULL;
    sh->opened = false;
    (void)pthread_mutex_unlock(&s->lock);
    free(w->bytes);
    free(w->entries);
    free(w->identities);
    free(w->notes);
    free(w);
}

void spool_writer_waits(struct spool_writer *w, bool waits)
{
    w->waits = waits;
}

static uint64_t block_max(const struct spool_writer *w)
{
    uint64_t most = w->shard->stream->spool->conf.segment_bytes - PAGE_BYTES;

    return most < UINT32_MAX ? most : UINT32_MAX;
}

size_t spool_writer_most(const struct spool_writer *w)
{
    return block_max(w) - block_size(1, 1, w->identified);
}

static void grow(struct spool_writer *w, uint32_t need)
{
    while (w->room < need) {
        w->room *= 2;
    }
    w->bytes = mem_realloc(w->bytes, BLOCK_HEAD_BYTES + w->room + BYTES_PAD);
}

char *spool_writer_room(struct spool_writer *w, size_t n)
{
    uint64_t payload = (uint64_t)w->n_bytes + n + 1;
    uint64_t size = payload > UINT32_MAX
                        ? 0
                        : block_size((uint32_t)payload, w->n + 1, w->identified);

    /* One request may pass SPOOL_BLOCK_BYTES when it began the block. */
    if (size == 0 || size > block_max(w) ||
        (size > SPOOL_BLOCK_BYTES && w->marked > 0)) {
        return NULL;
    }
    if (payload > w->room) {
        grow(w, (uint32_t)payload);
    }
    return w->bytes + BLOCK_HEAD_BYTES + w->n_bytes;
}

void spool_writer_append(struct spool_writer *w, uint32_t n, uint32_t key_off,
                         uint32_t key_len, uint32_t flags)
{
    assert(w->n_bytes + n < w->room + 1);
    if (w->n == w->entries_room) {
        w->entries_room *= 2;
        w->entries = mem_realloc(w->entries, w->entries_room * sizeof *w->entries);
        if (w->identities != NULL) {
            w->identities =
                mem_realloc(w->identities, w->entries_room * sizeof *w->identities);
        }
        if (w->notes != NULL) {
            w->notes = mem_realloc(w->notes, w->entries_room * sizeof *w->notes);
        }
    }
    if (w->identified) {
        w->identities[w->n] = (struct spool_identity){{0, 0}};
    }
    if (UNLIKELY(w->notes != NULL)) {
        w->notes[w->n] = (struct spool_note){0, SPOOL_NOTE_UNKNOWN};
    }
    w->entries[w->n++] = (struct spool_entry){.off = w->n_bytes,
                                              .len = n,
                                              .key_off = key_off,
                                              .key_len = (uint16_t)key_len,
                                              .flags = (uint16_t)flags};
    w->bytes[BLOCK_HEAD_BYTES + w->n_bytes + n] = '\n';
    w->n_bytes += n + 1;
}

bool spool_writer_key(struct spool_writer *w, uint64_t key_hash, bool identified)
{
    if (w->n > 0 && (w->key_hash != key_hash || w->identified != identified)) {
        return false;
    }
    w->key_hash = key_hash;
    w->identified = identified;
    if (identified && w->identities == NULL) {
        w->identities = mem_alloc(w->entries_room * sizeof *w->identities);
    }
    return true;
}

void spool_writer_identify(struct spool_writer *w, const struct spool_identity *id)
{
    assert(w->identified && w->n > 0);
    w->identities[w->n - 1] = *id;
}

void spool_writer_note(struct spool_writer *w, struct spool_note note)
{
    assert(w->n > 0 && w->n <= w->entries_room);
    if (UNLIKELY(w->notes == NULL)) {
        w->notes = mem_zalloc(w->entries_room * sizeof *w->notes);
    }
    w->notes[w->n - 1] = note;
}

struct spool_pending spool_writer_events(const struct spool_writer *w)
{
    return (struct spool_pending){w->bytes + BLOCK_HEAD_BYTES, w->entries, w->notes,
                                  w->n};
}

uint32_t spool_writer_mark(struct spool_writer *w)
{
    w->marked = w->n;
    return w->n;
}

void spool_writer_rollback(struct spool_writer *w, uint32_t mark)
{
    assert(mark <= w->n);
    if (mark < w->n) {
        w->n_bytes = w->entries[mark].off;
        w->n = mark;
        w->marked = w->marked < mark ? w->marked : mark;
    }
}

size_t spool_writer_pending(const struct spool_writer *w)
{
    return w->n == 0 ? 0 : (size_t)block_size(w->n_bytes, w->n, w->identified);
}

size_t spool_writer_event_bytes(const struct spool_writer *w)
{
    return w->n_bytes - w->n;
}

static void empty(struct spool_writer *w)
{
    w->n = 0;
    w->n_bytes = 0;
    w->marked = 0;
    if (w->room > BYTES_KEPT) {
        w->room = BYTES_FIRST;
        w->bytes = mem_realloc(w->bytes, BLOCK_HEAD_BYTES + w->room + BYTES_PAD);
    }
}

static bool write_block(struct spool_writer *w, const struct segment *g, uint64_t end,
                        int64_t wall_ms, uint64_t policy8)
{
    struct block_head h = {.first = w->next_seq,
                           .n = w->n,
                           .payload_bytes = w->n_bytes,
                           .wall_ms = wall_ms,
                           .policy8 = policy8,
                           .key_hash = w->key_hash};
    struct iovec iov[3];
    size_t padded = align8(w->n_bytes);
    ssize_t n;

    memset(w->bytes + BLOCK_HEAD_BYTES + w->n_bytes, 0, padded - w->n_bytes);
    block_seal(&h, g->salt, w->bytes + BLOCK_HEAD_BYTES, w->entries,
               w->identified ? w->identities : NULL);
    memcpy(w->bytes, &h, sizeof h);
    iov[0] = (struct iovec){w->bytes, BLOCK_HEAD_BYTES + padded};
    iov[1] = (struct iovec){w->entries, w->n * sizeof *w->entries};
    iov[2] = (struct iovec){w->identities, w->n * sizeof *w->identities};
    n = pwritev(g->fd, iov, w->identified ? 3 : 2, (off_t)end);
    if (n == (ssize_t)h.block_bytes) {
        return true;
    }
    unwritten_note(w->shard, n < 0 ? errno : ENOSPC);
    w->n_failed++;
    return false;
}

static void told(struct spool_writer *w, uint64_t size)
{
    struct stream *st = w->shard->stream;

    if (atomic_load_explicit(&st->synced, memory_order_relaxed)) {
        housekeeper_wake(st->spool);
        return;
    }
    w->wanted_back += size;
    if (w->wanted_back >= WRITE_BACK_BYTES) {
        w->wanted_back = 0;
        housekeeper_wake(st->spool);
    }
    consumers_wake(st);
}

enum spool_result spool_writer_commit(struct spool_writer *w, int64_t wall_ms,
                                      uint64_t policy8, uint64_t *last)
{
    struct shard *sh = w->shard;
    struct segment *g = atomic_load(&sh->current);
    uint64_t size = spool_writer_pending(w), tail, end;
    enum spool_result r;

    if (w->n == 0) {
        return SPOOL_OK;
    }
    if (g == NULL || atomic_load(&g->poisoned) ||
        tail_end(atomic_load(&g->tail)) + size > g->bytes) {
        r = roll_on(w);
        if (r != SPOOL_OK) {
            empty(w);
            return r;
        }
        g = atomic_load(&sh->current);
    } else if (UNLIKELY(w->n_failed >= WRITE_TRIES)) {
        g = roll_past_bad_place(w);
    }
    tail = atomic_load(&g->tail);
    end = tail_end(tail);
    if (!write_block(w, g, end, wall_ms, policy8)) {
        /* The tail stays: the next block overwrites the bytes there. */
        empty(w);
        return SPOOL_FAILED;
    }
    w->n_failed = 0;
    w->left_ms = 0;
    if (UNLIKELY(atomic_load_explicit(&sh->write_errno, memory_order_relaxed) != 0)) {
        unwritten_forget(sh);
    }
    if (end == PAGE_BYTES) {
        atomic_store(&g->begun_ms, wall_ms);
    }
    tail = tail_of(end + size, tail_n(tail) + w->n);
    atomic_store(&g->tail, tail);
    if (!w->waits) {
        atomic_store(&g->given_tail, tail);
    }
    /* It may have been poisoned meanwhile: either this or poison() sees the other's store. */
    atomic_store(&sh->left, g->bytes - end - size);
    if (UNLIKELY(atomic_load(&g->poisoned))) {
        atomic_store(&sh->left, 0);
    }
    w->written = (struct spool_written){.first = w->next_seq,
                                        .number = g->number,
                                        .off = end,
                                        .wall_ms = wall_ms,
                                        .policy8 = policy8,
                                        .bytes = (uint32_t)size,
                                        .payload_bytes = w->n_bytes,
                                        .n = w->n};
    w->next_seq += w->n;
    *last = w->next_seq - 1;
    empty(w);
    told(w, size);
    return SPOOL_OK;
}

const struct spool_written *spool_writer_written(const struct spool_writer *w)
{
    return &w->written;
}

uint64_t spool_writer_synced(const struct spool_writer *w)
{
    return atomic_load(&w->shard->synced);
}

void spool_writer_want(struct spool_writer *w, uint64_t seq)
{
    struct shard *sh = w->shard;

    if (seq > atomic_load_explicit(&sh->wanted, memory_order_relaxed)) {
        atomic_store(&sh->wanted, seq);
        housekeeper_wake(sh->stream->spool);
    }
}

uint64_t spool_writer_delivered(const struct spool_writer *w)
{
    return atomic_load(&w->shard->delivered);
}

/* gone: of the lost ones those that no consumer gets. */
static bool is_lost(struct shard *sh, uint64_t seq, bool gone)
{
    struct segment *g = atomic_load(&sh->current);
    uint64_t n = atomic_load(&sh->n_lost);

    for (uint64_t i = 0; i < LOST_MAX && i < n; i++) {
        uint64_t from = atomic_load(gone ? &sh->lost[i].gone : &sh->lost[i].from);

        if (seq >= from && seq <= atomic_load(&sh->lost[i].to)) {
            return true;
        }
    }
    return g != NULL && atomic_load(&g->poisoned) &&
           seq >=
               g->first + tail_n(gone ? segment_kept(g) : atomic_load(&g->synced_tail));
}

bool spool_writer_lost(const struct spool_writer *w, uint64_t seq)
{
    return is_lost(w->shard, seq, false);
}

bool spool_writer_gone(const struct spool_writer *w, uint64_t seq)
{
    return is_lost(w->shard, seq, true);
}
