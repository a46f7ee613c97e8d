/* The appended bytes of synced streams, on their way to stable storage; and the end of
 * a segment whose sync failed. The housekeeping thread. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "spool/internal.h"

static bool in_use(const struct segment *g)
{
    return g != NULL && atomic_load(&g->state) == SEGMENT_USED;
}

/* The next segment is in use, so that g has its end. */
static void note_unacked(struct segment *g)
{
    atomic_store(&g->next->unacked, segment_unacked(g));
}

/* A failed fdatasync may have dropped pages that it could not write, and a second one
 * would succeed: this segment is never trusted again. */
static void poison(struct shard *sh, struct segment *g, int why)
{
    struct segment *ahead = atomic_exchange(&sh->ahead, NULL);
    uint64_t left;
    struct err e;

    if (in_use(g->next)) {
        note_unacked(g);
    }
    atomic_store(&g->poisoned, true);
    segment_mark_unsure(g);
    /* Only g has no room any more. The worker may have gone on to the next segment: then
     * what is left is that one's, and stays. */
    left = atomic_load(&sh->left);
    if (!atomic_load(&g->sealed)) {
        (void)atomic_compare_exchange_strong(&sh->left, &left, 0);
    }
    stats_add(sh->stream->poisoned, 1);
    (void)err_errno(&e, why, "fdatasync of segment %lu of %s/%u.%u",
                    (unsigned long)g->number, sh->stream->name, sh->epoch, sh->worker);
    if (ahead != NULL) {
        drop_ahead(sh, ahead);
    }
    sh->prove_at_ms = mono_ms() + PROVE_MS;
    sh->failed = true;
    writable_fail(sh->stream->spool, e.text);
}

/* False: it failed. */
static bool sync_segment(struct shard *sh, struct segment *g)
{
    uint64_t tail = atomic_load(&g->tail);
    uint64_t began = clock_mono_ns();
    struct err e;

    if (atomic_load(&g->poisoned) || atomic_load(&g->synced_tail) == tail) {
        return true;
    }
    if (!segment_open(g, &e)) {
        return false; /* it was shut; nothing is said about its bytes */
    }
    if (fdatasync(g->fd) != 0) {
        poison(sh, g, errno);
        return false;
    }
    atomic_store(&g->synced_tail, tail);
    stats_record(sh->stream->spool->sync_time, clock_mono_ns() - began);
    return true;
}

/* The bytes written after the last sync of g, which is poisoned and full: the requests
 * that wait for them are told so. */
static void give_up(struct shard *sh, struct segment *g)
{
    uint64_t n = segment_unsynced(g);
    uint64_t from = g->first + tail_n(atomic_load(&g->synced_tail));

    g->given_up = true;
    note_unacked(g);
    if (n > 0) {
        uint64_t at = atomic_load(&sh->n_lost);

        atomic_store(&sh->lost[at % LOST_MAX].from, from);
        atomic_store(&sh->lost[at % LOST_MAX].to, from + n - 1);
        atomic_store(&sh->lost[at % LOST_MAX].gone, g->first + tail_n(segment_kept(g)));
        atomic_store(&sh->n_lost, at + 1);
    }
}

/*
 * Nothing counts as synced before all that came before it does. A segment that is taken
 * into use while the one before is being synced waits for the next turn, because that
 * one may have got a last block after this sync: asked before it, whether the next is
 * in use says that its tail, read after, is final. Likewise the bytes of a poisoned
 * segment after its last sync are given up before any later bytes count: also where the
 * segment was full, and another in use, when its sync failed.
 */
void sync_shard(struct shard *sh)
{
    uint64_t before = atomic_load(&sh->synced), synced = before;
    bool ok = true, more = in_use(sh->segments), lost = false;

    for (struct segment *g = sh->segments; more && ok; g = g->next) {
        more = in_use(g->next);
        ok = sync_segment(sh, g);
        if (atomic_load(&g->poisoned)) {
            if (ok && more && !g->given_up) {
                give_up(sh, g);
                lost = true;
            }
        } else {
            uint64_t n = tail_n(atomic_load(&g->synced_tail));

            synced = n > 0 ? g->first + n - 1 : synced;
        }
    }
    if (synced > before) {
        atomic_store(&sh->synced, synced);
    }
    if (synced > before || lost || !ok) {
        consumers_wake(sh->stream); /* first: what is answered is lag already */
        housekeeper_wake_writer(sh);
    }
}
