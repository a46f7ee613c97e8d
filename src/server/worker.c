#include "server/worker.h"

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/latch.h"
#include "base/mem.h"
#include "http/handover.h"
#include "loop/mailbox.h"

/* How often a draining worker looks whether it is done. */
static const double DRAIN_LOOK_S = 0.01;
/* The same while clients wait for another process, and few connections are left. */
static const double HAND_LOOK_S = 0.002;

struct worker {
    struct worker_conf conf;
    struct ev_loop *loop;
    struct mailbox mail;
    struct ingest *ingest;
    bool started;
    struct latch ended;
    pthread_t thread;
    ev_timer drain_look;
    atomic_bool idle, called;
    bool leaves;              /* it is to come to rest; its thread's */
    worker_handed_fn *handed; /* while it hands its connections over */
    void *handed_arg;
};

/* A connection on its way to another thread. To the supervisor's: by then the worker may
 * be gone. */
struct passage {
    struct worker *worker; /* to this one's */
    worker_handed_fn *handed;
    void *arg;
    struct http_handed conn;
};

/* An errand of the supervisor's. */
struct errand {
    struct worker *worker;
    enum { ERRAND_BIND, ERRAND_TRY, ERRAND_PROMOTE, ERRAND_DROP } kind;
    struct binding *binding; /* BIND, TRY */
    struct worker_step *step;
};

/* A difference on its way to the supervisor. */
struct finding {
    void (*differs)(void *arg, struct shadow_sample *x);
    void *arg;
    struct shadow_sample *sample;
};

/* A binding on its way back: by then the worker may be gone. */
struct farewell {
    void (*freed)(void *arg, struct binding *b);
    void *arg;
    struct binding *binding;
};

/* The supervisor's thread: closing a Lua state takes milliseconds. */
static void on_free(void *arg)
{
    struct farewell *f = arg;

    binding_free(f->binding);
    f->freed(f->arg, f->binding);
    free(f);
}

static void on_retire(void *arg, struct binding *b)
{
    struct worker *w = arg;
    struct farewell *f = mem_alloc(sizeof *f);

    *f = (struct farewell){w->conf.freed, w->conf.arg, b};
    mailbox_post(w->conf.mail, on_free, f);
}

static void on_finding(void *arg)
{
    struct finding *f = arg;

    f->differs(f->arg, f->sample);
    free(f);
}

static void on_differs(void *arg, struct shadow_sample *x)
{
    struct worker *w = arg;
    struct finding *f = mem_alloc(sizeof *f);

    *f = (struct finding){w->conf.differs, w->conf.arg, x};
    mailbox_post(w->conf.mail, on_finding, f);
}

static void on_drain_look(struct ev_loop *loop, ev_timer *t, int events);

struct worker *worker_new(const struct worker_conf *c)
{
    struct worker *w = mem_zalloc(sizeof *w);

    w->conf = *c;
    w->loop = ev_loop_new(EVFLAG_AUTO);
    if (w->loop == NULL) {
        free(w);
        return NULL;
    }
    mailbox_init(&w->mail, w->loop);
    ev_timer_init(&w->drain_look, on_drain_look, 0., 0.);
    w->ingest = ingest_new(&(struct ingest_conf){.loop = w->loop,
                                                 .spool = c->spool,
                                                 .worker = c->number,
                                                 .listen_fds = c->listen_fds,
                                                 .doors = c->doors,
                                                 .n_listeners = c->n_listeners,
                                                 .lines = c->lines,
                                                 .prints = c->prints,
                                                 .leaving = c->leaving,
                                                 .retire = on_retire,
                                                 .differs = on_differs,
                                                 .samples = c->samples,
                                                 .arg = w});
    return w;
}

struct ingest *worker_ingest(struct worker *w)
{
    return w->ingest;
}

/* The supervisor's thread. */
static void on_step(void *arg)
{
    struct worker_step *step = arg;

    if (--step->n_left == 0) {
        step->done(step->arg);
    }
}

static void on_errand(void *arg)
{
    struct errand *a = arg;
    struct ingest *in = a->worker->ingest;

    switch (a->kind) {
    case ERRAND_BIND:
        ingest_bind(in, a->binding);
        break;
    case ERRAND_TRY:
        ingest_try(in, a->binding);
        break;
    case ERRAND_PROMOTE:
    case ERRAND_DROP:
        ingest_end_rollout(in, a->kind == ERRAND_PROMOTE);
        break;
    }
    mailbox_post(a->worker->conf.mail, on_step, a->step);
    free(a);
}

static void send_errand(struct worker *w, const struct errand *what)
{
    struct errand *a = mem_alloc(sizeof *a);

    *a = *what;
    a->worker = w;
    mailbox_post(&w->mail, on_errand, a);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "worker %u", w->conf.number);
    (void)pthread_setname_np(pthread_self(), name);
    (void)ev_run(w->loop, 0);
    latch_open(&w->ended);
    return NULL;
}

bool worker_start(struct worker *w, struct binding *first, struct err *e)
{
    int rc;

    ingest_bind(w->ingest, first);
    latch_init(&w->ended);
    rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0) {
        return err_errno(e, rc, "can't start worker %u", w->conf.number);
    }
    w->started = true;
    return true;
}

void worker_bind(struct worker *w, struct binding *b, struct worker_step *step)
{
    send_errand(w, &(struct errand){.kind = ERRAND_BIND, .binding = b, .step = step});
}

void worker_try(struct worker *w, struct binding *b, struct worker_step *step)
{
    send_errand(w, &(struct errand){.kind = ERRAND_TRY, .binding = b, .step = step});
}

void worker_end_rollout(struct worker *w, bool promote, struct worker_step *step)
{
    send_errand(w, &(struct errand){.kind = promote ? ERRAND_PROMOTE : ERRAND_DROP,
                                    .step = step});
}

void worker_post(struct worker *w, void (*fn)(void *arg), void *arg)
{
    mailbox_post(&w->mail, fn, arg);
}

void worker_signal(struct worker *w, int signal_number)
{
    (void)pthread_kill(w->thread, signal_number);
}

uint64_t worker_ran_ns(struct worker *w)
{
    struct timespec t = {0, 0};
    clockid_t clock;

    if (pthread_getcpuclockid(w->thread, &clock) == 0) {
        (void)clock_gettime(clock, &t);
    }
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_drain_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct worker *w = OUTER(t, struct worker, drain_look);

    (void)events;
    ingest_hurry(w->ingest);
    if (ingest_called(w->ingest)) {
        atomic_store(&w->called, true);
    }
    if (w->leaves && ingest_idle(w->ingest)) {
        ev_timer_stop(loop, t);
        atomic_store(&w->idle, true);
    }
}

static void look(struct worker *w, double every_s)
{
    ev_timer_stop(w->loop, &w->drain_look);
    ev_timer_set(&w->drain_look, 0., every_s);
    ev_timer_start(w->loop, &w->drain_look);
}

static void look_for_idle(struct worker *w, double every_s)
{
    w->leaves = true;
    look(w, every_s);
}

static void on_last_call(void *arg)
{
    struct worker *w = arg;

    ingest_last_call(w->ingest);
    look(w, DRAIN_LOOK_S);
}

void worker_last_call(struct worker *w)
{
    mailbox_post(&w->mail, on_last_call, w);
}

static void on_no_call(void *arg)
{
    struct worker *w = arg;

    ingest_no_call(w->ingest);
    if (!w->leaves) {
        ev_timer_stop(w->loop, &w->drain_look);
    }
    atomic_store(&w->called, false);
}

void worker_no_call(struct worker *w)
{
    mailbox_post(&w->mail, on_no_call, w);
}

bool worker_called(struct worker *w)
{
    return atomic_load(&w->called);
}

static void on_drain(void *arg)
{
    struct worker *w = arg;

    ingest_drain(w->ingest);
    look_for_idle(w, DRAIN_LOOK_S);
}

void worker_drain(struct worker *w)
{
    mailbox_post(&w->mail, on_drain, w);
}

/* The supervisor's thread. */
static void on_handed(void *arg)
{
    struct passage *p = arg;

    p->handed(p->arg, &p->conn);
    free(p);
}

static void pass_on(struct worker *w, struct mailbox *to, mailbox_fn *fn,
                    const struct http_handed *h)
{
    struct passage *p = mem_alloc(sizeof *p);

    *p = (struct passage){w, w->handed, w->handed_arg, *h};
    mailbox_post(to, fn, p);
}

static void hand(void *arg, const struct http_handed *h)
{
    struct worker *w = arg;

    pass_on(w, w->conf.mail, on_handed, h);
}

static void on_hand_over(void *arg)
{
    struct worker *w = arg;

    ingest_hand_over(w->ingest, hand, w);
    look_for_idle(w, HAND_LOOK_S);
}

void worker_hand_over(struct worker *w, worker_handed_fn *handed, void *arg)
{
    w->handed = handed;
    w->handed_arg = arg;
    mailbox_post(&w->mail, on_hand_over, w);
}

static void on_adopt(void *arg)
{
    struct passage *p = arg;

    ingest_adopt(p->worker->ingest, &p->conn);
    free(p);
}

void worker_adopt(struct worker *w, const struct http_handed *h)
{
    pass_on(w, &w->mail, on_adopt, h);
}

bool worker_idle(struct worker *w)
{
    return atomic_load(&w->idle);
}

static void on_stop(void *arg)
{
    struct worker *w = arg;

    ev_timer_stop(w->loop, &w->drain_look);
    ev_break(w->loop, EVBREAK_ALL);
}

bool worker_free(struct worker *w, uint64_t until_ns)
{
    if (w == NULL) {
        return true;
    }
    if (w->started) {
        mailbox_post(&w->mail, on_stop, w);
        if (!latch_wait(&w->ended, until_ns)) {
            return false;
        }
        (void)pthread_join(w->thread, NULL);
        latch_fini(&w->ended);
    }
    mailbox_fini(&w->mail);
    ingest_free(w->ingest);
    ev_loop_destroy(w->loop);
    free(w);
    return true;
}
