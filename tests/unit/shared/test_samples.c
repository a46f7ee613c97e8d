/* The last refusal of each route and code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shared/samples.h"

static struct sample sample_of(const char *route, const char *code, int64_t at_ms)
{
    struct sample x = {.at_ms = at_ms, .status = 422, .index = -1};

    (void)snprintf(x.route, sizeof x.route, "%s", route);
    (void)snprintf(x.code, sizeof x.code, "%s", code);
    return x;
}

struct found {
    struct samples *s;
    uint32_t n;
    int64_t first_ms, last_ms; /* smallest and largest */
    bool put;                  /* another thread's, meanwhile */
};

static void see(void *arg, const struct sample *x)
{
    struct found *f = arg;
    struct sample other = sample_of("GET /", "other", 1);

    f->first_ms = f->n == 0 || x->at_ms < f->first_ms ? x->at_ms : f->first_ms;
    f->last_ms = x->at_ms > f->last_ms ? x->at_ms : f->last_ms;
    f->n++;
    f->put |= samples_put(f->s, &other);
}

static struct found look(struct samples *s)
{
    struct found f = {.s = s};

    samples_each(s, see, &f);
    return f;
}

static void the_last_of_a_route_and_code_stays(void **state)
{
    struct samples *s = samples_new();
    struct sample a = sample_of("POST /a", "bad", 10),
                  b = sample_of("POST /a", "bad", 20);
    struct found f;

    (void)state;
    assert_true(samples_put(s, &a));
    assert_true(samples_put(s, &b));
    f = look(s);
    assert_int_equal(1, f.n);
    assert_int_equal(20, f.first_ms);
    b.status = 400;
    assert_true(samples_put(s, &b));
    a = sample_of("POST /b", "bad", 5);
    assert_true(samples_put(s, &a));
    assert_int_equal(3, look(s).n);
    samples_free(s);
}

static void the_oldest_goes_when_all_places_are_taken(void **state)
{
    struct samples *s = samples_new();
    struct found f;

    (void)state;
    for (int i = 0; i < SAMPLES_MAX + 10; i++) {
        char code[32];
        struct sample x;

        (void)snprintf(code, sizeof code, "code_%d", i);
        x = sample_of("POST /a", code, 100 + i);
        assert_true(samples_put(s, &x));
    }
    f = look(s);
    assert_int_equal(SAMPLES_MAX, f.n);
    assert_int_equal(110, f.first_ms);
    assert_int_equal(100 + SAMPLES_MAX + 9, f.last_ms);
    samples_free(s);
}

static void a_worker_does_not_wait_for_a_reader(void **state)
{
    struct samples *s = samples_new();
    struct sample x = sample_of("POST /a", "bad", 10);
    struct found f;

    (void)state;
    assert_true(samples_put(s, &x));
    f = look(s);
    assert_false(f.put);
    assert_int_equal(1, look(s).n);
    samples_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_of_a_route_and_code_stays),
        cmocka_unit_test(the_oldest_goes_when_all_places_are_taken),
        cmocka_unit_test(a_worker_does_not_wait_for_a_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
