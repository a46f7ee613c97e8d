/* The tries of a part: it is sent to one endpoint and, when that is late, to a second. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/http/upload.h"

static const char *const encodings[] = {[CODING_NONE] = NULL,
                                        [CODING_GZIP] = "gzip",
                                        [CODING_ZSTD] = "zstd",
                                        [CODING_NATIVE] = NULL};

static bool send(struct insert *i, struct insert_try *t,
                 const struct endpoint *not, int64_t *wait_ms)
{
    struct sink *s = i->sink;
    uint32_t first = i->parts[i->n_parts - 1].first;
    uint32_t n = i->parts[i->n_parts - 1].n;
    char token[300], *url;
    size_t room;
    struct transfer_request r;
    enum coding coding;

    t->insert = i;
    t->endpoint = endpoint_take(s, not, &t->generation, wait_ms);
    if (t->endpoint == NULL) {
        return false;
    }
    coding = s->dialect->coding(t->endpoint);
    if (not == NULL) {
        if (!i->maybe || i->target == NULL) {
            target_unref(i->target);
            i->target = target_ref(s->target);
            target_note(i->target, i->batch);
        }
        i->coding = coding;
    }
    if (not == NULL ? !body_make(i, first, n, coding) : i->coding != coding) {
        endpoint_done(t->endpoint, t->generation, true, 0);
        *wait_ms = 1000;
        return false;
    }
    parts_token(i, first, n, token, sizeof token);
    r = remote_request(s);
    room = s->dialect->room(t->endpoint, i->target);
    url = mem_alloc(room);
    s->dialect->address(t->endpoint, i->target, token, t == &i->tries[1], url, room, &r);
    r.url = url;
    r.encoding = encodings[coding];
    r.body = (struct str){i->body, i->n_body};
    r.done = insert_answered;
    r.arg = t;
    stats_add(s->wire, i->n_body);
    t->transfer = transfers_send(s->transfers, &r);
    free(url);
    return true;
}

static void on_hedge(struct ev_loop *loop, ev_timer *w, int events)
{
    struct insert *i = OUTER(w, struct insert, hedge);
    struct sink *s = i->sink;
    int64_t wait_ms;

    (void)loop;
    (void)events;
    /* Asked again: others that waited at the same time may have had what was left. */
    if (i->tries[0].transfer == NULL || i->tries[1].transfer != NULL ||
        replicas_hedge_ms(s) < 0) {
        return;
    }
    if (send(i, &i->tries[1], i->tries[0].endpoint, &wait_ms)) {
        s->hedging.n_hedges++;
        stats_add(s->hedges, 1);
    }
}

void insert_init_tries(struct insert *i)
{
    ev_timer_init(&i->hedge, on_hedge, 0., 0.);
}

void insert_end_try(struct insert_try *t)
{
    if (t->transfer != NULL) {
        transfers_cancel(t->insert->sink->transfers, t->transfer);
        t->transfer = NULL;
        breaker_forget(&t->endpoint->breaker, t->generation);
        t->insert->maybe = true;
    }
}

/* No endpoint takes it now: none is there, or the table can't hold it. */
static void park_unsent(struct insert *i, int64_t wait_ms)
{
    const struct sink *s = i->sink;

    if (i->probe) {
        apart_put(i, APART_EVIDENCE);
        return;
    }
    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        if (s->endpoints[k]->misfit[0] != '\0') {
            insert_park(i, SINK_SETUP, s->endpoints[k]->misfit, wait_ms);
            return;
        }
    }
    insert_park(i, s->held ? SINK_SETUP : SINK_RETRY,
                s->held               ? s->why
                : i->why[0] != '\0' ? i->why
                                      : "no endpoint can be asked now",
                wait_ms);
}

static uint64_t part_bytes(const struct insert *i)
{
    const struct batch_entry *first =
        &i->batch->entries[i->parts[i->n_parts - 1].first];
    const struct batch_entry *last = first + i->parts[i->n_parts - 1].n - 1;

    return last->off + last->len + 1 - first->off;
}

/* While something is wrong, or one finds out whether it is, there is one probe at a
 * time. */
static bool must_wait(struct insert *i)
{
    struct sink *s = i->sink;
    bool alone = s->suspect || (i->n_refusals > 0 && !i->passed);

    if (!alone || s->probing == i) {
        return false;
    }
    if (s->probing != NULL) {
        return true; /* insert_release comes */
    }
    s->probing = i;
    return false;
}

static bool choose(struct insert *i)
{
    struct sink *s = i->sink;

    if (i->maybe) {
        return true; /* the same bytes again */
    }
    if (i->n_refusals > 0 && !i->probe && !apart_may_search(s)) {
        return false;
    }
    search_choose(i);
    while (s->too_large > 0 && part_bytes(i) >= s->too_large &&
           i->parts[i->n_parts - 1].n > 1) {
        parts_halve(i);
    }
    return true;
}

void insert_next(struct insert *i)
{
    struct sink *s = i->sink;
    int64_t wait_ms = 0, hedge_ms;

    if (must_wait(i)) {
        return;
    }
    if (!choose(i)) {
        apart_put(i, APART_BUDGET);
        insert_release(s, SINK_OK, "");
        return;
    }
    if (!send(i, &i->tries[0], NULL, &wait_ms)) {
        if (wait_ms < 0) {
            return; /* insert_asked comes */
        }
        park_unsent(i, wait_ms);
        return;
    }
    if (i->n_refusals > 0) {
        apart_spent(s);
    }
    i->began_ns = clock_mono_ns();
    s->hedging.n_tries++;
    hedge_ms = replicas_hedge_ms(s);
    if (hedge_ms >= 0) {
        ev_timer_set(&i->hedge, (double)hedge_ms / 1000., 0.);
        ev_timer_start(s->conf.loop, &i->hedge);
    }
}
