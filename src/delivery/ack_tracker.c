#include "delivery/ack_tracker.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void ack_tracker_init(struct ack_tracker *c)
{
    *c = (struct ack_tracker){NULL, 0, 0};
}

void ack_tracker_fini(struct ack_tracker *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        free(c->shards[i].ahead);
    }
    free(c->shards);
    ack_tracker_init(c);
}

static struct cursor *find(const struct ack_tracker *c, uint32_t epoch, uint32_t worker)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->shards[i].epoch == epoch && c->shards[i].worker == worker) {
            return &c->shards[i];
        }
    }
    return NULL;
}

const struct cursor *ack_tracker_find(const struct ack_tracker *c, uint32_t epoch,
                                      uint32_t worker)
{
    return find(c, epoch, worker);
}

static struct cursor *get(struct ack_tracker *c, uint32_t epoch, uint32_t worker)
{
    struct cursor *k = find(c, epoch, worker);

    if (k != NULL) {
        return k;
    }
    if (c->n == c->cap) {
        c->cap = c->cap == 0 ? 8 : c->cap * 2;
        c->shards = mem_realloc(c->shards, c->cap * sizeof *c->shards);
    }
    k = &c->shards[c->n++];
    *k = (struct cursor){.epoch = epoch, .worker = worker, .next = 1};
    return k;
}

static void remove_spans(struct cursor *k, uint32_t at, uint32_t n)
{
    memmove(k->ahead + at, k->ahead + at + n, (k->n_ahead - at - n) * sizeof *k->ahead);
    k->n_ahead -= n;
}

/* Spans that the cursor has reached are behind it now. */
static void advance(struct cursor *k, uint64_t next)
{
    uint32_t n = 0;

    k->next = next > k->next ? next : k->next;
    while (n < k->n_ahead && k->ahead[n].first <= k->next) {
        k->next = k->ahead[n].end > k->next ? k->ahead[n].end : k->next;
        n++;
    }
    if (n > 0) {
        remove_spans(k, 0, n);
    }
}

void ack_tracker_start(struct ack_tracker *c, uint32_t epoch, uint32_t worker,
                       uint64_t first)
{
    struct cursor *k = get(c, epoch, worker);

    k->started = true;
    advance(k, first);
}

/* The first span that touches or follows first. */
static uint32_t find_span(const struct cursor *k, uint64_t first)
{
    uint32_t low = 0, high = k->n_ahead;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (k->ahead[mid].end < first) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void add_span(struct cursor *k, uint64_t first, uint64_t end)
{
    uint32_t at = find_span(k, first), n = 0;

    while (at + n < k->n_ahead && k->ahead[at + n].first <= end) {
        const struct ack_tracker_span *s = &k->ahead[at + n++];

        first = s->first < first ? s->first : first;
        end = s->end > end ? s->end : end;
    }
    if (n > 0) {
        k->ahead[at] = (struct ack_tracker_span){first, end};
        remove_spans(k, at + 1, n - 1);
        return;
    }
    if (k->n_ahead == k->ahead_cap) {
        k->ahead_cap = k->ahead_cap == 0 ? 8 : k->ahead_cap * 2;
        k->ahead = mem_realloc(k->ahead, k->ahead_cap * sizeof *k->ahead);
    }
    memmove(k->ahead + at + 1, k->ahead + at, (k->n_ahead - at) * sizeof *k->ahead);
    k->ahead[at] = (struct ack_tracker_span){first, end};
    k->n_ahead++;
}

bool ack_tracker_ack(struct ack_tracker *c, const struct batch_range *r)
{
    struct cursor *k = get(c, r->epoch, r->worker);
    uint64_t end = r->first + r->n, before = k->next;

    if (r->n == 0 || end <= k->next) {
        return false;
    }
    if (r->first <= k->next) {
        advance(k, end);
    } else {
        add_span(k, r->first, end);
    }
    return k->next != before;
}

void ack_tracker_drop(struct ack_tracker *c, ack_tracker_keep_fn *keep, void *arg)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        if (keep(arg, c->shards[i].epoch, c->shards[i].worker)) {
            c->shards[n++] = c->shards[i];
        } else {
            free(c->shards[i].ahead);
        }
    }
    c->n = n;
}
