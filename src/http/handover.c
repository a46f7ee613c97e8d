/* Connections between two requests, on their way to another server. */
#include <netinet/in.h>
#include <string.h>

#include "http/internal.h"

bool conn_can_leave(const struct conn *c)
{
    /* A session of TLS is in this process alone: its connection ends with its next
     * answer. */
    return c->server->hand != NULL && !c->away && !c->eof && !c->shaking &&
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

void http_server_adopt(struct http_server *s, const struct http_handed *h)
{
    struct listener *at = s->listeners[h->listener < s->n_listeners ? h->listener : 0];
    struct conn *c = server_enter(at, h->fd);

    accept_join(c, &h->who);
    memcpy(c->peer, h->peer, sizeof c->peer);
    conn_start(c);
    if (h->served) {
        c->served = true;
        conn_deadline(c, s->limits.idle_timeout_ms);
    }
}
