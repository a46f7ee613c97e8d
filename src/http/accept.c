/* New connections: let in, or told that there is no room for them. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/internal.h"

enum {
    ACCEPTS_MAX = 64,
    AWAY_MAX = 256,  /* that were turned away and may still read why */
    AWAY_SHARE = 12, /* of max_descriptor: descriptors for these beyond it */
    FEW_EVERY_MS = 10000
};

static const double ACCEPT_PAUSE_S = 0.1;

#define AWAY_BODY                                                                      \
    "{\"error\":\"Service Unavailable\",\"code\":\"too_many_connections\","            \
    "\"detail\":\"too many connections are open; connect again later\"}"

static const char AWAY[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n"
                           "Content-Type: application/json\r\nContent-Length: 123\r\n"
                           "Connection: close\r\n\r\n" AWAY_BODY;

/* In what the client speaks. */
static void send_away(const struct listener *l, int fd)
{
    if (l->options.tls.door != NULL) {
        secure_turn_away(fd);
    } else {
        (void)send(fd, AWAY, sizeof AWAY - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void tell(struct listener *l)
{
    struct http_server *s = l->server;
    char lines[HTTP_LINES_BYTES] = "";
    struct http_refusal no = {.status = 503,
                              .code = "too_many_connections",
                              .lines = lines,
                              .n = l->options.tls.door == NULL ? sizeof AWAY_BODY - 1
                                                               : 0};

    s->ops->on_refusal(s->arg, NULL, NULL, &no);
}

/* The answer is sent immediately. While there are not too many such connections, the
 * client's bytes are read and dropped: unread bytes would make the close a reset, which
 * takes the answer back. */
static void turn_away(struct listener *l, int fd, enum obstacle why)
{
    struct http_server *s = l->server;
    int max = s->limits.max_descriptor;

    accept_count(l, why);
    tell(l);
    send_away(l, fd);
    if (!s->no_more && s->n_away < AWAY_MAX &&
        (max <= 0 || fd <= max + max / AWAY_SHARE)) {
        struct conn *c = server_enter(l, fd);

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

void accept_count(struct listener *l, enum obstacle why)
{
    stats_add(l->server->refused[why], 1);
    if (l->refused[why] != NULL) {
        stats_add(l->refused[why], 1);
    }
}

void accept_turn_away(struct conn *c)
{
    tell(c->at);
    send_away(c->at, c->fd);
    c->closing = true;
    conn_linger(c);
}

/* A trusted proxy has the connections of many clients. */
static bool is_over_address(const struct listener *l, const struct peer *who,
                            const struct conn_origin *from)
{
    uint32_t max = l->options.max_per_address > 0 ? l->options.max_per_address
                                                  : l->server->limits.max_per_address;

    return max > 0 && peers_count(l->peers, who) >= max && !preface_is_trusted(l, from);
}

bool accept_admits(const struct listener *l, const struct conn_origin *from)
{
    const struct http_listener *o = &l->options;

    return o->access == NULL ||
           o->admits(o->access, from->local || from->unknown ? NULL : &from->address,
                     from->local);
}

/* Why it can't be let in, whatever its address. */
static enum obstacle obstacle_of(const struct listener *l, int fd)
{
    const struct http_limits *limits = &l->server->limits;
    uint32_t max = l->options.max_connections;

    if (server_crowd(l->server) >= (int64_t)limits->max_connections ||
        (max > 0 && l->n_open >= max)) {
        return OBSTACLE_LIMIT;
    }
    return limits->max_descriptor > 0 &&
                   (fd > limits->max_descriptor || l->server->no_more)
               ? OBSTACLE_DESCRIPTORS
               : OBSTACLE_NONE;
}

void accept_join(struct conn *c)
{
    struct listener *l = c->at;

    l->n_open++;
    if (l->open_gauge != NULL) {
        stats_set(l->open_gauge, l->n_open);
    }
}

bool accept_count_address(struct conn *c)
{
    if (is_over_address(c->at, &c->who, &c->from)) {
        return false;
    }
    accept_keep_address(c);
    return true;
}

void accept_keep_address(struct conn *c)
{
    c->counted = true;
    peers_enter(c->at->peers, &c->who);
}

void accept_secure(struct conn *c)
{
    if (!secure_begin(c, &c->at->options.tls)) {
        secure_turn_away(c->fd);
        conn_close(c);
    }
}

static void enter(struct listener *l, int fd, const struct sockaddr_storage *sa,
                  const struct conn_origin *from, bool preface)
{
    struct conn *c = server_enter(l, fd);
    int on = 1;

    if (!from->local) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    accept_join(c);
    c->from = *from;
    c->who = peer_of(sa);
    peer_show(sa, c->peer, sizeof c->peer);
    if (UNLIKELY(preface)) {
        preface_begin(c);
    } else {
        accept_keep_address(c);
    }
    conn_start(c);
    if (!preface && l->options.tls.door != NULL) {
        accept_secure(c);
    }
}

static void let_in(struct listener *l, int fd, const struct sockaddr_storage *sa)
{
    const struct conn_origin from = origin_of(sa);
    const struct peer who = peer_of(sa);
    bool refused, preface = preface_expected(l, &from, sa, &refused);
    enum obstacle why = obstacle_of(l, fd);

    stats_add(l->server->accepted, 1);
    if (l->accepted != NULL) {
        stats_add(l->accepted, 1);
    }
    if (!refused && !preface && UNLIKELY(!accept_admits(l, &from))) {
        accept_count(l, OBSTACLE_DENIED);
        refused = true;
    }
    if (refused) {
        (void)close(fd);
        return;
    }
    if (why == OBSTACLE_NONE && !preface && is_over_address(l, &who, &from)) {
        why = OBSTACLE_ADDRESS;
    }
    if (why != OBSTACLE_NONE) {
        turn_away(l, fd, why);
    } else {
        enter(l, fd, sa, &from, preface);
    }
}

static int accept_fd(const struct listener *l, struct sockaddr_storage *sa)
{
    socklen_t n = sizeof *sa;

    return accept4(l->fd, (struct sockaddr *)sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void accept_keep_spare(struct http_server *s)
{
    if (UNLIKELY(s->spare < 0)) {
        s->spare = eventfd(0, EFD_CLOEXEC);
        s->no_more &= s->spare < 0;
    }
}

/* In the place of the spare descriptor: clients are told that there is none for them, and
 * operators see why. -1 and errno: it has given way before. */
static int accept_last(struct listener *l, struct sockaddr_storage *sa)
{
    struct http_server *s = l->server;
    const int why = errno;
    int fd = -1;

    if (s->spare >= 0) {
        (void)close(s->spare);
        s->spare = -1;
        s->no_more = true;
        fd = accept_fd(l, sa);
        if (fd < 0 && errno == EAGAIN) {
            accept_keep_spare(s); /* none waits: the kernel wants a descriptor first */
            errno = EAGAIN;
            return -1;
        }
    }
    if (l->few_ms == 0 || s->now_ms - l->few_ms >= FEW_EVERY_MS) {
        l->few_ms = s->now_ms;
        log_write(LOG_ERROR, "accept", "listener=%s status=failed why=\"%s\"", l->label,
                  strerror(why));
    }
    errno = why;
    return fd;
}

/* False: nothing more to accept now. */
static bool accept_one(struct listener *l)
{
    struct http_server *s = l->server;
    struct sockaddr_storage sa;
    int fd;

    accept_keep_spare(s);
    fd = accept_fd(l, &sa);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) {
        return true;
    }
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        fd = accept_last(l, &sa);
    }
    if (fd < 0) {
        /* Out of descriptors or memory: the connection waits in the kernel. */
        if (errno != EAGAIN && !s->draining && !s->handing) {
            ev_io_stop(s->loop, &l->accepting);
            ev_timer_set(&l->pause, ACCEPT_PAUSE_S, 0.);
            ev_timer_start(s->loop, &l->pause);
        }
        return false;
    }
    let_in(l, fd, &sa);
    accept_keep_spare(s);
    return true;
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
    struct listener *l = OUTER(w, struct listener, accepting);

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX && accept_one(l); i++) {
    }
}

static void on_accept_again(struct ev_loop *loop, ev_timer *w, int events)
{
    struct listener *l = OUTER(w, struct listener, pause);

    (void)events;
    if (!l->server->draining) {
        ev_io_start(loop, &l->accepting);
    }
}

static void make_cells(struct listener *l)
{
    static const char *const reasons[OBSTACLES] = {
        [OBSTACLE_LIMIT] = "limit",     [OBSTACLE_DESCRIPTORS] = "descriptors",
        [OBSTACLE_ADDRESS] = "address", [OBSTACLE_UNTRUSTED] = "untrusted",
        [OBSTACLE_DENIED] = "denied",   [OBSTACLE_HEADER] = "proxy_header"};
    char pair[320], labels[400];

    (void)stats_label_pair(pair, sizeof pair, "listener", l->options.name);
    l->accepted = stats_counter("sluice_listener_connections_total",
                                "Connections that a listener accepted; also those that "
                                "it refused then.",
                                pair);
    l->open_gauge = stats_gauge("sluice_listener_connections_open",
                                "Connections of a listener that are open now.", pair);
    for (int i = OBSTACLE_NONE + 1; i < OBSTACLES; i++) {
        (void)snprintf(labels, sizeof labels, "%s,reason=\"%s\"", pair, reasons[i]);
        l->refused[i] =
            stats_counter("sluice_listener_refused_total",
                          "Connections that a listener refused, by reason.", labels);
    }
}

struct listener *accept_start(struct http_server *s, int fd,
                              const struct http_listener *o)
{
    struct listener *l = mem_zalloc(sizeof *l);

    l->server = s;
    l->options = *o;
    l->place = s->n_listeners;
    (void)snprintf(l->label, sizeof l->label, "%s", o->name == NULL ? "-" : o->name);
    l->fd = fd;
    l->peers = peers_new();
    if (o->name != NULL) {
        make_cells(l);
    }
    ev_timer_init(&l->pause, on_accept_again, 0., 0.);
    if (fd >= 0) {
        ev_io_init(&l->accepting, on_accept, fd, EV_READ);
        ev_io_start(s->loop, &l->accepting);
    }
    return l;
}

void accept_drain(struct listener *l)
{
    while (l->fd >= 0 && accept_one(l)) {
    }
    accept_stop(l);
}

void accept_stop(struct listener *l)
{
    if (l->fd >= 0) {
        ev_io_stop(l->server->loop, &l->accepting);
    }
    ev_timer_stop(l->server->loop, &l->pause);
}

void accept_free(struct listener *l)
{
    accept_stop(l);
    preface_tell(l);
    peers_free(l->peers);
    free(l);
}
