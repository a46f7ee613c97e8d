/* The end of a delivery: flushed, handed over, freed. */
#include <stdlib.h>

#include "base/clock.h"
#include "delivery/internal.h"

/* All but its place in the spool. */
static void close_delivery(struct delivery *d)
{
    if (d->sink != NULL) {
        d->ops->close(d->sink);
        d->sink = NULL;
    }
    while (d->kept != NULL) {
        struct kept_verdict *next = d->kept->next;

        batch_free(d->kept->whole ? d->kept->batch : NULL); /* else the sink did */
        free(d->kept);
        d->kept = next;
    }
    replay_free(d);
    dead_close(&d->dead);
    while (d->failed != NULL) {
        struct batch *next = d->failed->next;

        batch_free(d->failed);
        d->failed = next;
    }
    places_fini(&d->places);
    journal_close(d->journal);
    d->journal = NULL;
    /* A later sink of this name has cells of its own, and they are added up. */
    stats_set(d->lag, 0);
    stats_set(d->remaining_events, 0);
    stats_set(d->oldest, 0);
    stats_set(d->holding, 0);
    stats_set(d->failing, 0);
    stats_set(d->lost, 0);
    stats_set(d->skipped, 0);
    stats_set(d->dead_bytes, 0);
    stats_set(d->target_gauge, 0);
    stats_set(d->linger_gauge, 0);
}

void delivery_free(struct delivery *d)
{
    close_delivery(d);
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        subscription_close(&d->subscriptions[i]);
    }
    while (d->pool != NULL) {
        struct batch *next = d->pool->next;

        batch_free(d->pool);
        d->pool = next;
    }
    mailbox_fini(&d->mail);
    ev_loop_destroy(d->loop);
    stats_disown(&d->series);
    latch_fini(&d->ended);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    settings_none(d);
    plan_unref(d->plan);
    free(d);
}

/* For a flush that ends in time, the sink's closing and the journal. */
enum { GRACE_MS = 2000 };

static void on_stop(void *arg)
{
    struct delivery *d = arg;

    d->drain_until_ns = d->stop_ns;
    d->draining = true;
    pump_later(d);
}

void delivery_ask_stop(struct delivery *d, uint64_t until_ns)
{
    if (!d->over && d->stop_ns == 0) {
        d->stop_ns = until_ns;
        mailbox_post(&d->mail, on_stop, d);
    }
}

bool delivery_ended(struct delivery *d)
{
    bool over;

    (void)pthread_mutex_lock(&d->lock);
    over = d->over;
    (void)pthread_mutex_unlock(&d->lock);
    return over || latch_wait(&d->ended, 0);
}

/* Its thread has ended; others may look at d until it is freed. */
static void note_over(struct delivery *d)
{
    (void)pthread_join(d->thread, NULL);
    (void)pthread_mutex_lock(&d->lock);
    d->ops = &sink_absent;
    d->over = true;
    (void)pthread_mutex_unlock(&d->lock);
}

bool delivery_halt(struct delivery *d, uint64_t until_ns)
{
    if (d->over) {
        return true;
    }
    if (!latch_wait(&d->ended, until_ns)) {
        return false;
    }
    note_over(d);
    return true;
}

enum delivery_end delivery_join(struct delivery *d, uint64_t until_ns)
{
    bool had_none = d->over, empty;

    if (!delivery_halt(d, until_ns)) {
        return DELIVERY_STUCK;
    }
    empty = had_none ? d->status.remaining == 0 : d->empty;
    delivery_free(d);
    return empty ? DELIVERY_EMPTY : DELIVERY_LEFT;
}

enum delivery_end delivery_stop(struct delivery *d, int64_t flush_ms)
{
    uint64_t until_ns = clock_mono_ns() + (uint64_t)flush_ms * 1000000u;

    delivery_ask_stop(d, until_ns);
    return delivery_join(d, until_ns + GRACE_MS * 1000000ull);
}

static void on_hand_over(void *arg)
{
    struct delivery *d = arg;

    d->drain_until_ns = d->stop_ns;
    d->handing_over = true;
    if (d->sink != NULL && d->ops->rest != NULL) {
        d->ops->rest(d->sink);
    }
    pump_later(d);
}

void delivery_ask_rest(struct delivery *d, uint64_t until_ns)
{
    if (!d->over && d->stop_ns == 0) {
        d->stop_ns = until_ns;
        mailbox_post(&d->mail, on_hand_over, d);
    }
}

bool delivery_hand_over(struct delivery *d, int64_t ms)
{
    if (d->over) {
        return true;
    }
    delivery_ask_rest(d, clock_mono_ns() + (uint64_t)ms * 1000000u);
    if (!latch_wait(&d->ended, d->stop_ns + GRACE_MS * 1000000ull)) {
        return false;
    }
    note_over(d);
    close_delivery(d);
    return true;
}
