/* A worker with two streams, "events" and "others", to which the lines of body go.
 * Behind cmocka.h. */
#pragma once

#include "base/err.h"
#include "ingest/internal.h"
#include "plan/plan.h"
#include "spool/spool.h"

#include "spool/fixture.h"

enum { BODY_MAX = 4 * SEGMENT };

static struct spool *s;
static struct ingest *in;
static struct plan *plan;
static struct stream_plan streams[2];
static struct binding binding;
static const int16_t no_slots[2] = {-1, -1};
static const struct route route = {.stream = 0, .id_slots = no_slots};
static char *body;

static inline int begin(void **state)
{
    const struct spool_stream_conf second = {"others", 64 * SEGMENT, false, false};
    struct err e;

    if (set_up(state) != 0) {
        return 1;
    }
    s = open_spool();
    in = calloc(1, sizeof *in);
    in->conf.spool = s;
    in->pending_tail = &in->pending;
    binding.stream_ids[0] = open_stream(s, 64 * SEGMENT, false);
    binding.stream_ids[1] = spool_stream(s, &second, &e);
    for (int i = 0; i < 2; i++) {
        int id = binding.stream_ids[i];

        in->writers[id].writer = spool_writer_open(s, id, 0, on_wake, NULL);
    }
    plan = plan_new();
    plan->streams = streams;
    plan->n_streams = 2;
    binding.plan = plan;
    binding.dead = -1;
    arena_init(&in->arena, 1 << 20);
    event_batch_init(&in->batch, &in->arena);
    body = calloc(1, BODY_MAX + SCAN_PAD);
    return 0;
}

static inline int end(void **state)
{
    for (int i = 0; i < 2; i++) {
        spool_writer_close(in->writers[binding.stream_ids[i]].writer);
    }
    plan->streams = NULL;
    plan->n_streams = 0;
    plan_unref(plan);
    event_batch_fini(&in->batch);
    arena_fini(&in->arena);
    free(body);
    free(in);
    spool_close(s);
    return tear_down(state);
}

/* body's lines, to both streams. */
static inline enum store_result store(struct waiter *w)
{
    static const struct scan_limits limits = {10, 10};
    struct scan_error se;

    assert_int_equal(SCAN_OK, scan_body(&in->batch, NULL, SCAN_NDJSON, &limits, body,
                                        strlen(body), &se));
    for (uint32_t i = 0; i < in->batch.n; i++) {
        in->batch.events[i].flags |= EVENT_ROUTED;
        in->batch.events[i].to = 3;
    }
    return store_events(in, &binding, &route, w);
}

static inline struct stream_writer *writer(int i)
{
    return &in->writers[binding.stream_ids[i]];
}
