/* The consumers of a stream, and up to where each shard is not needed any more. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "spool/internal.h"

/* Where the events of sh begin that a request may await from c. */
static uint64_t joins_at(const struct shard *sh, const struct spool_consumer *before)
{
    const struct place *h;

    if (before == NULL || before->leaving) {
        return shard_end(sh);
    }
    h = place_find(sh, before);
    return h == NULL ? 0 : h->joined;
}

struct spool_consumer *spool_consumer_open(struct spool *s, int stream,
                                           const struct spool_consumer_conf *c)
{
    struct stream *st = s->streams[stream];
    struct spool_consumer *k = mem_zalloc(sizeof *k);

    k->stream = st;
    k->conf = *c;
    (void)snprintf(k->name, sizeof k->name, "%s", c->name);
    k->conf.name = k->name;
    k->conf.before = NULL;
    (void)pthread_mutex_lock(&s->lock);
    assert(st->n_consumers < CONSUMERS_MAX);
    (void)pthread_rwlock_wrlock(&st->watch);
    st->consumers[st->n_consumers++] = k;
    (void)pthread_rwlock_unlock(&st->watch);
    for (struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        place_of(sh, k)->joined = joins_at(sh, c->before);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return k;
}

static void drop_holds(struct shard *sh, const struct spool_consumer *c)
{
    struct place **at = &sh->places;

    while (*at != NULL) {
        struct place *h = *at;

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
    st->consumed = c->conf.passive ? st->consumed : consumer_lag(c) == 0;
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
    stream_count_blocked(st);
    (void)pthread_mutex_unlock(&s->lock);
    free(c->ends);
    free(c);
    housekeeper_wake(s);
}

void spool_consumer_apply(struct spool_consumer *c, bool skip, uint64_t max_lag_bytes)
{
    struct spool *s = c->stream->spool;

    (void)pthread_mutex_lock(&s->lock);
    c->conf.skip = skip;
    c->conf.max_lag_bytes = max_lag_bytes;
    (void)pthread_mutex_unlock(&s->lock);
}

static void set_ends(struct spool_consumer *c, bool leaving, uint32_t epoch,
                     const struct spool_pos *ends, uint32_t n)
{
    struct spool *s = c->stream->spool;

    (void)pthread_mutex_lock(&s->lock);
    c->leaving = leaving;
    c->ends_epoch = epoch;
    free(c->ends);
    c->ends = mem_alloc((n + 1) * sizeof *ends);
    c->n_ends = n;
    if (n > 0) {
        memcpy(c->ends, ends, n * sizeof *ends);
    }
    stream_count_blocked(c->stream);
    (void)pthread_mutex_unlock(&s->lock);
    housekeeper_wake(s);
}

void spool_consumer_leave(struct spool_consumer *c, uint32_t epoch,
                          const struct spool_pos *ends, uint32_t n)
{
    set_ends(c, true, epoch, ends, n);
}

void spool_consumer_return(struct spool_consumer *c)
{
    set_ends(c, false, 0, NULL, 0);
}

uint64_t consumer_limit(const struct spool_consumer *c, const struct shard *sh)
{
    if (!c->leaving || sh->epoch < c->ends_epoch) {
        return UINT64_MAX;
    }
    for (uint32_t i = 0; i < c->n_ends; i++) {
        if (c->ends[i].epoch == sh->epoch && c->ends[i].worker == sh->worker) {
            return c->ends[i].seq;
        }
    }
    return 0;
}

/* The first sequences from *first on that a segment of sh follows and none has. */
static bool find_hole(const struct shard *sh, uint64_t *first, uint64_t *end)
{
    for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
        if (atomic_load(&g->state) != SEGMENT_USED) {
            return false;
        }
        if (g->first > *first) {
            *end = g->first;
            return true;
        }
        if (!g->old && !atomic_load(&g->sealed)) {
            return false;
        }
        /* Not only what can be read by now: a sync may be under way. */
        *first = segment_written_seq(g) > *first ? segment_written_seq(g) : *first;
    }
    return false;
}

bool spool_hole(struct spool_consumer *c, struct spool_pos *pos, uint64_t *end)
{
    struct spool *s = c->stream->spool;
    bool found = false;

    (void)pthread_mutex_lock(&s->lock);
    for (const struct shard *sh = c->stream->shards; sh != NULL; sh = sh->next) {
        if (sh->epoch == pos->epoch && sh->worker == pos->worker) {
            found = find_hole(sh, &pos->seq, end);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return found;
}

void consumers_wake(struct stream *st)
{
    (void)pthread_rwlock_rdlock(&st->watch);
    for (uint32_t i = 0; i < st->n_consumers; i++) {
        st->consumers[i]->conf.wake(st->consumers[i]->conf.wake_arg);
    }
    (void)pthread_rwlock_unlock(&st->watch);
}

const struct place *place_find(const struct shard *sh, const struct spool_consumer *c)
{
    for (const struct place *h = sh->places; h != NULL; h = h->next) {
        if (h->consumer == c) {
            return h;
        }
    }
    return NULL;
}

struct place *place_of(struct shard *sh, struct spool_consumer *c)
{
    struct place *h;

    for (h = sh->places; h != NULL; h = h->next) {
        if (h->consumer == c) {
            return h;
        }
    }
    h = mem_zalloc(sizeof *h);
    h->consumer = c;
    h->next = sh->places;
    sh->places = h;
    return h;
}

uint32_t stream_destinations(const struct stream *st)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < st->n_consumers; i++) {
        n += !st->consumers[i]->conf.passive;
    }
    return n;
}

bool segment_needed(const struct segment *g, uint64_t end)
{
    const struct stream *st = g->shard->stream;

    for (uint32_t i = 0; i < st->n_consumers; i++) {
        const struct spool_consumer *c = st->consumers[i];
        const struct place *h = place_find(g->shard, c);

        if ((h == NULL || atomic_load(&h->released) < end) &&
            g->first < consumer_limit(c, g->shard)) {
            return true;
        }
    }
    return stream_destinations(st) == 0 && !atomic_load(&st->freed);
}

bool stream_left(const struct stream *st)
{
    for (uint32_t i = 0; i < st->n_consumers; i++) {
        if (st->consumers[i]->leaving) {
            return true;
        }
    }
    return false;
}

uint64_t shard_end(const struct shard *sh)
{
    uint64_t end = 1;

    for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
        uint64_t written = segment_written_seq(g);

        /* Of one without a block only if those before it are gone: after a failed sync
         * nobody reads up to it. */
        if (written > end && (written > g->first || g == sh->segments)) {
            end = written;
        }
    }
    return end;
}

uint32_t spool_ends(struct spool *s, int stream, struct spool_pos *out, uint32_t max)
{
    uint32_t n = 0;

    (void)pthread_mutex_lock(&s->lock);
    for (const struct shard *sh = s->streams[stream]->shards; sh != NULL;
         sh = sh->next) {
        uint64_t end = shard_end(sh);

        if (sh->epoch != s->epoch || end == 1) {
            continue;
        }
        if (n < max) {
            out[n] = (struct spool_pos){sh->epoch, sh->worker, end};
        }
        n++;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

uint64_t spool_end(struct spool_consumer *c, uint32_t epoch, uint32_t worker)
{
    struct spool *s = c->stream->spool;
    uint64_t end = UINT64_MAX;

    (void)pthread_mutex_lock(&s->lock);
    for (const struct shard *sh = c->stream->shards; sh != NULL; sh = sh->next) {
        if (sh->epoch == epoch && sh->worker == worker && epoch == s->epoch) {
            end = shard_end(sh);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return end;
}

uint64_t segment_readable(const struct segment *g)
{
    const struct stream *st = g->shard->stream;

    if (atomic_load(&g->poisoned)) {
        return segment_kept(g);
    }
    return atomic_load_explicit(&st->synced, memory_order_relaxed)
               ? atomic_load(&g->synced_tail)
               : atomic_load(&g->tail);
}

uint64_t segment_written_seq(const struct segment *g)
{
    if (g->old) {
        return g->old_end;
    }
    return atomic_load(&g->state) == SEGMENT_PREPARED
               ? 0
               : g->first + tail_n(atomic_load(&g->poisoned) ? segment_kept(g)
                                                             : atomic_load(&g->tail));
}

/* A failed sync takes nothing back that clients were promised before it: the file may
 * still have it, and the checksum of each block tells. */
uint64_t segment_kept(const struct segment *g)
{
    uint64_t synced = atomic_load(&g->synced_tail), given = atomic_load(&g->given_tail);

    return tail_end(given) > tail_end(synced) ? given : synced;
}

uint64_t segment_unacked(const struct segment *g)
{
    return tail_n(atomic_load(&g->tail)) - tail_n(segment_kept(g));
}

uint64_t segment_unsynced(const struct segment *g)
{
    return tail_n(atomic_load(&g->tail)) - tail_n(atomic_load(&g->synced_tail));
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

/* Old shards whose last event is released are done with; live ones never. */
static bool finished(const struct shard *sh, const struct spool_consumer *c, bool live)
{
    const struct place *h = place_find(sh, c);
    const struct segment *last = sh->segments;

    if (live || sh->unknown) {
        return false;
    }
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    return last == NULL ||
           (h != NULL && atomic_load(&h->released) >= segment_end_seq(last));
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

            for (const struct segment *g = sh->segments; g != NULL; g = g->next) {
                uint64_t end = segment_end_seq(g);

                if (g == sh->segments && end > 0) {
                    first = g->first;
                }
                next = end > next ? end : next;
            }
            if (sh->unknown) {
                first = next = 0;
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

void spool_earlier(struct spool *s, int stream, struct spool_earlier *out)
{
    *out = (struct spool_earlier){.whole = true};
    (void)pthread_mutex_lock(&s->lock);
    for (const struct shard *sh = s->streams[stream]->shards; sh != NULL;
         sh = sh->next) {
        const struct segment *g = sh->segments;

        if (sh->epoch == s->epoch) {
            continue;
        }
        out->whole &=
            !sh->unknown && (g == NULL || segment_end_seq(g) == 0 || g->first == 1);
        if (g != NULL && segment_end_seq(g) > 1) {
            (*(sh->epoch + 1 == s->epoch ? &out->last : &out->older))++;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
}
