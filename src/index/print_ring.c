#include "index/print_ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

enum { BLOCK_WORDS = sizeof(struct print_block) / 8, LINE_BYTES = 64 };

static_assert(sizeof(struct print_block) == BLOCK_WORDS * 8, "prints follow at once");
static_assert((PRINT_RING_WORDS & (PRINT_RING_WORDS - 1)) == 0, "places are masked");

/* Words that were put and taken since the start. Blocks do not pass the end of words: one
 * that would begins at its start, and a first sequence of 0 says so. */
struct print_ring {
    _Atomic uint64_t put;
    uint64_t taken_by; /* the worker's: `taken` as it saw it last */
    uint64_t room;     /* the worker's: `put` with the block that it fills */
    char apart[LINE_BYTES];
    _Atomic uint64_t taken;
    char apart_too[LINE_BYTES];
    uint64_t words[PRINT_RING_WORDS];
};

struct print_rings {
    uint32_t n_workers;
    _Atomic(struct print_ring *) rings[]; /* of stream 0's workers, of stream 1's */
};

/* ---- the rings of a process ---- */

struct print_rings *print_rings_new(uint32_t n_workers)
{
    const size_t n = (size_t)n_workers * SPOOL_STREAMS_MAX;
    struct print_rings *all = mem_zalloc(sizeof *all + n * sizeof all->rings[0]);

    all->n_workers = n_workers;
    return all;
}

void print_rings_free(struct print_rings *all)
{
    for (uint32_t i = 0; all != NULL && i < all->n_workers * SPOOL_STREAMS_MAX; i++) {
        free(atomic_load(&all->rings[i]));
    }
    free(all);
}

struct print_ring *print_rings_open(struct print_rings *all, int stream,
                                    uint32_t worker)
{
    const uint32_t at = (uint32_t)stream * all->n_workers + worker;
    struct print_ring *r = atomic_load(&all->rings[at]);

    assert(worker < all->n_workers);
    if (r == NULL) {
        r = mem_alloc(sizeof *r); /* its words are not touched before they are used */
        atomic_init(&r->put, 0);
        atomic_init(&r->taken, 0);
        r->taken_by = r->room = 0;
        atomic_store(&all->rings[at], r);
    }
    return r;
}

struct print_ring *print_rings_get(struct print_rings *all, int stream, uint32_t worker)
{
    return worker < all->n_workers
               ? atomic_load(&all->rings[(uint32_t)stream * all->n_workers + worker])
               : NULL;
}

/* ---- the worker ---- */

static struct print_block *block_at(struct print_ring *r, uint64_t word)
{
    return (struct print_block *)(void *)&r->words[word & (PRINT_RING_WORDS - 1)];
}

struct print_block *print_ring_room(struct print_ring *r, uint32_t n)
{
    const uint64_t put = atomic_load_explicit(&r->put, memory_order_relaxed);
    const uint64_t need = BLOCK_WORDS + (uint64_t)n;
    const uint64_t to_end = PRINT_RING_WORDS - (put & (PRINT_RING_WORDS - 1));
    const uint64_t pad = need > to_end ? to_end : 0, end = put + pad + need;

    if (need > PRINT_RING_WORDS) {
        return NULL;
    }
    if (end - r->taken_by > PRINT_RING_WORDS) {
        r->taken_by = atomic_load_explicit(&r->taken, memory_order_acquire);
        if (end - r->taken_by > PRINT_RING_WORDS) {
            return NULL;
        }
    }
    if (pad > 0) {
        r->words[put & (PRINT_RING_WORDS - 1)] = 0;
    }
    r->room = end;
    return block_at(r, put + pad);
}

void print_ring_put(struct print_ring *r)
{
    atomic_store_explicit(&r->put, r->room, memory_order_release);
}

/* ---- the indexer ---- */

const struct print_block *print_ring_head(struct print_ring *r)
{
    const uint64_t put = atomic_load_explicit(&r->put, memory_order_acquire);
    uint64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);

    if (taken == put) {
        return NULL;
    }
    if (r->words[taken & (PRINT_RING_WORDS - 1)] == 0) {
        taken += PRINT_RING_WORDS - (taken & (PRINT_RING_WORDS - 1));
        atomic_store_explicit(&r->taken, taken, memory_order_release);
    }
    return block_at(r, taken);
}

void print_ring_take(struct print_ring *r)
{
    const uint64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);

    atomic_store_explicit(&r->taken, taken + BLOCK_WORDS + block_at(r, taken)->at.n,
                          memory_order_release);
}
