/* Who reads a stream, and up to where each shard is not needed any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "spool/state.h"

struct spool_consumer *spool_consumer_open(struct spool *s, int stream,
                                           const struct spool_consumer_conf *c)
{
    struct stream *st = s->streams[stream];
    struct spool_consumer *k = mem_zalloc(sizeof *k);

    k->stream = st;
    k->conf = *c;
    (void)snprintf(k->name, sizeof k->name, "%s", c->name);
    k->conf.name = k->name;
    (void)pthread_mutex_lock(&s->lock);
    (void)pthread_rwlock_wrlock(&st->watch);
    st->consumers[st->n_consumers++] = k;
    (void)pthread_rwlock_unlock(&st->watch);
    (void)pthread_mutex_unlock(&s->lock);
    return k;
}

static void drop_holds(struct shard *sh, const struct spool_consumer *c)
{
    struct hold **at = &sh->holds;

    while (*at != NULL) {
        struct hold *h = *at;

        if (h->consumer == c) {
            *at = h->next;
            free(h);
        } else {
            at = &h->next;
        }
    }
}

void spool_consumer_close(struct spool_consumer *c)
{
    struct stream *st = c->stream;
    struct spool *s = st->spool;

    (void)pthread_mutex_lock(&s->lock);
    (void)pthread_rwlock_wrlock(&st->watch);
    for (uint32_t i = 0; i < st->n_consumers; i++) {
        if (st->consumers[i] == c) {
            st->consumers[i] = st->consumers[--st->n_consumers];
            break;
        }
    }
    (void)pthread_rwlock_unlock(&st->watch);
    for (struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        drop_holds(sh, c);
    }
    (void)pthread_mutex_unlock(&s->lock);
    free(c);
    keeper_wake(s);
}

void consumers_wake(struct stream *st)
{
    (void)pthread_rwlock_rdlock(&st->watch);
    for (uint32_t i = 0; i < st->n_consumers; i++) {
        st->consumers[i]->conf.wake(st->consumers[i]->conf.wake_arg);
    }
    (void)pthread_rwlock_unlock(&st->watch);
}

static const struct hold *find_hold(const struct shard *sh,
                                    const struct spool_consumer *c)
{
    for (const struct hold *h = sh->holds; h != NULL; h = h->next) {
        if (h->consumer == c) {
            return h;
        }
    }
    return NULL;
}

struct hold *hold_of(struct shard *sh, struct spool_consumer *c)
{
    struct hold *h;

    for (h = sh->holds; h != NULL; h = h->next) {
        if (h->consumer == c) {
            return h;
        }
    }
    h = mem_zalloc(sizeof *h);
    h->consumer = c;
    h->next = sh->holds;
    sh->holds = h;
    return h;
}

uint64_t shard_needed(const struct shard *sh)
{
    const struct stream *st = sh->stream;
    uint64_t least = UINT64_MAX;

    if (st->n_consumers == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < st->n_consumers; i++) {
        const struct hold *h = find_hold(sh, st->consumers[i]);
        uint64_t seq = h == NULL ? 0 : atomic_load(&h->released);

        least = seq < least ? seq : least;
    }
    return least;
}

uint64_t segment_readable(const struct segment *g)
{
    const struct stream *st = g->shard->stream;

    if (atomic_load(&g->poisoned) ||
        atomic_load_explicit(&st->synced, memory_order_relaxed)) {
        return atomic_load(&g->synced_tail);
    }
    return atomic_load(&g->tail);
}

uint64_t segment_end_seq(const struct segment *g)
{
    if (g->old) {
        return g->old_end;
    }
    return atomic_load(&g->state) == SEGMENT_PREPARED
               ? 0
               : g->first + tail_n(segment_readable(g));
}

uint64_t spool_consumer_lag(const struct spool_consumer *c)
{
    const struct stream *st = c->stream;
    uint64_t bytes = 0;

    (void)pthread_mutex_lock(&st->spool->lock);
    for (const struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        const struct hold *h = find_hold(sh, c);
        uint64_t released = h == NULL ? 0 : atomic_load(&h->released);

        for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
            if (atomic_load(&g->state) == SEGMENT_USED &&
                segment_end_seq(g) > released) {
                bytes += g->old ? g->bytes : tail_end(segment_readable(g));
            }
        }
    }
    (void)pthread_mutex_unlock(&st->spool->lock);
    return bytes;
}

/* Old shards whose last event is released are done with; live ones never. */
static bool finished(const struct shard *sh, const struct spool_consumer *c,
                     bool live)
{
    const struct hold *h = find_hold(sh, c);
    const struct segment *last = sh->segments;

    if (live) {
        return false;
    }
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    return last == NULL || (h != NULL &&
            atomic_load(&h->released) >= segment_end_seq(last));
}

uint32_t spool_shards(struct spool_consumer *c, struct spool_shard_id *out,
                      uint32_t max)
{
    struct stream *st = c->stream;
    uint32_t n = 0;

    (void)pthread_mutex_lock(&st->spool->lock);
    for (struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        bool live = sh->epoch == st->spool->epoch;

        if (finished(sh, c, live)) {
            continue;
        }
        if (n < max) {
            uint64_t first = 1, next = 1;

            for (const struct segment *g = sh->segments; g != NULL;
                 g = g->next) {
                uint64_t end = segment_end_seq(g);

                if (g == sh->segments && end > 0) {
                    first = g->first;
                }
                next = end > next ? end : next;
            }
            out[n] = (struct spool_shard_id){.epoch = sh->epoch,
                                             .worker = sh->worker,
                                             .first = first,
                                             .next = next,
                                             .live = live};
        }
        n++;
    }
    (void)pthread_mutex_unlock(&st->spool->lock);
    return n;
}
