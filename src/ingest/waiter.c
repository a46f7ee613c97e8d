/* Requests between their decision and their answer: a pool and two queues. */
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "ingest/internal.h"

struct waiter *waiter_get(struct ingest *in)
{
    struct waiter *w = in->free_waiters;

    if (in->n_waiters == WAITERS_MAX) {
        return NULL;
    }
    in->n_waiters++;
    if (w != NULL) {
        in->free_waiters = w->next;
        in->n_free_waiters--;
    } else {
        w = mem_alloc(sizeof *w);
    }
    w->next = NULL;
    w->reserved = 0;
    w->reserved_stream = -1;
    w->failed = false;
    w->touched = w->lost = 0;
    w->n_syncs = 0;
    w->syncs = w->few_syncs;
    w->held = NULL;
    w->hold.n = w->hold.n_ties = 0;
    w->until_ns = 0;
    w->delivering = false;
    w->own_answer = false;
    w->same_unstored = false;
    w->own_bytes = 0;
    w->refused_body = NULL;
    w->binding = NULL;
    w->long_answer = NULL;
    w->headers_bytes = 0;
    w->line = NULL;
    return w;
}

void waiter_join(struct ingest *in, struct waiter *w, uint32_t n)
{
    w->n_events = n;
    account_wait(&in->m.accounts, n);
    account_hold(w->account); /* its binding may go meanwhile */
    w->held = w->account;
    *in->pending_tail = w;
    in->pending_tail = &w->next;
    if (in->pending_since_ns == 0) {
        in->pending_since_ns = w->mark.began_ns;
    }
}

void waiter_release(struct ingest *in, struct waiter *w)
{
    if (UNLIKELY(w->reserved > 0)) {
        spool_release(in->conf.spool, w->reserved_stream, w->reserved);
        w->reserved = 0;
    }
}

void waiter_put(struct ingest *in, struct waiter *w)
{
    waiter_release(in, w);
    dedup_finish(&w->hold, false); /* unless it was finished as stored */
    in->n_delivering -= w->delivering;
    if (UNLIKELY(w->line != NULL)) {
        access_drop(in, w->line);
    }
    if (UNLIKELY(w->binding != NULL)) {
        binding_drop(w->binding);
        w->binding = NULL;
    }
    if (LIKELY(w->held != NULL)) {
        account_drop(&in->m.accounts, w->held);
    }
    if (UNLIKELY(w->syncs != w->few_syncs)) {
        free(w->syncs);
    }
    free(w->long_answer);
    w->long_answer = NULL;
    in->n_waiters--;
    if (UNLIKELY(in->n_free_waiters >= WAITERS_KEPT)) {
        free(w);
        return;
    }
    w->next = in->free_waiters;
    in->free_waiters = w;
    in->n_free_waiters++;
}

char *waiter_text(struct waiter *w, size_t n)
{
    if (n <= sizeof w->small_answer) {
        return w->small_answer;
    }
    /* Only answers that list errors are long: not the steady state. */
    w->long_answer = mem_alloc(n);
    return w->long_answer;
}

void waiters_put(struct ingest *in, struct waiter *w)
{
    while (w != NULL) {
        struct waiter *next = w->next;

        waiter_put(in, w);
        w = next;
    }
}
