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
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "stats/stats.h"

enum { ROUNDS = 2000, HISTOGRAMS = 500, MANY = 10000, SERIES = 50000 };

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
static void live(struct stats_owner *part, uint64_t events, uint64_t waiting)
{
    struct stats_owner *before = stats_own(part);
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
    struct stats_owner one = {0}, two = {0};

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
    assert_non_null(strstr(text, "part_bytes_sum{part=\"a\"} 8\n"));
    assert_non_null(strstr(text, "part_bytes_count{part=\"a\"} 3\n"));
    stats_disown(&one);
    stats_disown(&two);
    assert_int_equal(0, stats_value("part_waiting", "part=\"a\""));
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "part_"));
    live(&one, 2, 0); /* it comes back soon */
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "part_events_total{part=\"a\"} 10\n"));
    assert_non_null(strstr(text, "part_bytes_sum{part=\"a\"} 10\n"));
    stats_disown(&one);
}

static void a_part_that_is_made_anew_costs_no_memory(void **state)
{
    size_t before = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct stats_owner part = {0};

        live(&part, 1, 1);
        stats_disown(&part);
        before = i == ROUNDS / 2 ? mallinfo2().uordblks : before;
    }
    assert_true(mallinfo2().uordblks < before + 16384);
    /* The process's own are not given to others. */
    assert_ptr_not_equal(stats_counter("own_total", "Own.", ""),
                         stats_counter("own_total", "Own.", ""));
}

/* More parts go than the registry remembers. */
static void many_come_and_go(void)
{
    struct stats_owner other = {0};

    for (int i = 0; i < MANY; i++) {
        struct stats_owner *before = stats_own(&other);
        char label[32];

        (void)snprintf(label, sizeof label, "many=\"%d\"", i);
        stats_add(stats_counter("many_total", "Many.", label), 1);
        stats_record(stats_histogram("many_seconds", "Many.", label, STATS_NS), 1);
        (void)stats_own(before);
        stats_disown(&other);
    }
}

static void a_count_that_is_shown_never_goes_back(void **state)
{
    struct stats_owner one = {0}, two = {0}, *before;
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

struct sums {
    const char *name;
    uint64_t n, in_histograms;
};

static void add_up(void *arg, const struct stats_series *x)
{
    struct sums *s = arg;

    if (strcmp(x->name, s->name) == 0) {
        s->n += x->value;
        s->in_histograms +=
            x->histogram == NULL ? 0 : stats_histogram_count(x->histogram);
    }
}

static struct sums sum_of(const char *name)
{
    struct sums s = {name, 0, 0};

    stats_each(add_up, &s);
    return s;
}

/* Pages that tell sums since the start. */
static void sums_have_what_is_long_gone(void **state)
{
    uint64_t before = sum_of("many_total").n;
    uint64_t recorded = sum_of("many_seconds").in_histograms;

    (void)state;
    many_come_and_go();
    assert_int_equal(before + MANY, sum_of("many_total").n);
    assert_int_equal(recorded + MANY, sum_of("many_seconds").in_histograms);
}

struct total {
    const char *name;
    char labels[160];
};

static void find_total(void *arg, const struct stats_series *x)
{
    struct total *t = arg;

    if (x->total && strcmp(x->name, t->name) == 0) {
        (void)snprintf(t->labels, sizeof t->labels, "%s", x->labels);
    }
}

/* The result is read out of its labels: a name of a route holds no word of them. */
static void a_sum_of_what_is_gone_names_the_result(void **state)
{
    struct stats_owner part = {0}, *before = stats_own(&part);
    struct total t = {"fates_total", ""};

    (void)state;
    stats_add(
        stats_counter("fates_total", "Fates.",
                      "route=\"POST /,result=\\\"x\",result=\"rejected\",code=\"c\""),
        1);
    (void)stats_own(before);
    stats_disown(&part);
    assert_int_equal(1, sum_of("fates_total").n);
    many_come_and_go();
    assert_int_equal(1, sum_of("fates_total").n);
    stats_each(find_total, &t);
    assert_string_equal("total=\"\",result=\"rejected\"", t.labels);
}

static void a_hidden_part_counts_on(void **state)
{
    static char text[1 << 20];
    struct stats_owner part = {0}, other = {0}, *before = stats_own(&part);
    stats_cell *c = stats_counter("hidden_total", "Hidden.", "");

    (void)state;
    stats_hide(&part, true);
    stats_hide(&part, true);
    stats_add(c, 2);
    (void)stats_counter("hidden_more_total", "Hidden.", ""); /* made meanwhile */
    (void)stats_own(before);
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "hidden_"));
    stats_hide(&part, false);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "hidden_total 2\n"));
    assert_non_null(strstr(text, "hidden_more_total 0\n"));
    before = stats_own(&other);
    (void)stats_counter("hidden_total", "Hidden.", "");
    (void)stats_own(before);
    stats_hide(&part, true); /* another shows it */
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "hidden_total 2\n"));
    stats_disown(&part);
    stats_disown(&other);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "hidden_"));
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

/* ---- a scrape that reads while they go ---- */

static atomic_bool enough;

/* Like a worker: its cells are freed while another thread looks. */
static void *come_and_go(void *arg)
{
    struct stats_owner part = {0};

    for (int i = 0; !atomic_load(&enough); i++) {
        struct stats_owner *before = stats_own(&part);
        char label[32];
        stats_cell *c;

        (void)snprintf(label, sizeof label, "going=\"%d\"", i % 50);
        c = stats_counter("going_total", "Going.", label);
        stats_add(c, 1);
        stats_add(c, 1);
        stats_record(stats_histogram("going_seconds", "Going.", label, STATS_NS_FINE),
                     1);
        (void)stats_own(before);
        stats_disown(&part);
    }
    return arg;
}

static double one(const void *arg)
{
    return *(const int *)arg;
}

static atomic_int n_gone;

static void on_gone(void *arg)
{
    free(arg);
    (void)atomic_fetch_add(&n_gone, 1);
}

/* Like a limit: a look asks what it has named. */
static void *ask_and_go(void *arg)
{
    int n = 0;

    while (!atomic_load(&enough)) {
        struct stats_owner part = {0}, *before = stats_own(&part);
        int *value = malloc(sizeof *value);

        assert_non_null(value);
        *value = 1;
        stats_asked_counter("asked_total", "Asked.", "", one, value);
        (void)stats_own(before);
        stats_disown_asked(&part, on_gone, value);
        n++;
    }
    *(int *)arg = n;
    return NULL;
}

static void looks_are_safe_while_parts_go(void **state)
{
    pthread_t threads[3];
    size_t bytes = 0;
    uint64_t last = 0;
    int n_asked = 0;

    (void)state;
    assert_int_equal(0, pthread_create(&threads[0], NULL, come_and_go, NULL));
    assert_int_equal(0, pthread_create(&threads[1], NULL, come_and_go, NULL));
    assert_int_equal(0, pthread_create(&threads[2], NULL, ask_and_go, &n_asked));
    for (int i = 0; i < 300; i++) {
        uint64_t now = sum_of("going_total").n;

        assert_true(now >= last); /* what leaves is not counted twice, nor lost */
        last = now;
        stats_write(i % 2 == 0 ? STATS_TEXT : STATS_OPENMETRICS, count, &bytes);
    }
    atomic_store(&enough, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
    }
    assert_int_equal(n_asked, atomic_load(&n_gone));
    assert_true(bytes > 0);
}

static void ask(struct stats_owner *part, const int *value)
{
    struct stats_owner *before = stats_own(part);

    stats_asked_counter("again_total", "Again.", "", one, value);
    stats_asked_gauge("again", "Again.", "", one, value);
    (void)stats_own(before);
}

static void on_nothing(void *arg)
{
    (void)arg;
}

/* A limit that a rollback brings back begins at 0. */
static void a_counter_that_is_asked_goes_on(void **state)
{
    static char text[1 << 20];
    static const int seven = 7, four = 4, three = 3;
    struct stats_owner part = {0}, other = {0};

    (void)state;
    ask(&part, &seven);
    ask(&other, &four);
    stats_disown_asked(&part, on_nothing, NULL);
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "\nagain_total 11\n"));
    assert_non_null(strstr(text, "\nagain 4\n"));
    stats_disown_asked(&other, on_nothing, NULL);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_null(strstr(text, "again"));
    ask(&part, &three);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "\nagain_total 14\n"));
    assert_non_null(strstr(text, "\nagain 3\n"));
    stats_disown_asked(&part, on_nothing, NULL);
    many_come_and_go(); /* too many to remember it */
    ask(&part, &three);
    text[0] = '\0';
    stats_write(STATS_TEXT, collect, text);
    assert_non_null(strstr(text, "\nagain_total 3\n"));
    stats_disown_asked(&part, on_nothing, NULL);
}

/* ---- the same in one thread: a part goes with the first line of a scrape ---- */

struct scrape {
    struct stats_owner *part;
    bool gone, told;
    char text[1 << 20];
};

static void on_part_gone(void *arg)
{
    struct scrape *x = arg;

    x->gone = true;
}

static void write_and_go(void *arg, const char *text, size_t n)
{
    struct scrape *x = arg;

    if (!x->told) {
        x->told = true;
        stats_disown_asked(x->part, on_part_gone, x);
    }
    assert_false(x->gone); /* what the scrape may still ask lives */
    (void)strncat(x->text, text, n);
}

static void
a_part_that_goes_meanwhile_is_asked_till_the_end_and_waits_for_nothing(void **state)
{
    static struct scrape x;
    static const int value = 5;
    struct stats_owner part = {0}, other = {0}, *before = stats_own(&part);

    (void)state;
    stats_set(stats_gauge("zz_waiting", "Waiting.", ""), 7);
    stats_asked_gauge("zz_asked", "Asked.", "", one, &value);
    (void)stats_own(&other);
    stats_set(stats_gauge("zz_waiting", "Waiting.", ""), 2);
    (void)stats_own(before);
    x.part = &part;
    stats_write(STATS_TEXT, write_and_go, &x);
    assert_true(x.gone);
    assert_non_null(strstr(x.text, "\nzz_waiting 2\n"));
    assert_null(strstr(x.text, "zz_asked"));
    stats_disown(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_on_where_the_part_before_it_ended),
        cmocka_unit_test(a_part_that_is_made_anew_costs_no_memory),
        cmocka_unit_test(a_count_that_is_shown_never_goes_back),
        cmocka_unit_test(sums_have_what_is_long_gone),
        cmocka_unit_test(a_counter_that_is_asked_goes_on),
        cmocka_unit_test(a_sum_of_what_is_gone_names_the_result),
        cmocka_unit_test(a_hidden_part_counts_on),
        cmocka_unit_test(
            a_part_that_goes_meanwhile_is_asked_till_the_end_and_waits_for_nothing),
        cmocka_unit_test(looks_are_safe_while_parts_go),
        cmocka_unit_test(writes_histograms_while_others_are_made),
        cmocka_unit_test(makes_many_series_in_a_time_that_grows_with_their_number)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
