/* A request: its head checked, its answer queued in order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "http/error.h"
#include "http/internal.h"
#include "net/tls_session.h"

enum { HEAD_BYTES = 512 };

void *http_user(struct http_request *r)
{
    return r->user;
}

struct str http_peer(const struct http_request *r)
{
    return str_of(r->c->peer);
}

uint64_t http_connection(const struct http_request *r)
{
    return r->c->number;
}

/* An origin server with a clock sends Date (RFC 9110, 6.6.1). */
const char *request_date(struct http_server *s)
{
    int64_t now = clock_wall_ms() / 1000;
    time_t t = (time_t)now;
    struct tm tm;

    if (now != s->date_s) {
        s->date_s = now;
        (void)gmtime_r(&t, &tm);
        (void)strftime(s->date, sizeof s->date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
                       &tm);
    }
    return s->date;
}

/* ---- the answer ---- */

static size_t put_z(char *out, size_t n, const char *z)
{
    size_t k = strlen(z);

    memcpy(out + n, z, k);
    return n + k;
}

static size_t put_u64(char *out, size_t n, uint64_t v)
{
    char digits[20];
    size_t k = 0;

    do {
        digits[sizeof digits - ++k] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    memcpy(out + n, digits + sizeof digits - k, k);
    return n + k;
}

static size_t render(struct http_server *s, const struct http_request *r, int status,
                     const char *headers, struct str body, char *out)
{
    size_t n = put_z(out, 0, r->old ? "HTTP/1.0 " : "HTTP/1.1 ");

    n = put_u64(out, n, (uint64_t)status);
    out[n++] = ' ';
    n = put_z(out, n, http_phrase(status));
    n = put_z(out, n, "\r\n");
    n = put_z(out, n, request_date(s));
    if (status != 204 && body.n > 0 && strncmp(headers, "Content-Type:", 13) != 0) {
        n = put_z(out, n, "Content-Type: application/json\r\n");
    }
    n = put_z(out, n, headers);
    if (status != 204 && status != 304) { /* no body, nor its length (RFC 9110, 8.6) */
        n = put_z(out, n, "Content-Length: ");
        n = put_u64(out, n, body.n);
        n = put_z(out, n, "\r\n");
    }
    n = put_z(out, n,
              r->close ? "Connection: close\r\n\r\n"
              : r->old ? "Connection: keep-alive\r\n\r\n"
                       : "\r\n");
    if (!r->head && body.n > 0) {
        memcpy(out + n, body.p, body.n);
        n += body.n;
    }
    return n;
}

void request_release(struct http_request *r)
{
    if (!r->queued && !r->parsing && r->answered) {
        request_put(r->server, r);
    }
}

static void put_100(struct conn *c, struct http_request *r)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

    r->want_100 = false;
    buffer_grow(c->server, &c->out, &c->out_room, c->out_n + sizeof line);
    memcpy(c->out + c->out_n, line, sizeof line - 1);
    c->out_n += sizeof line - 1;
    conn_dirty(c);
}

/* Answers that are ready leave the queue, in order. */
void request_advance(struct conn *c)
{
    while (c->first != NULL && c->first->answered) {
        struct http_request *r = c->first;

        c->first = r->next;
        if (c->first == NULL) {
            c->last = NULL;
        }
        c->n_open--;
        if (r->stash_n > 0) {
            buffer_grow(c->server, &c->out, &c->out_room, c->out_n + r->stash_n);
            memcpy(c->out + c->out_n, r->stash, r->stash_n);
            c->out_n += r->stash_n;
            r->stash_n = 0;
            c->stashed -= r->stash_room;
            buffer_free(c->server, &r->stash, &r->stash_room);
        }
        r->queued = false;
        if (r->close) {
            c->closing = true;
        }
        request_release(r);
    }
    if (c->first != NULL && c->first->want_100) {
        put_100(c, c->first);
    }
    conn_dirty(c);
}

/* A request at the end of the queue; nothing is known of it. */
static struct http_request *enqueue(struct conn *c)
{
    struct http_request *r = request_get(c->server);

    r->c = c;
    r->queued = true;
    if (c->last == NULL) {
        c->first = r;
    } else {
        c->last->next = r;
    }
    c->last = r;
    c->n_open++;
    return r;
}

/* Whether the rest of a refused body is read over, so that the connection can
 * be kept. A client that waits for 100 may or may not send it. */
static bool worth_discarding(const struct http_request *r)
{
    return (r->length <= DISCARD_BYTES || r->length == UINT64_MAX) && !r->want_100;
}

void http_answer(struct http_request *r, int status, const char *headers,
                 struct str body)
{
    struct conn *c = r->c;
    struct http_server *s = r->server;
    size_t bound = HEAD_BYTES + strlen(headers) + body.n;

    r->answered = true;
    if (c == NULL) {
        request_put(s, r);
        return;
    }
    if (s->in_head == r && !worth_discarding(r)) {
        r->close = true;
    }
    r->close |= !r->keep_alive ||
                (c->last == r && (s->draining || s->resting || c->eof ||
                                  server_surplus(s) > 0 || conn_must_end(c) ||
                                  /* the next one waits for its descriptor */
                                  (s->no_more && s->limits.max_descriptor <= 0)));
    if (c->first == r) {
        buffer_grow(s, &c->out, &c->out_room, c->out_n + bound);
        c->out_n += render(s, r, status, headers, body, c->out + c->out_n);
    } else {
        buffer_grow(s, &r->stash, &r->stash_room, bound);
        c->stashed += r->stash_room;
        r->stash_n = render(s, r, status, headers, body, r->stash);
    }
    request_advance(c);
}

void request_refuse_limit(struct conn *c, int status, const char *code,
                          const char *detail, int64_t limit)
{
    struct http_server *s = c->server;
    struct http_request *r = c->current;
    char text[HTTP_REFUSAL_BYTES], lines[HTTP_LINES_BYTES] = "";
    char more[HTTP_LINES_BYTES + 64];
    struct http_refusal no = {
        .status = status, .code = code, .detail = detail, .lines = lines, .text = text};
    struct http_view v;
    bool known = r != NULL || parse_in_request(c->parse);
    bool told = r != NULL && r->told;

    if (r != NULL && r->answered) {
        c->closing = true;
        return;
    }
    if (r == NULL) {
        r = enqueue(c);
    }
    r->told = false;
    no.n = http_error_text(status, code, detail, limit, text, sizeof text);
    r->close = r->close || s->in_head != r || !worth_discarding(r);
    s->ops->on_refusal(s->arg, r, known && request_view(c, &v) ? &v : NULL, &no);
    if (told) {
        s->ops->on_abort(s->arg, r);
    }
    (void)snprintf(more, sizeof more, "%s%s", lines, http_error_lines(status));
    http_answer(r, status, more, (struct str){text, no.n});
}

void request_refuse(struct conn *c, int status, const char *code, const char *detail)
{
    request_refuse_limit(c, status, code, detail, -1);
}

void request_refuse_for(struct conn *c, struct http_error e)
{
    request_refuse_limit(c, e.status, e.code, e.detail, e.limit);
}

/* ---- the head ---- */

/* The value of a header, {NULL, 0}: there is none. */
static struct str header(const struct http_server *s, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (s->headers[i].name.n == name.n &&
            strncasecmp(s->headers[i].name.p, name.p, name.n) == 0) {
            return s->headers[i].value;
        }
    }
    return (struct str){NULL, 0};
}

static bool equals(struct str a, const char *z)
{
    return a.n == strlen(z) && strncasecmp(a.p, z, a.n) == 0;
}

bool request_view(struct conn *c, struct http_view *v)
{
    struct http_server *s = c->server;
    const struct http_request *r = c->current;

    *v = (struct http_view){.method = str_of(parse_method(c->parse)),
                            .headers = s->headers,
                            .n_headers = parse_headers(c->parse, s->headers),
                            .content_length = r == NULL ? 0 : r->length,
                            .listener = c->at->place,
                            .tls = c->tls == NULL ? NULL : tls_session_peer(c->tls)};
    v->peer = LIKELY(c->at->options.forwarded == HTTP_FORWARDED_NONE)
                  ? str_of(c->peer)
                  : preface_client(c, v->headers, v->n_headers);
    v->content_type = header(s, v->n_headers, STR("content-type"));
    return target_split(v->method, parse_target(c->parse), &v->path, &v->query);
}

/* A request whose ends two servers could see in different places is refused, and
 * nothing behind it is believed. True: none of that. */
static bool well_framed(struct conn *c, const struct parse_head *h, bool split)
{
    struct http_request *r = c->current;

    r->close = true;
    if (h->major != 1 || h->minor > 1) {
        request_refuse(c, 505, "version_not_supported",
                       "expected HTTP/1.1 or HTTP/1.0");
    } else if (h->framing.why != NULL) {
        request_refuse(c, 400, "bad_request", h->framing.why);
    } else if (h->framing.n_hosts > 1 || (h->framing.n_hosts == 0 && !r->old)) {
        request_refuse(c, 400, "bad_host", "expected exactly one Host header");
    } else if (!h->sound_host) {
        request_refuse(c, 400, "bad_host",
                       "expected a host such as api.example:8080 in the Host header");
    } else if (!split) {
        request_refuse(c, 400, "bad_target", "expected a path such as /v1/events");
    } else {
        r->close = false;
        return true;
    }
    return false;
}

/* The checks of http itself; true: the request passes. */
static bool acceptable(struct conn *c, const struct parse_head *h,
                       const struct http_view *v)
{
    struct http_server *s = c->server;
    struct http_request *r = c->current;
    struct str encoding = header(s, v->n_headers, STR("content-encoding"));
    struct str expect = header(s, v->n_headers, STR("expect"));

    /* A client that waits for 100 may or may not send its body when it is refused. */
    r->want_100 = equals(expect, "100-continue") && r->length > 0 && !r->old;
    if (s->limits.need_length && !h->framing.has_length && !h->framing.chunked &&
        (str_eq(h->method, STR("POST")) || str_eq(h->method, STR("PUT")) ||
         str_eq(h->method, STR("PATCH")))) {
        r->close = true; /* the next bytes may be its body */
        request_refuse(c, 411, "length_required",
                       "expected Content-Length or Transfer-Encoding: chunked");
        return false;
    }
    if (encoding.n > 0 && !encoding_of(encoding, &r->encoding)) {
        request_refuse_for(c, http_error_encoding());
        return false;
    }
    if (r->length != UINT64_MAX && r->length > s->limits.max_body) {
        request_refuse_for(c, http_error_large(s->limits.max_body));
        return false;
    }
    if (expect.n > 0 && !equals(expect, "100-continue")) {
        request_refuse(c, 417, "expectation_failed",
                       "expected no Expect header other than 100-continue");
        return false;
    }
    return true;
}

enum http_encoding http_encoding(const struct http_request *r)
{
    return r->encoding;
}

void http_set_encoding(struct http_request *r, enum http_encoding how)
{
    r->encoding = how;
}

bool request_head(struct conn *c, const struct parse_head *h)
{
    struct http_server *s = c->server;
    struct http_request *r = enqueue(c);
    struct http_view v;
    bool split;

    c->current = r;
    c->served = true;
    c->n_turn++;
    r->parsing = true;
    r->head = str_eq(h->method, STR("HEAD"));
    r->old = h->major == 1 && h->minor == 0;
    r->keep_alive = h->framing.keep_alive;
    r->length = h->framing.chunked ? UINT64_MAX : h->framing.length;
    r->max_body = s->limits.max_body;
    split = request_view(c, &v);
    v.moved = c->let_in;
    c->let_in = false;
    c->discard = false;
    c->discarded = 0;
    c->progress = 0;
    s->in_head = r;
    if (well_framed(c, h, split) && acceptable(c, h, &v)) {
        s->ops->on_headers(s->arg, r, &v);
        r->told = !r->answered;
    }
    s->in_head = NULL;
    if (r->answered) {
        c->discard = true;
        if (r->close) {
            c->closing = true;
            return false;
        }
    } else if (r->want_100 && c->first == r) {
        put_100(c, r);
    }
    conn_deadline(c, s->limits.body_timeout_ms);
    return true;
}

void request_abort(struct conn *c)
{
    struct http_request *r = c->current;

    if (r == NULL) {
        return;
    }
    c->current = NULL;
    body_wait(c, false);
    r->parsing = false;
    if (r->told) {
        r->told = false;
        c->server->ops->on_abort(c->server->arg, r);
    }
    r->close = true;
    if (r->answered) {
        request_release(r);
    } else {
        r->answered = true; /* with nothing */
        request_advance(c);
    }
}
