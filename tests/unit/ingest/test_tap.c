/* A tap's ring: whole lines, what has no room is counted, and so is what costs too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/tap.h"

static char out[TAP_RING_BYTES];

static void write_text(struct tap *t, uint32_t worker, const char *text, size_t n)
{
    memset(tap_line(t, worker), 'x', n);
    memcpy(tap_line(t, worker), text, strlen(text));
    tap_line(t, worker)[n - 1] = '\n';
    tap_write(t, worker, n);
}

static void lines_come_out_whole_and_in_order(void **state)
{
    const struct tap_filter f = {.share = 1};
    struct tap *t = tap_new(&f, 2);
    uint64_t n = 0;

    (void)state;
    write_text(t, 1, "other", 8);
    for (int round = 0; round < 40; round++) { /* beyond the ring's end */
        size_t got, at = 0;

        for (int i = 0; i < 9; i++) {
            char text[32];

            (void)snprintf(text, sizeof text, "%d/%d,", round, i);
            write_text(t, 0, text, (size_t)1000 + (size_t)i * 1000);
        }
        got = tap_read(t, 0, out);
        for (int i = 0; i < 9; i++, n++) {
            char text[32];

            (void)snprintf(text, sizeof text, "%d/%d,", round, i);
            assert_memory_equal(out + at, text, strlen(text));
            at += (size_t)1000 + (size_t)i * 1000;
            assert_int_equal(out[at - 1], '\n');
        }
        assert_int_equal(got, at);
    }
    assert_int_equal(tap_read(t, 0, out), 0);
    assert_int_equal(tap_read(t, 1, out), 8);
    assert_int_equal(tap_dropped(t), 0);
    tap_free(t);
}

static void a_line_without_room_is_counted_and_leaves_no_half(void **state)
{
    const struct tap_filter f = {.share = 1};
    struct tap *t = tap_new(&f, 1);

    (void)state;
    for (int i = 0; i < 9; i++) {
        write_text(t, 0, "full", 32 << 10); /* 8 fill the ring */
    }
    assert_int_equal(tap_dropped(t), 1);
    assert_int_equal(tap_read(t, 0, out), TAP_RING_BYTES);
    write_text(t, 0, "next", 10);
    assert_int_equal(tap_read(t, 0, out), 10);
    assert_memory_equal(out, "next", 4);
    tap_free(t);
}

static void nobody_builds_lines_for_a_full_ring(void **state)
{
    const struct tap_filter f = {.share = 1};
    struct tap *t = tap_new(&f, 1);

    (void)state;
    for (int i = 0; i < 9; i++) {
        assert_true(tap_may_look(t, 0, 5000));
        assert_false(tap_is_spent(t, 0, 5000));
        write_text(t, 0, "full", 32 << 10); /* 8 fill the ring */
    }
    assert_true(tap_is_spent(t, 0, 5001));
    assert_false(tap_may_look(t, 0, 5001));
    assert_int_equal(tap_dropped(t), 2);
    assert_int_equal(tap_read(t, 0, out), TAP_RING_BYTES);
    assert_false(tap_is_spent(t, 0, 5001));
    assert_true(tap_may_look(t, 0, 5001));
    tap_free(t);
}

static void a_short_line_fits_where_a_long_one_does_not(void **state)
{
    const struct tap_filter f = {.share = 1};
    struct tap *t = tap_new(&f, 1);

    (void)state;
    for (int i = 0; i < 8; i++) {
        write_text(t, 0, "long", 29 << 10);
    }
    write_text(t, 0, "too long", 25 << 10);
    assert_int_equal(tap_dropped(t), 1);
    assert_true(tap_may_look(t, 0, 5000));
    write_text(t, 0, "short", 8);
    assert_int_equal(tap_dropped(t), 1);
    tap_free(t);
}

static void looks_are_bounded_by_time(void **state)
{
    const struct tap_filter f = {.share = 1};
    struct tap *t = tap_new(&f, 1);
    uint32_t first = 0, then = 0, later = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        first += tap_may_look(t, 0, 5000);
    }
    assert_in_range(first, 1000, 20000);
    assert_int_equal(tap_dropped(t), 100000 - first);
    for (int i = 0; i < 100000; i++) {
        then += tap_may_look(t, 0, 5010);
    }
    assert_in_range(then, 10, 200); /* of 10 ms */
    for (int i = 0; i < 100000; i++) {
        later += tap_may_look(t, 0, 1e9);
    }
    assert_int_equal(later, first); /* not more after a quiet time */
    tap_free(t);
}

static void lines_are_bounded_too(void **state)
{
    const struct tap_filter f = {.share = 1};
    struct tap *t = tap_new(&f, 1);
    uint32_t n = 0;

    (void)state;
    while (n < 100000 && tap_may_look(t, 0, 5000)) {
        write_text(t, 0, "a", 2);
        (void)tap_read(t, 0, out);
        n++;
    }
    assert_in_range(n, 1000, 4000);
    tap_free(t);
}

static void a_sample_has_its_share(void **state)
{
    const struct tap_filter f = {.share = .01};
    struct tap *t = tap_new(&f, 1);
    uint32_t n = 0;

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        n += tap_samples(t, 0);
    }
    assert_in_range(n, 9000, 11000);
    assert_int_equal(tap_dropped(t), 0);
    tap_free(t);
}

/* Events that pass in batches, as a worker counts them: leaps of whole batches. */
static uint32_t shown_of(struct tap *t, uint32_t batches, uint32_t events)
{
    uint32_t shown = 0;

    for (uint32_t b = 0; b < batches; b++) {
        for (uint32_t i = 0; (i += tap_passes_over(t, 0, events - i)) < events; i++) {
            assert_true(tap_samples(t, 0));
            shown++;
        }
    }
    return shown;
}

static void a_sample_has_its_share_of_leaps_too(void **state)
{
    static const double shares[] = {.001, .01, .5, .99};

    (void)state;
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        const struct tap_filter f = {.share = shares[i]};
        struct tap *t = tap_new(&f, 1);
        double n = shown_of(t, 20000, 100) / 2e6;

        if (n < shares[i] * .85 || n > shares[i] * 1.15) { /* .001: 6 deviations */
            fail_msg("%g instead of %g", n, shares[i]);
        }
        tap_free(t);
    }
}

static void the_smallest_share_and_the_whole_are_shares(void **state)
{
    const struct tap_filter least = {.share = 1e-300}, all = {.share = 1};
    struct tap *t = tap_new(&least, 1);

    (void)state;
    assert_int_equal(shown_of(t, 1000, UINT32_MAX), 0);
    tap_free(t);
    t = tap_new(&all, 1);
    assert_int_equal(shown_of(t, 10, 100), 1000);
    tap_free(t);
}

/* What the worker's share of time leaves out is not made good by the next event. */
static void what_is_dropped_does_not_bring_the_next_one(void **state)
{
    const struct tap_filter f = {.share = .001};
    struct tap *t = tap_new(&f, 1);
    uint32_t at_once = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        while (tap_passes_over(t, 0, 1000) == 1000) {
        }
        tap_drop(t, 0, 1);
        at_once += tap_samples(t, 0);
    }
    assert_in_range(at_once, 0, 15);
    tap_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_whole_and_in_order),
        cmocka_unit_test(a_line_without_room_is_counted_and_leaves_no_half),
        cmocka_unit_test(nobody_builds_lines_for_a_full_ring),
        cmocka_unit_test(a_short_line_fits_where_a_long_one_does_not),
        cmocka_unit_test(looks_are_bounded_by_time),
        cmocka_unit_test(lines_are_bounded_too),
        cmocka_unit_test(a_sample_has_its_share),
        cmocka_unit_test(a_sample_has_its_share_of_leaps_too),
        cmocka_unit_test(the_smallest_share_and_the_whole_are_shares),
        cmocka_unit_test(what_is_dropped_does_not_bring_the_next_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
