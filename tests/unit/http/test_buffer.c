/* When a server gives memory back, by a malloc_trim of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <malloc.h>

#include "http/internal.h"

enum { MIB = 1 << 20 };

static unsigned trims;

int malloc_trim(size_t pad)
{
    (void)pad;
    trims++;
    return 1;
}

/* How often memory is given back when the server looks and has so many bytes. */
static unsigned trims_at(struct http_server *s, uint64_t bytes)
{
    unsigned before = trims;

    s->buffered = bytes / 2;
    s->body_bytes = bytes - bytes / 2;
    buffer_look(s);
    return trims - before;
}

static stats_cell gauges[2];

static struct http_server *server(void)
{
    struct http_server *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->buffer_gauge = &gauges[0];
    s->body_gauge = &gauges[1];
    return s;
}

static void memory_goes_back_when_most_is_free_and_where_the_fall_pauses(void **state)
{
    struct http_server *s = server();

    (void)state;
    assert_int_equal(0, trims_at(s, 64 * MIB));
    assert_int_equal(0, trims_at(s, 17 * MIB));
    assert_int_equal(1, trims_at(s, 15 * MIB));
    assert_int_equal(0, trims_at(s, 8 * MIB));
    assert_int_equal(1, trims_at(s, 8 * MIB));
    assert_int_equal(0, trims_at(s, 4 * MIB));
    assert_int_equal(1, trims_at(s, 4 * MIB + 1)); /* a request of the one who looks */
    assert_int_equal(0, trims_at(s, 0));
    assert_int_equal(1, trims_at(s, 0));
    assert_int_equal(0, trims_at(s, 0));
    assert_int_equal(0, atomic_load(&gauges[0]));
    free(s);
}

static void a_fall_is_over_at_some_time(void **state)
{
    struct http_server *s = server();
    unsigned n = 0;

    (void)state;
    assert_int_equal(0, trims_at(s, 64 * MIB));
    assert_int_equal(1, trims_at(s, 0));
    for (int i = 0; i < 1000; i++) {
        n += trims_at(s, 8 * MIB) + trims_at(s, 0) + trims_at(s, 0);
    }
    assert_in_range(n, 1, 50);
    free(s);
}

static void little_is_kept(void **state)
{
    struct http_server *s = server();

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(0, trims_at(s, 16 * MIB));
        assert_int_equal(0, trims_at(s, 0));
    }
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_goes_back_when_most_is_free_and_where_the_fall_pauses),
        cmocka_unit_test(a_fall_is_over_at_some_time),
        cmocka_unit_test(little_is_kept)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
