#include "ingest/tap.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* What one worker spends on one tap, at most: 0.3 % of its time for looks, as much for
 * lines (measured). A burst is shown whole if it is not too large. */
#define LOOKS_A_MS 8.
#define LINES_A_MS 2.
enum { LOOKS_MAX = 8000, LINES_MAX = 2000 };

/* A ring with less room is full: no line is built for it until its reader has read. */
enum { ROOM_MIN = 16 << 10 };

#define SKIP_MOST 1e18

struct tap_ring {
    _Alignas(64) _Atomic size_t head; /* the worker's: bytes written */
    _Atomic uint64_t dropped;
    double looked_ms, looks, lines;
    uint64_t random;
    uint64_t skip; /* events that pass, before the next one of the share */
    bool full;     /* when the reader was at full_tail */
    size_t full_tail;
    char *bytes; /* TAP_RING_BYTES */
    char *line;
    _Alignas(64) _Atomic size_t tail; /* the reader's: bytes read */
};

struct tap {
    struct tap_filter filter;
    double log_others; /* of the share that is not shown */
    uint32_t n_workers;
    _Atomic uint32_t joined, left;
    struct tap_ring *rings;
};

/* xorshift64; 0 < x <= 1 */
static double random_of(struct tap_ring *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (double)((r->random >> 11) + 1) / 9007199254740992.;
}

/* The events before the next one of a share are of a geometric distribution. One number for
 * each that is shown costs less than one for each that passes. */
static uint64_t next_skip(const struct tap *t, struct tap_ring *r)
{
    double n = log(random_of(r)) / t->log_others;

    return n < SKIP_MOST ? (uint64_t)n : (uint64_t)SKIP_MOST;
}

struct tap *tap_new(const struct tap_filter *f, uint32_t n_workers)
{
    struct tap *t = mem_zalloc(sizeof *t);

    t->filter = *f;
    t->log_others = log1p(-f->share);
    t->n_workers = n_workers;
    t->rings = aligned_alloc(64, n_workers * sizeof *t->rings);
    if (t->rings == NULL) {
        abort();
    }
    memset(t->rings, 0, n_workers * sizeof *t->rings);
    for (uint32_t i = 0; i < n_workers; i++) {
        t->rings[i].bytes = mem_alloc(TAP_RING_BYTES);
        t->rings[i].line = mem_alloc(TAP_LINE_MAX);
        t->rings[i].random = 0x9e3779b97f4a7c15u * (i + 1) ^ (uint64_t)(uintptr_t)t;
        t->rings[i].looks = LOOKS_MAX;
        t->rings[i].lines = LINES_MAX;
        t->rings[i].skip = next_skip(t, &t->rings[i]);
    }
    return t;
}

void tap_free(struct tap *t)
{
    for (uint32_t i = 0; t != NULL && i < t->n_workers; i++) {
        free(t->rings[i].bytes);
        free(t->rings[i].line);
    }
    if (t != NULL) {
        free(t->rings);
    }
    free(t);
}

const struct tap_filter *tap_filter(const struct tap *t)
{
    return &t->filter;
}

void tap_join(struct tap *t)
{
    (void)atomic_fetch_add(&t->joined, 1);
}

uint32_t tap_joined(const struct tap *t)
{
    return atomic_load(&t->joined);
}

void tap_leave(struct tap *t)
{
    (void)atomic_fetch_add(&t->left, 1);
}

uint32_t tap_left(const struct tap *t)
{
    return atomic_load(&t->left);
}

/* ---- the reader ---- */

size_t tap_read(struct tap *t, uint32_t worker, char *out)
{
    struct tap_ring *r = &t->rings[worker];
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t n = atomic_load_explicit(&r->head, memory_order_acquire) - tail;
    size_t at = tail % TAP_RING_BYTES;
    size_t first = n < TAP_RING_BYTES - at ? n : TAP_RING_BYTES - at;

    memcpy(out, r->bytes + at, first);
    memcpy(out + first, r->bytes, n - first);
    atomic_store_explicit(&r->tail, tail + n, memory_order_release);
    return n;
}

uint64_t tap_dropped(const struct tap *t)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < t->n_workers; i++) {
        n += atomic_load_explicit(&t->rings[i].dropped, memory_order_relaxed);
    }
    return n;
}

/* ---- the worker ---- */

static void drop(struct tap_ring *r, uint32_t n)
{
    atomic_store_explicit(&r->dropped,
                          atomic_load_explicit(&r->dropped, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void tap_drop(struct tap *t, uint32_t worker, uint32_t n)
{
    drop(&t->rings[worker], n);
    t->rings[worker].skip = next_skip(t, &t->rings[worker]);
}

static bool is_full(const struct tap_ring *r)
{
    return r->full &&
           atomic_load_explicit(&r->tail, memory_order_relaxed) == r->full_tail;
}

bool tap_is_spent(const struct tap *t, uint32_t worker, double mono_ms)
{
    const struct tap_ring *r = &t->rings[worker];

    return ((r->looks < 1 || r->lines < 1) && r->looked_ms >= mono_ms) || is_full(r);
}

static double refilled(double has, double more, double most)
{
    return has + more < most ? has + more : most;
}

bool tap_may_look(struct tap *t, uint32_t worker, double mono_ms)
{
    struct tap_ring *r = &t->rings[worker];
    double ms = mono_ms - r->looked_ms;

    if (ms > 0) {
        r->looked_ms = mono_ms;
        r->looks = refilled(r->looks, ms * LOOKS_A_MS, LOOKS_MAX);
        r->lines = refilled(r->lines, ms * LINES_A_MS, LINES_MAX);
    }
    if (r->looks < 1 || r->lines < 1 || is_full(r)) {
        drop(r, 1);
        return false;
    }
    r->looks -= 1;
    return true;
}

bool tap_samples(struct tap *t, uint32_t worker)
{
    struct tap_ring *r = &t->rings[worker];

    if (r->skip > 0) {
        r->skip--;
        return false;
    }
    r->skip = next_skip(t, r);
    return true;
}

uint32_t tap_passes_over(struct tap *t, uint32_t worker, uint32_t n)
{
    struct tap_ring *r = &t->rings[worker];
    uint32_t k = r->skip < n ? (uint32_t)r->skip : n;

    r->skip -= k;
    return k;
}

char *tap_line(struct tap *t, uint32_t worker)
{
    return t->rings[worker].line;
}

void tap_write(struct tap *t, uint32_t worker, size_t n)
{
    struct tap_ring *r = &t->rings[worker];
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    size_t room = TAP_RING_BYTES - (head - tail);
    size_t at = head % TAP_RING_BYTES;
    size_t first = n < TAP_RING_BYTES - at ? n : TAP_RING_BYTES - at;

    r->lines -= 1;
    if (n > room) {
        r->full = room < ROOM_MIN;
        r->full_tail = tail;
        drop(r, 1);
        return;
    }
    memcpy(r->bytes + at, r->line, first);
    memcpy(r->bytes, r->line + first, n - first);
    atomic_store_explicit(&r->head, head + n, memory_order_release);
}
