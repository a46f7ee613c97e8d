/* A request decided as a worker would, and the lines that it would leave. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "http/encoding.h"
#include "http/error.h"
#include "http/http.h"
#include "ingest/answer.h"
#include "ingest/answer_head.h"
#include "ingest/coding.h"
#include "ingest/stored_event.h"
#include "policy/run/decide.h"
#include "policy/run/dedup.h"
#include "policy/run/limits.h"
#include "testkit/internal.h"

enum { HEADERS_MAX = 256 };

void *kit_take(struct sluice_kit *k, size_t n)
{
    void *p = arena_alloc(&k->answer, n > 0 ? n : 1);

    assert(p != NULL); /* its bound is that of the address space */
    return p;
}

static struct str str_in(struct sluice_kit_text t)
{
    return (struct str){t.p, t.n};
}

static void refuse(struct sluice_kit *k, const struct route *route,
                   const struct refused *no, const char *common,
                   struct sluice_kit_answer *out)
{
    const struct refused_body *own = refused_body_of(route);
    char *text = kit_take(k, ANSWER_REFUSAL_BYTES), *lines = kit_take(k, HEAD_BYTES);
    size_t n;

    answer_head_refused(no, own, "Retry-After: 1\r\n", common, lines);
    out->status = (uint32_t)no->status;
    out->headers = (struct sluice_kit_text){lines, strlen(lines)};
    out->body.p = text;
    out->body.n = answer_refusal(own, no->status, &no->error, text);
    out->code = no->error.code;
    if (no->error.detail != NULL) { /* it may lie in no */
        n = strlen(no->error.detail) + 1;
        out->message = memcpy(kit_take(k, n), no->error.detail, n);
    }
}

static void refuse_http(struct sluice_kit *k, const struct policy_request *r,
                        const struct http_error *e, struct sluice_kit_answer *out)
{
    struct http_error *kept = kit_take(k, sizeof *kept);
    char *text = kit_take(k, HTTP_REFUSAL_BYTES),
         *lines = kit_take(k, HTTP_LINES_BYTES);
    char allow[160];
    const struct refused_body *own = refused_body_of(plan_route(
        policy_plan(k->policy), r->listener, r->method, r->path, allow, sizeof allow));

    *kept = *e;
    (void)snprintf(lines, HTTP_LINES_BYTES, "%s%s", own == NULL ? "" : own->type_line,
                   http_error_lines(e->status));
    out->status = (uint32_t)e->status;
    out->headers = (struct sluice_kit_text){lines, strlen(lines)};
    out->body.p = text;
    out->body.n =
        own == NULL
            ? http_error_text(e->status, e->code, kept->detail, e->limit, text,
                              HTTP_REFUSAL_BYTES)
            : refused_body_write(
                  own, &(struct refused_reason){e->status, e->code, kept->detail},
                  text);
    out->code = e->code;
    out->message = kept->detail;
}

/* The checks that http/ itself makes before the body is there. False: refused. */
static bool acceptable(struct sluice_kit *k, const struct policy_request *r, size_t n,
                       enum http_encoding *how, struct sluice_kit_answer *out)
{
    uint64_t max = policy_plan(k->policy)->server.max_body;
    struct str encoding = request_raw(r, "", REQUEST_HEADER, STR("content-encoding"));
    struct http_error e;

    *how = HTTP_IDENTITY;
    if (encoding.n > 0 && !encoding_of(encoding, how)) {
        e = http_error_encoding();
    } else if (n > max) {
        e = http_error_large(max);
    } else {
        return true;
    }
    refuse_http(k, r, &e, out);
    return false;
}

/* The body as it is decided on, SCAN_PAD bytes after it. False: refused. */
static bool open_body(struct sluice_kit *k, const struct policy_request *req,
                      struct sluice_kit_text sent, enum http_encoding how,
                      struct str *body, struct sluice_kit_answer *out)
{
    uint64_t max = policy_plan(k->policy)->server.max_body;
    char *copy = kit_take(k, sent.n + SCAN_PAD);
    enum encoding_result r = ENCODING_OK;
    struct http_error e;

    memcpy(copy, sent.p, sent.n);
    memset(copy + sent.n, 0, SCAN_PAD);
    *body = (struct str){copy, sent.n};
    if (how != HTTP_IDENTITY) {
        r = encoding_inflate(k->encoding, how, *body, max, body);
    }
    if (r != ENCODING_OK) {
        e = http_error_inflate(r, max);
        refuse_http(k, req, &e, out);
    }
    return r == ENCODING_OK;
}

static void list_events(struct sluice_kit *k, const struct outcome *o,
                        struct sluice_kit_answer *out)
{
    struct sluice_kit_event *list = kit_take(k, k->batch.n * sizeof *list);

    for (uint32_t i = 0; i < k->batch.n; i++) {
        const struct event *ev = &k->batch.events[i];
        bool told = ev->fate == EVENT_REJECT || ev->fate == EVENT_DEAD;

        list[i] = (struct sluice_kit_event){
            .index = ev->index,
            .fate = o->store || ev->fate == EVENT_REJECT ? ev->fate : EVENT_REJECT,
            .retry = (ev->flags & EVENT_RETRY) != 0,
            .code = told ? ev->code : NULL,
            .field = told ? ev->field : NULL,
            .message = told ? ev->message : NULL};
        if (ev->fate == EVENT_REJECT && out->code == NULL) {
            out->code = ev->code;
            out->field = ev->field;
            out->message = ev->message;
        }
    }
    out->events = list;
    out->n_events = k->batch.n;
}

static uint32_t count_lines(const struct sluice_kit *k, const struct route *route,
                            int dead)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < k->batch.n; i++) {
        n += (uint32_t)__builtin_popcountll(
            stored_event_streams(route, &k->batch.events[i], dead));
    }
    return n;
}

static void list_lines(struct sluice_kit *k, const struct route *route, double now_ms,
                       struct sluice_kit_answer *out)
{
    const struct plan *plan = policy_plan(k->policy);
    int dead = (int)plan->n_streams;
    struct sluice_kit_line *list =
        kit_take(k, count_lines(k, route, dead) * sizeof *list);

    for (uint32_t i = 0; i < k->batch.n; i++) {
        const struct event *ev = &k->batch.events[i];
        uint64_t to = stored_event_streams(route, ev, dead);
        char *text;
        bool kept;
        size_t n;

        if (to == 0) {
            continue;
        }
        text = kit_take(k, stored_event_bound(&k->batch, ev));
        n = stored_event_write(plan, route, &k->batch, ev, now_ms, text, &kept);
        for (; to != 0; to &= to - 1) {
            int s = __builtin_ctzll(to);

            list[out->n_lines++] = (struct sluice_kit_line){
                s == dead ? "dead" : plan->streams[s].name, i, {text, n}};
        }
    }
    out->lines = list;
}

static void accept(struct sluice_kit *k, const struct asked *a, const char *common,
                   struct sluice_kit_answer *out)
{
    const struct route *route = a->route;
    double now_ms = a->request->time_ms;
    char *text, *buffer = kit_take(k, HEAD_BYTES);
    const char *lines;
    struct dedup_hold hold = {0};
    struct outcome o;

    if (policy_plan(k->policy)->n_dedups > 0) {
        (void)dedup_mark(k->state, route, &k->batch, (struct dedup_now){now_ms, now_ms},
                         &hold);
    }
    outcome_of(route, &k->batch, &o);
    dedup_finish(&hold, o.store);
    lines = answer_head_outcome(&o, "Retry-After: 1\r\n", common, buffer);
    out->headers = (struct sluice_kit_text){lines, strlen(lines)};
    text = kit_take(k, answer_bound(&k->batch, &o));
    out->status = (uint32_t)o.status;
    out->body.p = text;
    out->body.n = answer_events(&k->batch, &o, text);
    out->accepted = o.accepted;
    out->rejected = o.rejected;
    out->dropped = o.dropped;
    out->dead = o.dead;
    list_events(k, &o, out);
    if (o.store) {
        list_lines(k, route, now_ms, out);
    }
    refusals_of_events(k, a, &o, out);
}

/* From the route to the lines that would be stored. */
static void decide(struct sluice_kit *k, struct policy_request *r,
                   const struct sluice_kit_request *req, enum http_encoding how,
                   struct sluice_kit_answer *out)
{
    char *common = kit_take(k, CORS_BYTES);
    struct asked a = {.request = r, .type = str_in(req->content_type)};
    struct refused no;
    uint32_t raised;
    bool ok = decide_head(k->state, r, a.type, &a.route, &a.shape, &no);

    if (!ok && no.status == 405 &&
        answer_head_preflight(policy_plan(k->policy), r, common)) {
        out->status = 204;
        out->headers = (struct sluice_kit_text){common, strlen(common)};
        return;
    }
    if (!ok && no.status == 405) {
        answer_head_other(policy_plan(k->policy), no.allow, r, common);
    } else {
        answer_head_common(a.route, r, common);
    }
    if (!ok && no.limited) {
        limits_lines(k->state, a.route, common, CORS_BYTES);
    }
    ok = ok && coding_of(a.route, a.shape, r, how, &how, &no);
    if (!ok) {
        refuse(k, a.route, &no, common, out);
        return;
    }
    r->sent = str_in(req->body);
    if (open_body(k, r, req->body, how, &a.body, out)) {
        ok = decide_body(k->state, a.route, a.shape, r, a.body, &k->batch, NULL,
                         &raised, &no);
        if (a.route->limits != NULL) {
            limits_lines(k->state, a.route, common, CORS_BYTES);
        }
        if (ok) {
            accept(k, &a, common, out);
        } else {
            refuse(k, a.route, &no, common, out);
            if (no.auth == AUTH_OK && !no.limited) {
                refusals_of_body(k, &a, &no, out);
            }
        }
    }
}

static const char *text_in(struct sluice_kit_text from, char *out, size_t room)
{
    (void)snprintf(out, room, "%.*s", (int)from.n, from.p == NULL ? "" : from.p);
    return out;
}

/* NULL: the request came without TLS. */
static const struct tls_peer *tls_in(const struct sluice_kit_request *req,
                                     struct tls_peer *t, char version[16],
                                     char cipher[64])
{
    if (req->tls_version.p == NULL) {
        return NULL;
    }
    t->version = text_in(req->tls_version, version, 16);
    t->cipher = text_in(req->tls_cipher, cipher, 64);
    (void)text_in(req->tls_host, t->host, sizeof t->host);
    (void)text_in(req->tls_subject, t->subject, sizeof t->subject);
    (void)text_in(req->tls_fingerprint, t->fingerprint, sizeof t->fingerprint);
    (void)text_in(req->tls_ca, t->authority, sizeof t->authority);
    t->expires_s = req->tls_expires_s > 0 ? (int64_t)req->tls_expires_s : INT64_MAX;
    return t;
}

void sluice_kit_ask(struct sluice_kit *k, const struct sluice_kit_request *req,
                    struct sluice_kit_answer *out)
{
    struct str_pair headers[HEADERS_MAX];
    struct tls_peer peer = {0};
    char version[16], cipher[64];
    struct policy_request r = {.time_ms = req->time_ms,
                               .method = str_in(req->method),
                               .path = str_in(req->path),
                               .query = str_in(req->query),
                               .peer = str_in(req->peer),
                               .tls = tls_in(req, &peer, version, cipher),
                               .headers = headers};
    enum http_encoding how;

    *out = (struct sluice_kit_answer){0};
    arena_reset(&k->answer);
    for (uint32_t i = 0; i < req->n_headers && i < HEADERS_MAX; i++) {
        headers[r.n_headers++] = (struct str_pair){str_in(req->headers[i].name),
                                                   str_in(req->headers[i].value)};
    }
    if (acceptable(k, &r, req->body.n, &how, out)) {
        decide(k, &r, req, how, out);
    }
}
