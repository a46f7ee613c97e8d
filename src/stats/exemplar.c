#include <string.h>

#include "base/mem.h"
#include "stats/internal.h"

void stats_exemplar(struct stats_histogram *h, uint64_t value,
                    const char trace[STATS_TRACE_BYTES], int64_t now_ms)
{
    size_t n, at = 0;
    const double *bounds = bounds_of(h->unit, &n);
    struct exemplar *list = atomic_load_explicit(&h->exemplars, memory_order_relaxed);
    struct exemplar *x;
    /* A value counts as the end of its bucket, which may lie above a bound that the value is
     * below: it is shown where it is counted, and as what it counts as. */
    double end = bucket_end(bucket_of(value)) - 1;
    uint64_t seq;

    while (at < n && end > bounds[at]) {
        at++;
    }
    if (at > 0 && (double)value <= bounds[at - 1]) {
        value = (uint64_t)end;
    }
    if (list == NULL) {
        list = mem_zalloc((n + 1) * sizeof *list);
        atomic_store_explicit(&h->exemplars, list, memory_order_release);
    }
    x = &list[at];
    seq = atomic_load_explicit(&x->seq, memory_order_relaxed);
    atomic_store_explicit(&x->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&x->value, value, memory_order_relaxed);
    atomic_store_explicit(&x->time_ms, (uint64_t)now_ms, memory_order_relaxed);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++) {
        uint64_t word;

        memcpy(&word, trace + 8 * i, sizeof word);
        atomic_store_explicit(&x->trace[i], word, memory_order_relaxed);
    }
    atomic_store_explicit(&x->seq, seq + 2, memory_order_release);
}

/* False: there is none, or it is being written. */
static bool read_one(struct exemplar *x, struct exemplar_text *out)
{
    uint64_t seq = atomic_load_explicit(&x->seq, memory_order_acquire);

    if (seq == 0 || seq % 2 == 1) {
        return false;
    }
    out->value = atomic_load_explicit(&x->value, memory_order_relaxed);
    out->time_ms = atomic_load_explicit(&x->time_ms, memory_order_relaxed);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&x->trace[i], memory_order_relaxed);

        memcpy(out->trace + 8 * i, &word, sizeof word);
    }
    out->trace[STATS_TRACE_BYTES] = '\0';
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&x->seq, memory_order_relaxed) == seq;
}

bool exemplar_read(const struct series *s, size_t at, struct exemplar_text *out)
{
    bool any = false;

    for (const struct cell *c = first_cell(s); c != NULL; c = next_cell(c)) {
        struct exemplar *list =
            atomic_load_explicit(&c->histogram->exemplars, memory_order_acquire);
        struct exemplar_text x;

        if (list != NULL && read_one(&list[at], &x) &&
            (!any || x.time_ms > out->time_ms)) {
            *out = x;
            any = true;
        }
    }
    return any;
}
