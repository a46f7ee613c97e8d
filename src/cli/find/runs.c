/* Sets of events, as runs. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/find/settled.h"

void settled_add(struct settled_set *set, const struct batch_range *r, uint64_t first,
                 uint64_t end, int64_t time_ms)
{
    if (first >= end) {
        return;
    }
    if (set->n == set->room) {
        set->room = set->room == 0 ? 16 : 2 * set->room;
        set->runs = mem_realloc(set->runs, set->room * sizeof *set->runs);
    }
    set->runs[set->n++] =
        (struct settled_run){r->epoch, r->worker, first, end, time_ms};
}

static int by_shard(const struct settled_run *x, const struct settled_run *y)
{
    return x->epoch != y->epoch ? (x->epoch < y->epoch ? -1 : 1)
                                : (x->worker > y->worker) - (x->worker < y->worker);
}

static int by_place(const void *a, const void *b)
{
    const struct settled_run *x = a, *y = b;
    const int shard = by_shard(x, y);

    return shard != 0 ? shard : (x->first > y->first) - (x->first < y->first);
}

void settled_order(struct settled_set *set)
{
    if (set->n > 1) {
        qsort(set->runs, set->n, sizeof *set->runs, by_place);
    }
}

void settled_sort(struct settled_set *set)
{
    uint32_t n = 0;

    settled_order(set);
    for (uint32_t i = 0; i < set->n; i++) {
        const struct settled_run *r = &set->runs[i];
        struct settled_run *last = n == 0 ? NULL : &set->runs[n - 1];

        if (last != NULL && by_shard(last, r) == 0 &&
            (r->first < last->end ||
             (r->first == last->end && r->time_ms == last->time_ms))) {
            last->end = r->end > last->end ? r->end : last->end;
            last->time_ms = r->time_ms > last->time_ms ? r->time_ms : last->time_ms;
        } else {
            set->runs[n++] = *r;
        }
    }
    set->n = n;
}

void settled_fit(struct settled_set *set)
{
    if (set->room > set->n) {
        set->room = set->n + 1;
        set->runs = mem_realloc(set->runs, set->room * sizeof *set->runs);
    }
}

/* The first run of a sorted set that ends after seq, or a later shard's. */
static uint32_t find(const struct settled_set *set, const struct settled_run *shard,
                     uint64_t seq)
{
    uint32_t from = 0, to = set->n;

    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        const int order = by_shard(&set->runs[mid], shard);

        if (order < 0 || (order == 0 && set->runs[mid].end <= seq)) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static bool overlaps(const struct settled_set *set, uint32_t i,
                     const struct settled_run *r)
{
    return i < set->n && by_shard(&set->runs[i], r) == 0 && set->runs[i].first < r->end;
}

void settled_subtract(struct settled_set *set, const struct settled_set *less)
{
    struct settled_set left = {.n = 0};

    if (less->n == 0) {
        return;
    }
    for (uint32_t i = 0; i < set->n; i++) {
        const struct settled_run *r = &set->runs[i];
        const struct batch_range shard = {.epoch = r->epoch, .worker = r->worker};
        uint64_t at = r->first;

        for (uint32_t k = find(less, r, at); overlaps(less, k, r); k++) {
            settled_add(&left, &shard, at, less->runs[k].first, r->time_ms);
            at = less->runs[k].end > at ? less->runs[k].end : at;
        }
        settled_add(&left, &shard, at, r->end, r->time_ms);
    }
    free(set->runs);
    *set = left;
}

uint64_t settled_in(const struct settled_set *set, uint32_t epoch, uint32_t worker,
                    uint64_t first, uint64_t end)
{
    const struct settled_run r = {epoch, worker, first, end, 0};
    uint64_t n = 0;

    for (uint32_t i = find(set, &r, first); first < end && overlaps(set, i, &r); i++) {
        const struct settled_run *k = &set->runs[i];

        n += (k->end < end ? k->end : end) - (k->first > first ? k->first : first);
    }
    return n;
}

struct settled_set settled_later(const struct settled_set *set,
                                 const struct settled_set *by)
{
    struct settled_set later = {.n = 0};

    for (uint32_t i = 0; set->n > 0 && i < by->n; i++) {
        const struct settled_run *r = &by->runs[i];
        const struct batch_range shard = {.epoch = r->epoch, .worker = r->worker};

        for (uint32_t k = find(set, r, r->first); overlaps(set, k, r); k++) {
            const struct settled_run *s = &set->runs[k];

            if (r->time_ms >= s->time_ms) {
                settled_add(&later, &shard, r->first > s->first ? r->first : s->first,
                            r->end < s->end ? r->end : s->end, r->time_ms);
            }
        }
    }
    settled_sort(&later);
    return later;
}
