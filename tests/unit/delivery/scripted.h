/* A whole delivery on a spool of its own, with a sink that does what the test says: this
 * file's sink_kind_ops is in the stead of that of sink/kinds.c. Behind cmocka.h. */
#pragma once

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "delivery/delivery.h"
#include "sink/sink.h"
#include "spool/spool.h"
#include "unit/tools/folder.h"

enum { SUBMITTED_MAX = 256, HELD_MAX = 64, WAIT_MS = 20000, WORKERS = 2 };

/* What the sink was given, in order: the first event of each batch. */
struct submitted {
    char first[24];
    uint32_t n;
    uint64_t ns;
};

/* The answer to the batch that was submitted as number nth, from 0 on; false: not yet. May
 * call done itself for a part of it, and then fills in the last verdict. */
typedef bool answer_fn(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                       struct sink_verdict *v);

struct sink {
    struct sink_conf conf;
    ev_timer timer;
    struct batch *held[HELD_MAX];
    uint32_t numbers[HELD_MAX], n_held;
};

static struct {
    pthread_mutex_t lock;
    struct submitted list[SUBMITTED_MAX];
    atomic_uint n;
    _Atomic(answer_fn *) answer;
    void (*on_submit)(void);
} script = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool all_taken(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                      struct sink_verdict *v)
{
    (void)conf;
    (void)nth;
    *v = (struct sink_verdict){.kind = SINK_OK, .n = b->n, .row = -1};
    return true;
}

static void on_answers(struct ev_loop *loop, ev_timer *w, int events)
{
    struct sink *s = (struct sink *)(void *)((char *)w - offsetof(struct sink, timer));
    uint32_t n = 0, n_held = s->n_held;
    struct batch *held[HELD_MAX];
    uint32_t numbers[HELD_MAX];

    (void)loop;
    (void)events;
    memcpy(held, s->held, sizeof held);
    memcpy(numbers, s->numbers, sizeof numbers);
    s->n_held = 0;
    for (uint32_t i = 0; i < n_held; i++) {
        struct sink_verdict v = {.kind = SINK_OK};
        answer_fn *answer = atomic_load(&script.answer);

        if ((answer == NULL ? all_taken : answer)(&s->conf, held[i], numbers[i], &v)) {
            s->conf.done(s->conf.arg, held[i], &v);
        } else {
            held[n] = held[i];
            numbers[n++] = numbers[i];
        }
    }
    assert_int_equal(0, s->n_held); /* done submits nothing */
    memcpy(s->held, held, sizeof held);
    memcpy(s->numbers, numbers, sizeof numbers);
    s->n_held = n;
}

static struct sink *scripted_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);

    (void)e;
    s->conf = *conf;
    ev_timer_init(&s->timer, on_answers, 0.002, 0.002);
    ev_timer_start(conf->loop, &s->timer);
    return s;
}

static bool scripted_apply(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    (void)e;
    s->conf.plan = plan;
    return true;
}

static void scripted_submit(struct sink *s, struct batch *b)
{
    struct submitted x = {.n = b->n, .ns = clock_mono_ns()};
    uint32_t n = atomic_load(&script.n);

    assert_true(s->n_held < HELD_MAX && n < SUBMITTED_MAX);
    (void)snprintf(x.first, sizeof x.first, "%.*s", (int)b->entries[0].len,
                   b->bytes + b->entries[0].off);
    if (script.on_submit != NULL) {
        script.on_submit();
    }
    script.list[n] = x;
    s->held[s->n_held] = b;
    s->numbers[s->n_held++] = n;
    atomic_store(&script.n, n + 1);
}

static void scripted_close(struct sink *s)
{
    ev_timer_stop(s->conf.loop, &s->timer);
    for (uint32_t i = 0; i < s->n_held; i++) {
        batch_free(s->held[i]);
    }
    free(s);
}

static uint32_t scripted_window(const struct sink *s)
{
    (void)s;
    return 8;
}

static struct sink_ops scripted = {.kind = "null",
                                   .keep = BATCH_KEEP_ENTRIES,
                                   .open = scripted_open,
                                   .apply = scripted_apply,
                                   .submit = scripted_submit,
                                   .window = scripted_window,
                                   .close = scripted_close};

const struct sink_ops *sink_kind_ops(enum sink_kind kind)
{
    (void)kind;
    return &scripted;
}

/* ---- one sink "bus" of the stream "events" ---- */

static struct {
    struct spool *spool;
    struct spool_writer *writers[WORKERS];
    struct delivery *d;
    struct plan *plan;
    struct sink_plan sink;
    struct delivery_stream stream;
    struct delivery_conf conf;
    bool wait; /* for delivery_go */
} bus;

static void on_stored(void *arg)
{
    (void)arg;
}

static inline int bus_set_up(void **state)
{
    int rc = folder_set_up(state);

    atomic_store(&script.n, 0);
    atomic_store(&script.answer, NULL);
    script.on_submit = NULL;
    scripted.intends = false;
    scripted.stuck = NULL;
    scripted.force = NULL;
    scripted.journals = false;
    memset(&bus, 0, sizeof bus);
    /* A batch for each event. */
    bus.sink = (struct sink_plan){.name = "bus",
                                  .kind = SINK_KIND_NULL,
                                  .batch = {.target = 1,
                                            .min = 1,
                                            .max = 1,
                                            .max_bytes = 1 << 20,
                                            .linger_ms = 10},
                                  .dead_max_bytes = 1 << 20};
    return rc;
}

/* Its spool, plan and settings: nothing writes, and no delivery has begun. */
static inline void bus_prepare(void)
{
    const struct spool_conf conf = {dir, 1 << 20, WORKERS, 0};
    const struct spool_stream_conf stream = {"events", 64 << 20, false, false};
    struct err e = {""};

    bus.spool = spool_open(&conf, &e);
    assert_non_null(bus.spool);
    bus.stream = (struct delivery_stream){.id = spool_stream(bus.spool, &stream, &e),
                                          .name = "events",
                                          .max_lag_bytes = 64 << 20,
                                          .from_oldest = true};
    bus.plan = plan_new();
    bus.conf = (struct delivery_conf){.spool = bus.spool,
                                      .spool_dir = dir,
                                      .data_dir = dir,
                                      .sink = &bus.sink,
                                      .plan = bus.plan,
                                      .streams = &bus.stream,
                                      .n_streams = 1,
                                      .wait = bus.wait};
}

static inline void bus_open_writers(void)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        bus.writers[i] =
            spool_writer_open(bus.spool, bus.stream.id, i, on_stored, NULL);
    }
}

static inline void bus_open(void)
{
    struct err e = {""};

    bus_prepare();
    bus_open_writers();
    bus.d = delivery_start(&bus.conf, &e);
    if (bus.d == NULL) {
        fail_msg("%s", e.text);
    }
    spool_ready(bus.spool);
}

static inline void rest(void)
{
    const struct timespec ms = {0, 1000000};

    (void)nanosleep(&ms, NULL);
}

/* Stored by a worker as one block. */
static inline void store_by(uint32_t worker, uint32_t from, uint32_t n)
{
    struct spool_writer *w = bus.writers[worker];
    enum spool_result r = SPOOL_FULL;
    uint64_t last;

    for (int k = 0; k < WAIT_MS && r == SPOOL_FULL; k++) {
        for (uint32_t i = 0; i < n; i++) {
            char text[16];
            const int len = snprintf(text, sizeof text, "{\"a\":%u}", from + i);
            char *p = spool_writer_room(w, (size_t)len);

            assert_non_null(p);
            memcpy(p, text, (size_t)len);
            spool_writer_append(w, (uint32_t)len, 0, 0, 0);
        }
        r = spool_writer_commit(w, 5, 6, &last);
        if (r == SPOOL_FULL) {
            rest();
        }
    }
    assert_int_equal(SPOOL_OK, r);
}

static inline void store(uint32_t from, uint32_t n)
{
    store_by(0, from, n);
}

static inline void until_submitted(uint32_t n)
{
    for (int i = 0; i < WAIT_MS && atomic_load(&script.n) < n; i++) {
        rest();
    }
    assert_true(atomic_load(&script.n) >= n);
}

typedef bool is_fn(const struct delivery_status *s);

static inline struct delivery_status until_status(is_fn *is)
{
    struct delivery_status s;

    delivery_status(bus.d, &s);
    for (int i = 0; i < WAIT_MS && !is(&s); i++) {
        rest();
        delivery_status(bus.d, &s);
    }
    assert_true(is(&s));
    return s;
}

static inline int bus_tear_down(void **state)
{
    if (bus.d != NULL) {
        (void)!delivery_stop(bus.d, 0);
    }
    if (bus.spool != NULL) {
        for (uint32_t i = 0; i < WORKERS; i++) {
            spool_writer_close(bus.writers[i]);
        }
        spool_close(bus.spool);
        plan_unref(bus.plan);
    }
    return folder_tear_down(state);
}
