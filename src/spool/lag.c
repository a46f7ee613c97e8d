/* How far a consumer is behind: in bytes, and by the age of the oldest event that it has
 * not released. */
#include <string.h>

#include "spool/internal.h"

/* Bytes of g after the sequence `from`: by its share of the events, because the place
 * of each is not known. */
static uint64_t bytes_from(const struct segment *g, uint64_t from)
{
    uint64_t tail = g->old ? atomic_load(&g->tail) : segment_readable(g);
    uint64_t end = segment_end_seq(g), bytes = tail_end(tail) - PAGE_BYTES;

    if (end <= from || end <= g->first || tail_end(tail) <= PAGE_BYTES) {
        return 0;
    }
    return from <= g->first ? bytes
                            : (uint64_t)((double)bytes * (double)(end - from) /
                                         (double)(end - g->first)) +
                                  1;
}

static uint64_t shard_lag(const struct spool_consumer *c, const struct shard *sh)
{
    const struct place *h = place_find(sh, c);
    uint64_t released = h == NULL ? 0 : atomic_load(&h->released);
    uint64_t limit = consumer_limit(c, sh), bytes = 0;

    if (released >= limit) {
        return 0;
    }
    for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
        if (atomic_load(&g->state) == SEGMENT_USED && g->first < limit) {
            uint64_t lag = bytes_from(g, released);
            uint64_t past = limit == UINT64_MAX ? 0 : bytes_from(g, limit);

            bytes += lag > past ? lag - past : 0;
        }
    }
    return sh->unknown ? sh->stream->spool->conf.segment_bytes : bytes;
}

uint64_t consumer_lag(const struct spool_consumer *c)
{
    uint64_t bytes = 0;

    for (const struct shard *sh = c->stream->shards; sh != NULL; sh = sh->next) {
        bytes += shard_lag(c, sh);
    }
    return bytes;
}

uint64_t spool_consumer_lag(const struct spool_consumer *c)
{
    struct spool *s = c->stream->spool;
    uint64_t bytes;

    (void)pthread_mutex_lock(&s->lock);
    bytes = consumer_lag(c);
    (void)pthread_mutex_unlock(&s->lock);
    return bytes;
}

/* ---- age ---- */

void ages_note(struct place *h, uint64_t first, uint64_t end, int64_t wall_ms)
{
    if (end <= h->read_end) {
        return; /* read again */
    }
    if (h->n_ages == AGES_MAX) {
        /* Of two blocks the older one speaks for both. */
        for (uint32_t i = 0; i < AGES_MAX / 2; i++) {
            h->ages[i] = h->ages[2 * i];
        }
        h->n_ages = AGES_MAX / 2;
    }
    h->ages[h->n_ages].first = first;
    h->ages[h->n_ages].wall_ms = wall_ms;
    h->n_ages++;
    h->read_end = end;
}

/* The arrival of that event, if it is the first of a segment of this process; 0: not
 * known. */
static int64_t begun_at(const struct shard *sh, uint64_t seq)
{
    for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
        if (atomic_load(&g->state) == SEGMENT_USED && g->first == seq &&
            segment_end_seq(g) > seq) {
            return atomic_load(&g->begun_ms);
        }
    }
    return 0;
}

/* The arrival of the oldest event that was read and is not released. 0: there is no
 * such event; but where the disk does not give the next block, that of the last one
 * that it gave: the next one came later. A consumer that had to skip all that it has read
 * waits for the first event of a segment. */
static int64_t oldest_of(struct place *h, const struct shard *sh)
{
    uint64_t released = atomic_load(&h->released);
    uint32_t n = 0;

    while (n + 1 < h->n_ages && h->ages[n + 1].first <= released) {
        n++;
    }
    h->n_ages -= n;
    memmove(h->ages, h->ages + n, h->n_ages * sizeof h->ages[0]);
    if (released >= h->read_end && h->unread_number == 0) {
        return begun_at(sh, released);
    }
    return h->n_ages == 0 ? 0 : h->ages[0].wall_ms;
}

int64_t spool_consumer_oldest(const struct spool_consumer *c)
{
    struct spool *s = c->stream->spool;
    int64_t oldest = 0;

    (void)pthread_mutex_lock(&s->lock);
    for (const struct shard *sh = c->stream->shards; sh != NULL; sh = sh->next) {
        int64_t at = 0;

        for (struct place *h = sh->places; h != NULL; h = h->next) {
            if (h->consumer == c && shard_lag(c, sh) > 0) {
                at = oldest_of(h, sh);
            }
        }
        oldest = at != 0 && (oldest == 0 || at < oldest) ? at : oldest;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return oldest;
}
