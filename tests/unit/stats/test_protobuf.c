/* Native histograms: where a value counts, and messages of any size. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stats/stats.h"

static unsigned char page[8 << 20];
static size_t page_n;

static void put(void *arg, const char *text, size_t n)
{
    (void)arg;
    assert_true(page_n + n <= sizeof page);
    memcpy(page + page_n, text, n);
    page_n += n;
}

/* A field of a message: its number, its value or its bytes. */
struct field {
    uint64_t number, value;
    const unsigned char *p;
};

static uint64_t varint(const unsigned char **at)
{
    uint64_t v = 0;

    for (int shift = 0;; shift += 7) {
        unsigned char c = *(*at)++;

        v |= (uint64_t)(c & 0x7F) << shift;
        if (c < 0x80) {
            return v;
        }
    }
}

static int next(const unsigned char **at, const unsigned char *end, struct field *f)
{
    uint64_t key;

    if (*at >= end) {
        assert_ptr_equal(*at, end);
        return 0;
    }
    key = varint(at);
    *f = (struct field){.number = key >> 3};
    if ((key & 7) == 1) {
        *at += 8;
        return 1;
    }
    f->value = varint(at);
    if ((key & 7) == 2) {
        f->p = *at;
        *at += f->value;
    }
    return 1;
}

static int64_t unsign(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* What one histogram tells: its first and last native bucket, and how much is in all of
 * them. */
struct told {
    int64_t first, last, n, zeros, spans;
};

static struct told read_histogram(const unsigned char *at, const unsigned char *end)
{
    struct told t = {0};
    int64_t count = 0, after = 0; /* the last span */
    struct field f;

    while (next(&at, end, &f)) {
        const unsigned char *in = f.p;
        struct field span;

        if (f.number == 7) {
            t.zeros = (int64_t)f.value;
        } else if (f.number == 13) {
            count += unsign(f.value);
            t.n += count;
        } else if (f.number == 12) {
            assert_true(next(&in, f.p + f.value, &span));
            after += unsign(span.value);
            t.first = t.spans++ == 0 ? after : t.first;
            assert_true(next(&in, f.p + f.value, &span));
            after += (int64_t)span.value;
            t.last = after - 1;
        }
    }
    return t;
}

/* Of the one family of that name. */
static struct told scrape(const char *name)
{
    const unsigned char *at = page, *end, *next_one;
    struct told t = {0};
    struct field f;

    page_n = 0;
    stats_write(STATS_PROTOBUF, put, NULL);
    for (; at < page + page_n; at = next_one) {
        uint64_t n = varint(&at);
        int is_it = 0;

        next_one = end = at + n;
        while (next(&at, end, &f)) {
            if (f.number == 1) {
                is_it = f.value == strlen(name) && memcmp(f.p, name, f.value) == 0;
            } else if (f.number == 4 && is_it) {
                const unsigned char *in = f.p;
                struct field part;

                while (next(&in, f.p + f.value, &part)) {
                    t = part.number == 7 ? read_histogram(part.p, part.p + part.value)
                                         : t;
                }
            }
        }
    }
    assert_ptr_equal(at, page + page_n);
    return t;
}

static struct told one_value(uint64_t v)
{
    static int n;
    struct stats_owner part = {0}, *before = stats_own(&part);
    char name[32];
    struct told t;

    (void)snprintf(name, sizeof name, "one%d_seconds", n++); /* no other's past */
    stats_record(stats_histogram(name, "One.", "a=\"\\\"\\\\\",b=\"\"", STATS_NS_FINE),
                 v);
    (void)stats_own(before);
    t = scrape(name);
    stats_disown(&part);
    return t;
}

/* From a nanosecond to an hour: a quantile may say any value of the bucket. */
static void a_value_counts_within_16_percent(void **state)
{
    double worst = 1;

    (void)state;
    for (double v = 8; v < 3.6e12; v = v * 1.037 + 1) {
        double seconds = floor(v) / 1e9;
        struct told t = one_value((uint64_t)v);

        assert_int_equal(1, t.n);
        assert_int_equal(1, t.spans);
        assert_int_equal(0, t.zeros);
        worst = fmax(worst, exp2((double)t.first / 8) / seconds);
        worst = fmax(worst, seconds / exp2((double)(t.first - 1) / 8));
    }
    print_message("# a value counts within %.1f %%\n", 100 * (worst - 1));
    assert_true(worst > 1.09 && worst <= 1.16);
    assert_int_equal(1, one_value(0).zeros);
    assert_int_equal(0, one_value(0).n);
    assert_int_equal(1, one_value(UINT64_MAX).n);
}

/* A span for each gap, and all counts. */
static void gaps_are_spans(void **state)
{
    struct stats_histogram *h =
        stats_histogram("gaps_seconds", "Gaps.", "", STATS_NS_FINE);
    struct told t;

    (void)state;
    assert_int_equal(0, scrape("gaps_seconds").spans);
    for (uint64_t i = 0; i < 100; i++) {
        stats_record(h, 1000 + i); /* neighbours, of more and of less */
        stats_record(h, 1000000000 + i * i * 100000);
        stats_record(h, 0);
    }
    stats_record(h, 1);
    t = scrape("gaps_seconds");
    assert_int_equal(100, t.zeros);
    assert_int_equal(201, t.n);
    assert_int_equal(3, t.spans);
    assert_int_equal(one_value(1).first, t.first);
    assert_int_equal(one_value(1000000000 + 99 * 99 * 100000).first, t.last);
}

/* Lengths of one to four bytes. */
static void families_of_any_size_are_whole(void **state)
{
    char labels[4000];

    (void)state;
    for (int i = 0; i < 2000; i++) {
        int n = snprintf(labels, sizeof labels, "i=\"%d\",v=\"%0*d\"", i, i, i);

        assert_true(n > 0);
        stats_add(stats_counter("large_total", "Large.", labels), 1);
        if ((i & (i - 1)) == 0) {
            (void)scrape("large_total");
        }
    }
    (void)scrape("large_total");
    assert_true(page_n > 2000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_counts_within_16_percent),
        cmocka_unit_test(gaps_are_spans),
        cmocka_unit_test(families_of_any_size_are_whole)};

    return cmocka_run_group_tests_name("protobuf", tests, NULL, NULL);
}
