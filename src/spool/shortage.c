/* A disk that has not room for the next segment of each shard: which ones it has to do without.
 * The housekeeper's thread. */
#include "spool/internal.h"

static bool may_grow(const struct stream *st)
{
    return !atomic_load(&st->ended) && presence_of_stream(st) &&
           atomic_load(&st->used) + st->spool->conf.segment_bytes <=
               atomic_load(&st->max_bytes);
}

/* Events come to it: it does not wait until it has none. */
static bool nears_end(const struct shard *sh)
{
    return atomic_load(&sh->current) != NULL &&
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

/* Where not every shard can have a segment, one is made only for a shard that events came to:
 * else a stream without clients would have what another one's clients need. A disk that took
 * nothing is tried all the same. */
bool shortage_puts_off(const struct shard *sh)
{
    struct spool *s = sh->stream->spool;
    uint32_t n = atomic_load(&s->n_streams);
    uint64_t needed = 0;
    bool asked = false;

    if (atomic_load(&sh->asked) || nears_end(sh) || sh->filling != NULL ||
        sh->warm != NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < n; i++) {
        if (may_grow(s->streams[i])) {
            needed += n_needed(s->streams[i], sh, &asked);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return needed > 0 && segment_fits(s, 1) && !segment_fits(s, 1 + needed) &&
           (asked || !atomic_load(&s->unwritable));
}
