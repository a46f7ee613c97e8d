/* A block's fingerprints go to the index's thread only with all of them sure, of one field,
 * and with the block on disk. */
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

#include "base/attr.h"
#include "base/err.h"
#include "index/format.h"
#include "index/print_ring.h"
#include "ingest/event_id.h"
#include "ingest/internal.h"
#include "plan/plan.h"
#include "spool/spool.h"

#include "ingest/fixture.h"
#include "spool/fixture.h"

static struct print_rings *rings;
static struct print_ring *ring;

static int begin_indexed(void **state)
{
    if (begin(state) != 0) {
        return 1;
    }
    streams[0].index_field = "id";
    binding.id_fields = id_fields_of(plan);
    rings = print_rings_new(1);
    ring = writer(0)->prints = print_rings_open(rings, binding.stream_ids[0], 0);
    return 0;
}

static int end_indexed(void **state)
{
    streams[0].index_field = NULL;
    free(binding.id_fields);
    binding.id_fields = NULL;
    print_rings_free(rings);
    return end(state);
}

static void add(const char *lines)
{
    static const struct scan_limits limits = {100, 10};
    struct waiter w = {0};
    struct scan_error se;

    (void)strcpy(body, lines);
    assert_int_equal(SCAN_OK, scan_body(&in->batch, NULL, SCAN_NDJSON, &limits, body,
                                        strlen(body), &se));
    assert_int_equal(STORE_OK, store_events(in, &binding, &route, &w));
}

/* As at the end of a turn. */
static void commit_block(void)
{
    struct stream_writer *o = writer(0);
    struct print_block *ids = event_ids_print(o);
    uint64_t last;

    assert_int_equal(SPOOL_OK, spool_writer_commit(o->writer, 5, 6, &last));
    if (ids != NULL) {
        event_ids_hand(o, ids);
    }
}

static void is_handed(uint64_t first, uint32_t n, const char *const *want)
{
    const struct print_block *b = print_ring_head(ring);

    assert_non_null(b);
    assert_int_equal(first, b->at.first);
    assert_int_equal(n, b->at.n);
    assert_true(b->field == plan_key_hash("id"));
    for (uint32_t i = 0; i < n; i++) {
        assert_true(
            b->prints[i] ==
            (want[i] == NULL ? PRINT_NONE : index_print(want[i], strlen(want[i]))));
    }
    print_ring_take(ring);
}

static void a_block_has_the_prints_of_its_events(void **state)
{
    static const char *const want[] = {"one", NULL, "3", "a\"b", NULL, "6", "", "8"};

    (void)state;
    add("{\"id\":\"one\"}\n{\"x\":1}\n{\"id\":3}\n");
    add("{\"id\":\"a\\\"b\"}\n{\"id\":null}\n{\"id\":\"6\"}\n{\"id\":\"\"}\n{\"id\":8}"
        "\n");
    commit_block();
    is_handed(1, 8, want);
    commit_block(); /* nothing is pending */
    assert_null(print_ring_head(ring));
}

static void a_block_with_an_id_that_is_not_sure_is_left_out(void **state)
{
    static const char *const want[] = {"two"};

    (void)state;
    add("{\"id\":\"one\"}\n{\"i\\u0064\":1}\n");
    commit_block();
    assert_null(print_ring_head(ring));
    /* A record of a refusal has no note. */
    add("{\"id\":\"one\"}\n");
    assert_true(put(writer(0)->writer, "{}"));
    add("{\"id\":\"two\"}\n");
    commit_block();
    assert_null(print_ring_head(ring));
    add("{\"id\":\"two\"}\n");
    commit_block();
    is_handed(6, 1, want);
}

static void an_escaped_id_that_is_too_long_leaves_its_block_out(void **state)
{
    char *line = body + BODY_MAX / 2;
    size_t n = (size_t)snprintf(line, 100, "{\"id\":\"");

    (void)state;
    for (; n < 3 * 4096; n += 2) {
        memcpy(line + n, "\\n", 2);
    }
    (void)strcpy(line + n, "\"}\n");
    add(line);
    commit_block();
    assert_null(print_ring_head(ring));
}

static void a_block_has_ids_of_one_field(void **state)
{
    static const char *const want[] = {"one", "two"};
    struct id_field other[2] = {{.hash = 77, .name = STR("x")}, {.hash = 0}};
    struct binding canary = binding, without = binding, same = binding;

    (void)state;
    canary.id_fields = other;
    without.id_fields = NULL;
    same.policy8 = 9;
    add("{\"id\":\"one\",\"x\":1}\n");
    assert_false(store_joins(in, &canary, 0));
    assert_false(store_joins(in, &without, 0));
    assert_true(writer(0)->policy8 == binding.policy8);
    assert_true(store_joins(in, &same, 0));
    assert_true(writer(0)->policy8 == binding.policy8); /* nothing of the other yet */
    assert_true(store_joins(in, &canary, 1));           /* of no stream with an index */
    add("{\"id\":\"two\"}\n");
    commit_block();
    is_handed(1, 2, want);

    assert_true(store_joins(in, &without, 0));
    assert_true(put(writer(0)->writer, "{\"id\":\"one\"}"));
    assert_false(store_joins(in, &binding, 0));
    commit_block();
    assert_null(print_ring_head(ring));
    assert_true(store_joins(in, &canary, 0));
    assert_true(store_joins(in, &same, 0)); /* nothing is pending */
    assert_true(writer(0)->policy8 == 9);
}

static void a_full_ring_costs_no_event(void **state)
{
    uint64_t last = 0;

    (void)state;
    while (print_ring_room(ring, 100000) != NULL) {
        print_ring_room(ring, 100000)->at =
            (struct spool_written){.first = 900, .n = 100000};
        print_ring_put(ring);
    }
    while (print_ring_room(ring, 1) != NULL) {
        print_ring_room(ring, 1)->at = (struct spool_written){.first = 900, .n = 1};
        print_ring_put(ring);
    }
    add("{\"id\":\"one\"}\n");
    assert_null(event_ids_print(writer(0)));
    assert_int_equal(SPOOL_OK, spool_writer_commit(writer(0)->writer, 5, 6, &last));
    assert_int_equal(1, last);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_indexed, end_indexed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_block_has_the_prints_of_its_events),
        TEST(a_block_with_an_id_that_is_not_sure_is_left_out),
        TEST(an_escaped_id_that_is_too_long_leaves_its_block_out),
        TEST(a_block_has_ids_of_one_field),
        TEST(a_full_ring_costs_no_event),
    };

    return cmocka_run_group_tests_name("event_ids", tests, NULL, NULL);
}
