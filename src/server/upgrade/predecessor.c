#include "server/upgrade/predecessor.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/internal.h"
#include "server/process.h"
#include "server/upgrade/channel.h"
#include "server/upgrade/link.h"
#include "server/upgrade/parcel.h"
#include "server/upgrade/tickets.h"

/* It finishes the requests and batches in hand for at most its drain, and frees its
 * threads and the spool. */
#define LEAVES_NS (10ull * 60 * 1000000000)
/* What it says after that takes no time. */
#define SAYS_NS 10000000000ull

static bool say(struct place *p, enum channel_kind kind, const char *text,
                struct err *e)
{
    struct channel_message m = {.kind = kind, .fd = -1};

    (void)snprintf(m.text, sizeof m.text, "%s", text);
    return channel_say(p->channel, &m, clock_mono_ns() + SAYS_NS, e);
}

bool predecessor_await(struct place *p, struct tls_tickets *t, struct err *e)
{
    uint64_t until_ns = clock_mono_ns() + LEAVES_NS;
    struct channel_message m;
    enum channel_result got;
    struct err gone;

    if (p->channel < 0) {
        return true;
    }
    if (!say(p, CHANNEL_READY, SLUICE_VERSION, e)) {
        return false;
    }
    while ((got = channel_hear(p->channel, &m, until_ns, &gone)) == CHANNEL_HEARD &&
           m.kind != CHANNEL_GO) {
        if (m.kind == CHANNEL_LISTENER && m.fd >= 0) {
            place_socket(p, m.text, m.fd);
        } else if (m.kind == CHANNEL_TICKETS) {
            tickets_heard(&m, t);
        } else if (m.fd >= 0) {
            (void)close(m.fd);
        }
    }
    if (got == CHANNEL_NOTHING) {
        return err_set(e, "the process whose place this one takes does not leave it");
    }
    p->resting = got == CHANNEL_HEARD && (m.number & CHANNEL_RESTS) != 0;
    if (got == CHANNEL_GONE && p->n_sockets == 0) {
        return err_set(e, "the process whose place this one takes: %s", gone.text);
    }
    if (got == CHANNEL_GONE) {
        log_write(LOG_WARN, "upgrade",
                  "status=alone why=\"the process before ended without a word: its "
                  "kept connections are lost\"");
        p->taken = true;
        (void)close(p->channel);
        p->channel = -1;
    }
    return true;
}

void predecessor_failed(struct place *p, const char *why)
{
    struct err ignored;

    if (p->channel >= 0) {
        (void)say(p, CHANNEL_FAILED, why, &ignored);
    }
}

/* ---- connections ---- */

struct arrivals {
    struct server *s;
    ev_io io;
    struct place *place;
    int channel;
    uint32_t n;
    char *bytes; /* of the next one */
    size_t n_bytes, n_out;
    bool cut; /* there are some, and they can't be read */
};

/* One of a listener that there is no more goes to the one that its client would come to
 * now, or is closed: others have other routes, and trust other clients. */
static const struct listening *listener_of(const struct server *s, const char *listener,
                                           int fd)
{
    char key[LISTENING_KEY];

    for (uint32_t i = 0; i < s->listeners.n; i++) {
        listening_key(&s->listeners.list[i], key);
        if (strcmp(key, listener) == 0) {
            return &s->listeners.list[i];
        }
    }
    return listenings_at(&s->listeners, fd);
}

static void adopt_connection(struct server *s, uint32_t n, const char *listener,
                             struct http_handed *h)
{
    const struct listening *l = listener_of(s, listener, h->fd);

    if (l == NULL) {
        http_handed_drop(h);
        return;
    }
    h->listener = (uint32_t)(l - s->listeners.list);
    worker_adopt(s->workers[n % s->n_workers], h);
}

static void keep_bytes(struct arrivals *a, const struct channel_message *m)
{
    free(a->bytes);
    a->bytes = parcel_open(m->fd, &a->n_bytes);
    a->n_out = m->number < a->n_bytes ? m->number : a->n_bytes;
    a->cut = a->bytes == NULL;
}

static void adopt(struct arrivals *a, const struct channel_message *m)
{
    struct http_handed h = {.fd = m->fd,
                            .served = (m->number & CHANNEL_SERVED) != 0,
                            .known = (m->number & CHANNEL_KNOWN) != 0,
                            .ends = (m->number & CHANNEL_ENDS) != 0,
                            .let_in = (m->number & CHANNEL_LET_IN) != 0,
                            .bytes = a->bytes,
                            .n_out = a->n_out,
                            .n_in = a->n_bytes - a->n_out};
    struct server *s = a->s;

    _Static_assert(sizeof h.who == CHANNEL_WHO && sizeof h.peer == CHANNEL_PEER,
                   "a connection fits into a message");
    memcpy(&h.who, m->who, sizeof h.who);
    memcpy(h.peer, m->peer, sizeof h.peer);
    a->bytes = NULL;
    a->n_bytes = a->n_out = 0;
    if (a->cut) {
        a->cut = false;
        http_handed_drop(&h);
        return;
    }
    adopt_connection(s, a->n++, m->text, &h);
}

void predecessor_connections(struct server *s, struct place *p)
{
    for (uint32_t i = 0; i < p->n_connections; i++) {
        adopt_connection(s, i, p->connections[i].listener, &p->connections[i].conn);
    }
    p->n_connections = 0;
}

/* end: the last word; NULL: there was none. */
static void keep_link(const struct arrivals *a, const struct channel_message *end)
{
    a->place->below = end != NULL ? (pid_t)end->number : 0;
    a->place->link = end != NULL ? end->fd : -1;
    link_watch(a->s);
}

static void on_arrival(struct ev_loop *loop, ev_io *io, int events)
{
    struct arrivals *a = OUTER(io, struct arrivals, io);
    struct channel_message m;
    enum channel_result got;
    struct err e;

    (void)events;
    while ((got = channel_hear(a->channel, &m, 0, &e)) == CHANNEL_HEARD &&
           m.kind != CHANNEL_END) {
        if (m.kind == CHANNEL_CONNECTION && m.fd >= 0 && !a->s->draining) {
            adopt(a, &m);
            continue;
        }
        if (m.kind == CHANNEL_BYTES && m.fd >= 0) {
            keep_bytes(a, &m);
        }
        if (m.fd >= 0) {
            (void)close(m.fd);
        }
    }
    if (got != CHANNEL_NOTHING) {
        keep_link(a, got == CHANNEL_HEARD ? &m : NULL);
        a->place->joining = false;
        process_ready(a->s);
        log_write(LOG_INFO, "upgrade", "status=took_over connections=%u", a->n);
        ev_io_stop(loop, &a->io);
        (void)close(a->channel);
        free(a->bytes);
        free(a);
    }
}

void predecessor_serving(struct server *s, struct place *p)
{
    struct arrivals *a;
    struct err e;

    if (p->channel < 0) {
        return;
    }
    if (!say(p, CHANNEL_SERVING, SLUICE_VERSION, &e)) {
        return; /* it has ended meanwhile: nobody else has the spool */
    }
    a = mem_zalloc(sizeof *a);
    a->s = s;
    a->place = p;
    a->channel = p->channel;
    p->channel = -1;
    p->joining = true;
    ev_io_init(&a->io, on_arrival, a->channel, EV_READ);
    ev_io_start(s->loop, &a->io);
}
