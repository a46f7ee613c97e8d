#include "server/upgrade/link.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "server/internal.h"
#include "server/upgrade/place.h"
#include "server/upgrade/stand_in.h"

enum { FORM = 0x51c0b001, SIGNAL = 1, NEXT };

struct wire {
    uint32_t form, kind;
    int32_t number; /* of the signal, or the process */
};

bool link_pair(int ends[2], struct err *e)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                      ends) == 0 ||
           err_errno(e, errno, "can't make a pair of sockets");
}

/* A server that reads nothing for so long that there is no room does not see the signal, as
 * one that hangs does not. */
static void say(int end, uint32_t kind, int32_t number)
{
    const struct wire w = {FORM, kind, number};
    ssize_t n;

    do {
        n = send(end, &w, sizeof w, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
}

/* 1: w; 0: nothing yet; -1: the other end is gone, or speaks another form. */
static int hear(int end, struct wire *w)
{
    ssize_t n;

    do {
        n = recv(end, w, sizeof *w, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        return 0;
    }
    return n == (ssize_t)sizeof *w && w->form == FORM ? 1 : -1;
}

void link_signal(int end, int number)
{
    say(end, SIGNAL, number);
}

void link_next(int end, pid_t pid)
{
    say(end, NEXT, (int32_t)pid);
}

bool link_hear_next(int end, pid_t *pid)
{
    struct wire w;

    while (hear(end, &w) > 0) {
        if (w.kind == NEXT && w.number > 0) {
            *pid = (pid_t)w.number;
            return true;
        }
    }
    return false;
}

static void on_link(struct ev_loop *loop, ev_io *io, int events)
{
    struct server *s = OUTER(io, struct server, on_link);
    struct wire w;
    int got;

    (void)events;
    while ((got = hear(s->place->link, &w)) > 0) {
        if (w.kind == SIGNAL && stand_in_passes(w.number)) {
            (void)kill(getpid(), w.number);
        }
    }
    if (got < 0) { /* the stand-in was killed; nobody takes its place */
        ev_io_stop(loop, io);
        (void)close(s->place->link);
        s->place->link = -1;
    }
}

void link_watch(struct server *s)
{
    if (s->place->link >= 0) {
        ev_io_init(&s->on_link, on_link, s->place->link, EV_READ);
        ev_io_start(s->loop, &s->on_link);
    }
}

void link_unwatch(struct server *s)
{
    if (s->on_link.active) {
        ev_io_stop(s->loop, &s->on_link);
    }
}
