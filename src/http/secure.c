#include "http/secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/internal.h"
#include "net/tls_context.h"
#include "net/tls_door.h"
#include "net/tls_session.h"

enum {
    LOG_EVERY_MS = 1000,
    LOOKED_AT = 64,   /* of the handshakes that have begun, for one to be given up */
    TURN_NS = 1000000 /* of handshakes in a turn of the loop; further ones wait */
};

/* Handshakes in the order in which they came. */
struct shaking {
    struct conn *first, *last;
};

struct secure {
    uint32_t n_under_way;
    struct shaking silent, begun; /* of the first, no byte has come yet */
    stats_cell *done[2][2];       /* by TLS 1.2 or 1.3, and resumed */
    stats_cell *failed[TLS_FAILURES];
    stats_cell *under_way;
    uint64_t turn, spent_ns; /* of handshakes in that turn of the loop */
    uint64_t logged_ms;      /* 0: never */
    uint64_t n_unlogged;
};

static stats_cell *done_cell(const char *version, const char *resumed)
{
    char labels[64];

    (void)snprintf(labels, sizeof labels, "version=\"%s\",resumed=\"%s\"", version,
                   resumed);
    return stats_counter("sluice_tls_handshakes_total",
                         "TLS handshakes that succeeded, by version, and whether the "
                         "client resumed an earlier session.",
                         labels);
}

static stats_cell *failed_cell(enum tls_failure f)
{
    char labels[64];

    (void)snprintf(labels, sizeof labels, "reason=\"%s\"", tls_failure_word(f));
    return stats_counter("sluice_tls_handshake_failures_total",
                         "TLS handshakes that failed, by reason.", labels);
}

struct secure *secure_new(void)
{
    struct secure *x = mem_zalloc(sizeof *x);

    x->done[0][0] = done_cell("1.2", "no");
    x->done[0][1] = done_cell("1.2", "yes");
    x->done[1][0] = done_cell("1.3", "no");
    x->done[1][1] = done_cell("1.3", "yes");
    for (int i = 0; i < TLS_FAILURES; i++) {
        x->failed[i] = failed_cell((enum tls_failure)i);
    }
    x->under_way = stats_gauge("sluice_tls_handshakes_under_way",
                               "TLS handshakes under way now.", "");
    return x;
}

void secure_free(struct secure *x)
{
    if (x != NULL && x->n_unlogged > 0) {
        log_write(LOG_WARN, "tls_handshake", "status=over unlogged=%llu",
                  (unsigned long long)x->n_unlogged);
    }
    free(x);
}

/* One line a second and worker: an attacker does not fill the disk. */
static void tell(struct conn *c, enum tls_failure f)
{
    struct http_server *s = c->server;
    struct secure *x = s->secure;

    stats_add(x->failed[f], 1);
    if (x->logged_ms != 0 && s->now_ms - x->logged_ms < LOG_EVERY_MS) {
        x->n_unlogged++;
        return;
    }
    log_write(LOG_WARN, "tls_handshake", "reason=%s peer=%s unlogged=%llu",
              tls_failure_word(f), c->peer, (unsigned long long)x->n_unlogged);
    x->logged_ms = s->now_ms;
    x->n_unlogged = 0;
}

/* ---- those under way ---- */

static void join(struct shaking *list, struct conn *c)
{
    c->prev_shaking = list->last;
    c->next_shaking = NULL;
    *(list->last == NULL ? &list->first : &list->last->next_shaking) = c;
    list->last = c;
}

static void leave(struct shaking *list, struct conn *c)
{
    *(c->prev_shaking == NULL ? &list->first : &c->prev_shaking->next_shaking) =
        c->next_shaking;
    *(c->next_shaking == NULL ? &list->last : &c->next_shaking->prev_shaking) =
        c->prev_shaking;
}

static void count(struct secure *x, int change)
{
    x->n_under_way += (uint32_t)change;
    stats_set(x->under_way, x->n_under_way);
}

static void over(struct conn *c)
{
    struct secure *x = c->server->secure;

    leave(c->spoken ? &x->begun : &x->silent, c);
    c->shaking = false;
    count(x, -1);
}

/* The one that has kept the worker waiting for longest, rather one that has said nothing
 * at all. One whose bytes wait for the worker is not to blame. NULL: there is none. */
static struct conn *slowest(const struct secure *x)
{
    struct conn *c = x->silent.first;

    if (c == NULL) {
        c = x->begun.first;
        for (int i = 1; i < LOOKED_AT && c != NULL && c->resumed; i++) {
            c = c->next_shaking;
        }
    }
    return c == NULL || c->resumed ? NULL : c;
}

/* Connections that say nothing must not keep out those that do. */
static bool make_room(struct conn *c)
{
    struct conn *slow = slowest(c->server->secure);

    tell(slow == NULL ? c : slow, TLS_FAILURE_CROWDED);
    if (slow == NULL) {
        return false;
    }
    secure_turn_away(slow->fd);
    conn_close(slow);
    return true;
}

bool secure_begin(struct conn *c, const struct http_tls *tls)
{
    struct secure *x = c->server->secure;

    if (x->n_under_way >= tls->max_handshakes && !make_room(c)) {
        return false;
    }
    c->door = tls->door;
    c->shaking = true;
    c->spoken = false;
    join(&x->silent, c);
    count(x, 1);
    conn_deadline(c, tls->handshake_timeout_ms);
    return true;
}

/* ---- their steps ---- */

/* Whether others wait already, or this turn's time is over. */
static bool must_wait(const struct http_server *s)
{
    const struct secure *x = s->secure;

    return s->resumed != NULL || (x->turn == s->n_turns && x->spent_ns >= TURN_NS);
}

void secure_awake(struct conn *c)
{
    struct http_server *s = c->server;
    struct secure *x = s->secure;
    uint64_t since;

    if (!c->spoken) {
        leave(&x->silent, c);
        c->spoken = true;
        join(&x->begun, c);
    }
    if (must_wait(s)) {
        ev_io_stop(s->loop, &c->readable);
        ev_io_stop(s->loop, &c->writable);
        conn_resume_later(c);
        return;
    }
    if (x->turn != s->n_turns) {
        x->turn = s->n_turns;
        x->spent_ns = 0;
    }
    since = clock_mono_ns();
    secure_step(c);
    x->spent_ns += clock_mono_ns() - since;
}

/* Its client has ended first, and may still listen: what it got was whole. */
static void last_word(struct conn *c)
{
    enum tls_step ignored = tls_session_goodbye(c->tls);

    (void)ignored;
}

void secure_forget(struct conn *c)
{
    if (c->shaking) {
        over(c);
    } else if (c->tls != NULL && c->eof && c->out_n == 0) {
        last_word(c);
    }
    tls_session_free(c->tls);
    c->tls = NULL;
}

void secure_late(struct conn *c)
{
    tell(c, TLS_FAILURE_TIMEOUT);
    conn_close(c);
}

/* The alert stays readable for the client, whose bytes are read over. */
static void fail(struct conn *c, enum tls_failure why)
{
    tell(c, why);
    if (why == TLS_FAILURE_CUT) {
        conn_close(c);
        return;
    }
    secure_forget(c);
    c->closing = true;
    if (why == TLS_FAILURE_PLAIN_HTTP) {
        request_refuse(c, 400, "plain_http",
                       "this port expects HTTPS; the request came without TLS");
    } else {
        conn_linger(c);
    }
}

static void succeed(struct conn *c)
{
    const struct tls_peer *p = tls_session_peer(c->tls);

    over(c);
    stats_add(c->server->secure->done[p->version[6] == '3'][p->resumed], 1);
    conn_deadline(c, c->server->limits.header_timeout_ms);
    ev_io_stop(c->server->loop, &c->writable);
    conn_read(c);
}

void secure_step(struct conn *c)
{
    struct ev_loop *loop = c->server->loop;
    enum tls_failure why = TLS_FAILURE_OTHER;
    struct tls_context *context;

    if (c->tls == NULL) {
        context = tls_door_take(c->door);
        c->tls = context == NULL ? NULL : tls_session_new(context, c->fd);
        tls_context_unref(context);
        if (c->tls == NULL) {
            tell(c, TLS_FAILURE_OTHER);
            conn_close(c);
            return;
        }
    }
    switch (tls_session_handshake(c->tls, &why)) {
    case TLS_AGAIN:
        ev_io_stop(loop, &c->writable);
        ev_io_start(loop, &c->readable);
        break;
    case TLS_WRITABLE:
        ev_io_stop(loop, &c->readable);
        ev_io_start(loop, &c->writable);
        break;
    case TLS_FAILED:
        fail(c, why);
        break;
    case TLS_DONE:
        succeed(c);
        break;
    }
}

static void await_room(struct conn *c)
{
    struct http_server *s = c->server;

    if (!ev_is_active(&c->writable)) {
        c->unread_ms = s->now_ms + (uint64_t)s->limits.body_timeout_ms;
        ev_io_start(s->loop, &c->writable);
    }
}

bool secure_may_wait(struct conn *c)
{
    if (tls_session_blocked(c->tls)) {
        await_room(c);
        return false;
    }
    if (tls_session_more(c->tls)) {
        conn_resume_later(c);
        return false;
    }
    return true;
}

void secure_unblock(struct conn *c)
{
    tls_session_unblock(c->tls);
}

bool secure_goodbye(struct conn *c)
{
    if (tls_session_goodbye(c->tls) != TLS_WRITABLE) {
        return true;
    }
    await_room(c);
    return false;
}

void secure_turn_away(int fd)
{
    /* A record of TLS 1.0, as every version reads it, with a fatal internal_error. */
    static const char alert[] = {21, 3, 1, 0, 2, 2, 80};

    (void)send(fd, alert, sizeof alert, MSG_NOSIGNAL | MSG_DONTWAIT);
}
