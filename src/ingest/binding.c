
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "index/print_ring.h"
#include "ingest/account.h"
#include "ingest/event_id.h"
#include "ingest/internal.h"
#include "policy/load/load.h"
#include "policy/run/run.h"

/* Runs on the housekeeping thread: only wakes the worker. */
static void on_synced(void *arg)
{
    struct ingest *in = arg;

    ev_async_send(in->conf.loop, &in->synced);
}

struct binding *binding_new(struct ingest *in, struct policy *p,
                            struct policy_state *state, const int *stream_ids,
                            int dead_stream)
{
    struct binding *b = mem_zalloc(sizeof *b);

    b->state = state;
    b->in = in;
    b->policy = policy_ref(p);
    b->plan = policy_plan(p);
    atomic_init(&b->refs, 1);
    atomic_init(&b->bound, true);
    b->policy8 = plan_policy8(b->plan);
    tally_init(&b->tally);
    b->dead = -1;
    if (stream_ids == NULL) {
        b->shadow = shadow_new(b->plan->rollout.sample);
        return b;
    }
    b->n_writers = b->plan->n_streams;
    memcpy(b->stream_ids, stream_ids, b->n_writers * sizeof *stream_ids);
    if (dead_stream >= 0) {
        b->dead = (int)b->n_writers;
        b->stream_ids[b->n_writers++] = dead_stream;
    }
    for (uint32_t i = 0; i < b->n_writers; i++) {
        struct spool_writer **w = &in->opened[b->stream_ids[i]];

        if (*w == NULL) {
            *w = spool_writer_open(in->conf.spool, b->stream_ids[i], in->conf.worker,
                                   on_synced, in);
        }
        b->spool_writers[i] = *w;
    }
    if (in->conf.prints != NULL) {
        b->id_fields = id_fields_of(b->plan);
    }
    for (uint32_t i = 0; b->id_fields != NULL && i < b->plan->n_streams; i++) {
        if (b->id_fields[i].hash != 0) {
            (void)print_rings_open(in->conf.prints, b->stream_ids[i], in->conf.worker);
        }
    }
    return b;
}

void binding_free(struct binding *b)
{
    if (b != NULL) {
        policy_state_free(b->state);
        tally_fini(&b->tally);
        shadow_free(b->shadow);
        free(b->accounts);
        free(b->id_fields);
        policy_unref(b->policy);
        free(b);
    }
}

/* One writer: no locked instruction. */
static uint32_t count(struct binding *b, uint32_t by)
{
    uint32_t refs = atomic_load_explicit(&b->refs, memory_order_relaxed) + by;

    atomic_store_explicit(&b->refs, refs, memory_order_relaxed);
    return refs;
}

void binding_hold(struct binding *b)
{
    (void)count(b, 1);
}

void binding_drop(struct binding *b)
{
    uint32_t refs = count(b, UINT32_MAX);

    assert(refs != UINT32_MAX);
    if (refs == 0) {
        b->next = b->in->gone;
        b->in->gone = b;
    }
}

/* Series of routes that no other binding has go with the last request that waits. */
static void drop_accounts(struct ingest *in, struct binding *b)
{
    for (uint32_t i = 0; b->accounts != NULL && i < b->plan->n_routes; i++) {
        account_drop(&in->m.accounts, b->accounts[i]);
    }
    free(b->accounts);
    b->accounts = NULL;
}

void bindings_retire(struct ingest *in)
{
    while (in->gone != NULL) {
        struct binding *b = in->gone;

        in->gone = b->next;
        drop_accounts(in, b);
        in->conf.retire(in->conf.arg, b);
    }
}

void binding_unbind(struct binding *b)
{
    atomic_store_explicit(&b->bound, false, memory_order_relaxed);
    binding_drop(b);
}

uint32_t binding_requests(const struct binding *b)
{
    uint32_t refs = atomic_load_explicit(&b->refs, memory_order_relaxed);
    uint32_t own = atomic_load_explicit(&b->bound, memory_order_relaxed);

    return refs > own ? refs - own : 0;
}
