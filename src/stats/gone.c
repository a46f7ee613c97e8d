/*
 * What is left of makers that are gone. A maker's count goes on in the past of its series,
 * so that a series that others still show does not go back. A series without a maker is
 * remembered for the case that it returns, and goes on then; of those, only GONE_BYTES are
 * kept. The count of one that is forgotten is added to a total of its family, for pages that
 * tell sums since the start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stats/internal.h"

enum { GONE_BYTES = 1 << 20 };

static uint64_t load(const stats_cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* ---- the totals ---- */

/* The labels of a total: that of the result, whose words are few. In a label's value a
 * quotation mark has a backslash before it. */
static void total_labels(const char *labels, char *out, size_t bytes)
{
    const char *result = strstr(labels, ",result=\"");

    (void)snprintf(out, bytes, "total=\"\"%.*s",
                   result == NULL ? 0 : (int)(strcspn(result + 9, "\"") + 10),
                   result == NULL ? "" : result);
}

static void add_past(struct series *to, uint64_t n, struct stats_histogram *h)
{
    struct stats_histogram *has =
        atomic_load_explicit(&to->past_histogram, memory_order_relaxed);

    stats_add(&to->past, n);
    if (h != NULL && has != NULL) {
        histogram_merge(has, h);
        free(h);
    } else if (h != NULL) {
        atomic_store_explicit(&to->past_histogram, h, memory_order_release);
    }
}

static void forget(struct registry *r, struct series *s)
{
    const struct series of = {.kind = s->kind, .unit = s->unit, .total = true};
    char labels[160];

    gone_return(r, s);
    if (s->asked) { /* no page adds them up */
        series_drop(s);
        return;
    }
    total_labels(s->labels, labels, sizeof labels);
    add_past(series_get(&of, s->name, s->help, labels), load(&s->past),
             atomic_load_explicit(&s->past_histogram, memory_order_relaxed));
    atomic_store_explicit(&s->past_histogram, NULL, memory_order_relaxed);
    series_drop(s);
}

/* ---- series without a maker ---- */

static bool has_past(const struct series *s)
{
    return load(&s->past) > 0 || s->asked_past > 0 ||
           atomic_load_explicit(&s->past_histogram, memory_order_relaxed) != NULL;
}

static bool is_remembered(const struct registry *r, const struct series *s)
{
    return s->newer != NULL || r->newest == s;
}

void gone_return(struct registry *r, struct series *s)
{
    if (!is_remembered(r, s)) {
        return;
    }
    *(s->older != NULL ? &s->older->newer : &r->oldest) = s->newer;
    *(s->newer != NULL ? &s->newer->older : &r->newest) = s->older;
    s->older = s->newer = NULL;
    r->gone_bytes -= s->bytes;
}

static void remember(struct registry *r, struct series *s)
{
    s->older = r->newest;
    *(r->newest != NULL ? &r->newest->newer : &r->oldest) = s;
    r->newest = s;
    s->bytes = sizeof *s + strlen(s->name) + strlen(s->help) + strlen(s->labels) +
               (s->kind == HISTOGRAM ? sizeof(struct stats_histogram) : 0);
    r->gone_bytes += s->bytes;
}

static void unlink_cell(struct cell *c)
{
    struct cell *_Atomic *at = &c->of->cells;

    while (atomic_load_explicit(at, memory_order_relaxed) != c) {
        at = &atomic_load_explicit(at, memory_order_relaxed)->next;
    }
    atomic_store_explicit(at, atomic_load_explicit(&c->next, memory_order_relaxed),
                          memory_order_relaxed);
}

/* Without its exemplars; NULL: it counted nothing. */
static struct stats_histogram *histogram_of(struct cell *c)
{
    struct stats_histogram *h = c->histogram;

    if (h == NULL) {
        return NULL;
    }
    free(h->exemplars);
    atomic_store_explicit(&h->exemplars, NULL, memory_order_relaxed);
    if (stats_histogram_count(h) == 0) {
        free(h);
        return NULL;
    }
    return h;
}

void gone_settle(struct registry *r)
{
    while (r->leaving != NULL) {
        struct cell *c = r->leaving;
        struct series *s = c->of;

        r->leaving = c->of_owner;
        unlink_cell(c);
        add_past(s, s->kind == COUNTER ? load(&c->value) : 0, histogram_of(c));
        s->asked_past += c->last;
        free(c);
        if (atomic_load_explicit(&s->cells, memory_order_relaxed) != NULL) {
            continue;
        }
        if (has_past(s)) {
            remember(r, s);
        } else {
            series_drop(s);
        }
    }
    while (r->gone_bytes > GONE_BYTES) {
        forget(r, r->oldest);
    }
}
