/* Segments that no sink needs any more: kept warm for reuse, or deleted; and the events
 * that a sink with when_full = "skip" gives up. The housekeeper's thread. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "spool/internal.h"

/* The sequence after the last event that can ever be read from g, or
 * UINT64_MAX while that may still change. Under lock. */
static uint64_t final_end(const struct segment *g)
{
    if (!g->old &&
        (atomic_load(&g->state) != SEGMENT_USED || !atomic_load(&g->sealed))) {
        return UINT64_MAX;
    }
    return segment_written_seq(g);
}

static void push(struct segment **list, struct segment *g)
{
    g->next = *list;
    *list = g;
}

/* Its sync failed, and the requests that wait for the lost events have not been told:
 * until then a later sync would count for them. Only a shard that is synced is told. */
static bool owes_word(const struct segment *g)
{
    const struct shard *sh = g->shard;

    return atomic_load(&g->poisoned) && !g->given_up && sh->opened &&
           housekeeper_syncs(sh);
}

/* Takes *at out of its list. Under lock. A segment to be deleted goes to the end of gone. */
static void release(struct shard *sh, struct segment **at, struct segment ***gone_end)
{
    struct segment *g = *at;

    *at = g->next;
    (void)atomic_fetch_sub(&sh->stream->used, g->bytes);
    if (!g->old && !atomic_load(&g->damaged) && !atomic_load(&g->poisoned) &&
        !g->bad_place && !atomic_load(&sh->stream->freed) && sh->opened &&
        sh->n_warm < FREE_MAX) {
        g->released_ms = mono_ms();
        atomic_store(&g->state, SEGMENT_FREE);
        push(&sh->warm, g);
        sh->n_warm++;
    } else {
        g->next = NULL;
        **gone_end = g;
        *gone_end = &g->next;
    }
}

bool segment_bears_witness(const struct segment *g, const struct segment *before)
{
    return before != NULL && g->first != 0 &&
           (atomic_load(&g->unacked) > 0 || atomic_load(&before->poisoned));
}

/* From the oldest on; segments after one that is needed can go only when the consumer
 * that needs it is leaving. */
static void reclaim_shard(struct shard *sh, struct segment ***gone_end)
{
    bool holes = stream_left(sh->stream);
    struct segment **at = &sh->segments;
    const struct segment *kept = NULL; /* the one before *at */

    while (*at != NULL) {
        uint64_t end = final_end(*at);

        if (end != UINT64_MAX && (*at)->pins == 0 && !segment_needed(*at, end) &&
            !owes_word(*at) && !segment_bears_witness(*at, kept)) {
            release(sh, at, gone_end);
            kept = NULL;
        } else if (holes && end != UINT64_MAX) {
            kept = *at;
            at = &(*at)->next;
        } else {
            return;
        }
    }
}

/* The oldest segments beyond max_lag are no more this consumer's. Under lock. */
static bool skip_for(struct stream *st, struct spool_consumer *c)
{
    uint64_t lag = consumer_lag(c);
    bool skipped = false;

    for (struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        struct place *h = place_of(sh, c);

        for (const struct segment *g = sh->segments;
             g != NULL && lag > c->conf.max_lag_bytes; g = g->next) {
            uint64_t end = final_end(g);

            if (end == UINT64_MAX) {
                break;
            }
            if (end > atomic_load(&h->released)) {
                if (atomic_load(&st->delivered) && !g->old) {
                    uint64_t from = atomic_load(&h->released);

                    marks_add(sh, SPOOL_SKIPPED, from > g->first ? from : g->first,
                              end);
                }
                atomic_store(&h->released, end);
                lag = consumer_lag(c);
                stats_add(st->skipped, 1);
                skipped = true;
            }
        }
    }
    return skipped;
}

static void skip_all(struct stream *st)
{
    for (uint32_t i = 0; i < st->n_consumers; i++) {
        struct spool_consumer *c = st->consumers[i];

        if (c->conf.skip && skip_for(st, c)) {
            log_write(LOG_WARN, "skip",
                      "stream=%s sink=%s why=\"its backlog passes max_lag\"", st->name,
                      c->name);
            c->conf.wake(c->conf.wake_arg);
        }
    }
}

/* The oldest first: the page of the next one says how a segment ended, also that its last
 * events were refused. */
static void delete_all(struct segment *gone)
{
    while (gone != NULL) {
        struct segment *next = gone->next;

        segment_delete(gone);
        gone = next;
    }
}

static void forget_shard(struct shard *sh)
{
    shard_remove_folder(sh);
    marks_free(sh);
    while (sh->places != NULL) {
        struct place *next = sh->places->next;

        free(sh->places);
        sh->places = next;
    }
    free(sh);
}

/* Old shards without segments and without readers. */
static void forget_shards(struct stream *st)
{
    struct spool *s = st->spool;
    struct shard **at = &st->shards, *gone = NULL;

    (void)pthread_mutex_lock(&s->lock);
    while (*at != NULL) {
        struct shard *sh = *at;

        if (sh->epoch != s->epoch && !sh->unknown && sh->segments == NULL &&
            sh->n_undeleted == 0 && sh->cursors == 0) {
            *at = sh->next;
            sh->next = gone;
            gone = sh;
        } else {
            at = &sh->next;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    while (gone != NULL) {
        struct shard *next = gone->next;

        forget_shard(gone);
        gone = next;
    }
}

void reclaim_stream(struct stream *st)
{
    struct spool *s = st->spool;
    struct segment *gone = NULL, **gone_end = &gone;
    bool freed;

    (void)pthread_mutex_lock(&s->lock);
    if (!atomic_load(&s->reclaim)) { /* spool_rest came between */
        (void)pthread_mutex_unlock(&s->lock);
        return;
    }
    /* Events that its sinks have not delivered hold them open; an operator must decide
     * about events that no sink read. */
    freed = atomic_load(&st->ended) && st->consumed && stream_destinations(st) == 0;
    if (atomic_exchange(&st->freed, freed) != freed) {
        stats_hide(&st->series, freed);
    }
    skip_all(st);
    for (struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        reclaim_shard(sh, &gone_end);
    }
    (void)pthread_mutex_unlock(&s->lock);
    delete_all(gone);
    forget_shards(st);
}

void drop_warm(struct stream *st, int64_t older_than_ms, bool only_beside_ahead)
{
    struct spool *s = st->spool;
    struct segment *gone = NULL;
    int64_t now = mono_ms();

    (void)pthread_mutex_lock(&s->lock);
    for (struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        struct segment **at = &sh->warm;
        const bool may = !only_beside_ahead || atomic_load(&sh->ahead) != NULL;

        while (*at != NULL) {
            struct segment *g = *at;

            if (may && now - g->released_ms > older_than_ms) {
                *at = g->next;
                sh->n_warm--;
                push(&gone, g);
            } else {
                at = &g->next;
            }
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    delete_all(gone);
}

void drop_ahead(struct shard *sh, struct segment *ahead)
{
    struct spool *s = sh->stream->spool;
    struct segment **at = &sh->segments;

    (void)pthread_mutex_lock(&s->lock);
    while (*at != ahead) {
        at = &(*at)->next;
    }
    *at = ahead->next;
    (void)atomic_fetch_sub(&sh->stream->used, ahead->bytes);
    (void)pthread_mutex_unlock(&s->lock);
    segment_delete(ahead);
}
