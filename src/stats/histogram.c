/* Histograms: what is recorded, copied and asked of them. */
#include <stdlib.h>

#include "base/mem.h"
#include "stats/internal.h"

void stats_record(struct stats_histogram *h, uint64_t value)
{
    stats_add(&h->buckets[bucket_of(value)], 1);
    stats_add(&h->sum, value);
}

struct stats_histogram *stats_histogram_new(void)
{
    return mem_zalloc(sizeof(struct stats_histogram));
}

void stats_histogram_clear(struct stats_histogram *h)
{
    for (unsigned b = 0; b < N_BUCKETS; b++) {
        stats_set(&h->buckets[b], 0);
    }
    stats_set(&h->sum, 0);
}

void stats_histogram_free(struct stats_histogram *h)
{
    free(h);
}

void stats_histogram_add(struct stats_histogram *to, const struct stats_histogram *from)
{
    for (unsigned b = 0; b < N_BUCKETS; b++) {
        stats_add(&to->buckets[b],
                  atomic_load_explicit(&from->buckets[b], memory_order_relaxed));
    }
}

void stats_histogram_less(struct stats_histogram *to,
                          const struct stats_histogram *before)
{
    for (unsigned b = 0; b < N_BUCKETS; b++) {
        uint64_t n = atomic_load_explicit(&to->buckets[b], memory_order_relaxed);
        uint64_t less = atomic_load_explicit(&before->buckets[b], memory_order_relaxed);

        stats_set(&to->buckets[b], n > less ? n - less : 0);
    }
}

void histogram_merge(struct stats_histogram *to, const struct stats_histogram *from)
{
    stats_histogram_add(to, from);
    stats_add(&to->sum, atomic_load_explicit(&from->sum, memory_order_relaxed));
}

uint64_t stats_histogram_count(const struct stats_histogram *h)
{
    uint64_t n = 0;

    for (unsigned b = 0; b < N_BUCKETS; b++) {
        n += atomic_load_explicit(&h->buckets[b], memory_order_relaxed);
    }
    return n;
}

static uint64_t in_bucket(const struct stats_histogram *const *list, size_t n,
                          unsigned b)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        v += list[i] == NULL
                 ? 0
                 : atomic_load_explicit(&list[i]->buckets[b], memory_order_relaxed);
    }
    return v;
}

double stats_quantile(const struct stats_histogram *const *list, size_t n, double q)
{
    uint64_t total = 0, below = 0;

    for (unsigned b = 0; b < N_BUCKETS; b++) {
        total += in_bucket(list, n, b);
    }
    for (unsigned b = 0; b < N_BUCKETS && total > 0; b++) {
        below += in_bucket(list, n, b);
        if ((double)below >= q * (double)total) {
            return bucket_end(b) - 1;
        }
    }
    return 0;
}
