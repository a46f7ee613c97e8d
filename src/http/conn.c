/* A connection: a socket that is read, parsed and written; ending.c closes it. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/internal.h"
#include "net/tls_session.h"

static bool on_head(void *arg, const struct parse_head *h)
{
    return request_head(arg, h);
}

static bool on_chunk(void *arg, uint64_t bytes)
{
    return request_chunk(arg, bytes);
}

static bool on_part(void *arg, const char *p, size_t n)
{
    return request_part(arg, p, n);
}

static bool on_whole(void *arg)
{
    return request_whole(arg);
}

const struct parse_ops conn_parse_ops = {on_head, on_chunk, on_part, on_whole};

void conn_deadline(struct conn *c, int64_t ms)
{
    c->deadline_ms = ms < 0 ? UINT64_MAX : c->server->now_ms + (uint64_t)ms;
}

bool conn_idle(const struct conn *c)
{
    return c->preface == NULL && c->current == NULL && c->n_open == 0 &&
           c->unparsed_n == 0 && c->out_n == 0 && !c->closing &&
           !parse_in_request(c->parse) && !(c->shaking && c->tls != NULL);
}

bool conn_may_parse(const struct conn *c)
{
    uint32_t turn = c->server->resumed == NULL ? PIPELINE_MAX : PIPELINE_CROWDED;

    return !c->closing && !c->dead && !c->aside && c->n_open < PIPELINE_MAX &&
           c->n_turn < turn && c->out_n - c->out_sent < OUT_MAX_BYTES;
}

void conn_read_on(struct conn *c)
{
    struct ev_loop *loop = c->server->loop;
    bool want = c->lingering || (conn_may_parse(c) && !c->eof && c->unparsed_n == 0);

    if (UNLIKELY(c->tls != NULL) && want && !c->lingering) {
        want = secure_may_wait(c);
    }
    if (want && !ev_is_active(&c->readable)) {
        ev_io_start(loop, &c->readable);
    } else if (!want && ev_is_active(&c->readable)) {
        ev_io_stop(loop, &c->readable);
    }
}

/* While the client is slow to read, on_writable sends; a flush would find the same
 * connection again and again. */
void conn_dirty(struct conn *c)
{
    if (!c->dirty && !ev_is_active(&c->writable)) {
        c->dirty = true;
        c->next_dirty = c->server->dirty;
        c->server->dirty = c;
    }
}

void conn_resume_later(struct conn *c)
{
    struct http_server *s = c->server;

    if (!c->resumed) {
        c->resumed = true;
        c->next_resumed = NULL;
        *s->resumed_tail = c;
        s->resumed_tail = &c->next_resumed;
        ev_idle_start(s->loop, &s->resume);
    }
}

/* Between two requests. While nothing more is read, because the client must read its
 * answers first, the time of its head does not run: unread_ms does. */
static void await_head(struct conn *c)
{
    const struct http_limits *l = &c->server->limits;
    bool begun = parse_in_request(c->parse) && conn_may_parse(c);

    if (!begun) {
        conn_deadline(c, c->n_open > 0 || c->out_n > 0 || c->unparsed_n > 0 ? -1
                         : c->served ? l->idle_timeout_ms
                                     : l->header_timeout_ms);
    } else if (!c->head_begun) {
        conn_deadline(c, l->header_timeout_ms);
    }
    c->head_begun = begun;
}

void conn_finish(struct conn *c)
{
    if (c->lingering) {
        return;
    }
    if (c->dead) {
        conn_close(c);
        return;
    }
    if (c->out_n > 0) {
        conn_dirty(c);
    } else if (c->closing && c->n_open == 0) {
        conn_linger(c);
        return;
    } else if (c->eof && c->n_open == 0 && c->unparsed_n == 0) {
        conn_close(c);
        return;
    }
    if (c->aside || (c->unparsed_n > 0 && conn_may_parse(c))) {
        conn_resume_later(c);
    }
    if (UNLIKELY(c->server->handing) && conn_can_leave(c)) {
        conn_leave(c);
        return;
    }
    if (c->closing) {
        conn_deadline(c, -1); /* an answer of ours is still to come */
    } else if (c->current == NULL) {
        await_head(c);
    }
    conn_read_on(c);
}

/* p may lie in unparsed. Without room for it, the connection ends: its client has more
 * than PIPELINE_MAX requests under way. */
static void keep_unparsed(struct conn *c, const char *p, size_t n)
{
    struct http_server *s = c->server;
    uint64_t more = n + HTTP_PAD - c->unparsed_room;

    if (n + HTTP_PAD > c->unparsed_room) {
        if (s->buffered + more > s->limits.max_buffered) {
            buffer_evict(s, c);
        }
        if (s->buffered + more > s->limits.max_buffered) {
            stats_add(s->evicted, 1);
            c->dead = true;
            return;
        }
        buffer_grow(s, &c->unparsed, &c->unparsed_room, n + HTTP_PAD);
    }
    memmove(c->unparsed, p, n);
    c->unparsed_n = n;
}

static void refuse_parse(struct conn *c, enum parse_result r)
{
    c->closing = true;
    if (c->current != NULL) {
        c->current->close = true;
    }
    if (r == PARSE_LARGE) {
        request_refuse(c, 431, "headers_too_large",
                       "the URL, headers or trailers are too large, or there "
                       "are more than 64; send fewer");
    } else if (r == PARSE_METHOD) {
        request_refuse(c, 501, "unknown_method",
                       "expected a known method such as POST");
    } else {
        request_refuse(c, 400, "bad_request", parse_why(c->parse));
    }
}

/* p may lie in unparsed. */
void conn_feed(struct conn *c, const char *p, size_t n)
{
    enum parse_result r = PARSE_OK;

    c->server->feeding = c;
    parse_limit(c->parse, c->server->limits.max_headers_bytes);
    c->unparsed_n = 0;
    c->n_turn = 0;
    if (UNLIKELY(c->aside)) {
        (void)request_go_on(c);
    }
    while (n > 0 && conn_may_parse(c)) {
        size_t used = parse_feed(c->parse, p, n, &r);

        if (UNLIKELY(c->current == NULL && parse_in_request(c->parse))) {
            begun_keep(c, p, used);
        } else if (UNLIKELY(c->begun != NULL)) {
            begun_drop(c);
        }
        p += used;
        n -= used;
        if (r == PARSE_OK && n > 0) {
            r = PARSE_BAD;
        }
        if (r != PARSE_OK && r != PARSE_STOPPED && !c->closing) {
            refuse_parse(c, r);
        }
    }
    if (n > 0 && !c->closing) {
        keep_unparsed(c, p, n);
    }
    if (c->unparsed_n == 0) {
        buffer_free(c->server, &c->unparsed, &c->unparsed_room);
    }
    if (c->out_n > 0 && buffer_is_tight(c->server)) {
        conn_write(c); /* a client that does not read is known before the turn's end */
    }
    c->server->feeding = NULL;
    c->n_turn = 0;
    conn_finish(c);
}

void conn_resume(struct conn *c)
{
    if (UNLIKELY(c->shaking)) {
        secure_step(c);
    } else if (c->aside || (c->unparsed_n > 0 && conn_may_parse(c))) {
        conn_feed(c, c->unparsed, c->unparsed_n);
    } else if (UNLIKELY(c->tls != NULL) && c->unparsed_n == 0 && conn_may_parse(c) &&
               !c->lingering && !c->eof) {
        conn_read(c);
    }
}

void conn_read(struct conn *c)
{
    size_t room;
    char *place;
    ssize_t n;

    place = body_place(c, &room);
    if (place == NULL) {
        place = c->server->scratch;
        room = buffer_read_bytes(c);
    }
    n = LIKELY(c->tls == NULL) ? read(c->fd, place, room)
                               : tls_session_read(c->tls, place, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (UNLIKELY(c->tls != NULL)) {
            conn_read_on(c);
        }
        return;
    }
    if (n < 0) {
        conn_close(c);
        return;
    }
    if (n == 0) {
        c->eof = true;
        if (c->current != NULL) {
            request_abort(c);
        }
        conn_finish(c);
        return;
    }
    conn_feed(c, place, (size_t)n);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct conn *c = OUTER(w, struct conn, readable);

    (void)loop;
    (void)events;
    if (UNLIKELY(c->shaking)) {
        secure_awake(c);
    } else if (c->lingering) {
        conn_read_over(c);
    } else if (UNLIKELY(c->preface != NULL)) {
        preface_read(c);
    } else {
        conn_read(c);
    }
}

static void written(struct conn *c)
{
    if (c->out_sent < c->out_n) {
        return;
    }
    c->out_n = 0;
    c->out_sent = 0;
    buffer_sent(c);
    if (ev_is_active(&c->writable)) {
        ev_io_stop(c->server->loop, &c->writable);
    }
}

void conn_write(struct conn *c)
{
    struct http_server *s = c->server;
    ssize_t n = 0;

    if (c->out_n > c->out_sent) {
        const char *p = c->out + c->out_sent;
        size_t left = c->out_n - c->out_sent;

        n = LIKELY(c->tls == NULL) ? send(c->fd, p, left, MSG_NOSIGNAL)
                                   : tls_session_write(c->tls, p, left);
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        c->dead = true;
    } else if (n > 0) {
        c->out_sent += (size_t)n;
    }
    written(c);
    if (c->out_n == 0) {
        c->unread_ms = UINT64_MAX;
    } else if (n > 0 || !ev_is_active(&c->writable)) {
        c->unread_ms = s->now_ms + (uint64_t)s->limits.body_timeout_ms;
    }
    if (!c->dead && c->out_n > 0 && !ev_is_active(&c->writable)) {
        ev_io_start(s->loop, &c->writable);
    }
    if (s->feeding != c) {
        conn_finish(c);
    }
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct conn *c = OUTER(w, struct conn, writable);

    (void)loop;
    (void)events;
    if (UNLIKELY(c->shaking)) {
        secure_awake(c);
        return;
    }
    if (UNLIKELY(c->tls != NULL)) {
        secure_unblock(c);
    }
    conn_write(c);
}

void conn_start(struct conn *c)
{
    struct http_server *s = c->server;

    c->number = ++s->n_accepted;
    parse_reset(c->parse, c, s->limits.max_headers_bytes);
    ev_io_init(&c->readable, on_readable, c->fd, EV_READ);
    ev_io_init(&c->writable, on_writable, c->fd, EV_WRITE);
    c->unread_ms = UINT64_MAX;
    conn_deadline(c, s->limits.header_timeout_ms);
    conn_read_on(c);
}

/* Time that was given stays, unless the new limits give less. */
void conn_limits(struct conn *c)
{
    const struct http_server *s = c->server;
    const struct http_limits *l = &s->limits;
    int64_t ms = c->current != NULL                         ? l->body_timeout_ms
                 : parse_in_request(c->parse) || !c->served ? l->header_timeout_ms
                                                            : l->idle_timeout_ms;
    uint64_t read_by = s->now_ms + (uint64_t)l->body_timeout_ms;

    if (c->lingering || c->shaking) {
        return;
    }
    if (c->deadline_ms != UINT64_MAX && s->now_ms + (uint64_t)ms < c->deadline_ms) {
        c->deadline_ms = s->now_ms + (uint64_t)ms;
    }
    if (c->unread_ms != UINT64_MAX && read_by < c->unread_ms) {
        c->unread_ms = read_by;
    }
}
