/* All events of a request are appended or none, and not too many requests wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
static const struct route route = {.stream = 0};
static char *body;

static int begin(void **state)
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

        in->outlets[id].writer = spool_writer_open(s, id, 0, on_wake, NULL);
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

static int end(void **state)
{
    for (int i = 0; i < 2; i++) {
        spool_writer_close(in->outlets[binding.stream_ids[i]].writer);
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
static enum store_result store(struct waiter *w)
{
    static const struct scan_limits limits = {10, 10};
    struct scan_error se;

    assert_int_equal(SCAN_OK, scan_body(&in->batch, NULL, SCAN_NDJSON, &limits, body,
                                        strlen(body), &se));
    for (uint32_t i = 0; i < in->batch.n; i++) {
        in->batch.events[i].flags |= EVENT_ROUTED;
        in->batch.events[i].to = 3;
    }
    memset(w, 0, sizeof *w);
    return store_events(in, &binding, &route, w);
}

static struct outlet *outlet(int i)
{
    return &in->outlets[binding.stream_ids[i]];
}

static void a_request_that_does_not_fit_leaves_nothing(void **state)
{
    static const char small[] = "{\"n\":1}\n{\"text\":\"";
    size_t before[2];
    struct waiter w;

    (void)state;
    (void)strcpy(body, "{\"n\":0}\n");
    assert_int_equal(STORE_OK, store(&w));
    for (int i = 0; i < 2; i++) {
        before[i] = spool_writer_pending(outlet(i)->writer);
        assert_true(before[i] > 0);
    }
    /* Its second event is larger than a segment. */
    memset(body, 'x', 2 * SEGMENT);
    memcpy(body, small, sizeof small - 1);
    (void)strcpy(body + 2 * SEGMENT, "\"}\n");
    assert_int_equal(STORE_FULL, store(&w));
    assert_int_equal(0, w.touched);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(before[i], spool_writer_pending(outlet(i)->writer));
        assert_int_equal(1, outlet(i)->n_pending);
    }
}

/* Those that wait for a slow sink leave places to the others. */
static void the_last_place_for_sinks_is_had_and_one_more_is_not(void **state)
{
    struct waiter w;

    (void)state;
    assert_true(DELIVERING_MAX <= WAITERS_MAX / 2);
    (void)strcpy(body, "{\"n\":0}\n");
    outlet(1)->delivered = true;
    in->n_delivering = DELIVERING_MAX - 1;
    assert_int_equal(STORE_OK, store(&w));
    assert_true(w.delivering);
    assert_int_equal(DELIVERING_MAX, in->n_delivering);
    assert_int_equal(STORE_CROWDED, store(&w));
    assert_int_equal(1, outlet(0)->n_pending);
    outlet(1)->delivered = false; /* one that does not wait for sinks */
    assert_int_equal(STORE_OK, store(&w));
    assert_int_equal(DELIVERING_MAX, in->n_delivering);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_that_does_not_fit_leaves_nothing,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            the_last_place_for_sinks_is_had_and_one_more_is_not, begin, end)};

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
