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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_whole_and_in_order),
        cmocka_unit_test(a_line_without_room_is_counted_and_leaves_no_half),
        cmocka_unit_test(looks_are_bounded_by_time),
        cmocka_unit_test(lines_are_bounded_too),
        cmocka_unit_test(a_sample_has_its_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
