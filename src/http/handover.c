/* Connections on their way to another server. */
#include "http/handover.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/internal.h"

/* The time of connections that can't go: idle, or with a request that has come in part;
 * after the last call, and once nobody is accepted. */
enum {
    CALL_IDLE_MS = 1000,
    CALL_SLOW_MS = 3000,
    HAND_IDLE_MS = QUIET_MS,
    HAND_SLOW_MS = 1000
};

void http_handed_drop(struct http_handed *h)
{
    (void)close(h->fd);
    free(h->bytes);
    h->bytes = NULL;
}

/* A session is in this process alone. */
static bool has_session(const struct conn *c)
{
    return c->tls != NULL;
}

bool conn_must_end(const struct conn *c)
{
    return (c->server->calling || c->server->handing) && has_session(c);
}

/* Only the other server's goodbye is to come, or its client's. */
static bool is_ending(const struct conn *c)
{
    return c->lingering || (c->closing && c->n_open == 0 && !has_session(c));
}

bool conn_can_leave(const struct conn *c)
{
    const struct http_request *r = c->current;

    if (c->server->hand == NULL || c->eof || c->dead || c->aside) {
        return false;
    }
    if (c->out_n > 0 && !ev_is_active(&c->writable)) {
        return false; /* it may take its answers at once */
    }
    return is_ending(c) || (!c->closing && !has_session(c) && begun_is_known(c) &&
                            c->n_open == (r != NULL && !r->answered));
}

/* The other server gets it from its beginning. */
static void give_up_request(struct conn *c)
{
    struct http_server *s = c->server;
    struct http_request *r = c->current;

    if (r->answered) {
        request_abort(c);
        return;
    }
    c->current = NULL;
    r->parsing = false;
    if (r->told) {
        r->told = false;
        s->ops->on_abort(s->arg, r);
    }
    r->queued = false;
    c->first = c->last = NULL;
    c->n_open = 0;
    request_put(s, r);
}

/* One that a proxy might still say something about is asked for that again. */
static bool is_known(const struct conn *c)
{
    return c->preface == NULL &&
           (c->served || c->at->options.proxy_protocol || parse_in_request(c->parse));
}

void conn_leave(struct conn *c)
{
    struct http_server *s = c->server;
    bool ends = is_ending(c);
    struct http_handed h = {.fd = c->fd,
                            .who = c->who,
                            .listener = c->at->place,
                            .served = c->served,
                            .known = is_known(c),
                            .ends = ends,
                            .let_in = c->current != NULL && c->current->told,
                            .n_out = c->out_n - c->out_sent};
    size_t n = h.n_out;

    if (ends) {
        h.bytes = n > 0 ? mem_alloc(n) : NULL;
    } else {
        h.bytes = begun_text(c, n, &n);
        if (h.bytes == NULL && n > 0) {
            h.bytes = mem_alloc(n);
        }
    }
    h.n_in = n - h.n_out;
    if (h.n_out > 0) {
        memcpy(h.bytes, c->out + c->out_sent, h.n_out);
    }
    memcpy(h.peer, c->peer, sizeof h.peer);
    if (c->current != NULL) {
        give_up_request(c);
    }
    secure_forget(c);
    ev_io_stop(s->loop, &c->readable);
    ev_io_stop(s->loop, &c->writable);
    body_drop(c);
    server_forget(c);
    s->hand(s->hand_arg, &h);
}

void http_server_last_call(struct http_server *s)
{
    s->calling = true;
    s->call_ms = s->now_ms;
    s->call_number = s->n_accepted;
}

void http_server_no_call(struct http_server *s)
{
    s->calling = false;
}

/* It was there at the last call, and is to end. */
static bool was_called(const struct conn *c)
{
    return has_session(c) && !c->lingering && c->number <= c->server->call_number;
}

bool http_server_called(const struct http_server *s)
{
    for (const struct conn *c = s->open; c != NULL; c = c->next) {
        if (was_called(c)) {
            return false;
        }
    }
    return true;
}

void http_server_hand_over(struct http_server *s, http_hand_fn *hand, void *arg)
{
    struct conn *next;

    s->hand = hand;
    s->hand_arg = arg;
    s->handing = true;
    s->drain_ms = s->now_ms;
    for (uint32_t i = 0; i < s->n_listeners; i++) {
        accept_stop(s->listeners[i]);
    }
    http_server_flush(s);
    for (struct conn *c = s->open; c != NULL; c = next) {
        next = c->next;
        if (conn_can_leave(c)) {
            conn_leave(c);
        }
    }
}

/* The end of one whose time is over. A request that waits for its answer gets it. */
static void hurry(struct conn *c)
{
    bool waits = c->n_open > (c->current != NULL && !c->current->answered);

    if (conn_idle(c) || c->shaking || c->preface != NULL) {
        if (c->shaking) {
            secure_forget(c);
        }
        preface_drop(c);
        c->closing = true;
        conn_linger(c);
    } else if (waits || c->aside) {
        return;
    } else if (c->out_n > 0 && has_session(c)) {
        conn_close(c); /* it does not read, and nobody else can write to it */
    } else if (c->current != NULL && c->current->answered) {
        c->closing = true; /* the rest of its body is not read over */
        request_abort(c);
        conn_finish(c);
    } else if (c->current != NULL || parse_in_request(c->parse)) {
        c->closing = true;
        request_refuse(
            c, 503, "upgrade",
            "the server is replaced by its next version, and the request had "
            "not come whole by then; send it again");
        conn_finish(c);
    }
}

/* A session that has not asked for anything is not idle: its first request may be on its
 * way, and a client does not send that again when its new connection is closed. */
static bool may_end(const struct conn *c, bool handing, uint64_t ms)
{
    uint64_t idle_ms = handing ? HAND_IDLE_MS : CALL_IDLE_MS;

    return conn_idle(c) && ms > idle_ms && (!handing || c->served || !has_session(c));
}

void http_server_hurry(struct http_server *s)
{
    uint64_t ms = s->now_ms - (s->handing ? s->drain_ms : s->call_ms);
    struct conn *next;

    if (!s->handing && !s->calling) {
        return;
    }
    for (struct conn *c = s->open; c != NULL; c = next) {
        next = c->next;
        if (c->lingering || (!s->handing && !was_called(c))) {
            continue;
        }
        if (ms > (s->handing ? HAND_SLOW_MS : CALL_SLOW_MS)) {
            hurry(c);
        } else if (may_end(c, s->handing, ms)) {
            conn_drain(c);
        }
    }
}

/* ---- the other server ---- */

/* What comes first, if that has not been; false: c is closed. */
static bool begin(struct conn *c, const struct http_handed *h)
{
    const struct http_listener *o = &c->at->options;

    if (o->proxy_protocol && !h->known) {
        if (!preface_is_trusted(c->at, &c->from)) {
            conn_close(c);
            return false;
        }
        preface_begin(c);
        return true;
    }
    accept_keep_address(c);
    if (o->tls.door != NULL && !h->ends) {
        if (!secure_begin(c, &o->tls)) {
            secure_turn_away(c->fd);
            conn_close(c);
            return false;
        }
    }
    return true;
}

static void send_out(struct conn *c, const struct http_handed *h)
{
    if (h->n_out > 0) {
        buffer_grow(c->server, &c->out, &c->out_room, h->n_out);
        memcpy(c->out, h->bytes, h->n_out);
        c->out_n = h->n_out;
        conn_dirty(c);
    }
}

static void go_on(struct conn *c, const struct http_handed *h)
{
    char *in;

    if (c->served) {
        conn_deadline(c, c->server->limits.idle_timeout_ms);
    }
    if (h->n_in == 0) {
        return;
    }
    if (c->preface != NULL) {
        preface_go_on(c, (struct str){h->bytes + h->n_out, h->n_in});
        return;
    }
    in = mem_alloc(h->n_in + HTTP_PAD);
    memcpy(in, h->bytes + h->n_out, h->n_in);
    conn_feed(c, in, h->n_in);
    free(in);
}

void http_server_adopt(struct http_server *s, const struct http_handed *h)
{
    struct listener *at = s->listeners[h->listener < s->n_listeners ? h->listener : 0];
    struct http_handed mine = *h;
    struct conn *c;

    /* What it has sent was plain, or its proxy's words, and here that is not so by now. */
    if (!h->ends &&
        ((at->options.tls.door != NULL && h->known && (h->served || h->n_in > 0)) ||
         (!at->options.proxy_protocol && !h->known && h->n_in > 0))) {
        http_handed_drop(&mine);
        return;
    }
    c = server_enter(at, h->fd);
    c->who = h->who;
    c->from = origin_of_text(str_of(h->peer));
    memcpy(c->peer, h->peer, sizeof c->peer);
    accept_join(c);
    conn_start(c);
    c->served = h->served;
    c->let_in = h->let_in && !h->ends;
    if (begin(c, h)) {
        send_out(c, h);
        if (h->ends) {
            c->closing = true;
            conn_finish(c);
        } else {
            go_on(c, h);
        }
    }
    free(mine.bytes);
}
