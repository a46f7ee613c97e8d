#include "sink/hedging.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST = 20 /* tries that "p95" wants to have seen */ };

void hedging_took(struct hedging *h, double ms)
{
    h->recent_ms[h->n_recent++ % HEDGING_RECENT] = ms;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double p95(const struct hedging *h)
{
    double sorted[HEDGING_RECENT];
    uint32_t n = h->n_recent < HEDGING_RECENT ? h->n_recent : HEDGING_RECENT;

    memcpy(sorted, h->recent_ms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    return sorted[n * 95 / 100];
}

uint64_t hedging_left(const struct hedging *h, const struct hedge_plan *plan)
{
    uint64_t most = (uint64_t)(plan->max_ratio * (double)(h->n_attempts + 1));

    return most > h->n_hedges ? most - h->n_hedges : 0;
}

int64_t hedging_after_ms(const struct hedging *h, const struct hedge_plan *plan)
{
    if (plan->after_ms == HEDGE_OFF || hedging_left(h, plan) == 0) {
        return -1;
    }
    if (plan->after_ms != HEDGE_P95) {
        return plan->after_ms;
    }
    return h->n_recent < LEAST ? -1 : (int64_t)p95(h) + 1;
}
