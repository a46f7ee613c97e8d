#include "index/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void index_account_init(struct index_account *a, uint32_t epoch, int64_t now_ms)
{
    *a = (struct index_account){
        .begin = epoch, .until = epoch, .begin_ms = now_ms, .until_ms = now_ms};
}

void index_account_free(struct index_account *a)
{
    free(a->epochs);
    free(a->shards);
    free(a->holes);
    *a = (struct index_account){.begin = 0};
}

/* Room for one more of `size` bytes after n. */
static void *grow(void *list, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room) {
        return list;
    }
    *room = *room == 0 ? 16 : 2 * *room;
    return mem_realloc(list, *room * size);
}

/* ---- epochs ---- */

static const struct index_account_epoch *last_of(const struct index_account *a,
                                                 uint32_t epoch)
{
    for (uint32_t i = a->n_epochs; i-- > 0;) {
        if (a->epochs[i].epoch == epoch) {
            return &a->epochs[i];
        }
    }
    return NULL;
}

void index_account_note_epoch(struct index_account *a, uint32_t epoch,
                              const char *field, int64_t now_ms)
{
    const struct index_account_epoch *last = last_of(a, epoch);
    struct index_account_epoch *p;

    if (last != NULL && last->on == (field != NULL) &&
        (field == NULL || strcmp(last->field, field) == 0)) {
        return;
    }
    if (a->n_epochs == ACCOUNT_LINES_MAX) {
        memmove(a->epochs, a->epochs + 1, --a->n_epochs * sizeof *a->epochs);
    }
    a->epochs = grow(a->epochs, a->n_epochs, &a->epochs_room, sizeof *a->epochs);
    p = &a->epochs[a->n_epochs++];
    *p = (struct index_account_epoch){
        .epoch = epoch, .on = field != NULL, .since_ms = now_ms};
    (void)snprintf(p->field, sizeof p->field, "%s", field == NULL ? "" : field);
}

const char *index_account_field_of(const struct index_account *a, uint32_t epoch)
{
    for (uint32_t i = a->n_epochs; i-- > 0;) {
        if (a->epochs[i].epoch == epoch && a->epochs[i].on) {
            return a->epochs[i].field;
        }
    }
    return NULL;
}

enum index_account_why index_account_why(const struct index_account *a,
                                         const struct index_run *range)
{
    bool on = false, off = false, off_later = false;

    for (uint32_t i = 0; i < a->n_epochs; i++) {
        const struct index_account_epoch *p = &a->epochs[i];

        on |= p->epoch == range->epoch && p->on;
        off |= p->epoch == range->epoch && !p->on;
        off_later |= p->epoch > range->epoch && !p->on;
    }
    /* Where it was switched on later, it has begun with what the spool still had. */
    return off && (!on || range->first == 1) ? ACCOUNT_OFF
           : off_later                       ? ACCOUNT_UNREAD
                                             : ACCOUNT_GONE;
}

int64_t index_account_since(const struct index_account *a, uint32_t epoch)
{
    for (uint32_t i = 0; i < a->n_epochs; i++) {
        if (a->epochs[i].epoch == epoch) {
            return a->epochs[i].since_ms;
        }
    }
    return 0;
}

int64_t index_account_end(const struct index_account *a, uint32_t epoch)
{
    for (uint32_t i = 0; i < a->n_epochs; i++) {
        if (a->epochs[i].epoch > epoch) {
            return a->epochs[i].since_ms;
        }
    }
    return 0;
}

/* ---- shards ---- */

struct index_account_shard *index_account_shard_of(const struct index_account *a,
                                                   uint32_t epoch, uint32_t worker)
{
    for (uint32_t i = a->n_shards; i-- > 0;) {
        if (a->shards[i].epoch == epoch && a->shards[i].worker == worker) {
            return &a->shards[i];
        }
    }
    return NULL;
}

struct index_account_shard *index_account_note_shard(struct index_account *a,
                                                     uint32_t epoch, uint32_t worker,
                                                     uint64_t from)
{
    struct index_account_shard *s = index_account_shard_of(a, epoch, worker);

    if (s != NULL) {
        return s;
    }
    if (a->n_shards == ACCOUNT_LINES_MAX) {
        memmove(a->shards, a->shards + 1, --a->n_shards * sizeof *a->shards);
    }
    a->shards = grow(a->shards, a->n_shards, &a->shards_room, sizeof *a->shards);
    s = &a->shards[a->n_shards++];
    *s = (struct index_account_shard){.epoch = epoch, .worker = worker, .from = from};
    return s;
}

static bool same_shard(const struct index_run *x, uint32_t epoch, uint32_t worker)
{
    return x->epoch == epoch && x->worker == worker;
}

void index_account_drop(struct index_account *a, uint32_t epoch, uint32_t worker,
                        uint64_t end)
{
    struct index_account_shard *s = index_account_shard_of(a, epoch, worker);

    /* Of a shard that is not noted the first events would be missed; it has ended, if it
     * is not this process's. */
    if (s == NULL && epoch >= a->begin && epoch <= a->until) {
        s = index_account_note_shard(a, epoch, worker, 1);
        s->end = epoch == a->until ? 0 : end;
    }
    if (s != NULL) {
        s->from = end > s->from ? end : s->from;
    }
}

static bool touches(const struct index_account_shard *s, const struct index_run *r)
{
    return same_shard(r, s->epoch, s->worker) && r->first < s->end && r->end > s->from;
}

void index_account_tidy(struct index_account *a, uint32_t epoch,
                        const struct index_run *runs, uint32_t n)
{
    uint32_t n_shards = 0, n_epochs = 0, oldest = epoch;

    for (uint32_t i = 0; i < a->n_shards; i++) {
        const struct index_account_shard *s = &a->shards[i];
        bool any = s->end == 0 || s->epoch >= epoch;

        for (uint32_t k = 0; !any && k < n; k++) {
            any = touches(s, &runs[k]);
        }
        for (uint32_t k = 0; !any && k < a->n_holes; k++) {
            any = touches(s, &a->holes[k].at);
        }
        if (any) {
            oldest = s->epoch < oldest ? s->epoch : oldest;
            a->shards[n_shards++] = *s;
        }
    }
    a->n_shards = n_shards;
    for (uint32_t i = 0; i < a->n_epochs; i++) {
        if (a->epochs[i].epoch >= oldest) {
            a->epochs[n_epochs++] = a->epochs[i];
        }
    }
    a->n_epochs = n_epochs;
}

/* ---- holes ---- */

void index_account_add_gap(struct index_account *a, const struct index_account_gap *g)
{
    struct index_account_gap *last = &a->gaps[a->n_gaps == 0 ? 0 : a->n_gaps - 1];

    if (a->n_gaps < ACCOUNT_GAPS_MAX) {
        a->gaps[a->n_gaps++] = *g;
        return;
    }
    last->first = g->first < last->first ? g->first : last->first;
    last->last = g->last > last->last ? g->last : last->last;
    last->since_ms = g->since_ms < last->since_ms ? g->since_ms : last->since_ms;
    last->until_ms = g->until_ms > last->until_ms ? g->until_ms : last->until_ms;
}

/* The hole that h goes on; NULL: it begins one. */
static struct index_account_hole *continued(const struct index_account *a,
                                            const struct index_account_hole *h)
{
    for (uint32_t i = a->n_holes; i-- > 0;) {
        struct index_account_hole *o = &a->holes[i];

        if (same_shard(&o->at, h->at.epoch, h->at.worker) && o->why == h->why &&
            o->at.end == h->at.first) {
            return o;
        }
    }
    return NULL;
}

void index_account_add_hole(struct index_account *a, const struct index_account_hole *h)
{
    struct index_account_hole *before = continued(a, h);

    /* Workers take turns: the one before may stand further up. */
    if (before != NULL) {
        before->at.end = h->at.end;
        before->since_ms =
            h->since_ms < before->since_ms ? h->since_ms : before->since_ms;
        before->until_ms =
            h->until_ms > before->until_ms ? h->until_ms : before->until_ms;
        return;
    }
    if (a->n_holes == ACCOUNT_LINES_MAX) {
        const struct index_account_hole *o = &a->holes[0];

        index_account_add_gap(a, &(struct index_account_gap){o->at.epoch, o->at.epoch,
                                                             o->since_ms, o->until_ms});
        memmove(a->holes, a->holes + 1, --a->n_holes * sizeof *a->holes);
    }
    a->holes = grow(a->holes, a->n_holes, &a->holes_room, sizeof *a->holes);
    a->holes[a->n_holes++] = *h;
}

bool index_account_expire(struct index_account *a, int64_t ms)
{
    uint32_t n_holes = 0, n_gaps = 0;
    bool any;

    for (uint32_t i = 0; i < a->n_holes; i++) {
        const struct index_account_hole *h = &a->holes[i];

        if (h->until_ms >= ms) {
            a->holes[n_holes++] = *h;
        } else {
            index_account_drop(a, h->at.epoch, h->at.worker, h->at.end);
        }
    }
    for (uint32_t i = 0; i < a->n_gaps; i++) {
        if (a->gaps[i].until_ms >= ms) {
            a->gaps[n_gaps++] = a->gaps[i];
        }
    }
    any = n_holes < a->n_holes || n_gaps < a->n_gaps ||
          (a->begin > 1 && a->begin_ms < ms);
    if (a->begin_ms < ms) {
        a->begin = 1;
    }
    a->n_holes = n_holes;
    a->n_gaps = n_gaps;
    return any;
}

/* ---- what is missing ---- */

static int by_place(const void *a, const void *b)
{
    const struct index_run *x = a, *y = b;

    return x->epoch != y->epoch     ? (x->epoch < y->epoch ? -1 : 1)
           : x->worker != y->worker ? (x->worker < y->worker ? -1 : 1)
                                    : (x->first > y->first) - (x->first < y->first);
}

void index_runs_sort(struct index_run *runs, uint32_t n)
{
    if (n > 1) {
        qsort(runs, n, sizeof *runs, by_place);
    }
}

struct missing {
    const struct index_account *a;
    uint64_t from; /* of the shard: before it only holes are told */
    index_account_part_fn *fn;
    void *arg;
};

/* The hole that has the range's first sequence, or else the next one in it. */
static const struct index_account_hole *
hole_at(const struct index_account *a, const struct index_run *range, uint64_t *from)
{
    const struct index_account_hole *next = NULL;

    *from = range->end;
    for (uint32_t i = 0; a != NULL && i < a->n_holes; i++) {
        const struct index_run *h = &a->holes[i].at;
        const uint64_t at = h->first > range->first ? h->first : range->first;

        if (same_shard(h, range->epoch, range->worker) && h->end > range->first &&
            at < *from) {
            next = &a->holes[i];
            *from = at;
        }
    }
    return next;
}

/* A range that no run has, in its parts. */
static void tell(const struct missing *m, struct index_run rest)
{
    while (rest.first < rest.end) {
        uint64_t from, end;
        const struct index_account_hole *next = hole_at(m->a, &rest, &from);
        struct index_run part = {rest.epoch, rest.worker, rest.first, from};
        struct index_account_hole h; /* fn may add holes, which moves them */
        const bool any = next != NULL;

        if (any) {
            h = *next;
        }
        if (part.first < m->from) {
            part.first = m->from;
        }
        if (part.first < part.end) {
            m->fn(m->arg, &part, NULL);
        }
        rest.first = from;
        if (any) {
            end = h.at.end < rest.end ? h.at.end : rest.end;
            rest.first = end;
            m->fn(m->arg, &(struct index_run){rest.epoch, rest.worker, from, end}, &h);
        }
    }
}

/* What of s none of the runs has, which are all of that shard. */
static void missing_of(const struct missing *m, const struct index_run *runs,
                       uint32_t n, const struct index_account_shard *s)
{
    uint64_t at = s->from, end = s->end;

    for (uint32_t i = 0; m->a != NULL && i < m->a->n_holes; i++) {
        const struct index_run *h = &m->a->holes[i].at;

        if (same_shard(h, s->epoch, s->worker)) {
            at = h->first < at ? h->first : at;
            end = h->end > end ? h->end : end;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (runs[i].first > at) {
            tell(m, (struct index_run){s->epoch, s->worker, at, runs[i].first});
        }
        at = runs[i].end > at ? runs[i].end : at;
    }
    if (at < end) {
        tell(m, (struct index_run){s->epoch, s->worker, at, end});
    }
}

/* The first run that is not before the place. */
static uint32_t run_at(const struct index_run *runs, uint32_t n, uint32_t epoch,
                       uint32_t worker)
{
    const struct index_run place = {epoch, worker, 0, 0};
    uint32_t from = 0, to = n;

    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;

        if (by_place(&runs[mid], &place) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static bool has_runs(const struct index_run *runs, uint32_t n, uint32_t epoch,
                     uint32_t worker)
{
    const uint32_t at = run_at(runs, n, epoch, worker);

    return at < n && same_shard(&runs[at], epoch, worker);
}

/* Shards of which nothing is there. */
static void missing_shards(struct missing *m, const struct index_run *runs, uint32_t n)
{
    const struct index_account *a = m->a;

    for (uint32_t i = 0; i < a->n_shards; i++) {
        const struct index_account_shard *s = &a->shards[i];

        if (!has_runs(runs, n, s->epoch, s->worker)) {
            m->from = s->from;
            missing_of(m, NULL, 0, s);
        }
    }
    for (uint32_t i = 0; i < a->n_holes; i++) {
        const struct index_account_hole *h = &a->holes[i];

        if (!has_runs(runs, n, h->at.epoch, h->at.worker) &&
            index_account_shard_of(a, h->at.epoch, h->at.worker) == NULL) {
            m->fn(m->arg, &h->at, h);
        }
    }
}

void index_account_missing(const struct index_account *a, const struct index_run *runs,
                           uint32_t n, index_account_part_fn *fn, void *arg)
{
    struct missing m = {.a = a, .fn = fn, .arg = arg};

    for (uint32_t i = 0, end; i < n; i = end) {
        struct index_account_shard s = {
            .epoch = runs[i].epoch, .worker = runs[i].worker, .from = runs[i].first};
        const struct index_account_shard *noted =
            a == NULL ? NULL : index_account_shard_of(a, s.epoch, s.worker);

        for (end = i; end < n && same_shard(&runs[end], s.epoch, s.worker); end++) {
        }
        if (noted != NULL) {
            s = *noted;
        } else if (a != NULL && s.epoch >= a->begin) {
            s.from = 1;
        }
        m.from = s.from;
        missing_of(&m, runs + i, end - i, &s);
    }
    if (a != NULL) {
        missing_shards(&m, runs, n);
    }
}

/* ---- shards that went unnoted ---- */

static bool has_epoch(const struct index_run *segments, uint32_t n, uint32_t epoch)
{
    const uint32_t at = run_at(segments, n, epoch, 0);

    return at < n && segments[at].epoch == epoch;
}

static void add_gap_of(struct index_account *a, uint32_t epoch, int64_t now_ms)
{
    const struct index_account_gap *last = &a->gaps[a->n_gaps == 0 ? 0 : a->n_gaps - 1];

    if (a->n_gaps == 0 || last->last != epoch) {
        index_account_add_gap(
            a, &(struct index_account_gap){epoch, epoch, index_account_since(a, epoch),
                                           now_ms});
    }
}

void index_account_close(struct index_account *a, uint32_t last,
                         const struct index_run *segments, uint32_t n, int64_t now_ms)
{
    const struct index_account_epoch *until = last_of(a, a->until);

    for (uint32_t i = 0; i < a->n_shards; i++) {
        struct index_account_shard *s = &a->shards[i];

        if (s->end == 0 && s->epoch <= last &&
            !has_runs(segments, n, s->epoch, s->worker)) {
            if (s->epoch < last) {
                add_gap_of(a, s->epoch, now_ms);
            }
            s->end = s->from; /* no process has removed it: somebody's hand has */
        }
    }
    /* Without an index nothing notes that a shard has begun. */
    if (a->until < last && until != NULL && !until->on &&
        !has_epoch(segments, n, a->until)) {
        add_gap_of(a, a->until, now_ms);
    }
}
