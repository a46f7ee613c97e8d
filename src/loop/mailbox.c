#include "loop/mailbox.h"

#include <stdlib.h>

#include "base/attr.h"
#include "base/mem.h"

struct mailbox_task {
    struct mailbox_task *next;
    mailbox_fn *fn;
    void *arg;
};

/* Those that are there; false: none is. */
static bool run_all(struct mailbox *m)
{
    struct mailbox_task *t;
    bool any;

    (void)pthread_mutex_lock(&m->lock);
    t = m->first;
    m->first = NULL;
    m->last = NULL;
    (void)pthread_mutex_unlock(&m->lock);
    any = t != NULL;
    while (t != NULL) {
        struct mailbox_task *next = t->next;

        t->fn(t->arg);
        free(t);
        t = next;
    }
    return any;
}

static void on_wake(struct ev_loop *loop, ev_async *w, int events)
{
    (void)loop;
    (void)events;
    (void)run_all(OUTER(w, struct mailbox, wake));
}

void mailbox_init(struct mailbox *m, struct ev_loop *loop)
{
    m->loop = loop;
    m->first = NULL;
    m->last = NULL;
    (void)pthread_mutex_init(&m->lock, NULL);
    ev_async_init(&m->wake, on_wake);
    ev_async_start(loop, &m->wake);
}

void mailbox_post(struct mailbox *m, mailbox_fn *fn, void *arg)
{
    struct mailbox_task *t = mem_alloc(sizeof *t);

    *t = (struct mailbox_task){NULL, fn, arg};
    (void)pthread_mutex_lock(&m->lock);
    if (m->last == NULL) {
        m->first = t;
    } else {
        m->last->next = t;
    }
    m->last = t;
    (void)pthread_mutex_unlock(&m->lock);
    ev_async_send(m->loop, &m->wake);
}

void mailbox_fini(struct mailbox *m)
{
    while (run_all(m)) {
        /* the letters that they have posted */
    }
    ev_async_stop(m->loop, &m->wake);
    (void)pthread_mutex_destroy(&m->lock);
}
