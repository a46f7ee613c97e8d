/* A worker's way from one segment to the next, which the housekeeper has prepared. */
#include <errno.h>
#include <time.h>

#include "base/attr.h"
#include "spool/internal.h"
#include "spool/writer.h"

enum {
    NEXT_SEGMENT_MS = 250,
    LEAVE_MS = 60000 /* between two bad places, unless a block is written */
};

/* The housekeeper makes the folder of the shard, and its segments. */
void roll_wait(struct spool *s, struct shard *sh, long ms)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    housekeeper_wake(s);
    while (atomic_load(&sh->ahead) == NULL && !atomic_load(&s->unwritable) &&
           ((!atomic_load(&sh->put_off) && !atomic_load(&sh->stream->ended)) ||
            atomic_load(&sh->asked)) &&
           atomic_load(&sh->stream->used) + s->conf.segment_bytes <=
               atomic_load(&sh->stream->max_bytes)) {
        if (pthread_cond_timedwait(&s->prepared, &s->lock, &t) != 0) {
            break;
        }
    }
}

/* The prepared segment; NULL: it is not ready. Where events come faster than segments
 * are prepared the worker waits: its clients are slowed down, not refused. A disk that
 * hangs makes it wait once. */
static struct segment *take_ahead(struct spool_writer *w)
{
    struct shard *sh = w->shard;
    struct spool *s = sh->stream->spool;
    struct segment *g = atomic_exchange(&sh->ahead, NULL);

    if (g == NULL) {
        atomic_store(&sh->asked, true);
    }
    if (g == NULL) {
        (void)pthread_mutex_lock(&s->lock); /* see take_spare */
        if (!w->waited) {
            roll_wait(s, sh, NEXT_SEGMENT_MS);
        }
        g = atomic_exchange(&sh->ahead, NULL);
        (void)pthread_mutex_unlock(&s->lock);
    }
    w->waited = g == NULL;
    return g;
}

void stream_ask(const struct stream *st)
{
    for (uint32_t i = 0; i < st->spool->conf.n_workers; i++) {
        struct shard *sh = atomic_load(&st->live[i]);

        if (sh != NULL && atomic_load(&sh->ahead) == NULL) {
            atomic_store(&sh->asked, true);
        }
    }
}

void stream_ask_no_more(const struct stream *st)
{
    for (uint32_t i = 0; i < st->spool->conf.n_workers; i++) {
        struct shard *sh = atomic_load(&st->live[i]);

        if (sh != NULL) {
            atomic_store(&sh->asked, false);
        }
    }
}

enum spool_result roll_on(struct spool_writer *w)
{
    struct shard *sh = w->shard;
    struct segment *old = atomic_load(&sh->current);
    struct segment *g = w->taken != NULL ? w->taken : take_ahead(w);
    uint64_t end = 0, unacked = 0;

    if (g == NULL) {
        housekeeper_wake(sh->stream->spool);
        return SPOOL_FULL;
    }
    if (old != NULL) {
        end = tail_end(atomic_load(&old->poisoned) ? segment_kept(old)
                                                   : atomic_load(&old->tail));
    }
    if (old != NULL && atomic_load(&old->poisoned)) {
        unacked = segment_unacked(old);
    }
    if (!segment_write_page(g, w->next_seq, end, unacked)) {
        unwritten_note(sh, errno);
        /* Not ahead any more: the housekeeper may have put another one there. */
        w->taken = g;
        return SPOOL_FAILED;
    }
    w->taken = NULL;
    w->n_failed = 0;
    atomic_store(&g->state, SEGMENT_USED);
    if (old != NULL) {
        atomic_store(&old->sealed, true);
    }
    /* Also for blocks that are not written now. */
    atomic_store(&sh->left, g->bytes - tail_end(atomic_load(&g->tail)));
    atomic_store(&sh->current, g);
    atomic_store(&sh->kept_ms, 0);
    housekeeper_wake(sh->stream->spool);
    return SPOOL_OK;
}

/* One a minute: where all of the disk is bad, each segment would be left. */
struct segment *roll_past_bad_place(struct spool_writer *w)
{
    struct shard *sh = w->shard;
    struct segment *bad = atomic_load(&sh->current);
    const int64_t now = mono_ms();

    if ((w->left_ms == 0 || now - w->left_ms >= LEAVE_MS) &&
        (w->taken != NULL || atomic_load(&sh->ahead) != NULL)) {
        bad->bad_place = true; /* before it is sealed, and can be reused */
        w->left_ms = roll_on(w) == SPOOL_OK ? now : w->left_ms;
    }
    return atomic_load(&sh->current);
}
