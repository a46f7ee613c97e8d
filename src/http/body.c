/* A request's body: collected under the server's bound, inflated, handed over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/error.h"
#include "http/internal.h"

/* The bytes that have arrived decide: one byte of a body takes little room, and a body
 * with a large first piece is not moved again and again. */
enum { BODY_FIRST = 4 << 10, BODY_MUCH = 8 << 10, BODY_STEP = 64 << 10 };
/* Of a turn of the loop, after which a connection's next request waits for the others, and
 * each body that is to be inflated for the next turn. */
enum { LONG_TURN_MS = 5 };

void body_drop(struct conn *c)
{
    if (c->body != NULL) {
        c->server->body_bytes -= c->body_room;
        free(c->body);
        c->body = NULL;
    }
    c->body_n = 0;
    c->body_room = 0;
    c->view = (struct str){NULL, 0};
}

/* Room for n bytes in all; false: there is no room, and the request is refused. */
static bool body_reserve(struct conn *c, size_t n)
{
    struct http_server *s = c->server;
    struct http_request *r = c->current;
    size_t room = c->body_room == 0 ? BODY_FIRST : c->body_room;

    if (n <= c->body_room) {
        return true;
    }
    if (n >= BODY_MUCH && room < BODY_STEP) {
        room = BODY_STEP;
    }
    while (room < n) {
        room *= 2;
    }
    if (r->length != UINT64_MAX && room > r->length) {
        room = (size_t)r->length;
    }
    if (s->body_bytes + room - c->body_room > s->max_body_bytes) {
        request_refuse(c, 503, "too_many_bodies",
                       "the server is receiving too many large bodies; send "
                       "the request again later");
        return false;
    }
    if (s->ops->on_progress != NULL) {
        struct http_view v;

        (void)request_view(c, &v);
        r->close = true; /* should it be refused */
        if (!s->ops->on_progress(s->arg, r, &v, room)) {
            r->told = false;
            return false;
        }
        r->close = false;
    }
    s->body_bytes += room - c->body_room;
    c->body_room = room;
    c->body = mem_realloc(c->body, room + HTTP_PAD);
    return true;
}

/* The rest of a refused body; false: it is more than is read over. */
static bool discard(struct conn *c, uint64_t n)
{
    c->discarded += n;
    if (c->discarded > DISCARD_BYTES) {
        c->closing = true;
    }
    return !c->closing;
}

static bool refuse_large(struct conn *c)
{
    c->closing = true;
    c->current->close = true;
    request_refuse_for(c, http_error_large(c->current->max_body));
    return false;
}

bool request_chunk(struct conn *c, uint64_t bytes)
{
    const struct http_request *r = c->current;

    /* A size that could not be served is not waited for. */
    if (!c->discard && (r->max_body < c->body_n || bytes > r->max_body - c->body_n)) {
        return refuse_large(c);
    }
    return true;
}

bool request_part(struct conn *c, const char *p, size_t n)
{
    struct http_request *r = c->current;

    if (c->discard) {
        return discard(c, n);
    }
    r->want_100 = false;
    if (c->body_n == 0 && r->length == n) {
        c->view = (struct str){p, n};
        return true;
    }
    if (c->body_n + n > r->max_body) {
        return refuse_large(c);
    }
    if (!body_reserve(c, c->body_n + n)) {
        c->closing = true;
        return false;
    }
    if (p != c->body + c->body_n) {
        memcpy(c->body + c->body_n, p, n);
    }
    c->body_n += n;
    if (c->body_n - c->progress >= BODY_PROGRESS_BYTES) {
        c->progress = c->body_n;
        conn_deadline(c, c->server->limits.body_timeout_ms);
    }
    return true;
}

/* False: refused. */
static bool inflate_body(struct conn *c, struct str *body)
{
    struct http_request *r = c->current;
    enum encoding_result result =
        encoding_inflate(c->server->encoding, r->encoding, *body, r->max_body, body);

    if (result != ENCODING_OK) {
        request_refuse_for(c, http_error_inflate(result, r->max_body));
    }
    return result == ENCODING_OK;
}

/* Whether the owner wants what was sent; false: it has refused. */
static bool is_wanted(struct conn *c, struct str sent)
{
    struct http_server *s = c->server;
    struct http_request *r = c->current;
    struct http_view v;

    if (s->ops->on_sent == NULL) {
        return true;
    }
    (void)request_view(c, &v);
    v.sent = sent;
    if (s->ops->on_sent(s->arg, r, &v)) {
        return true;
    }
    r->told = false;
    return false;
}

static void hand_over(struct conn *c, struct http_request *r)
{
    struct http_server *s = c->server;
    struct http_view v;
    struct str body = c->view.p != NULL ? c->view : (struct str){c->body, c->body_n};
    struct str sent;

    if (body.p == NULL) {
        body.p = s->scratch;
    }
    sent = body;
    if (r->encoding != HTTP_IDENTITY &&
        !(is_wanted(c, sent) && inflate_body(c, &body))) {
        return;
    }
    (void)request_view(c, &v);
    v.body = body;
    v.sent = sent;
    r->told = false;
    r->whole = true;
    s->ops->on_body(s->arg, r, &v);
}

void body_wait(struct conn *c, bool waits)
{
    if (c->aside != waits) {
        c->aside = waits;
        c->server->n_aside += waits ? 1u : -1u;
    }
}

/* Few bytes may inflate to much work, and many connections may have such a body at once:
 * in a turn that has been long it waits in line, and behind those that wait. False: it need
 * not, or the line would take the room of bodies that arrive. */
static bool set_aside(struct conn *c)
{
    struct http_server *s = c->server;
    const struct http_request *r = c->current;

    if (LIKELY(r->encoding == HTTP_IDENTITY) || r->answered ||
        (s->long_turn != s->n_turns && s->n_aside == 0) ||
        s->body_bytes + c->view.n > s->max_body_bytes / 4) {
        return false;
    }
    if (c->view.p != NULL) {
        c->body = mem_alloc(c->view.n + HTTP_PAD);
        memcpy(c->body, c->view.p, c->view.n);
        c->body_n = c->body_room = c->view.n;
        s->body_bytes += c->view.n;
        c->view = (struct str){NULL, 0};
    }
    body_wait(c, true);
    conn_deadline(c, -1); /* it has all come */
    return true;
}

bool request_whole(struct conn *c)
{
    return !set_aside(c) && request_go_on(c);
}

bool request_go_on(struct conn *c)
{
    struct http_request *r = c->current;

    body_wait(c, false);
    if (!r->answered) {
        hand_over(c, r);
    }
    body_drop(c);
    c->current = NULL;
    c->discard = false;
    r->parsing = false;
    if (!r->keep_alive || r->close) {
        c->closing = true;
    }
    request_release(r);
    /* A few bytes may be much work: a small body that inflates, a hook that loops. */
    if (clock_mono_ns() / 1000000u > c->server->now_ms + LONG_TURN_MS) {
        c->n_turn = PIPELINE_MAX;
        c->server->long_turn = c->server->n_turns;
    }
    return conn_may_parse(c);
}

char *body_place(struct conn *c, size_t *room)
{
    const struct http_request *r = c->current;
    size_t left;

    if (r == NULL || c->discard || c->body == NULL || r->length == UINT64_MAX ||
        c->body_n >= c->body_room) {
        return NULL;
    }
    left = c->body_room - c->body_n;
    *room = left < READ_BODY_BYTES ? left : READ_BODY_BYTES;
    return c->body + c->body_n;
}
