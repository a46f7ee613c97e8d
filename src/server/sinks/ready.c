/*
 * ready - whether every sink's thread answers, asked before sinks are altered: the
 * supervisor goes on serving meanwhile, and a thread that hangs is not waited for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "server/internal.h"

static const double READY_S = 5.;

struct asking {
    struct server *s;
    uint32_t refs; /* answers to come, and the asker */
    bool over;     /* the asker has its answer */
    bool waits[SINKS_RUNNING_MAX];
    bool waits_changer;
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

static void on_changer(void *arg) /* the supervisor's thread */
{
    struct asking *a = arg;

    a->waits_changer = false;
    if (--a->n_left == 0) {
        finish(a, NULL);
    }
    if (--a->refs == 0) {
        free(a);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

static void on_question(void *arg) /* the sink's */
{
    struct question *q = arg;

    mailbox_post(&q->a->s->mail, on_answer, q);
}

/* The sink that has not answered, and the words for it. */
static void blame(struct asking *a, char *text, size_t bytes)
{
    char sink[96] = "";

    (void)changer_late(&a->s->changer, 0, sink, sizeof sink);
    sinks_lock(a->s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (a->waits[i]) {
            (void)snprintf(sink, sizeof sink, "%s", a->s->sinks[i].name);
            a->waits_changer = false;
            break;
        }
    }
    sinks_unlock(a->s);
    (void)snprintf(text, bytes,
                   a->waits_changer
                       ? "sink \"%s\": it has been tried again for 5 s, in a call that "
                         "does not return (a disk or file system that hangs?); nothing "
                         "has changed"
                       : "sink \"%s\": its thread has not answered for 5 s, and is in "
                         "a call that does not return (a disk or file system that "
                         "hangs?); nothing has changed",
                   sink);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct asking *a = OUTER(w, struct asking, timer);
    char text[ERR_TEXT_MAX] = "";

    (void)loop;
    (void)events;
    if (a->n_left > 0) {
        blame(a, text, sizeof text);
    }
    finish(a, a->n_left == 0 ? NULL : text);
    if (a->refs == 0) {
        free(a);
    }
}

/* One that is only to end gets nothing from the plan: its thread may hang. */
static bool is_asked(const struct running_sink *r, const struct plan *plan)
{
    bool named = sink_in_plan(plan, r->name);

    for (uint32_t k = 0; k < plan->n_sinks && !named; k++) {
        named = plan->sinks[k].was != NULL && strcmp(plan->sinks[k].was, r->name) == 0;
    }
    return r->delivery != NULL && (named || !r->retiring);
}

void sinks_ready(struct server *s, const struct plan *plan, sinks_ready_fn *done,
                 void *arg)
{
    struct asking *a = mem_zalloc(sizeof *a);

    *a = (struct asking){.s = s,
                         .refs = 1,
                         .waits_changer = true,
                         .n_left = 1,
                         .done = done,
                         .arg = arg};
    changer_post(&s->changer, nothing, on_changer, a);
    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct question *q = mem_alloc(sizeof *q);

        *q = (struct question){a, i};
        a->waits[i] = is_asked(&s->sinks[i], plan) &&
                      delivery_post(s->sinks[i].delivery, on_question, q);
        a->n_left += a->waits[i];
        if (!a->waits[i]) {
            free(q);
        }
    }
    sinks_unlock(s);
    /* No answer is taken before this returns to the loop. */
    a->refs += a->n_left;
    ev_timer_init(&a->timer, on_timer, READY_S, 0.);
    ev_timer_start(s->loop, &a->timer);
}
