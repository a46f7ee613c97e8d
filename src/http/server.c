/* A worker's HTTP server: keeps the pools, looks at the clock. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/internal.h"

enum {
    BODIES_OF_MAX_BODY = 64,
    BODIES_LEAST_BYTES = 64 << 20,
    CONNS_KEPT = 1024, /* pools: memory above it goes back to the heap */
    REQUESTS_KEPT = 4096,
    LATE_MS = 1000, /* sweeps are at most 250 ms apart */
    /* Of one turn of the loop: for bytes read and not yet parsed, and for bodies in line, of
     * which each may be much work. */
    RESUME_NS = 1000000,
    LINE_NS = 5000000
};

struct http_request *request_get(struct http_server *s)
{
    struct http_request *r = s->free_requests, *prev, *next;

    stats_add(s->req_get, 1);
    if (r == NULL) {
        stats_add(s->req_miss, 1);
        r = mem_alloc(sizeof *r);
        r->made_prev = NULL;
        r->made_next = s->made;
        if (s->made != NULL) {
            s->made->made_prev = r;
        }
        s->made = r;
    } else {
        s->free_requests = r->next;
        s->n_free_requests--;
    }
    prev = r->made_prev;
    next = r->made_next;
    memset(r, 0, sizeof *r);
    r->made_prev = prev;
    r->made_next = next;
    r->server = s;
    return r;
}

static void request_unmake(struct http_server *s, struct http_request *r)
{
    if (r->made_prev != NULL) {
        r->made_prev->made_next = r->made_next;
    } else {
        s->made = r->made_next;
    }
    if (r->made_next != NULL) {
        r->made_next->made_prev = r->made_prev;
    }
    buffer_free(s, &r->stash, &r->stash_room);
    free(r);
}

void request_put(struct http_server *s, struct http_request *r)
{
    stats_add(s->req_put, 1);
    buffer_free(s, &r->stash, &r->stash_room);
    if (s->n_free_requests >= REQUESTS_KEPT) {
        request_unmake(s, r);
        return;
    }
    r->next = s->free_requests;
    s->free_requests = r;
    s->n_free_requests++;
}

struct conn *server_enter(struct listener *at, int fd)
{
    struct http_server *s = at->server;
    struct conn *c = s->pool;

    stats_add(s->conn_get, 1);
    if (c == NULL) {
        stats_add(s->conn_miss, 1);
        c = mem_zalloc(sizeof *c);
        c->parse = parse_new(&conn_parse_ops, c);
    } else {
        s->pool = c->next;
        s->n_pool--;
    }
    c->server = s;
    c->at = at;
    c->fd = fd;
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

int64_t server_crowd(const struct http_server *s)
{
    return (int64_t)s->n_open - s->n_away;
}

int64_t server_surplus(const struct http_server *s)
{
    return server_crowd(s) - s->n_lingering - (int64_t)s->limits.max_connections;
}

static void leave_dirty(struct http_server *s, const struct conn *c)
{
    struct conn **at = &s->dirty;

    while (*at != NULL && *at != c) {
        at = &(*at)->next_dirty;
    }
    if (*at != NULL) {
        *at = c->next_dirty;
    }
}

static void leave_resumed(struct http_server *s, const struct conn *c)
{
    struct conn **at = &s->resumed;

    while (*at != NULL && *at != c) {
        at = &(*at)->next_resumed;
    }
    if (*at != NULL) {
        *at = c->next_resumed;
        if (*at == NULL) {
            s->resumed_tail = at;
        }
    }
}

/* c was let in. */
static void leave_listener(struct conn *c)
{
    struct listener *at = c->at;

    at->n_open--;
    if (at->open_gauge != NULL) {
        stats_set(at->open_gauge, at->n_open);
    }
    if (c->counted) {
        peers_leave(at->peers, &c->who);
    }
}

static void conn_free(struct conn *c)
{
    parse_free(c->parse);
    free(c);
}

void server_forget(struct conn *c)
{
    struct http_server *s = c->server;
    struct parse *parse = c->parse;

    if (c->dirty) {
        leave_dirty(s, c);
    }
    if (c->resumed) {
        leave_resumed(s, c);
    }
    if (c->away) {
        s->n_away--;
    } else {
        s->n_lingering -= c->lingering;
        leave_listener(c);
    }
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->open = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    buffer_free(s, &c->unparsed, &c->unparsed_room);
    buffer_free(s, &c->out, &c->out_room);
    buffer_free(s, &c->begun, &c->begun_room);
    preface_drop(c);
    memset(c, 0, sizeof *c);
    c->parse = parse;
    s->n_open--;
    stats_set(s->open_gauge, s->n_open);
    stats_add(s->conn_put, 1);
    if (s->n_pool >= CONNS_KEPT) {
        conn_free(c);
        return;
    }
    parse_rest(parse);
    c->next = s->pool;
    s->pool = c;
    s->n_pool++;
}

static void on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
    struct http_server *s = OUTER(w, struct http_server, sweep);
    uint64_t now = s->now_ms, since = now - s->swept_ms;
    bool quiet = s->draining && now - s->drain_ms > QUIET_MS;
    int64_t surplus = server_surplus(s);
    struct conn *next;

    (void)loop;
    (void)events;
    s->swept_ms = now;
    if (since > LATE_MS) {
        return; /* this process stood still: bytes that have arrived are read first */
    }
    for (struct conn *c = s->open; c != NULL; c = next) {
        next = c->next;
        if (now >= c->deadline_ms || now >= c->unread_ms) {
            conn_expire(c);
        } else if (!conn_idle(c)) {
            continue;
        } else if (quiet || s->resting || surplus-- > 0) {
            conn_drain(c);
        } else {
            buffer_rest(c);
        }
    }
    http_server_hurry(s);
    buffer_look(s);
}

/* Deadlines are of the monotonic clock, read once a turn, before all else. */
static void on_tick(struct ev_loop *loop, ev_check *w, int events)
{
    struct http_server *s = OUTER(w, struct http_server, tick);

    (void)loop;
    (void)events;
    s->now_ms = clock_mono_ns() / 1000000u;
    s->n_turns++;
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
    uint64_t now = clock_mono_ns(), till = now + RESUME_NS, line_till = now + LINE_NS;

    (void)events;
    /* In order; a connection with more input goes to the end of the list. Then the
     * sockets are polled, so that a client with one request waits for at most one turn
     * of clients that send without end. A turn may close any connection: the list is
     * read again. */
    while ((c = s->resumed) != NULL) {
        s->resumed = c->next_resumed;
        if (s->resumed == NULL) {
            s->resumed_tail = &s->resumed;
        }
        c->resumed = false;
        conn_resume(c);
        now = clock_mono_ns();
        if (now > (s->resumed != NULL && s->resumed->aside ? line_till : till)) {
            break;
        }
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
                         "Pool operations: get, put, and miss (a new object "
                         "had to be made).",
                         labels);
}

static stats_cell *refused_cell(const char *reason)
{
    char labels[64];

    (void)snprintf(labels, sizeof labels, "reason=\"%s\"", reason);
    return stats_counter("sluice_connections_refused_total",
                         "Connections answered 503: over max_connections "
                         "(limit), few file descriptors left (descriptors), or "
                         "over the limit of one address (address); and closed: no "
                         "trusted proxy (untrusted), a wrong PROXY header "
                         "(proxy_header), or from a network that the listener "
                         "does not allow (denied).",
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
                                "Connections accepted, by all listeners; also "
                                "those answered 503.",
                                "");
    s->refused[OBSTACLE_LIMIT] = refused_cell("limit");
    s->refused[OBSTACLE_DESCRIPTORS] = refused_cell("descriptors");
    s->refused[OBSTACLE_ADDRESS] = refused_cell("address");
    s->refused[OBSTACLE_UNTRUSTED] = refused_cell("untrusted");
    s->refused[OBSTACLE_DENIED] = refused_cell("denied");
    s->refused[OBSTACLE_HEADER] = refused_cell("proxy_header");
    s->evicted = stats_counter("sluice_connections_evicted_total",
                               "Connections closed because the buffers of all "
                               "connections reached their bound.",
                               "");
    s->buffer_gauge = stats_gauge("sluice_connection_buffer_bytes",
                                  "Bytes of requests that are read and not "
                                  "parsed, and of answers that are not sent.",
                                  "");
    s->body_gauge = stats_gauge("sluice_body_buffer_bytes",
                                "Bytes of request bodies that have arrived in "
                                "part, or wait to be inflated.",
                                "");
    s->timeouts = stats_counter("sluice_connection_timeouts_total",
                                "Connections ended by a timeout.", "");
    s->open_gauge = stats_gauge("sluice_connections_open",
                                "Connections open now, of all listeners: also "
                                "the one that asks for the metrics.",
                                "");
}

struct http_server *http_server_new(struct ev_loop *loop,
                                    const struct http_limits *limits,
                                    const struct http_ops *ops, void *arg)
{
    struct http_server *s = mem_zalloc(sizeof *s);

    s->loop = loop;
    s->ops = ops;
    s->arg = arg;
    s->encoding = encoding_new();
    s->secure = secure_new();
    make_cells(s);
    s->resumed_tail = &s->resumed;
    s->now_ms = s->swept_ms = clock_mono_ns() / 1000000u;
    ev_check_init(&s->tick, on_tick);
    ev_set_priority(&s->tick, EV_MAXPRI);
    ev_check_start(loop, &s->tick);
    ev_timer_init(&s->sweep, on_sweep, sweep_s(limits), sweep_s(limits));
    ev_set_priority(&s->sweep, EV_MINPRI); /* sockets first */
    ev_timer_start(loop, &s->sweep);
    ev_prepare_init(&s->flush, on_flush);
    ev_set_priority(&s->flush, EV_MINPRI);
    ev_prepare_start(loop, &s->flush);
    ev_idle_init(&s->resume, on_resume);
    ev_set_priority(&s->resume, EV_MAXPRI);
    http_server_limits(s, limits);
    s->spare = eventfd(0, EFD_CLOEXEC);
    return s;
}

void http_server_listen(struct http_server *s, int fd, const struct http_listener *o)
{
    static const struct http_listener defaults = {0};

    assert(s->n_listeners < HTTP_LISTENERS_MAX);
    s->listeners[s->n_listeners] = accept_start(s, fd, o == NULL ? &defaults : o);
    s->n_listeners++;
}

void http_server_listener(struct http_server *s, uint32_t place,
                          const struct http_listener *o)
{
    assert(place < s->n_listeners);
    s->listeners[place]->options = *o;
}

void http_server_limits(struct http_server *s, const struct http_limits *l)
{
    s->limits = *l;
    s->max_body_bytes = BODIES_OF_MAX_BODY * l->max_body;
    if (s->max_body_bytes < BODIES_LEAST_BYTES) {
        s->max_body_bytes = BODIES_LEAST_BYTES;
    }
    for (struct conn *c = s->open; c != NULL; c = c->next) {
        conn_limits(c);
    }
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
        if (UNLIKELY(s->buffered > s->limits.max_buffered)) {
            buffer_evict(s, NULL);
        }
    }
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    s->drain_ms = s->now_ms;
    for (uint32_t i = 0; i < s->n_listeners; i++) {
        accept_drain(s->listeners[i]);
    }
}

void http_server_rest(struct http_server *s, bool on)
{
    s->resting = on;
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
    for (uint32_t i = 0; i < s->n_listeners; i++) {
        accept_free(s->listeners[i]);
    }
    ev_check_stop(s->loop, &s->tick);
    ev_timer_stop(s->loop, &s->sweep);
    ev_prepare_stop(s->loop, &s->flush);
    ev_idle_stop(s->loop, &s->resume);
    while (s->pool != NULL) {
        struct conn *next = s->pool->next;

        conn_free(s->pool);
        s->pool = next;
    }
    while (s->made != NULL) {
        request_unmake(s, s->made);
    }
    encoding_free(s->encoding);
    secure_free(s->secure);
    if (s->spare >= 0) {
        (void)close(s->spare);
    }
    free(s);
}
