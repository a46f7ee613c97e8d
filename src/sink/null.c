/* A sink that counts what it is given and keeps nothing: for benches. */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sink/sink.h"
#include "stats/stats.h"

struct sink {
    struct sink_conf conf;
    struct batch *first, **last; /* taken, not yet handed back */
    ev_timer turn;
    stats_cell *events, *bytes;
};

static void on_turn(struct ev_loop *loop, ev_timer *t, int events)
{
    struct sink *s = OUTER(t, struct sink, turn);
    struct batch *b = s->first;

    (void)loop;
    (void)events;
    s->first = NULL;
    s->last = &s->first;
    while (b != NULL) {
        struct batch *next = b->next;
        struct sink_verdict v = {.kind = SINK_OK, .n = b->n, .row = -1};

        b->next = NULL;
        stats_add(s->events, b->n);
        stats_add(s->bytes, b->n_bytes);
        s->conf.done(s->conf.arg, b, &v);
        b = next;
    }
}

static struct sink *null_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);
    char labels[160];

    (void)e;
    s->conf = *conf;
    s->last = &s->first;
    ev_timer_init(&s->turn, on_turn, 0., 0.);
    (void)stats_label_pair(labels, sizeof labels, "sink", conf->plan->name);
    s->events = stats_counter("sluice_null_events_total",
                              "Events that a null sink has read.", labels);
    s->bytes = stats_counter("sluice_null_bytes_total",
                             "Bytes that a null sink has read.", labels);
    return s;
}

static bool null_recover(struct sink *s, struct err *e)
{
    (void)s;
    (void)e;
    return true;
}

static bool null_apply(struct sink *s, const struct sink_plan *plan,
                       struct err *e)
{
    (void)e;
    s->conf.plan = plan;
    return true;
}

static void null_submit(struct sink *s, struct batch *b)
{
    *s->last = b;
    s->last = &b->next;
    if (!ev_is_active(&s->turn)) {
        ev_timer_set(&s->turn, 0., 0.);
        ev_timer_start(s->conf.loop, &s->turn);
    }
}

static void null_close(struct sink *s)
{
    ev_timer_stop(s->conf.loop, &s->turn);
    on_turn(s->conf.loop, &s->turn, 0);
    free(s);
}

const struct sink_ops sink_null = {.kind = "null",
                                   .keep = BATCH_KEEP_RANGES,
                                   .open = null_open,
                                   .recover = null_recover,
                                   .apply = null_apply,
                                   .submit = null_submit,
                                   .close = null_close};
