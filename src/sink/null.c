/* A sink that counts its events and keeps nothing: for benches. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sink/queue.h"
#include "sink/sink.h"
#include "stats/stats.h"

struct sink {
    struct sink_conf conf;
    struct queue queue;
    stats_cell *events, *bytes;
};

static void take(void *arg, struct batch *b)
{
    struct sink *s = arg;
    struct sink_verdict v = {.kind = SINK_OK, .n = b->n, .row = -1};

    stats_add(s->events, b->n);
    stats_add(s->bytes, b->n_bytes);
    s->conf.done(s->conf.arg, b, &v);
}

static struct sink *null_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);
    char labels[160];

    (void)e;
    s->conf = *conf;
    queue_init(&s->queue, conf->loop, take, s);
    (void)stats_label_pair(labels, sizeof labels, "sink", conf->plan->name);
    s->events = stats_counter("sluice_null_events_total",
                              "Events that a null sink has read.", labels);
    s->bytes = stats_counter("sluice_null_bytes_total",
                             "Bytes that a null sink has read.", labels);
    return s;
}

static bool null_apply(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    (void)e;
    s->conf.plan = plan;
    return true;
}

static void null_submit(struct sink *s, struct batch *b)
{
    queue_put(&s->queue, b);
}

static void null_close(struct sink *s)
{
    queue_run(&s->queue);
    queue_fini(&s->queue);
    free(s);
}

const struct sink_ops sink_null = {.kind = "null",
                                   .keep = BATCH_KEEP_RANGES,
                                   .open = null_open,
                                   .apply = null_apply,
                                   .submit = null_submit,
                                   .close = null_close};
