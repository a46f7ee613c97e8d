/* The attempts of a part: it is sent to one endpoint and, when that is late, to a second. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/http/upload.h"

static const char *const encodings[] = {[CODING_NONE] = NULL,
                                        [CODING_GZIP] = "gzip",
                                        [CODING_ZSTD] = "zstd",
                                        [CODING_NATIVE] = NULL};

/* not: endpoints that it is not sent to. */
static bool send(struct upload *u, struct upload_attempt *t, uint64_t not,
                 int64_t *wait_ms)
{
    struct sink *s = u->sink;
    uint32_t first = u->parts[u->n_parts - 1].first;
    uint32_t n = u->parts[u->n_parts - 1].n;
    char token[300], *url;
    size_t room;
    struct transfer_request r;
    enum coding coding;

    t->upload = u;
    t->endpoint = endpoint_take(s, not, &t->generation, wait_ms);
    if (t->endpoint == NULL) {
        return false;
    }
    coding = s->protocol->coding(t->endpoint);
    if (t == &u->attempts[0]) {
        if (!u->maybe || u->unwanted || u->destination == NULL) {
            destination_unref(u->destination);
            u->destination = destination_ref(s->destination);
            destination_note(u->destination, u->batch);
            u->unwanted = false;
        }
        u->coding = coding;
    }
    if (t == &u->attempts[0] ? !body_make(u, first, n, coding) : u->coding != coding) {
        breaker_forget(&t->endpoint->breaker, t->generation); /* nothing was sent */
        *wait_ms = 1000;
        return false;
    }
    bisect_token(u, first, n, token, sizeof token);
    r = http_sink_request(s);
    room = s->protocol->room(t->endpoint, u->destination);
    url = mem_alloc(room);
    s->protocol->address(t->endpoint, u->destination, token, t == &u->attempts[1], url,
                         room, &r);
    r.url = url;
    r.encoding = encodings[coding];
    r.body = (struct str){u->body, u->n_body};
    r.done = upload_answered;
    r.arg = t;
    stats_add(s->wire, u->n_body);
    t->transfer = transfers_send(s->transfers, &r);
    free(url);
    return true;
}

static void on_hedge(struct ev_loop *loop, ev_timer *w, int events)
{
    struct upload *u = OUTER(w, struct upload, hedge);
    struct sink *s = u->sink;
    int64_t wait_ms;

    (void)loop;
    (void)events;
    /* Asked again: other uploads that waited at the same time may have used the
     * rest. */
    if (u->attempts[0].transfer == NULL || u->attempts[1].transfer != NULL ||
        replicas_hedge_ms(s) < 0) {
        return;
    }
    if (send(u, &u->attempts[1], endpoint_bit(u->attempts[0].endpoint), &wait_ms)) {
        s->hedging.n_hedges++;
        stats_add(s->hedges, 1);
    }
}

void upload_init_attempts(struct upload *u)
{
    ev_timer_init(&u->hedge, on_hedge, 0., 0.);
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

/* While breakers are open, and between two questions: the words of the last one. */
static const char *why_unasked(const struct sink *s)
{
    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        if (s->endpoints[k]->failed[0] != '\0') {
            return s->endpoints[k]->failed;
        }
    }
    return "no endpoint can be asked now";
}

/* No endpoint takes it now: none is there, or the table can't hold it. */
static void park_unsent(struct upload *u, int64_t wait_ms)
{
    const struct sink *s = u->sink;

    if (u->probe) {
        aside_not_sent(u, wait_ms);
        return;
    }
    for (uint32_t k = 0; k < s->n_endpoints; k++) {
        if (s->endpoints[k]->misfit[0] != '\0') {
            upload_park(u, SINK_SETUP, s->endpoints[k]->misfit, wait_ms);
            return;
        }
    }
    upload_park(u, s->none_passes ? SINK_SETUP : SINK_RETRY,
                s->none_passes      ? s->why
                : u->why[0] != '\0' ? u->why
                                    : why_unasked(s),
                wait_ms);
}

static uint64_t part_bytes(const struct upload *u)
{
    const struct batch_entry *first =
        &u->batch->entries[u->parts[u->n_parts - 1].first];
    const struct batch_entry *last = first + u->parts[u->n_parts - 1].n - 1;

    return last->off + last->len + 1 - first->off;
}

/* While something is wrong, or one finds out whether it is, there is one probe at a
 * time. */
static bool must_wait(struct upload *u)
{
    struct sink *s = u->sink;
    bool alone = s->setup_failed || (u->n_refusals > 0 && !u->passed);

    if (!alone || s->probing == u) {
        return false;
    }
    if (s->probing != NULL) {
        return true; /* upload_release comes */
    }
    s->probing = u;
    return false;
}

static bool choose(struct upload *u)
{
    struct sink *s = u->sink;

    if (u->maybe) {
        return true; /* the same bytes again */
    }
    if (u->n_refusals > 0 && !u->probe && !aside_may_search(s)) {
        return false;
    }
    if (u->refused_at != 0) {
        return true; /* the same part to another endpoint */
    }
    search_choose(u);
    while (s->too_large > 0 && part_bytes(u) >= s->too_large &&
           u->parts[u->n_parts - 1].n > 1) {
        bisect_halve(u);
    }
    return true;
}

void upload_next(struct upload *u)
{
    struct sink *s = u->sink;
    int64_t wait_ms = 0, hedge_ms;

    if (s->resting) {
        upload_park(u, SINK_RETRY, "another sink goes on with it", 0);
        return;
    }
    if (must_wait(u)) {
        return;
    }
    if (!choose(u)) {
        aside_put(u, ASIDE_BUDGET);
        upload_release(s, SINK_OK, "");
        return;
    }
    u->unsent = !send(u, &u->attempts[0], u->refused_at, &wait_ms);
    if (u->unsent) {
        if (wait_ms < 0) {
            return; /* upload_asked comes */
        }
        park_unsent(u, wait_ms);
        return;
    }
    if (u->n_refusals > 0) {
        aside_spent(s);
    }
    u->began_ns = clock_mono_ns();
    s->hedging.n_attempts++;
    hedge_ms = u->refused_at == 0 ? replicas_hedge_ms(s) : -1;
    if (hedge_ms >= 0) {
        ev_timer_set(&u->hedge, (double)hedge_ms / 1000., 0.);
        ev_timer_start(s->conf.loop, &u->hedge);
    }
}
