#include "server/pulse.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/internal.h"
#include "server/process.h"

/* Of the watchdog's time: each question, and when a thread counts as late. */
enum { QUESTIONS = 4, LATE_PART = 2 };

/* One question to all; freed by the last answer, or by the end after it. */
struct pulse_round {
    struct server *s;
    uint64_t since_ns;
    uint32_t n_left; /* answers to come */
    bool over;       /* nobody looks at it any more */
    bool workers[1024];
    bool sinks[SINKS_RUNNING_MAX];
};

struct question {
    struct pulse_round *round;
    bool *waits;
};

static void round_end(struct pulse_round *r)
{
    if (r->over && r->n_left == 0) {
        free(r);
    }
}

static void on_answer(void *arg) /* the supervisor's thread */
{
    struct question *q = arg;
    struct pulse_round *r = q->round;

    *q->waits = false;
    r->n_left--;
    free(q);
    round_end(r);
}

static void on_question(void *arg) /* the asked thread */
{
    struct question *q = arg;

    mailbox_post(&q->round->s->mail, on_answer, q);
}

static struct question *question_new(struct pulse_round *r, bool *waits)
{
    struct question *q = mem_alloc(sizeof *q);

    *q = (struct question){r, waits};
    *waits = true;
    r->n_left++;
    return q;
}

static struct pulse_round *ask(struct server *s)
{
    struct pulse_round *r = mem_zalloc(sizeof *r);

    r->s = s;
    r->since_ns = clock_mono_ns();
    for (uint32_t i = 0; i < s->n_workers && i < N_ELEMS(r->workers); i++) {
        worker_post(s->workers[i], on_question, question_new(r, &r->workers[i]));
    }
    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct question *q;

        if (s->sinks[i].delivery == NULL) {
            continue;
        }
        q = question_new(r, &r->sinks[i]);
        if (!delivery_post(s->sinks[i].delivery, on_question, q)) {
            r->sinks[i] = false;
            r->n_left--;
            free(q);
        }
    }
    sinks_unlock(s);
    return r;
}

/* The first thread that has not answered. */
static void name_late(struct server *s, const struct pulse_round *r, char *text,
                      size_t bytes)
{
    for (uint32_t i = 0; i < N_ELEMS(r->workers); i++) {
        if (r->workers[i]) {
            (void)snprintf(text, bytes, "worker=%u", i);
            return;
        }
    }
    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (r->sinks[i]) {
            (void)snprintf(text, bytes, "sink=%s", s->sinks[i].name);
            break;
        }
    }
    sinks_unlock(s);
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct pulse *p = OUTER(t, struct pulse, look);
    struct pulse_round *r = p->round;
    uint64_t since_ns = clock_mono_ns() - r->since_ns;
    char late[128] = "";

    (void)loop;
    (void)events;
    if (r->n_left == 0) {
        (void)notify_send(&p->s->process->notify, "WATCHDOG=1");
        free(r);
        p->round = ask(p->s);
        p->told = false;
    } else if (since_ns >= p->late_ns && !p->told) {
        p->told = true;
        name_late(p->s, r, late, sizeof late);
        log_write(LOG_ERROR, "watchdog_silent",
                  "%s ms=%llu why=\"its thread does not come back to its loop: the "
                  "service manager gets no more messages\"",
                  late, (unsigned long long)(since_ns / 1000000u));
    }
}

void pulse_start(struct pulse *p, struct server *s)
{
    uint64_t us = s->process->notify.watchdog_us;
    double s_each = (double)us / 1e6 / QUESTIONS;

    if (us == 0) {
        return;
    }
    p->s = s;
    p->late_ns = us * 1000u / LATE_PART;
    p->round = ask(s);
    (void)notify_send(&s->process->notify, "WATCHDOG=1");
    ev_timer_init(&p->look, on_look, s_each, s_each);
    ev_timer_start(s->loop, &p->look);
}

void pulse_stop(struct pulse *p)
{
    if (p->s != NULL) {
        ev_timer_stop(p->s->loop, &p->look);
        p->round->over = true;
        round_end(p->round);
        p->s = NULL;
    }
}
