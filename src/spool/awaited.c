/* The progress that ack = "delivered" waits for: how far all awaited sinks have come,
 * the events that they let go unconfirmed, and whether they can deliver at all. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "spool/internal.h"
#include "spool/writer.h"

uint64_t shard_awaited(const struct shard *sh)
{
    const struct stream *st = sh->stream;
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < st->n_consumers; i++) {
        const struct place *h = place_find(sh, st->consumers[i]);
        uint64_t seq = h == NULL ? 0 : atomic_load(&h->released);

        if (st->consumers[i]->leaving || st->consumers[i]->conf.passive) {
            continue;
        }
        seq = h != NULL && h->joined > seq ? h->joined : seq;
        least = seq < least ? seq : least;
    }
    return least;
}

/* ---- unconfirmed events ---- */

/* The first of the list that ends at or after first. */
static uint32_t find(const struct marks *m, uint64_t first)
{
    uint32_t low = 0, high = m->n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (m->list[mid].end < first) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void cut(struct marks *m, uint32_t at, uint32_t n)
{
    memmove(m->list + at, m->list + at + n, (m->n - at - n) * sizeof *m->list);
    m->n -= n;
}

void marks_add(struct shard *sh, enum spool_unconfirmed how, uint64_t first,
               uint64_t end)
{
    struct marks *m = &sh->unconfirmed[how];
    uint32_t at = find(m, first), n = 0;

    while (at + n < m->n && m->list[at + n].first <= end) {
        first = m->list[at + n].first < first ? m->list[at + n].first : first;
        end = m->list[at + n].end > end ? m->list[at + n].end : end;
        n++;
    }
    if (n > 0) {
        m->list[at].first = first;
        m->list[at].end = end;
        cut(m, at + 1, n - 1);
    } else {
        if (m->n == MARKS_MAX) { /* the oldest: no request waits for it any more */
            cut(m, 0, 1);
            at -= at > 0;
        }
        if (m->n == m->room) {
            m->room = m->room == 0 ? 16 : 2 * m->room;
            m->list = mem_realloc(m->list, m->room * sizeof *m->list);
        }
        memmove(m->list + at + 1, m->list + at, (m->n - at) * sizeof *m->list);
        m->list[at].first = first;
        m->list[at].end = end;
        m->n++;
    }
    atomic_store(&sh->n_unconfirmed,
                 sh->unconfirmed[SPOOL_DEAD].n + sh->unconfirmed[SPOOL_SKIPPED].n);
}

void marks_free(struct shard *sh)
{
    for (int i = 0; i < SPOOL_UNCONFIRMED; i++) {
        free(sh->unconfirmed[i].list);
    }
}

void spool_consumer_note(struct spool_consumer *c, struct spool_pos pos, uint64_t n,
                         enum spool_unconfirmed how)
{
    struct stream *st = c->stream;

    if (!atomic_load(&st->delivered) || pos.epoch != st->spool->epoch) {
        return;
    }
    (void)pthread_mutex_lock(&st->spool->lock);
    for (struct shard *sh = st->shards; sh != NULL && !c->leaving; sh = sh->next) {
        if (sh->epoch == pos.epoch && sh->worker == pos.worker) {
            marks_add(sh, how, pos.seq, pos.seq + n);
        }
    }
    (void)pthread_mutex_unlock(&st->spool->lock);
}

static uint64_t count(const struct marks *m, uint64_t first, uint64_t end)
{
    uint64_t n = 0;

    for (uint32_t i = find(m, first + 1); i < m->n && m->list[i].first < end; i++) {
        uint64_t a = m->list[i].first > first ? m->list[i].first : first;
        uint64_t b = m->list[i].end < end ? m->list[i].end : end;

        n += b - a;
    }
    return n;
}

void spool_writer_unconfirmed(const struct spool_writer *w, uint64_t first, uint64_t n,
                              uint64_t *dead, uint64_t *skipped)
{
    struct shard *sh = w->shard;
    struct spool *s = sh->stream->spool;

    *dead = *skipped = 0;
    if (atomic_load(&sh->n_unconfirmed) == 0) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    *dead = count(&sh->unconfirmed[SPOOL_DEAD], first, first + n);
    *skipped = count(&sh->unconfirmed[SPOOL_SKIPPED], first, first + n);
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- sinks that can't deliver ---- */

void stream_count_blocked(struct stream *st)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < st->n_consumers; i++) {
        n += st->consumers[i]->blocked && !st->consumers[i]->leaving;
    }
    atomic_store(&st->blocked, n);
}

void spool_consumer_block(struct spool_consumer *c, bool blocked)
{
    struct stream *st = c->stream;

    (void)pthread_mutex_lock(&st->spool->lock);
    c->blocked = blocked;
    stream_count_blocked(st);
    (void)pthread_mutex_unlock(&st->spool->lock);
}

bool spool_blocked(const struct spool *s, int stream)
{
    return atomic_load_explicit(&s->streams[stream]->blocked, memory_order_relaxed) > 0;
}
