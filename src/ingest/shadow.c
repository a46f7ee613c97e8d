#include "ingest/shadow.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "ingest/internal.h"

enum { ARENA_MAX_BYTES = 64 << 20 };

struct shadow {
    struct event_batch batch;
    struct arena arena;
    struct arena lines; /* of one comparison */
    uint32_t n_samples; /* still to be shown */
    bool unknown;       /* of the body in hand: no sample has any of it */
    struct shadow_counts counts;
};

struct shadow *shadow_new(uint32_t n_samples)
{
    struct shadow *sh = mem_zalloc(sizeof *sh);

    arena_init(&sh->arena, ARENA_MAX_BYTES);
    arena_init(&sh->lines, ARENA_MAX_BYTES);
    event_batch_init(&sh->batch, &sh->arena);
    sh->n_samples = n_samples;
    return sh;
}

void shadow_free(struct shadow *sh)
{
    if (sh != NULL) {
        event_batch_fini(&sh->batch);
        arena_fini(&sh->arena);
        arena_fini(&sh->lines);
        free(sh);
    }
}

const struct shadow_counts *shadow_counts(const struct shadow *sh)
{
    return &sh->counts;
}

static void count_code(struct shadow_counts *c, const char *code)
{
    uint32_t n = atomic_load_explicit(&c->n_codes, memory_order_relaxed);
    uint32_t i = 0;

    while (i < n && strcmp(c->codes[i].code, code) != 0 && i < SHADOW_CODES - 1) {
        i++;
    }
    if (i == n) {
        (void)snprintf(c->codes[i].code, sizeof c->codes[i].code, "%s",
                       i == SHADOW_CODES - 1 ? "others" : code);
        atomic_store_explicit(&c->n_codes, n + 1, memory_order_release);
    }
    stats_add(&c->codes[i].n, 1);
}

static void show(struct ingest *in, struct binding *b, const struct http_view *v,
                 enum contrast kind, const char *code, struct str event)
{
    struct shadow_sample *x;

    if (b->shadow->n_samples == 0) {
        return;
    }
    b->shadow->n_samples--;
    x = mem_zalloc(sizeof *x);
    x->generation = b->plan->generation;
    x->kind = kind;
    (void)snprintf(x->code, sizeof x->code, "%s", code == NULL ? "" : code);
    (void)snprintf(x->route, sizeof x->route, "%.*s %.*s", (int)v->method.n,
                   v->method.p, (int)v->path.n, v->path.p);
    if (!b->shadow->unknown) {
        (void)text_z(TEXT_PLAIN, event, x->event, sizeof x->event);
    }
    in->conf.differs(in->conf.arg, x);
}

static void differs(struct ingest *in, struct binding *b, const struct http_view *v,
                    enum contrast kind, const char *code, struct str event)
{
    struct shadow_counts *c = &b->shadow->counts;

    stats_add(&c->differ[kind], 1);
    if (kind == CONTRAST_ACCEPTED_REFUSED) {
        count_code(c, code);
    }
    show(in, b, v, kind, code, event);
}

static struct str raw_of(const struct event_batch *batch, uint32_t i)
{
    return (struct str){batch->body + batch->events[i].off, batch->events[i].len};
}

/* One of them refused the body as a whole, the other decided on its events. */
static void whole_differs(struct ingest *in, struct binding *b,
                          const struct http_view *v, const struct decided *d,
                          enum contrast kind, const char *code)
{
    for (uint32_t i = 0; i < d->batch->n; i++) {
        if (contrast_code(d, i) == NULL) {
            differs(in, b, v, kind, code, raw_of(d->batch, i));
        }
    }
}

static void compare(struct ingest *in, struct binding *b, const struct http_view *v,
                    const struct decided *live, const struct decided *mine)
{
    for (uint32_t i = 0; i < live->batch->n && i < mine->batch->n; i++) {
        enum contrast kind = contrast_event(live, mine, i, &b->shadow->lines);
        const char *code = contrast_code(mine, i);

        arena_reset(&b->shadow->lines);
        if (kind != CONTRAST_NONE) {
            differs(in, b, v, kind, code != NULL ? code : contrast_code(live, i),
                    raw_of(live->batch, i));
        }
    }
}

void shadow_head(struct ingest *in, struct binding *b, const struct http_view *v,
                 const char *code)
{
    struct policy_request req = admission_request(in, v);
    uint64_t began = clock_mono_ns();
    const struct route *route;
    enum scan_shape shape;
    struct refused no;
    bool ok = decide_head(b->state, &req, v->content_type, &route, &shape, &no);
    struct str none = {NULL, 0};

    b->shadow->unknown = false;
    tally_request(&b->tally, 0, 1, !ok, 0, clock_mono_ns() - began);
    if (ok) {
        differs(in, b, v, CONTRAST_REFUSED_ACCEPTED, code, none);
    } else if (strcmp(no.error.code, code) != 0) {
        differs(in, b, v, CONTRAST_REFUSED_OTHERWISE, no.error.code, none);
    }
}

void shadow_body(struct ingest *in, struct binding *b, const struct http_view *v,
                 const struct request_state *p, const struct shadow_live *l)
{
    struct policy_request req = admission_request(in, v);
    uint64_t began = clock_mono_ns();
    const struct outcome *o = l->outcome;
    const char *code = l->code;
    struct decided live = {p->binding->plan, p->route, &in->batch, o};
    struct decided mine = {.plan = b->plan, .batch = &b->shadow->batch};
    struct outcome mine_o = {0};
    enum scan_shape shape;
    struct refused no;
    uint32_t raised = 0;
    bool ok = decide_head(b->state, &req, v->content_type, &mine.route, &shape, &no) &&
              decide_body(b->state, mine.route, shape, &req, v->body, &b->shadow->batch,
                          NULL, &raised, &no);

    b->shadow->unknown = l->unknown;
    if (ok) {
        outcome_of(mine.route, mine.batch, &mine_o);
        mine.outcome = &mine_o;
        tally_request(&b->tally, 0, mine.batch->n,
                      mine_o.store ? mine_o.rejected : mine.batch->n, raised,
                      clock_mono_ns() - began);
    } else {
        tally_request(&b->tally, 0, 1, 1, 0, clock_mono_ns() - began);
    }
    if (ok && o != NULL) {
        compare(in, b, v, &live, &mine);
    } else if (ok) {
        whole_differs(in, b, v, &mine, CONTRAST_REFUSED_ACCEPTED, code);
    } else if (o != NULL) {
        whole_differs(in, b, v, &live, CONTRAST_ACCEPTED_REFUSED, no.error.code);
    } else if (strcmp(no.error.code, code) != 0) {
        differs(in, b, v, CONTRAST_REFUSED_OTHERWISE, no.error.code, v->body);
    }
}
