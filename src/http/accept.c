/* New connections: let in, or told that there is no room for them. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"

enum {
    ACCEPTS_MAX = 64,
    AWAY_MAX = 256, /* that were turned away and may still read why */
    AWAY_SHARE = 12 /* of max_descriptor: descriptors for these beyond it */
};

static const double ACCEPT_PAUSE_S = 0.1;

static const char AWAY[] =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n"
    "Content-Type: application/json\r\nContent-Length: 123\r\n"
    "Connection: close\r\n\r\n"
    "{\"error\":\"Service Unavailable\",\"code\":\"too_many_connections\","
    "\"detail\":\"too many connections are open; connect again later\"}";

/* The answer is sent immediately. While there are not too many such connections, the
 * client's bytes are read and dropped: unread bytes would make the close a reset, which
 * takes the answer back. */
static void turn_away(struct http_server *s, int fd, stats_cell *why)
{
    int max = s->limits.max_descriptor;
    char lines[HTTP_LINES_BYTES] = "";

    stats_add(why, 1);
    s->ops->on_refusal(s->arg, NULL, 503, "too_many_connections", lines);
    (void)send(fd, AWAY, sizeof AWAY - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (s->n_away < AWAY_MAX && (max <= 0 || fd <= max + max / AWAY_SHARE)) {
        struct conn *c = server_enter(s, fd);

        s->n_away++;
        c->away = true;
        c->closing = true;
        conn_start(c);
        conn_linger(c);
        return;
    }
    (void)shutdown(fd, SHUT_WR);
    while (recv(fd, s->scratch, SCRATCH_BYTES, MSG_DONTWAIT) > 0) {
    }
    (void)close(fd);
}

/* Why it can't be let in; NULL: it can. */
static stats_cell *obstacle(const struct http_server *s, int fd, const struct peer *who)
{
    const struct http_limits *l = &s->limits;

    if (server_crowd(s) >= (int64_t)l->max_connections) {
        return s->over_limit;
    }
    if (l->max_descriptor > 0 && fd > l->max_descriptor) {
        return s->over_descriptors;
    }
    if (l->max_per_address > 0 && peers_count(s->peers, who) >= l->max_per_address) {
        return s->over_address;
    }
    return NULL;
}

static void let_in(struct http_server *s, int fd, const struct sockaddr_storage *sa)
{
    struct peer who = peer_of(sa);
    stats_cell *why = obstacle(s, fd, &who);
    struct conn *c;
    int on = 1;

    stats_add(s->accepted, 1);
    if (why != NULL) {
        turn_away(s, fd, why);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c = server_enter(s, fd);
    c->who = who;
    peers_enter(s->peers, &who);
    peer_show(sa, c->peer, sizeof c->peer);
    conn_start(c);
}

bool accept_one(struct http_server *s)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    int fd = accept4(s->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) {
        return true;
    }
    if (fd < 0) {
        /* Out of descriptors or memory: the connection waits in the kernel. */
        if (errno != EAGAIN && !s->draining && !s->handing) {
            ev_io_stop(s->loop, &s->accepting);
            ev_timer_set(&s->accept_pause, ACCEPT_PAUSE_S, 0.);
            ev_timer_start(s->loop, &s->accept_pause);
        }
        return false;
    }
    let_in(s, fd, &sa);
    return true;
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
    struct http_server *s = OUTER(w, struct http_server, accepting);

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX && accept_one(s); i++) {
    }
}

static void on_accept_again(struct ev_loop *loop, ev_timer *w, int events)
{
    struct http_server *s = OUTER(w, struct http_server, accept_pause);

    (void)events;
    if (!s->draining) {
        ev_io_start(loop, &s->accepting);
    }
}

void accept_start(struct http_server *s)
{
    ev_io_init(&s->accepting, on_accept, s->fd, EV_READ);
    ev_io_start(s->loop, &s->accepting);
    ev_timer_init(&s->accept_pause, on_accept_again, 0., 0.);
}

void accept_stop(struct http_server *s)
{
    ev_io_stop(s->loop, &s->accepting);
    ev_timer_stop(s->loop, &s->accept_pause);
}
