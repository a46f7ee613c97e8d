#include "access/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The two ends lie on cache lines of their own. */
struct ring {
    _Alignas(64) _Atomic uint64_t put;   /* bytes ever put; the worker's */
    _Alignas(64) _Atomic uint64_t taken; /* the writer's */
    _Alignas(64) stats_cell *dropped;
    char *bytes;
};

struct ring *ring_new(stats_cell *dropped)
{
    struct ring *r = aligned_alloc(64, sizeof *r);

    if (r == NULL) {
        abort(); /* as mem_alloc does */
    }
    memset(r, 0, sizeof *r);
    r->dropped = dropped;
    r->bytes = mem_alloc(RING_BYTES);
    return r;
}

void ring_free(struct ring *r)
{
    if (r != NULL) {
        free(r->bytes);
        free(r);
    }
}

void ring_drop(struct ring *r)
{
    stats_add(r->dropped, 1);
}

void ring_put(struct ring *r, const char *line, size_t n)
{
    uint64_t put = atomic_load_explicit(&r->put, memory_order_relaxed);
    uint64_t taken = atomic_load_explicit(&r->taken, memory_order_acquire);
    size_t at = (size_t)(put % RING_BYTES), first = RING_BYTES - at;

    if (n > RING_BYTES - (size_t)(put - taken)) {
        ring_drop(r);
        return;
    }
    first = n < first ? n : first;
    memcpy(r->bytes + at, line, first);
    memcpy(r->bytes, line + first, n - first);
    atomic_store_explicit(&r->put, put + n, memory_order_release);
}

size_t ring_take(struct ring *r, char *out, size_t room)
{
    uint64_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
    uint64_t put = atomic_load_explicit(&r->put, memory_order_acquire);
    size_t at = (size_t)(taken % RING_BYTES), first = RING_BYTES - at;
    size_t n = (size_t)(put - taken);

    n = n < room ? n : room;
    first = n < first ? n : first;
    memcpy(out, r->bytes + at, first);
    memcpy(out + first, r->bytes, n - first);
    while (n > 0 && out[n - 1] != '\n') {
        n--;
    }
    atomic_store_explicit(&r->taken, taken + n, memory_order_release);
    return n;
}

uint64_t ring_lines(const struct ring *r)
{
    uint64_t put = atomic_load_explicit(&r->put, memory_order_acquire), lines = 0;

    for (uint64_t at = atomic_load_explicit(&r->taken, memory_order_relaxed); at < put;
         at++) {
        lines += r->bytes[at % RING_BYTES] == '\n';
    }
    return lines;
}
