/* The end of a delivery: flushed, handed over, freed. */
#include <stdlib.h>

#include "base/clock.h"
#include "sink/delivery/state.h"

/* All but its place in the spool. */
static void close_delivery(struct delivery *d)
{
    if (d->sink != NULL) {
        d->ops->close(d->sink);
        d->sink = NULL;
    }
    while (d->kept != NULL) {
        struct kept_verdict *next = d->kept->next;

        free(d->kept);
        d->kept = next;
    }
    dead_close(&d->dead);
    while (d->failed != NULL) {
        struct batch *next = d->failed->next;

        batch_free(d->failed);
        d->failed = next;
    }
    journal_close(d->journal);
    d->journal = NULL;
    stats_set(d->lag, 0);
    stats_set(d->holding, 0);
}

void delivery_free(struct delivery *d)
{
    close_delivery(d);
    for (uint32_t i = 0; i < d->n_outlets; i++) {
        outlet_close(&d->outlets[i]);
    }
    while (d->pool != NULL) {
        struct batch *next = d->pool->next;

        batch_free(d->pool);
        d->pool = next;
    }
    mailbox_fini(&d->mail);
    ev_loop_destroy(d->loop);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    plan_unref(d->plan);
    free(d);
}

static void on_stop(void *arg)
{
    struct delivery *d = arg;

    d->draining = true;
    pump_later(d);
}

bool delivery_stop(struct delivery *d, int64_t flush_ms)
{
    bool empty;

    if (d->over) {
        empty = d->status.left == 0;
        delivery_free(d);
        return empty;
    }
    d->drain_until_ns = clock_mono_ns() + (uint64_t)flush_ms * 1000000u;
    mailbox_post(&d->mail, on_stop, d);
    (void)pthread_join(d->thread, NULL);
    empty = d->empty;
    delivery_free(d);
    return empty;
}

static void on_hand_over(void *arg)
{
    struct delivery *d = arg;

    d->pausing = true;
    pump_later(d);
}

void delivery_hand_over(struct delivery *d, int64_t ms)
{
    if (d->over) {
        return;
    }
    d->drain_until_ns = clock_mono_ns() + (uint64_t)ms * 1000000u;
    mailbox_post(&d->mail, on_hand_over, d);
    (void)pthread_join(d->thread, NULL);
    close_delivery(d);
    d->ops = &sink_absent;
    d->over = true;
}
