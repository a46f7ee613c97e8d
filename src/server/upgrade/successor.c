#include "server/upgrade/successor.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/notify.h"
#include "server/internal.h"
#include "server/process.h"
#include "server/supervisor.h"
#include "server/upgrade/channel.h"
#include "server/upgrade/launch.h"
#include "server/upgrade/link.h"
#include "server/upgrade/rest.h"
#include "server/upgrade/sockets.h"
#include "server/upgrade/tickets.h"

/* A policy with large tables loads in seconds. */
static const double LOADS_S = 120.;
static const double LOOK_S = 0.001;
/* After the drain's time: looks at what comes to rest still; and the time of batches in
 * flight once nobody is served. */
#define CALLED_NS 5000000000ull /* more than http/handover.c takes */
enum { LATE_LOOKS = 100, UNSERVED_NS = 1000000000 };
static const double ENDING_S = 5.;

struct successor {
    struct server *s;
    pid_t pid;    /* 0: the launcher is to start it */
    pid_t reaped; /* by the loop, with code, before the launcher has told pid */
    const char *cause;
    int channel;
    ev_io io;
    ev_child child;
    bool gone;  /* it has closed the channel before it was ready */
    bool ended; /* with code, as waitpid has it; nobody else reaps it then */
    int code;
    ev_timer late;     /* it is not ready, or not even started */
    ev_timer look;     /* reloads, sinks, then workers, come to rest */
    uint64_t until_ns; /* then: no more patience */
    bool leaving;      /* it is ready, and this process makes room for it */
    bool called;       /* sessions of TLS have ended, or had their time */
    bool workers;      /* hand over */
    bool sinks;        /* were told to end */
    uint32_t tries;    /* looks since then: what is idle is handed over */
    char live[65];     /* hash of the policy that went live last of what it knows */
    struct place place;
};

static void free_successor(struct successor *x)
{
    struct server *s = x->s;

    ev_io_stop(s->loop, &x->io);
    ev_child_stop(s->loop, &x->child);
    ev_timer_stop(s->loop, &x->late);
    ev_timer_stop(s->loop, &x->look);
    place_fini(&x->place);
    if (x->channel >= 0) {
        (void)close(x->channel);
    }
    s->successor = NULL;
    free(x);
}

/* It ends by itself soon, because its channel closes; but a stopped process does not. */
static void end_process(struct successor *x)
{
    struct err ignored;

    ev_child_stop(x->s->loop, &x->child);
    if (x->pid == 0) {
        launch_late(x->s, &ignored);
    } else if (!x->ended) {
        x->ended = true;
        launch_kill(x->s->process, x->pid);
    }
}

static void give_up(struct successor *x, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16];

    log_write(LOG_ERROR, "upgrade", "status=failed pid=%ld why=%s", (long)x->pid,
              log_quote(quoted, sizeof quoted, why));
    process_upgrade_failed(x->s->process, why);
    end_process(x);
    for (uint32_t i = 0; x->leaving && i < x->s->n_workers; i++) {
        worker_no_call(x->s->workers[i]);
    }
    free_successor(x);
}

/* Its own lines tell why; but one that crashed, or that was killed, has none. */
static void give_up_ended(struct successor *x)
{
    char why[128];

    if (!x->ended) {
        (void)snprintf(why, sizeof why,
                       "the new process closed its channel: is it no sluice?");
    } else if (WIFSIGNALED(x->code)) {
        (void)snprintf(why, sizeof why,
                       "signal %d ended the new process before it was ready",
                       WTERMSIG(x->code));
    } else {
        (void)snprintf(
            why, sizeof why,
            "the new process ended with code %d before it was ready: its own "
            "lines tell why",
            WEXITSTATUS(x->code));
    }
    give_up(x, why);
}

/* The loop has reaped it: its number may be another process's from now on. */
static void on_child(struct ev_loop *loop, ev_child *w, int events)
{
    struct successor *x = OUTER(w, struct successor, child);

    (void)events;
    if (x->pid == 0) {
        x->reaped = w->rpid;
        x->code = w->rstatus;
        return;
    }
    if (w->rpid != x->pid) {
        return;
    }
    ev_child_stop(loop, w);
    x->ended = true;
    x->code = w->rstatus;
    if (x->gone) {
        give_up_ended(x);
    }
}

/* ---- making room ---- */

/* Once nobody is served, the batches have little time: those of the streams that clients
 * wait for are done. */
static void rest_sinks(struct server *s, const struct successor *x)
{
    uint64_t soon_ns = clock_mono_ns() + UNSERVED_NS;

    rest_ask_sinks(s, x->workers && soon_ns < x->until_ns ? soon_ns : x->until_ns);
}

static void on_handed(void *arg, const struct http_handed *h)
{
    struct successor *x = arg;
    char key[LISTENING_KEY];

    listening_key(&x->s->listeners.list[h->listener], key);
    place_connection(&x->place, key, h);
}

/* What a promotion or a rollback makes live it can't know. */
static bool knows_live(const struct successor *x)
{
    return strcmp(x->live, policy_plan(x->s->policy)->hash) == 0;
}

static void note_live(struct successor *x)
{
    (void)snprintf(x->live, sizeof x->live, "%s", policy_plan(x->s->policy)->hash);
}

/* Then the time of the rest begins. */
static void look_called(struct successor *x, bool late)
{
    const struct server *s = x->s;
    bool all = true;

    for (uint32_t i = 0; i < s->n_workers; i++) {
        all = all && worker_called(s->workers[i]);
    }
    if (all || late) {
        x->called = true;
        if (!x->place.drains) {
            x->until_ns = clock_mono_ns() +
                          (uint64_t)policy_plan(s->policy)->server.drain_ms * 1000000u;
        }
    }
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct successor *x = OUTER(t, struct successor, look);
    struct server *s = x->s;
    bool late = clock_mono_ns() >= x->until_ns;
    struct err e;

    (void)events;
    if (!x->called) {
        look_called(x, late);
        return;
    }
    if (!x->sinks && !x->workers && !x->place.drains && !rest_of_reloads(s)) {
        if (late) { /* its thread would not end either: nothing is given up so far */
            give_up(x, "a reload that is under way does not come to its end");
        }
        return;
    }
    if (!x->sinks && !x->workers && !x->place.drains && !knows_live(x)) {
        give_up(x, "another policy went live meanwhile, without a load of the file: "
                   "upgrade again");
        return;
    }
    if (!x->sinks && !x->workers && !x->place.drains && !spool_whole(s->spool, &e)) {
        give_up(x, e.text);
        return;
    }
    if (!x->sinks &&
        (late || !rest_needs_sinks(s) || (x->workers && rest_of_workers(s)))) {
        x->sinks = true;
        rest_sinks(s, x);
    }
    if (!x->workers && (late || rest_needs_sinks(s) || rest_of_sinks(s))) {
        x->workers = true;
        for (uint32_t i = 0; i < s->n_workers; i++) {
            worker_hand_over(s->workers[i], on_handed, x);
        }
    }
    if (late ? x->tries++ > LATE_LOOKS
             : x->workers && rest_of_workers(s) && rest_of_sinks(s)) {
        ev_timer_stop(loop, t);
        ev_break(loop, EVBREAK_ALL);
    }
}

static void make_room(struct successor *x, const char *version)
{
    struct server *s = x->s;
    struct err e;

    if (!spool_whole(s->spool, &e) || !sockets_tell(s, x->channel, &e)) {
        give_up(x, e.text);
        return;
    }
    log_write(LOG_INFO, "upgrade", "status=ready pid=%ld version=%s", (long)x->pid,
              version);
    x->leaving = true;
    x->until_ns = clock_mono_ns() + CALLED_NS;
    for (uint32_t i = 0; i < s->n_workers; i++) {
        worker_last_call(s->workers[i]);
    }
    ev_timer_stop(s->loop, &x->late);
    ev_io_stop(s->loop, &x->io);
    ev_timer_init(&x->look, on_look, 0., LOOK_S);
    ev_timer_start(s->loop, &x->look);
}

static void on_word(struct ev_loop *loop, ev_io *io, int events)
{
    struct successor *x = OUTER(io, struct successor, io);
    struct channel_message m;
    struct err e;

    (void)events;
    switch (channel_hear(x->channel, &m, 0, &e)) {
    case CHANNEL_NOTHING:
        return;
    case CHANNEL_GONE:
        if (!channel_is_closed(x->channel)) {
            give_up(x, e.text); /* it is of another version */
            return;
        }
        ev_io_stop(loop, &x->io);
        x->gone = true;
        if (x->ended) {
            give_up_ended(x);
            return;
        }
        ev_timer_stop(loop, &x->late); /* the channel closes just before it has ended */
        ev_timer_set(&x->late, ENDING_S, 0.);
        ev_timer_start(loop, &x->late);
        return;
    case CHANNEL_HEARD:
        break;
    }
    if (m.fd >= 0) {
        (void)close(m.fd);
    }
    if (m.kind == CHANNEL_READY) {
        make_room(x, m.text);
    } else {
        give_up(x, m.text);
    }
}

static void on_late(struct ev_loop *loop, ev_timer *t, int events)
{
    struct successor *x = OUTER(t, struct successor, late);

    struct err e;

    (void)loop;
    (void)events;
    if (x->pid == 0) {
        launch_late(x->s, &e);
        successor_launched(x->s, 0, e.text);
    } else if (x->gone) {
        give_up_ended(x);
    } else {
        give_up(x, "the new process is not ready after two minutes");
    }
}

static void hear_of(struct successor *x, pid_t pid)
{
    struct server *s = x->s;

    x->pid = pid;
    ev_io_init(&x->io, on_word, x->channel, EV_READ);
    ev_io_start(s->loop, &x->io);
    if (x->reaped == pid) {
        ev_child_stop(s->loop, &x->child);
        x->ended = true;
    }
    ev_timer_stop(s->loop, &x->late);
    ev_timer_init(&x->late, on_late, LOADS_S, 0.);
    ev_timer_start(s->loop, &x->late);
    log_write(LOG_INFO, "upgrade", "status=starts pid=%ld cause=%s", (long)x->pid,
              x->cause);
}

bool successor_begin(struct server *s, const char *cause, struct err *e)
{
    struct successor *x;
    int ends[2];
    pid_t pid;
    bool ok;

    if (s->draining || s->successor != NULL) {
        return err_set(e, s->draining ? "this process ends"
                                      : "another process is on its way already");
    }
    /* It would begin a spool of its own, and leave the events behind. */
    if (!spool_whole(s->spool, e)) {
        return false;
    }
    if (!channel_pair(ends, e)) {
        return false;
    }
    ok = launch(s->process, ends[1], &pid, e);
    (void)close(ends[1]);
    if (!ok) {
        process_upgrade_failed(s->process, e->text);
        (void)close(ends[0]);
        return false;
    }
    x = mem_zalloc(sizeof *x);
    x->s = s;
    x->cause = cause;
    x->channel = ends[0];
    note_live(x);
    place_init(&x->place);
    x->place.reloads =
        s->reloading != NULL; /* it may load the file after the new process */
    s->successor = x;
    ev_child_init(&x->child, on_child, 0,
                  0); /* of any: it may end before its pid is told */
    ev_set_priority(&x->child, EV_MAXPRI); /* before words are heard of one reaped */
    ev_child_start(s->loop, &x->child);
    if (pid > 0) {
        hear_of(x, pid);
    } else { /* a launcher that is stopped holds up nobody */
        ev_timer_init(&x->late, on_late, LAUNCHER_MS / 1000., 0.);
        ev_timer_start(s->loop, &x->late);
    }
    return true;
}

void successor_launched(struct server *s, pid_t pid, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16];

    if (s->successor == NULL) {
        return; /* its channel is closed, by which it ends */
    }
    if (pid > 0) {
        hear_of(s->successor, pid);
        return;
    }
    log_write(LOG_ERROR, "upgrade", "status=failed why=%s",
              log_quote(quoted, sizeof quoted, why));
    process_upgrade_failed(s->process, why);
    free_successor(s->successor);
}

void successor_unled(struct server *s)
{
    if (s->successor != NULL && !s->successor->leaving) {
        give_up(s->successor, "the launcher, which could end the new process, is lost");
    }
}

bool successor_leaving(const struct server *s)
{
    return s->successor != NULL && s->successor->leaving;
}

void successor_drop(struct server *s)
{
    if (s->successor != NULL && !s->successor->leaving) {
        end_process(s->successor);
        free_successor(s->successor);
    }
}

void successor_forsake(struct server *s)
{
    if (s->successor != NULL) {
        end_process(s->successor);
    }
}

int successor_alone(struct server *s)
{
    struct successor *x = s->successor;

    if (!x->place.drains && s->place->below != 0) {
        link_next(s->place->link, x->pid);
        return EXIT_OK;
    }
    if (!x->place.drains &&
        notify_send(&s->process->notify, "MAINPID=%ld", (long)x->pid)) {
        return EXIT_OK;
    }
    end_process(x);
    return x->place.drains ? EXIT_OK : EXIT_STUCK;
}

void successor_drains(struct server *s)
{
    struct successor *x = s->successor;

    if (x->place.drains) {
        x->until_ns = 0; /* a second signal: no more patience */
    }
    x->place.drains = true;
}

void successor_reloads(struct server *s)
{
    if (s->successor != NULL) {
        s->successor->place.reloads = true;
    }
}

void successor_loaded(struct server *s)
{
    if (s->successor != NULL) {
        note_live(s->successor);
    }
}

void successor_leave(struct server *s)
{
    struct place *p = &s->successor->place;
    struct err e;

    /* They may have changed since it was ready. One that has ended since does not listen,
     * which is noticed later. */
    bool ignored = tickets_tell(s->successor->channel, s->process->tickets, &e);

    (void)ignored;
    listening_leave(&s->admin_listener, p);
    listenings_leave(&s->listeners, p);
    p->policy = policy_ref(s->policy);
}

void successor_take(struct server *s, struct place *p)
{
    struct successor *x = s->successor;
    pid_t below = p->below;
    int link = p->link;

    place_fini(p);
    *p = x->place;
    p->channel = x->channel;
    p->pid = x->ended ? 0 : x->pid;
    p->below = below;
    p->link = link;
    p->resting = s->resting;
    place_init(&x->place);
    x->channel = -1;
    free_successor(x);
}
