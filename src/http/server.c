/* A worker's HTTP server: accepts, keeps the pools, looks at the clock. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/state.h"

enum { ACCEPTS_MAX = 64, BODIES_OF_MAX_BODY = 64 };

static const double ACCEPT_PAUSE_S = 0.1;

uint64_t server_now_ms(const struct http_server *s)
{
    return (uint64_t)(ev_now(s->loop) * 1000.);
}

struct http_request *request_get(struct http_server *s)
{
    struct http_request *r = s->free_requests, *before;
    char *stash = NULL;
    size_t room = 0;

    stats_add(s->req_get, 1);
    if (r == NULL) {
        stats_add(s->req_miss, 1);
        r = mem_alloc(sizeof *r);
        r->made_before = s->made;
        s->made = r;
    } else {
        s->free_requests = r->next;
        stash = r->stash;
        room = r->stash_room;
    }
    before = r->made_before;
    memset(r, 0, sizeof *r);
    r->made_before = before;
    r->server = s;
    r->stash = stash;
    r->stash_room = room;
    return r;
}

void request_put(struct http_server *s, struct http_request *r)
{
    stats_add(s->req_put, 1);
    if (r->stash_room > 4096) {
        free(r->stash);
        r->stash = NULL;
        r->stash_room = 0;
    }
    r->next = s->free_requests;
    s->free_requests = r;
}

static struct conn *conn_get(struct http_server *s)
{
    struct conn *c = s->pool;

    stats_add(s->conn_get, 1);
    if (c == NULL) {
        stats_add(s->conn_miss, 1);
        c = mem_zalloc(sizeof *c);
        c->parse = parse_new(&conn_parse_ops, c);
    } else {
        s->pool = c->next;
    }
    c->server = s;
    c->prev = NULL;
    c->next = s->open;
    if (s->open != NULL) {
        s->open->prev = c;
    }
    s->open = c;
    s->n_open++;
    stats_set(s->open_gauge, s->n_open);
    return c;
}

static void unlink_from(struct conn **list, struct conn *c, bool dirty)
{
    while (*list != NULL && *list != c) {
        list = dirty ? &(*list)->next_dirty : &(*list)->next_resumed;
    }
    if (*list == c) {
        *list = dirty ? c->next_dirty : c->next_resumed;
    }
}

void server_forget(struct conn *c)
{
    struct http_server *s = c->server;
    struct parse *parse = c->parse;

    if (c->dirty) {
        unlink_from(&s->dirty, c, true);
    }
    if (c->resumed) {
        unlink_from(&s->resumed, c, false);
    }
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->open = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    free(c->held);
    free(c->out);
    memset(c, 0, sizeof *c);
    c->parse = parse;
    c->next = s->pool;
    s->pool = c;
    s->n_open--;
    stats_set(s->open_gauge, s->n_open);
    stats_add(s->conn_put, 1);
}

static void show_peer(const struct sockaddr_storage *sa, char *out, size_t n)
{
    const void *addr =
        sa->ss_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)sa)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)sa)->sin_addr;

    if (inet_ntop(sa->ss_family, addr, out, (socklen_t)n) == NULL) {
        out[0] = '\0';
    }
}

static void turn_away(struct http_server *s, int fd)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n"
        "Content-Type: application/json\r\nContent-Length: 61\r\n"
        "Connection: close\r\n\r\n"
        "{\"error\":\"Service Unavailable\",\"code\":\"too_many_connections\"}";

    stats_add(s->overflow, 1);
    s->ops->on_refusal(s->arg, 503);
    (void)send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    (void)close(fd);
}

/* False: nothing more to accept now. */
static bool accept_one(struct http_server *s)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    int on = 1;
    int fd = accept4(s->fd, (struct sockaddr *)&sa, &n,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *c;

    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) {
        return true;
    }
    if (fd < 0) {
        /* Out of descriptors or memory: the connection waits in the kernel. */
        if (errno != EAGAIN && !s->draining) {
            ev_io_stop(s->loop, &s->accepting);
            ev_timer_set(&s->accept_pause, ACCEPT_PAUSE_S, 0.);
            ev_timer_start(s->loop, &s->accept_pause);
        }
        return false;
    }
    stats_add(s->accepted, 1);
    if (s->n_open >= s->limits.max_connections ||
        (s->limits.max_descriptor > 0 && fd > s->limits.max_descriptor)) {
        turn_away(s, fd);
        return true;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c = conn_get(s);
    c->fd = fd;
    show_peer(&sa, c->peer, sizeof c->peer);
    conn_start(c);
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

static void on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
    struct http_server *s = OUTER(w, struct http_server, sweep);
    uint64_t now = server_now_ms(s);
    bool quiet = s->draining && now - s->drain_ms > QUIET_MS;
    struct conn *next;

    (void)loop;
    (void)events;
    for (struct conn *c = s->open; c != NULL; c = next) {
        next = c->next;
        if (now >= c->deadline_ms || now >= c->unread_ms) {
            conn_expire(c);
        } else if (quiet && conn_idle(c)) {
            conn_drain(c);
        }
    }
}

static void on_flush(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)loop;
    (void)events;
    http_server_flush(OUTER(w, struct http_server, flush));
}

static void on_resume(struct ev_loop *loop, ev_idle *w, int events)
{
    struct http_server *s = OUTER(w, struct http_server, resume);
    struct conn *c;
    uint32_t n = 0;

    (void)events;
    for (c = s->resumed; c != NULL; c = c->next_resumed) {
        n++;
    }
    /* One turn each: who has still more goes to the end of the list. A turn may
     * close any connection, so that the list is looked at anew. */
    while (n-- > 0 && (c = s->resumed) != NULL) {
        s->resumed = c->next_resumed;
        c->resumed = false;
        conn_resume(c);
    }
    if (s->resumed == NULL) {
        ev_idle_stop(loop, w);
    }
}

static double sweep_s(const struct http_limits *l)
{
    int64_t least = l->header_timeout_ms;

    least = l->body_timeout_ms < least ? l->body_timeout_ms : least;
    least = l->idle_timeout_ms < least ? l->idle_timeout_ms : least;
    least /= 4;
    least = least < 10 ? 10 : least > 250 ? 250 : least;
    return (double)least / 1000.;
}

static stats_cell *pool_cell(const char *pool, const char *what)
{
    char labels[64];

    (void)snprintf(labels, sizeof labels, "pool=\"%s\",op=\"%s\"", pool, what);
    return stats_counter("sluice_pool_ops_total",
                         "Objects got from a pool, put back, and made anew "
                         "(miss).",
                         labels);
}

static void make_cells(struct http_server *s)
{
    s->conn_get = pool_cell("connection", "get");
    s->conn_put = pool_cell("connection", "put");
    s->conn_miss = pool_cell("connection", "miss");
    s->req_get = pool_cell("request", "get");
    s->req_put = pool_cell("request", "put");
    s->req_miss = pool_cell("request", "miss");
    s->accepted = stats_counter("sluice_connections_total",
                                "Connections accepted.", "");
    s->overflow = stats_counter("sluice_connections_refused_total",
                                "Connections beyond max_connections, or for "
                                "want of descriptors.", "");
    s->timeouts = stats_counter("sluice_connection_timeouts_total",
                                "Connections ended by a timeout.", "");
    s->open_gauge = stats_gauge("sluice_connections_open",
                                "Connections open now.", "");
}

struct http_server *http_server_new(struct ev_loop *loop, int listen_fd,
                                    const struct http_limits *limits,
                                    const struct http_ops *ops, void *arg)
{
    struct http_server *s = mem_zalloc(sizeof *s);

    s->loop = loop;
    s->fd = listen_fd;
    s->ops = ops;
    s->arg = arg;
    s->encoding = encoding_new();
    make_cells(s);
    ev_io_init(&s->accepting, on_accept, listen_fd, EV_READ);
    ev_io_start(loop, &s->accepting);
    ev_timer_init(&s->accept_pause, on_accept_again, 0., 0.);
    ev_timer_init(&s->sweep, on_sweep, sweep_s(limits), sweep_s(limits));
    ev_timer_start(loop, &s->sweep);
    ev_prepare_init(&s->flush, on_flush);
    ev_set_priority(&s->flush, EV_MINPRI);
    ev_prepare_start(loop, &s->flush);
    ev_idle_init(&s->resume, on_resume);
    ev_set_priority(&s->resume, EV_MAXPRI);
    http_server_limits(s, limits);
    return s;
}

void http_server_limits(struct http_server *s, const struct http_limits *l)
{
    s->limits = *l;
    s->max_body_bytes = BODIES_OF_MAX_BODY * l->max_body;
    ev_timer_stop(s->loop, &s->sweep);
    ev_timer_set(&s->sweep, sweep_s(l), sweep_s(l));
    ev_timer_start(s->loop, &s->sweep);
}

void http_server_flush(struct http_server *s)
{
    struct conn *c;

    while ((c = s->dirty) != NULL) {
        s->dirty = c->next_dirty;
        c->dirty = false;
        conn_write(c);
    }
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    s->drain_ms = server_now_ms(s);
    while (accept_one(s)) {
    }
    ev_io_stop(s->loop, &s->accepting);
}

uint32_t http_server_open(const struct http_server *s)
{
    return s->n_open;
}

void http_server_free(struct http_server *s)
{
    http_server_flush(s);
    while (s->open != NULL) {
        conn_close(s->open);
    }
    ev_io_stop(s->loop, &s->accepting);
    ev_timer_stop(s->loop, &s->accept_pause);
    ev_timer_stop(s->loop, &s->sweep);
    ev_prepare_stop(s->loop, &s->flush);
    ev_idle_stop(s->loop, &s->resume);
    while (s->pool != NULL) {
        struct conn *next = s->pool->next;

        parse_free(s->pool->parse);
        free(s->pool);
        s->pool = next;
    }
    while (s->made != NULL) {
        struct http_request *before = s->made->made_before;

        free(s->made->stash);
        free(s->made);
        s->made = before;
    }
    encoding_free(s->encoding);
    free(s);
}
