/* The attempts of a part: it is sent to one endpoint and, when that is late, to a second. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/http/upload.h"

static const char *const encodings[] = {[CODING_NONE] = NULL,
                                        [CODING_GZIP] = "gzip",
                                        [CODING_ZSTD] = "zstd",
                                        [CODING_NATIVE] = NULL};

static bool send(struct upload *i, struct upload_attempt *t,
                 const struct endpoint * not, int64_t *wait_ms)
{
    struct sink *s = i->sink;
    uint32_t first = i->parts[i->n_parts - 1].first;
    uint32_t n = i->parts[i->n_parts - 1].n;
    char token[300], *url;
    size_t room;
    struct transfer_request r;
    enum coding coding;

    t->upload = i;
    t->endpoint = endpoint_take(s, not, &t->generation, wait_ms);
    if (t->endpoint == NULL) {
        return false;
    }
    coding = s->protocol->coding(t->endpoint);
    if (not == NULL) {
        if (!i->maybe || i->target == NULL) {
            destination_unref(i->target);
            i->target = destination_ref(s->target);
            destination_note(i->target, i->batch);
        }
        i->coding = coding;
    }
    if (not == NULL ? !body_make(i, first, n, coding) : i->coding != coding) {
        endpoint_done(t->endpoint, t->generation, true, 0);
        *wait_ms = 1000;
        return false;
    }
    bisect_token(i, first, n, token, sizeof token);
    r = http_sink_request(s);
    room = s->protocol->room(t->endpoint, i->target);
    url = mem_alloc(room);
    s->protocol->address(t->endpoint, i->target, token, t == &i->attempts[1], url, room,
                         &r);
    r.url = url;
    r.encoding = encodings[coding];
    r.body = (struct str){i->body, i->n_body};
    r.done = upload_answered;
    r.arg = t;
    stats_add(s->wire, i->n_body);
    t->transfer = transfers_send(s->transfers, &r);
    free(url);
    return true;
}

static void on_hedge(struct ev_loop *loop, ev_timer *w, int events)
{
    struct upload *i = OUTER(w, struct upload, hedge);
    struct sink *s = i->sink;
    int64_t wait_ms;

    (void)loop;
    (void)events;
    /* Asked again: others that waited at the same time may have had what was left. */
    if (i->attempts[0].transfer == NULL || i->attempts[1].transfer != NULL ||
        replicas_hedge_ms(s) < 0) {
        return;
    }
    if (send(i, &i->attempts[1], i->attempts[0].endpoint, &wait_ms)) {
        s->hedging.n_hedges++;
        stats_add(s->hedges, 1);
    }
}

void upload_init_attempts(struct upload *i)
{
    ev_timer_init(&i->hedge, on_hedge, 0., 0.);
}

void upload_end_attempt(struct upload_attempt *t)
{
    if (t->transfer != NULL) {
        transfers_cancel(t->upload->sink->transfers, t->transfer);
        t->transfer = NULL;
        breaker_forget(&t->endpoint->breaker, t->generation);
        t->upload->maybe = true;
    }
}

/* No endpoint takes it now: none is there, or the table can't hold it. */
static void park_unsent(struct upload *i, int64_t wait_ms)
{
    const struct sink *s = i->sink;

    if (i->probe) {
        aside_put(i, ASIDE_EVIDENCE);
        return;
    }
    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        if (s->endpoints[k]->misfit[0] != '\0') {
            upload_park(i, SINK_SETUP, s->endpoints[k]->misfit, wait_ms);
            return;
        }
    }
    upload_park(i, s->paused ? SINK_SETUP : SINK_RETRY,
                s->paused           ? s->why
                : i->why[0] != '\0' ? i->why
                                    : "no endpoint can be asked now",
                wait_ms);
}

static uint64_t part_bytes(const struct upload *i)
{
    const struct batch_entry *first =
        &i->batch->entries[i->parts[i->n_parts - 1].first];
    const struct batch_entry *last = first + i->parts[i->n_parts - 1].n - 1;

    return last->off + last->len + 1 - first->off;
}

/* While something is wrong, or one finds out whether it is, there is one probe at a
 * time. */
static bool must_wait(struct upload *i)
{
    struct sink *s = i->sink;
    bool alone = s->setup_failed || (i->n_refusals > 0 && !i->passed);

    if (!alone || s->probing == i) {
        return false;
    }
    if (s->probing != NULL) {
        return true; /* upload_release comes */
    }
    s->probing = i;
    return false;
}

static bool choose(struct upload *i)
{
    struct sink *s = i->sink;

    if (i->maybe) {
        return true; /* the same bytes again */
    }
    if (i->n_refusals > 0 && !i->probe && !aside_may_search(s)) {
        return false;
    }
    search_choose(i);
    while (s->too_large > 0 && part_bytes(i) >= s->too_large &&
           i->parts[i->n_parts - 1].n > 1) {
        bisect_halve(i);
    }
    return true;
}

void upload_next(struct upload *i)
{
    struct sink *s = i->sink;
    int64_t wait_ms = 0, hedge_ms;

    if (must_wait(i)) {
        return;
    }
    if (!choose(i)) {
        aside_put(i, ASIDE_BUDGET);
        upload_release(s, SINK_OK, "");
        return;
    }
    if (!send(i, &i->attempts[0], NULL, &wait_ms)) {
        if (wait_ms < 0) {
            return; /* upload_asked comes */
        }
        park_unsent(i, wait_ms);
        return;
    }
    if (i->n_refusals > 0) {
        aside_spent(s);
    }
    i->began_ns = clock_mono_ns();
    s->hedging.n_attempts++;
    hedge_ms = replicas_hedge_ms(s);
    if (hedge_ms >= 0) {
        ev_timer_set(&i->hedge, (double)hedge_ms / 1000., 0.);
        ev_timer_start(s->conf.loop, &i->hedge);
    }
}
