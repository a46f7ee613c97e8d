/* A disk that has not room for the next segment of each shard: which ones it has to do without.
 * The housekeeper's thread. */
#include "base/clock.h"
#include "spool/internal.h"

enum { BUSY_MS = 10000 /* since the last event */ };

static bool may_grow(const struct stream *st)
{
    return !atomic_load(&st->ended) && presence_of_stream(st) &&
           atomic_load(&st->used) + st->spool->conf.segment_bytes <=
               atomic_load(&st->max_bytes);
}

void shortage_look(struct spool *s)
{
    const uint32_t n = atomic_load(&s->n_streams);

    (void)pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < n; i++) {
        for (struct shard *sh = s->streams[i]->shards; sh != NULL; sh = sh->next) {
            const uint64_t left = atomic_load(&sh->left);

            if (left != sh->grew_left) {
                sh->grew_left = left;
                sh->grew_ms = mono_ms();
            }
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static bool is_busy(const struct shard *sh)
{
    return atomic_load(&sh->current) != NULL && mono_ms() - sh->grew_ms < BUSY_MS;
}

/* It does not wait until it has none. */
static bool nears_end(const struct shard *sh)
{
    return is_busy(sh) &&
           atomic_load(&sh->left) < sh->stream->spool->conf.segment_bytes / 2;
}

/* Under lock. How many segments other shards of the stream need, with those that its workers
 * have not opened yet: one each that has none at all, or that events come to and that has no
 * next one; whether there is one of the latter. */
static uint64_t n_needed(const struct stream *st, const struct shard *self, bool *asked)
{
    const uint32_t workers = st->spool->conf.n_workers;
    uint64_t opened = 0, needed = 0;

    for (const struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        const bool asks = atomic_load(&sh->asked) || nears_end(sh);

        opened += sh->opened;
        if (sh->opened && sh != self && atomic_load(&sh->ahead) == NULL &&
            sh->filling == NULL && (asks || atomic_load(&sh->current) == NULL)) {
            needed++;
            *asked |= asks;
        }
    }
    return needed + (workers > opened ? workers - opened : 0);
}

/* It does not need its next segment soon. Whether it was asked for says nothing: the worker may
 * ask just as it comes. */
static bool is_spare(const struct shard *sh)
{
    return sh->opened && atomic_load(&sh->ahead) != NULL && !nears_end(sh);
}

/* Its worker does not wait for it. */
static bool had_for_a_while(const struct shard *sh)
{
    return clock_mono_ns() - sh->prepare_ns > (uint64_t)PROVE_MS * 1000000u;
}

/* Its worker has accepted what may need it, and commits that soon. Not for long: that may have
 * gone into its own. */
static bool is_kept(const struct shard *sh)
{
    const int64_t since = atomic_load(&sh->kept_ms);

    return since != 0 && mono_ms() - since < BUSY_MS;
}

/* Under lock. Rather one that goes on in the segment that it has. Of a busy one only for one that
 * has one, too: with one segment each, and none beside these, both would stop once it is full.
 * now: else also one that could soon give it. */
static struct shard *find_spare(const struct spool *s, const struct shard *self,
                                bool now)
{
    uint32_t n = atomic_load(&s->n_streams);
    const bool has = atomic_load(&self->current) != NULL;
    struct shard *spare = NULL;

    for (uint32_t i = 0; i < n; i++) {
        struct shard *sh =
            presence_of_stream(s->streams[i]) ? s->streams[i]->shards : NULL;

        for (; sh != NULL; sh = sh->next) {
            const bool used = atomic_load(&sh->current) != NULL;

            if (sh != self && is_spare(sh) &&
                (!now || (had_for_a_while(sh) && !is_kept(sh))) &&
                (has || !used || !is_busy(sh)) &&
                (spare == NULL || (used && atomic_load(&spare->current) == NULL))) {
                spare = sh;
            }
        }
    }
    return spare;
}

/* Under lock. Whether another one has a segment that it would use again: see drop_warm. */
static bool has_warm(const struct spool *s, const struct shard *self)
{
    uint32_t n = atomic_load(&s->n_streams);

    for (uint32_t i = 0; i < n; i++) {
        const struct shard *sh =
            presence_of_stream(s->streams[i]) ? s->streams[i]->shards : NULL;

        for (; sh != NULL; sh = sh->next) {
            if (sh->n_warm > 0 && (atomic_load(&self->current) != NULL ||
                                   atomic_load(&sh->ahead) != NULL)) {
                return true;
            }
        }
    }
    return false;
}

/* Where not every shard can have a segment, one is made only for a shard that events came to:
 * else a stream without clients would have what another one's clients need. A disk that took
 * nothing is tried all the same, but where others have what would do. */
bool shortage_puts_off(const struct shard *sh)
{
    struct spool *s = sh->stream->spool;
    uint32_t n = atomic_load(&s->n_streams);
    uint64_t needed = 0;
    bool asked = false, fits, later;

    if (atomic_load(&sh->asked) || nears_end(sh) || sh->filling != NULL ||
        sh->warm != NULL) {
        return false;
    }
    fits = segment_fits(s, 1);
    (void)pthread_mutex_lock(&s->lock);
    later = sh->gave || find_spare(s, sh, false) != NULL || has_warm(s, sh);
    for (uint32_t i = 0; i < n; i++) {
        if (may_grow(s->streams[i])) {
            needed += n_needed(s->streams[i], sh, &asked);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!fits) {
        return later;
    }
    return needed > 0 && !segment_fits(s, 1 + needed) &&
           (asked || !atomic_load(&s->unwritable));
}

/* Under lock, so that a worker that misses it meanwhile waits. */
static struct segment *take_spare(struct shard *spare)
{
    struct segment *ahead;

    atomic_store(&spare->put_off, true); /* before it is gone */
    ahead = atomic_exchange(&spare->ahead, NULL);
    /* Either this sees that the worker counts on it, or the worker that it is gone. */
    if (ahead != NULL && is_kept(spare)) {
        atomic_store(&spare->ahead, ahead);
        atomic_store(&spare->put_off, false);
        return NULL;
    }
    return ahead;
}

void shortage_make_room(const struct shard *sh)
{
    struct spool *s = sh->stream->spool;
    uint32_t n = atomic_load(&s->n_streams);
    struct segment *ahead = NULL;
    struct shard *spare;

    if (segment_fits(s, 1) || (!atomic_load(&sh->asked) && !nears_end(sh))) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (presence_of_stream(s->streams[i])) {
            drop_warm(s->streams[i], -1, atomic_load(&sh->current) == NULL);
        }
    }
    if (segment_fits(s, 1)) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    spare = find_spare(s, sh, true);
    if (spare != NULL) {
        ahead = take_spare(spare);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (ahead != NULL) {
        spare->gave = true;
        drop_ahead(spare, ahead);
    }
}
