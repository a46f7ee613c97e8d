#include "server/pulse.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/internal.h"
#include "server/process.h"
#include "stats/stats.h"

/* Of the watchdog's time: each question, and when a thread counts as late; without one,
 * late after 5 s. A question a second at least: a thread is silent after two. */
enum { QUESTIONS = 4, LATE_PART = 2 };
static const double EACH_S = 1;
static const uint64_t LATE_NS = 5000000000u, SILENT_NS = 2000000000u;
/* Looks come each second or more often: between two that are so far apart this thread did
 * not run. Such a time counts as half a second, so that one that is slow each time still
 * misses those that hang. */
static const uint64_t GAP_NS = 1500000000u, GAP_COUNTS_NS = 500000000u;

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
    text[0] = '\0';
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

static void tell(const struct pulse *p, const struct pulse_round *r, uint64_t since_ns)
{
    char late[128];

    name_late(p->s, r, late, sizeof late);
    log_write(LOG_ERROR, p->watched ? "watchdog_silent" : "thread_silent",
              "%s ms=%llu why=\"its thread does not come back to its loop%s\"", late,
              (unsigned long long)(since_ns / 1000000u),
              p->watched ? ": the service manager gets no more messages" : "");
}

/* For how long the round is under way, without the time in which this thread did not run
 * either, because the process was stopped, or its machine: the others have their time
 * still. */
static uint64_t since_of(const struct pulse *p, uint64_t now_ns)
{
    const uint64_t looked_ns =
        p->look_ns > p->round->since_ns ? p->look_ns : p->round->since_ns;
    const uint64_t gap_ns = now_ns - looked_ns;
    const bool ran = gap_ns < GAP_NS && gap_ns <= p->late_ns;

    return looked_ns - p->round->since_ns +
           (ran || gap_ns < GAP_COUNTS_NS ? gap_ns : GAP_COUNTS_NS);
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct pulse *p = OUTER(t, struct pulse, look);
    struct pulse_round *r = p->round;
    uint64_t now_ns = clock_mono_ns();
    const uint64_t since_ns = since_of(p, now_ns);

    (void)loop;
    (void)events;
    r->since_ns = now_ns - since_ns;
    p->look_ns = now_ns;
    stats_set(p->silent, since_ns < SILENT_NS ? 0 : r->n_left);
    if (r->n_left == 0) {
        if (p->watched) {
            (void)notify_send(&p->s->process->notify, "WATCHDOG=1");
        }
        if (p->told) {
            log_write(LOG_INFO, "thread_silent", "status=back ms=%llu",
                      (unsigned long long)(since_ns / 1000000u));
        }
        free(r);
        p->round = ask(p->s);
        p->told = false;
    } else if (since_ns >= p->late_ns && !p->told) {
        p->told = true;
        tell(p, r, since_ns);
    }
}

uint64_t pulse_silent_ms(const struct pulse *p, char *thread, size_t bytes)
{
    uint64_t since_ns;

    if (p->s == NULL || p->round->n_left == 0) {
        return 0;
    }
    since_ns = since_of(p, clock_mono_ns());
    if (since_ns < SILENT_NS) {
        return 0;
    }
    name_late(p->s, p->round, thread, bytes);
    return thread[0] == '\0' ? 0 : since_ns / 1000000u;
}

void pulse_start(struct pulse *p, struct server *s)
{
    uint64_t us = s->process->notify.watchdog_us;
    double s_each = (double)us / 1e6 / QUESTIONS;

    s_each = us == 0 || s_each > EACH_S ? EACH_S : s_each;
    p->s = s;
    p->watched = us != 0;
    p->late_ns = us == 0 ? LATE_NS : us * 1000u / LATE_PART;
    p->look_ns = clock_mono_ns();
    if (p->silent == NULL) {
        p->silent = stats_gauge("sluice_silent_threads",
                                "Threads of workers and sinks that have not come back "
                                "to their loop for 2 s.",
                                "");
    }
    p->round = ask(s);
    if (p->watched) {
        (void)notify_send(&s->process->notify, "WATCHDOG=1");
    }
    ev_timer_init(&p->look, on_look, s_each, s_each);
    ev_timer_start(s->loop, &p->look);
}

void pulse_stop(struct pulse *p)
{
    if (p->s != NULL) {
        ev_timer_stop(p->s->loop, &p->look);
        stats_set(p->silent, 0);
        p->round->over = true;
        round_end(p->round);
        p->s = NULL;
    }
}
