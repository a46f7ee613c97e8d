/*
 * Sinks over HTTP, ClickHouse's and any other: their life, and how many batches are
 * under way at once.
 */
#include "sink/http/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/http/upload.h"

enum { WINDOW_FIRST = 2 };

int64_t http_sink_now_ms(const struct sink *s)
{
    (void)s;
    return (int64_t)(clock_mono_ns() / 1000000u);
}

/* ---- how many at once: additive increase, multiplicative decrease ---- */

static void show_window(struct sink *s)
{
    stats_set(s->window_gauge, (uint64_t)s->window);
}

void sink_slower(struct sink *s)
{
    s->window = s->window > 2 ? s->window / 2 : 1;
    show_window(s);
}

void sink_took(struct sink *s, uint64_t ns)
{
    double ms = (double)ns / 1e6;

    stats_record(s->time, ns);
    hedging_took(&s->hedging, ms);
    /* More than twice as slow as it was of late: it has enough to do. */
    if (s->slow_ms > 0 && ms > 2 * s->slow_ms) {
        /* Never below one: with none there would be no answer to rise again at. */
        s->window = s->window > 1.5 ? s->window - 0.5 : 1;
    } else if (s->window < s->plan->max_in_flight) {
        s->window += 1 / s->window;
    }
    s->slow_ms = s->slow_ms > 0 ? 0.95 * s->slow_ms + 0.05 * ms : ms;
    show_window(s);
}

/* ---- the pump's side ---- */

static void take(void *arg, struct batch *b)
{
    upload_begin(arg, b);
}

static void http_sink_submit(struct sink *s, struct batch *b)
{
    queue_put(&s->queue, b);
}

static void http_sink_forget(struct sink *s, struct batch *b)
{
    queue_remove(&s->queue, b);
    upload_forget(s, b);
}

static void http_sink_rest(struct sink *s)
{
    upload_rest(s);
}

static uint32_t http_sink_window(const struct sink *s)
{
    return s->setup_failed ? aside_window(s) : (uint32_t)s->window + s->n_aside;
}

static const char *http_sink_destination(const struct sink *s)
{
    return s->destination->text;
}

static void http_sink_force(struct sink *s, bool open)
{
    if (!open) {
        aside_again(s);
    }
    for (uint32_t i = 0; i < s->n_endpoints; i++) {
        s->endpoints[i]->after_ms = 0;
        breaker_force(&s->endpoints[i]->breaker, http_sink_now_ms(s), open);
        endpoint_show(s->endpoints[i]);
    }
}

static uint32_t http_sink_endpoints(struct sink *s, struct sink_endpoint *out,
                                    uint32_t max)
{
    uint32_t n = s->n_endpoints < max ? s->n_endpoints : max;

    for (uint32_t i = 0; i < n; i++) {
        struct endpoint *p = s->endpoints[i];

        endpoint_show(p);
        (void)snprintf(out[i].url, sizeof out[i].url, "%s", p->shown);
        out[i].state = p->meter.shown;
        out[i].spare = false;
        out[i].counts = p->breaker.counts;
    }
    return n;
}

struct transfer_request http_sink_request(const struct sink *s)
{
    return (struct transfer_request){.headers = s->headers,
                                     .n_headers = s->n_headers,
                                     .timeout_ms = s->plan->timeout_ms,
                                     .ca = s->plan->ca,
                                     .cert = s->plan->cert,
                                     .key = s->plan->key,
                                     .proxy = s->plan->proxy,
                                     .verify = s->plan->verify};
}

/* ---- life ---- */

static void make_cells(struct sink *s)
{
    char label[160];

    (void)stats_label_pair(label, sizeof label, "sink", s->conf.plan->name);
    s->hedges = stats_counter("sluice_hedges_total", HEDGES_HELP, label);
    s->hedge_wins = stats_counter("sluice_hedge_wins_total", HEDGE_WINS_HELP, label);
    s->extra = stats_counter("sluice_insert_extra_total",
                             "Extra inserts sent to find bad rows.", label);
    s->aside_gauge =
        stats_gauge("sluice_sink_apart_batches",
                    "Batches that wait for the search for their bad rows.", label);
    s->wire = stats_counter("sluice_sink_wire_bytes_total",
                            "Bytes of bodies sent to the sink, after "
                            "compression.",
                            label);
    s->rows = stats_counter("sluice_insert_rows_total", "Rows inserted.", label);
    s->window_gauge =
        stats_gauge("sluice_sink_window", "Batches that may be in flight.", label);
    s->hedging_gauge =
        stats_gauge("sluice_hedging", "1 while hedging is on, otherwise 0.", label);
    s->time = stats_histogram("sluice_insert_seconds", "Time of one insert.", label,
                              STATS_NS);
}

/* The user and password that ClickHouse asks for. */
static void take_login(struct sink *s, const struct clickhouse_plan *c)
{
    s->headers = s->login;
    s->n_headers = 0;
    if (c->user != NULL) {
        s->login[s->n_headers++] = (struct pair_plan){"X-ClickHouse-User", c->user};
    }
    if (c->password != NULL) {
        s->login[s->n_headers++] = (struct pair_plan){"X-ClickHouse-Key", c->password};
    }
}

static struct destination *read_plan(const struct sink_plan *plan, struct err *e)
{
    if (plan->upload.n_urls > ENDPOINTS_MAX) {
        (void)err_set(e, "more than %d urls", ENDPOINTS_MAX);
        return NULL;
    }
    return destination_new(&plan->clickhouse, NULL, e);
}

static bool take_plan(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    const struct clickhouse_plan *c = &plan->clickhouse;
    struct destination *destination = read_plan(plan, e);

    if (destination == NULL) {
        return false;
    }
    destination_unref(s->destination);
    s->destination = destination;
    s->conf.plan = plan;
    s->plan = &plan->upload;
    if (plan->kind == SINK_KIND_HTTP) {
        s->protocol = &protocol_plain;
        s->headers = plan->http.headers;
        s->n_headers = plan->http.n_headers;
    } else {
        s->protocol = &protocol_clickhouse;
        take_login(s, c);
    }
    return true;
}

/* ---- endpoints ---- */

static bool in_use(const struct sink *s, const struct endpoint *p)
{
    for (const struct upload *u = s->uploads; u != NULL; u = u->next) {
        for (int k = 0; k < 2; k++) {
            if (u->attempts[k].transfer != NULL && u->attempts[k].endpoint == p) {
                return true;
            }
        }
    }
    return false;
}

static void sweep_gone(struct sink *s)
{
    struct endpoint **at = &s->gone;

    while (*at != NULL) {
        struct endpoint *p = *at;

        if (in_use(s, p)) {
            at = &p->next;
        } else {
            *at = p->next;
            endpoint_free(p);
        }
    }
}

/* Requests under way there end by themselves: sent elsewhere, their rows might be there
 * twice. */
static void let_go(struct sink *s, struct endpoint *p)
{
    endpoint_ask_no_more(p);
    p->next = s->gone;
    s->gone = p;
}

/* The plan's urls; one that was there keeps its breaker. */
static void take_urls(struct sink *s)
{
    struct endpoint *before[ENDPOINTS_MAX];
    uint32_t n = s->n_endpoints;

    memcpy(before, s->endpoints, sizeof before);
    s->n_endpoints = 0;
    for (uint32_t i = 0; i < s->plan->n_urls; i++) {
        struct endpoint *p = NULL;

        for (uint32_t k = 0; k < n && p == NULL; k++) {
            if (before[k] != NULL && endpoint_is(before[k], s->plan->urls[i])) {
                p = before[k];
                before[k] = NULL;
                endpoint_renew(p);
            }
        }
        p = p != NULL ? p : endpoint_new(s, s->plan->urls[i]);
        s->endpoints[s->n_endpoints++] = p;
        endpoint_ask(p); /* a mistake is told at once */
    }
    for (uint32_t k = 0; k < n; k++) {
        if (before[k] != NULL) {
            let_go(s, before[k]);
        }
    }
    sweep_gone(s);
}

static struct sink *http_sink_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);

    s->conf = *conf;
    if (!take_plan(s, conf->plan, e)) {
        free(s);
        return NULL;
    }
    s->window =
        WINDOW_FIRST < s->plan->max_in_flight ? WINDOW_FIRST : s->plan->max_in_flight;
    s->bodies = body_new();
    aside_start(s);
    s->transfers = transfers_new(conf->loop, conf->plan->name, &s->plan->pool);
    queue_init(&s->queue, conf->loop, take, s);
    make_cells(s);
    show_window(s);
    take_urls(s);
    return s;
}

static bool http_sink_check(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    struct destination *destination = read_plan(plan, e);

    (void)s;
    destination_unref(destination);
    return destination != NULL;
}

static bool http_sink_apply(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    if (!take_plan(s, plan, e)) {
        return false;
    }
    transfers_apply(s->transfers, &s->plan->pool);
    s->too_large = 0;
    aside_again(s); /* also those that wait for the word of a url */
    take_urls(s);
    for (struct endpoint *p = s->gone; p != NULL; p = p->next) {
        endpoint_renew(p);
    }
    if (s->window > s->plan->max_in_flight) {
        s->window = s->plan->max_in_flight;
        show_window(s);
    }
    return true;
}

static void http_sink_close(struct sink *s)
{
    queue_fini(&s->queue);
    aside_stop(s);
    /* A parked batch is the pump's. */
    while (s->uploads != NULL) {
        struct batch *b = s->uploads->parked ? NULL : s->uploads->batch;

        upload_free(s->uploads);
        batch_free(b);
    }
    transfers_free(s->transfers);
    destination_unref(s->destination);
    for (uint32_t i = 0; i < s->n_endpoints; i++) {
        endpoint_free(s->endpoints[i]);
    }
    sweep_gone(s);
    body_free(s->bodies);
    /* A later sink of this name has cells of its own, and they are added up. */
    stats_set(s->window_gauge, 0);
    stats_set(s->hedging_gauge, 0);
    stats_set(s->aside_gauge, 0);
    free(s);
}

const struct sink_ops sink_clickhouse = {.kind = "clickhouse",
                                         .keep = BATCH_KEEP_ENTRIES,
                                         .intends = true,
                                         .grows = true,
                                         .open = http_sink_open,
                                         .emit = bisect_emit,
                                         .check = http_sink_check,
                                         .apply = http_sink_apply,
                                         .submit = http_sink_submit,
                                         .forget = http_sink_forget,
                                         .destination = http_sink_destination,
                                         .window = http_sink_window,
                                         .rest = http_sink_rest,
                                         .force = http_sink_force,
                                         .endpoints = http_sink_endpoints,
                                         .hedging = replicas_tick,
                                         .close = http_sink_close};

const struct sink_ops sink_http = {.kind = "http",
                                   .keep = BATCH_KEEP_ENTRIES,
                                   .intends = true,
                                   .open = http_sink_open,
                                   .emit = bisect_emit,
                                   .check = http_sink_check,
                                   .apply = http_sink_apply,
                                   .submit = http_sink_submit,
                                   .forget = http_sink_forget,
                                   .window = http_sink_window,
                                   .rest = http_sink_rest,
                                   .force = http_sink_force,
                                   .endpoints = http_sink_endpoints,
                                   .close = http_sink_close};
