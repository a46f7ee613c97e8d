#include "server/sinks/changer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "loop/mailbox.h"

struct change_job {
    struct change_job *next;
    changer_fn *run, *done;
    void *arg;
};

void changer_init(struct changer *c, struct mailbox *mail)
{
    *c = (struct changer){.mail = mail};
    c->tail = &c->first;
    (void)pthread_mutex_init(&c->lock, NULL);
    latch_condition(&c->changed);
    latch_init(&c->ended);
}

static void finish(struct changer *c, struct change_job *j)
{
    if (j->done != NULL) {
        mailbox_post(c->mail, j->done, j->arg);
    }
    free(j);
}

/* Waits for it; NULL: the end. */
static struct change_job *next_job(struct changer *c)
{
    struct change_job *j;

    (void)pthread_mutex_lock(&c->lock);
    c->began_ns = 0;
    c->at[0] = '\0';
    while (c->first == NULL && !c->stopped) {
        (void)pthread_cond_wait(&c->changed, &c->lock);
    }
    j = c->stopped ? NULL : c->first;
    if (j != NULL) {
        c->first = j->next;
        c->tail = c->first == NULL ? &c->first : c->tail;
        c->began_ns = clock_mono_ns();
    }
    (void)pthread_mutex_unlock(&c->lock);
    return j;
}

static void *run(void *arg)
{
    struct changer *c = arg;
    struct change_job *j;

    (void)pthread_setname_np(pthread_self(), "changer");
    while ((j = next_job(c)) != NULL) {
        j->run(j->arg);
        finish(c, j);
    }
    latch_open(&c->ended);
    return NULL;
}

bool changer_start(struct changer *c, struct err *e)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&c->thread, NULL, run, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->runs = rc == 0;
    return rc == 0 || err_errno(e, rc, "can't start the thread that alters sinks");
}

void changer_post(struct changer *c, changer_fn *fn, changer_fn *done, void *arg)
{
    struct change_job *j = mem_alloc(sizeof *j);
    bool stopped;

    *j = (struct change_job){NULL, fn, done, arg};
    (void)pthread_mutex_lock(&c->lock);
    stopped = c->stopped;
    if (!stopped) {
        *c->tail = j;
        c->tail = &j->next;
        (void)pthread_cond_signal(&c->changed);
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (stopped) {
        finish(c, j);
    }
}

void changer_at(struct changer *c, const char *sink)
{
    (void)pthread_mutex_lock(&c->lock);
    (void)snprintf(c->at, sizeof c->at, "%s", sink);
    (void)pthread_mutex_unlock(&c->lock);
}

bool changer_late(struct changer *c, uint64_t ns, char *sink, size_t bytes)
{
    bool late;

    (void)pthread_mutex_lock(&c->lock);
    late = c->began_ns != 0 && clock_mono_ns() - c->began_ns >= ns;
    (void)snprintf(sink, bytes, "%s", c->at);
    (void)pthread_mutex_unlock(&c->lock);
    return late;
}

bool changer_stop(struct changer *c, uint64_t until_ns)
{
    struct change_job *j;

    (void)pthread_mutex_lock(&c->lock);
    c->stopped = true;
    j = c->first;
    c->first = NULL;
    c->tail = &c->first;
    (void)pthread_cond_signal(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    while (j != NULL) {
        struct change_job *next = j->next;

        finish(c, j);
        j = next;
    }
    if (c->runs && latch_wait(&c->ended, until_ns)) {
        (void)pthread_join(c->thread, NULL);
        c->runs = false;
    }
    return !c->runs;
}
