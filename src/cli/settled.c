#include "cli/settled.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "delivery/places.h"
#include "journal/journal.h"

struct settling {
    struct settled *s;
    struct str stream;
};

static void add(struct settled_set *set, const struct batch_range *r, uint64_t first,
                uint64_t end)
{
    if (first >= end) {
        return;
    }
    if (set->n == set->room) {
        set->room = set->room == 0 ? 16 : 2 * set->room;
        set->runs = mem_realloc(set->runs, set->room * sizeof *set->runs);
    }
    set->runs[set->n++] = (struct settled_run){r->epoch, r->worker, first, end};
}

static void add_all(struct settled *s, enum settled_how how, const struct record *r)
{
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        add(&s->apart[how], &r->ranges[i], r->ranges[i].first,
            r->ranges[i].first + r->ranges[i].n);
    }
}

static void on_apart(struct settled *s, const struct record *r)
{
    if (r->type == RECORD_DEAD) {
        add_all(s, SETTLED_DEAD, r);
    } else if (r->type == RECORD_SKIP) {
        add_all(s, r->value == 0 ? SETTLED_SKIPPED : SETTLED_LOST, r);
    }
}

static void on_start(struct settled *s, const struct record *r)
{
    if (r->value != 0) {
        ack_tracker_fini(&s->acks);
        ack_tracker_init(&s->acks);
        s->known = false;
        return;
    }
    s->known = true;
    if (r->n_ranges > 0) {
        ack_tracker_start(&s->acks, r->ranges[0].epoch, r->ranges[0].worker,
                          r->ranges[0].first);
    }
}

static void on_record(void *arg, const struct record *r)
{
    struct settling *g = arg;

    if (!str_eq(r->stream, g->stream)) {
        return;
    }
    on_apart(g->s, r);
    if (r->type == RECORD_START) {
        on_start(g->s, r);
    } else if (r->type == RECORD_DONE || r->type == RECORD_DEAD ||
               r->type == RECORD_SKIP || r->type == RECORD_FILE) {
        for (uint32_t i = 0; i < r->n_ranges; i++) {
            (void)ack_tracker_ack(&g->s->acks, &r->ranges[i]);
        }
    }
}

static void on_place(void *arg, const struct record *r)
{
    struct settling *g = arg;

    if (!str_eq(r->stream, g->stream)) {
        return;
    }
    on_apart(g->s, r);
    if (r->type == RECORD_START && r->n_ranges > 0) {
        add(&g->s->apart[SETTLED_BEFORE], &r->ranges[0], 1, r->ranges[0].first);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct settled_run *x = a, *y = b;

    return x->epoch != y->epoch     ? (x->epoch < y->epoch ? -1 : 1)
           : x->worker != y->worker ? (x->worker < y->worker ? -1 : 1)
                                    : (x->first > y->first) - (x->first < y->first);
}

/* Sorted, and each event once: the journal and the places tell the same. */
static void put_in_order(struct settled_set *set)
{
    uint32_t n = 0;

    if (set->n > 1) {
        qsort(set->runs, set->n, sizeof *set->runs, by_place);
    }
    for (uint32_t i = 0; i < set->n; i++) {
        const struct settled_run *r = &set->runs[i];
        struct settled_run *last = n == 0 ? NULL : &set->runs[n - 1];

        if (last != NULL && last->epoch == r->epoch && last->worker == r->worker &&
            r->first <= last->end) {
            last->end = r->end > last->end ? r->end : last->end;
        } else {
            set->runs[n++] = *r;
        }
    }
    set->n = n;
}

bool settled_read(const char *spool, const char *name, const char *stream,
                  struct settled *out, struct err *e)
{
    static const char *const tails[] = {PLACES_APART_OLD_TAIL, PLACES_APART_TAIL,
                                        PLACES_OLD_TAIL, PLACES_TAIL};
    struct settling g = {out, str_of(stream)};
    struct journal_scan scan;
    char path[PATH_MAX];
    struct err ignored;

    memset(out, 0, sizeof *out);
    ack_tracker_init(&out->acks);
    (void)snprintf(out->sink, sizeof out->sink, "%s", name);
    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", spool, name);
    if (!journal_scan(path, on_record, &g, &scan, e)) {
        return false;
    }
    out->cut_ms = places_cut_ms(path);
    for (size_t i = 0; i < N_ELEMS(tails); i++) {
        (void)snprintf(path, sizeof path, "%s/sinks/%s%s", spool, name, tails[i]);
        (void)!journal_scan(path, on_place, &g, &scan, &ignored);
    }
    for (int how = 0; how < SETTLED_HOWS; how++) {
        put_in_order(&out->apart[how]);
    }
    return true;
}

static uint64_t overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
    const uint64_t first = a > b ? a : b, end = a_end < b_end ? a_end : b_end;

    return end > first ? end - first : 0;
}

/* How many of the events are in the set. */
static uint64_t count(const struct settled_set *set, uint32_t epoch, uint32_t worker,
                      uint64_t seq, uint64_t end)
{
    uint32_t from = 0, to = set->n;
    uint64_t n = 0;

    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        const struct settled_run *r = &set->runs[mid];

        if (r->epoch < epoch ||
            (r->epoch == epoch &&
             (r->worker < worker || (r->worker == worker && r->end <= seq)))) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    for (; from < set->n && set->runs[from].epoch == epoch &&
           set->runs[from].worker == worker && set->runs[from].first < end;
         from++) {
        n += overlap(seq, end, set->runs[from].first, set->runs[from].end);
    }
    return n;
}

void settled_count(const struct settled *s, uint32_t epoch, uint32_t worker,
                   uint64_t seq, uint32_t n, int64_t wall_ms, bool gone,
                   struct settled_counts *c)
{
    const struct cursor *at = ack_tracker_find(&s->acks, epoch, worker);
    const uint64_t end = seq + n;
    uint64_t done = at != NULL ? overlap(seq, end, 0, at->next) : gone ? n : 0;
    uint64_t apart = 0;

    for (uint32_t i = 0; at != NULL && i < at->n_ahead; i++) {
        done += overlap(seq, end, at->ahead[i].first, at->ahead[i].end);
    }
    for (int how = 0; how < SETTLED_HOWS; how++) {
        const uint64_t k = count(&s->apart[how], epoch, worker, seq, end);

        c->apart[how] += k;
        apart += k;
    }
    c->pending += n - done;
    done = done > apart ? done - apart : 0;
    if (s->cut_ms != 0 && wall_ms <= s->cut_ms) {
        c->settled += done;
    } else {
        c->confirmed += done;
    }
}

void settled_free(struct settled *s)
{
    ack_tracker_fini(&s->acks);
    for (int how = 0; how < SETTLED_HOWS; how++) {
        free(s->apart[how].runs);
    }
    memset(s, 0, sizeof *s);
}
