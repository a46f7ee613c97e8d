/* How a connection ends: its deadline passes, the server shuts down, or its last answer
 * is out; it is closed so that its client can read that answer. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/internal.h"
#include "net/tls_session.h"

/* The answer is out; the client gets the time to read it, because a close with bytes
 * unread would reset the connection and take the answer back. */
void conn_linger(struct conn *c)
{
    if (UNLIKELY(c->tls != NULL) && !secure_goodbye(c)) {
        return; /* it comes here again */
    }
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) {
        conn_close(c);
        return;
    }
    c->lingering = true;
    c->lingered = 0;
    c->server->n_lingering += !c->away;
    request_abort(c);
    body_drop(c);
    conn_deadline(c, LINGER_MS);
    if (UNLIKELY(c->server->handing) && conn_can_leave(c)) {
        conn_leave(c);
        return;
    }
    conn_read_on(c);
}

void conn_read_over(struct conn *c)
{
    ssize_t n = read(c->fd, c->server->scratch, SCRATCH_BYTES);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    c->lingered += n > 0 ? (uint64_t)n : 0;
    if (n <= 0 || c->lingered > LINGER_BYTES) {
        conn_close(c);
    }
}

void conn_expire(struct conn *c)
{
    stats_add(c->server->timeouts, 1);
    if (c->shaking) {
        secure_late(c);
    } else if (c->lingering || c->out_n > 0 || c->closing ||
               (c->current != NULL && c->current->answered)) {
        conn_close(c);
    } else if (c->current != NULL || parse_in_request(c->parse)) {
        c->closing = true;
        conn_deadline(c, c->server->limits.body_timeout_ms);
        request_refuse(c, 408, "request_timeout",
                       c->current == NULL ? "the headers did not arrive in time"
                                          : "the body did not arrive in time");
        conn_finish(c);
    } else {
        conn_close(c);
    }
}

void conn_drain(struct conn *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN && (c->tls == NULL || !tls_session_partial(c->tls))) {
        c->closing = true;
        if (c->shaking) {
            secure_forget(c);
        }
        conn_linger(c);
    }
}

static void drop_queue(struct conn *c)
{
    struct http_request *r = c->first, *next;

    for (; r != NULL; r = next) {
        next = r->next;
        r->queued = false;
        if (r->whole && !r->answered) {
            r->c = NULL; /* its answer will be swallowed */
        } else {
            request_put(c->server, r);
        }
    }
    c->first = NULL;
    c->last = NULL;
    c->n_open = 0;
}

void conn_close(struct conn *c)
{
    struct http_server *s = c->server;
    struct http_request *r = c->current;

    if (r != NULL) {
        c->current = NULL;
        r->parsing = false;
        if (r->told) {
            r->told = false;
            s->ops->on_abort(s->arg, r);
        }
        if (!r->queued) {
            request_put(s, r);
        }
    }
    drop_queue(c);
    body_wait(c, false);
    body_drop(c);
    ev_io_stop(s->loop, &c->readable);
    ev_io_stop(s->loop, &c->writable);
    if (UNLIKELY(c->shaking || c->tls != NULL)) {
        secure_forget(c);
    }
    (void)close(c->fd);
    accept_keep_spare(c->server); /* before another client takes it */
    server_forget(c);
}
