#include "server/worker.h"

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "loop/mailbox.h"

/* How often a draining worker looks whether it is done. */
static const double DRAIN_LOOK_S = 0.01;

struct worker {
    struct ev_loop *loop;
    struct mailbox mail;
    struct ingest *ingest;
    uint32_t number;
    bool started;
    pthread_t thread;
    ev_timer drain_look;
    /* What the supervisor waits for. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t n_bound;      /* bindings taken over */
    uint64_t n_handed;     /* supervisor's: bindings handed over */
    atomic_bool idle;
};

struct handover {
    struct worker *worker;
    struct binding *binding;
};

static void free_binding(void *arg)
{
    binding_free(arg);
}

static void on_retire(void *arg, struct binding *b)
{
    mailbox_post(arg, free_binding, b);
}

struct worker *worker_new(struct spool *spool, uint32_t number, int listen_fd,
                          struct mailbox *mail)
{
    struct worker *w = mem_zalloc(sizeof *w);
    pthread_condattr_t attr;

    w->number = number;
    w->loop = ev_loop_new(EVFLAG_AUTO);
    if (w->loop == NULL) {
        free(w);
        return NULL;
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    mailbox_init(&w->mail, w->loop);
    w->ingest = ingest_new(&(struct ingest_conf){.loop = w->loop,
                                                 .spool = spool,
                                                 .worker = number,
                                                 .listen_fd = listen_fd,
                                                 .retire = on_retire,
                                                 .retire_arg = mail});
    return w;
}

struct ingest *worker_ingest(struct worker *w)
{
    return w->ingest;
}

static void bind_here(struct worker *w, struct binding *b)
{
    ingest_bind(w->ingest, b);
    (void)pthread_mutex_lock(&w->lock);
    w->n_bound++;
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
}

static void on_bind(void *arg)
{
    struct handover *h = arg;

    bind_here(h->worker, h->binding);
    free(h);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "worker %u", w->number);
    (void)pthread_setname_np(pthread_self(), name);
    (void)ev_run(w->loop, 0);
    return NULL;
}

bool worker_start(struct worker *w, struct binding *first, struct err *e)
{
    int rc;

    w->n_handed = 1;
    bind_here(w, first);
    rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0) {
        return err_errno(e, rc, "can't start worker %u", w->number);
    }
    w->started = true;
    return true;
}

void worker_bind(struct worker *w, struct binding *b)
{
    struct handover *h = mem_alloc(sizeof *h);

    h->worker = w;
    h->binding = b;
    w->n_handed++;
    mailbox_post(&w->mail, on_bind, h);
}

bool worker_bound(struct worker *w, int64_t ms)
{
    uint64_t until = clock_mono_ns() + (uint64_t)ms * 1000000u;
    struct timespec t = {(time_t)(until / 1000000000u),
                         (long)(until % 1000000000u)};
    bool done;
    int rc = 0;

    (void)pthread_mutex_lock(&w->lock);
    while (w->n_bound < w->n_handed && rc == 0) {
        rc = pthread_cond_timedwait(&w->changed, &w->lock, &t);
    }
    done = w->n_bound >= w->n_handed;
    (void)pthread_mutex_unlock(&w->lock);
    return done;
}

static void on_drain_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct worker *w = OUTER(t, struct worker, drain_look);

    (void)events;
    if (ingest_idle(w->ingest)) {
        ev_timer_stop(loop, t);
        atomic_store(&w->idle, true);
    }
}

static void on_drain(void *arg)
{
    struct worker *w = arg;

    ingest_drain(w->ingest);
    ev_timer_init(&w->drain_look, on_drain_look, 0., DRAIN_LOOK_S);
    ev_timer_start(w->loop, &w->drain_look);
}

void worker_drain(struct worker *w)
{
    mailbox_post(&w->mail, on_drain, w);
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

void worker_free(struct worker *w)
{
    if (w == NULL) {
        return;
    }
    if (w->started) {
        mailbox_post(&w->mail, on_stop, w);
        (void)pthread_join(w->thread, NULL);
    }
    mailbox_fini(&w->mail);
    ingest_free(w->ingest);
    ev_loop_destroy(w->loop);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
