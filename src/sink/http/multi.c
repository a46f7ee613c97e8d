#include "sink/http/multi.h"

#include <stdlib.h>

#include "base/attr.h"
#include "base/mem.h"

struct socket_watch {
    ev_io io;
    struct multi *owner;
};

void multi_end_soon(struct multi *m)
{
    if (!ev_is_active(&m->finish)) {
        ev_idle_start(m->loop, &m->finish);
    }
}

static void act(struct multi *m, curl_socket_t fd, int what)
{
    int running;

    (void)curl_multi_socket_action(m->curl, fd, what, &running);
    multi_end_soon(m);
}

static void on_io(struct ev_loop *loop, ev_io *w, int events)
{
    struct socket_watch *s = OUTER(w, struct socket_watch, io);

    (void)loop;
    act(s->owner, w->fd,
        (events & EV_READ ? CURL_CSELECT_IN : 0) |
            (events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    act(OUTER(w, struct multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *own)
{
    struct multi *m = arg;
    struct socket_watch *s = own;

    (void)easy;
    if (s != NULL) {
        ev_io_stop(m->loop, &s->io);
    }
    if (what == CURL_POLL_REMOVE) {
        free(s);
        (void)curl_multi_assign(m->curl, fd, NULL);
        return 0;
    }
    if (s == NULL) {
        s = mem_alloc(sizeof *s);
        s->owner = m;
        (void)curl_multi_assign(m->curl, fd, s);
    }
    ev_io_init(&s->io, on_io, fd,
               (what & CURL_POLL_IN ? EV_READ : 0) |
                   (what & CURL_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(m->loop, &s->io);
    return 0;
}

static int on_want_timer(CURLM *curl, long ms, void *arg)
{
    struct multi *m = arg;

    (void)curl;
    ev_timer_stop(m->loop, &m->timer);
    if (ms >= 0) {
        ev_timer_set(&m->timer, (double)ms / 1000., 0.);
        ev_timer_start(m->loop, &m->timer);
    }
    return 0;
}

static void on_finish(struct ev_loop *loop, ev_idle *w, int events)
{
    struct multi *m = OUTER(w, struct multi, finish);
    CURLMsg *said;
    int left;

    (void)events;
    ev_idle_stop(loop, w);
    while ((said = curl_multi_info_read(m->curl, &left)) != NULL) {
        if (said->msg == CURLMSG_DONE) {
            /* said is gone when its handle is removed. */
            CURLcode rc = said->data.result;

            m->ended(m->arg, said->easy_handle, rc);
        }
    }
    m->idle(m->arg);
}

void multi_init(struct multi *m, struct ev_loop *loop, multi_ended_fn *ended,
                multi_idle_fn *idle, void *arg)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    *m = (struct multi){.loop = loop,
                        .curl = curl_multi_init(),
                        .ended = ended,
                        .idle = idle,
                        .arg = arg};
    ev_timer_init(&m->timer, on_timer, 0., 0.);
    ev_idle_init(&m->finish, on_finish);
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_want_timer);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

void multi_fini(struct multi *m)
{
    (void)curl_multi_cleanup(m->curl);
    ev_timer_stop(m->loop, &m->timer);
    ev_idle_stop(m->loop, &m->finish);
}
