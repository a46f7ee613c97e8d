/* Connections between two requests, on their way to another server. */
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "http/internal.h"

bool conn_can_leave(const struct conn *c)
{
    /* One that has had no request would be asked for another PROXY header. */
    bool begun = c->served || !c->at->options.proxy_protocol;

    /* A session of TLS is in this process alone: its connection ends with its next
     * answer. */
    return c->server->hand != NULL && begun && !c->away && !c->eof && !c->shaking &&
           c->tls == NULL && conn_idle(c);
}

void conn_leave(struct conn *c)
{
    struct http_server *s = c->server;
    struct http_handed h = {
        .fd = c->fd, .who = c->who, .listener = c->at->place, .served = c->served};

    memcpy(h.peer, c->peer, sizeof h.peer);
    ev_io_stop(s->loop, &c->readable);
    ev_io_stop(s->loop, &c->writable);
    body_drop(c);
    server_forget(c);
    s->hand(s->hand_arg, &h);
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

/* One that waited to be accepted, and has sent nothing that was read. */
static void begin(struct conn *c)
{
    const struct http_listener *o = &c->at->options;

    if (o->proxy_protocol && !preface_is_trusted(c->at, &c->from)) {
        conn_close(c);
    } else if (o->proxy_protocol) {
        preface_begin(c);
    } else if (o->tls.door != NULL) {
        accept_secure(c);
    }
}

void http_server_adopt(struct http_server *s, const struct http_handed *h)
{
    struct listener *at = s->listeners[h->listener < s->n_listeners ? h->listener : 0];
    struct conn *c;

    /* Its requests were plain (conn_can_leave), and here they have TLS by now. */
    if (h->served && at->options.tls.door != NULL) {
        (void)close(h->fd);
        return;
    }
    c = server_enter(at, h->fd);
    c->who = h->who;
    c->from = origin_of_text(str_of(h->peer));
    memcpy(c->peer, h->peer, sizeof c->peer);
    accept_join(c);
    if (h->served || !at->options.proxy_protocol) {
        accept_keep_address(c);
    }
    conn_start(c);
    if (h->served) {
        c->served = true;
        conn_deadline(c, s->limits.idle_timeout_ms);
    } else {
        begin(c);
    }
}
