/* Cells of parts that come and go, in one thread and in two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "stats/stats.h"

enum { ROUNDS = 2000, HISTOGRAMS = 500, MANY = 2100, SERIES = 50000 };

static void count(void *arg, const char *text, size_t n)
{
    (void)text;
    *(size_t *)arg += n;
}

static void collect(void *arg, const char *text, size_t n)
{
    (void)strncat(arg, text, n);
}

/* A part of the process that is made anew, again and again. */
static void live(int *part, uint64_t events, uint64_t waiting)
{
    const void *before = stats_own(part);
    stats_cell *c = stats_counter("part_events_total", "Events.", "part=\"a\"");
    stats_cell *g = stats_gauge("part_waiting", "Waiting.", "part=\"a\"");
    struct stats_histogram *h =
        stats_histogram("part_bytes", "Bytes.", "part=\"a\"", STATS_COUNT);

    (void)stats_own(before);
    stats_add(c, events);
    stats_set(g, waiting);
    stats_record(h, events);
}

static void counts_on_where_the_part_before_it_ended(void **state)
{
    static char text[65536];
    int one, two;

    (void)state;
    live(&one, 3, 7);
    live(&two, 4, 2); /* both are there for a while */
    assert_int_equal(9, stats_value("part_waiting", "part=\"a\""));
    stats_disown(&one);
    assert_int_equal(7, stats_value("part_events_total", "part=\"a\""));
    assert_int_equal(2, stats_value("part_waiting", "part=\"a\""));
    live(&one, 1, 5);
    assert_int_equal(8, stats_value("part_events_total", "part=\"a\""));
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "part_events_total{part=\"a\"} 8\n"));
    assert_non_null(strstr(text, "part_waiting{part=\"a\"} 7\n"));
    assert_non_null(strstr(text, "part_bytes_count{part=\"a\"} 3\n"));
    stats_disown(&one);
    stats_disown(&two);
    assert_int_equal(0, stats_value("part_waiting", "part=\"a\""));
}

static void gives_the_cells_of_a_part_that_is_gone_again(void **state)
{
    stats_cell *first = NULL;
    int part;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const void *before = stats_own(&part);
        stats_cell *c = stats_counter("round_total", "Rounds.", "");

        (void)stats_own(before);
        stats_add(c, 1);
        stats_disown(&part);
        first = i == 0 ? c : first;
        assert_ptr_equal(first, c);
    }
    assert_int_equal(ROUNDS, stats_value("round_total", ""));
    /* The process's own are not given to others. */
    assert_ptr_not_equal(stats_counter("own_total", "Own.", ""),
                         stats_counter("own_total", "Own.", ""));
}

/* More parts go than the registry remembers. */
static void many_come_and_go(void)
{
    int other = 0;

    for (int i = 0; i < MANY; i++) {
        const void *before = stats_own(&other);
        char label[32];

        (void)snprintf(label, sizeof label, "many=\"%d\"", i);
        stats_add(stats_counter("many_total", "Many.", label), 1);
        (void)stats_own(before);
        stats_disown(&other);
    }
}

static void a_count_that_is_shown_never_goes_back(void **state)
{
    int one = 1, two = 2;
    const void *before;
    stats_cell *c;

    (void)state;
    before = stats_own(&one);
    stats_add(stats_counter("kept_total", "Kept.", ""), 3);
    (void)stats_own(&two);
    c = stats_counter("kept_total", "Kept.", "");
    stats_add(c, 4);
    (void)stats_own(before);
    stats_disown(&one);
    many_come_and_go();
    assert_int_equal(7, stats_value("kept_total", ""));
    stats_disown(&two);
    many_come_and_go();
    assert_int_equal(0, stats_value("kept_total", "")); /* nobody shows it */
}

/* Each new one was compared with all that there were: 6 s. */
static void makes_many_series_in_a_time_that_grows_with_their_number(void **state)
{
    clock_t began = clock();
    char label[32];

    (void)state;
    for (int i = 0; i < SERIES; i++) {
        (void)snprintf(label, sizeof label, "code=\"%d\"", i);
        stats_add(stats_counter("codes_total", "Codes.", label), 1);
    }
    print_message("# %d series made in %.3f s\n", SERIES,
                  (double)(clock() - began) / CLOCKS_PER_SEC);
    assert_true(clock() - began < 2 * CLOCKS_PER_SEC);
}

static atomic_bool made;

static void *make_histograms(void *arg)
{
    char label[32];

    (void)arg;
    for (int i = 0; i < HISTOGRAMS; i++) {
        (void)snprintf(label, sizeof label, "n=\"%d\"", i);
        stats_record(stats_histogram("made_seconds", "Made.", label, STATS_NS), 1);
    }
    atomic_store(&made, true);
    return NULL;
}

static void writes_histograms_while_others_are_made(void **state)
{
    pthread_t thread;
    size_t bytes = 0;

    (void)state;
    assert_int_equal(0, pthread_create(&thread, NULL, make_histograms, NULL));
    while (!atomic_load(&made)) {
        stats_write(STATS_TEXT, count, &bytes);
    }
    assert_int_equal(0, pthread_join(thread, NULL));
    stats_write(STATS_TEXT, count, &bytes);
    assert_true(bytes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_on_where_the_part_before_it_ended),
        cmocka_unit_test(gives_the_cells_of_a_part_that_is_gone_again),
        cmocka_unit_test(a_count_that_is_shown_never_goes_back),
        cmocka_unit_test(writes_histograms_while_others_are_made),
        cmocka_unit_test(makes_many_series_in_a_time_that_grows_with_their_number)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
