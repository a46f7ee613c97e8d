/*
 * ready - whether every sink's thread answers, asked before sinks are altered: the
 * supervisor goes on serving meanwhile, and a thread that hangs is not waited for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/internal.h"

static const double READY_S = 5.;

struct asking {
    struct server *s;
    uint32_t refs;               /* answers to come, and the asker */
    bool over;                   /* the asker has its answer */
    bool waits[SINKS_RUNNING_MAX];
    uint32_t n_left;
    ev_timer timer;
    sinks_ready_fn *done;
    void *arg;
};

struct question {
    struct asking *a;
    uint32_t sink;
};

static void finish(struct asking *a, const char *late)
{
    if (!a->over) {
        a->over = true;
        ev_timer_stop(a->s->loop, &a->timer);
        a->done(a->arg, late);
        a->refs--;
    }
}

static void on_answer(void *arg) /* the supervisor's thread */
{
    struct question *q = arg;
    struct asking *a = q->a;

    a->waits[q->sink] = false;
    free(q);
    if (--a->n_left == 0) {
        finish(a, NULL);
    }
    if (--a->refs == 0) {
        free(a);
    }
}

static void on_question(void *arg) /* the sink's */
{
    struct question *q = arg;

    mailbox_post(&q->a->s->mail, on_answer, q);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct asking *a = OUTER(w, struct asking, timer);
    char name[96] = "";

    (void)loop;
    (void)events;
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (a->waits[i]) {
            (void)snprintf(name, sizeof name, "%s", a->s->sinks[i].name);
            break;
        }
    }
    finish(a, a->n_left == 0 ? NULL : name);
    if (a->refs == 0) {
        free(a);
    }
}

void sinks_ready(struct server *s, sinks_ready_fn *done, void *arg)
{
    struct asking *a = mem_zalloc(sizeof *a);

    *a = (struct asking){.s = s, .refs = 1, .done = done, .arg = arg};
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct question *q = mem_alloc(sizeof *q);

        *q = (struct question){a, i};
        a->waits[i] = s->sinks[i].delivery != NULL &&
                      delivery_post(s->sinks[i].delivery, on_question, q);
        a->n_left += a->waits[i];
        if (!a->waits[i]) {
            free(q);
        }
    }
    /* No answer is taken before this returns to the loop. */
    a->refs += a->n_left;
    ev_timer_init(&a->timer, on_timer, a->n_left == 0 ? 0. : READY_S, 0.);
    ev_timer_start(s->loop, &a->timer);
}
