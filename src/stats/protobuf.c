/*
 * What a scrape gets that asks for protobuf: io.prometheus.client.MetricFamily messages, each
 * with its length before it. Written by hand: five message types, four kinds of field.
 *
 * Histograms with fine bounds are native ones too. Our buckets have 8 linear steps for each
 * power of two of nanoseconds, schema 3 has 8 exponential ones of seconds: a bucket counts
 * where the geometric mean of its ends lies. Ours are at most 1.125 wide, those of the schema
 * 2^(1/8): a quantile is at most 16 % away from the value that was recorded.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "stats/internal.h"

enum { SCHEMA = 3, VALUE_BYTES = 4096 };
enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2 };
enum { TYPE_COUNTER = 0, TYPE_GAUGE = 1, TYPE_HISTOGRAM = 4 };

/* client_golang's default: what is at most so far from 0 is in the bucket of 0. */
static const double ZERO_THRESHOLD = 0x1p-128;

struct bytes {
    char *p;
    size_t n, room;
};

/* One of each depth, kept over a whole exposition. */
struct builder {
    struct bytes family, metric, part, inner, deepest;
};

/* ---- fields ---- */

static void put_raw(struct bytes *to, const void *p, size_t n)
{
    if (n > to->room - to->n) {
        to->room = 2 * to->room + n + 256;
        to->p = mem_realloc(to->p, to->room);
    }
    if (n > 0) {
        memcpy(to->p + to->n, p, n);
    }
    to->n += n;
}

static size_t varint(uint64_t v, char out[10])
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7) {
        out[n++] = (char)(v | 0x80);
    }
    out[n++] = (char)v;
    return n;
}

static void put_varint(struct bytes *to, uint64_t v)
{
    char text[10];

    put_raw(to, text, varint(v, text));
}

static void put_key(struct bytes *to, uint32_t field, enum wire wire)
{
    put_varint(to, field << 3 | wire);
}

static void put_u64(struct bytes *to, uint32_t field, uint64_t v)
{
    put_key(to, field, VARINT);
    put_varint(to, v);
}

/* sint32 and sint64 */
static void put_signed(struct bytes *to, uint32_t field, int64_t v)
{
    put_u64(to, field, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_double(struct bytes *to, uint32_t field, double v)
{
    char text[8];
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    for (int i = 0; i < 8; i++) {
        text[i] = (char)(bits >> 8 * i);
    }
    put_key(to, field, FIXED64);
    put_raw(to, text, sizeof text);
}

static void put_text(struct bytes *to, uint32_t field, const char *p, size_t n)
{
    put_key(to, field, LENGTH);
    put_varint(to, n);
    put_raw(to, p, n);
}

/* from is empty then. */
static void put_message(struct bytes *to, uint32_t field, struct bytes *from)
{
    put_text(to, field, from->p, from->n);
    from->n = 0;
}

/* ---- labels ---- */

static void put_label(struct builder *b, struct bytes *to, struct str name,
                      const char *value, size_t n)
{
    put_text(&b->deepest, 1, name.p, name.n);
    put_text(&b->deepest, 2, value, n);
    put_message(to, 1, &b->deepest);
}

/* 'a="b",c="d"', without the escapes of the text format. */
static void put_labels(struct builder *b, struct bytes *to, const char *p)
{
    char value[VALUE_BYTES];

    while (*p != '\0') {
        struct str name = {p, strcspn(p, "=")};
        size_t n = 0;

        for (p += name.n + 2; *p != '"'; p++) {
            bool escaped = *p == '\\';

            p += escaped;
            if (n < sizeof value) {
                value[n++] = escaped && *p == 'n' ? '\n' : *p;
            }
        }
        put_label(b, to, name, value, n);
        p += p[1] == ',' ? 2 : 1;
    }
}

/* ---- histograms ---- */

/* Of the native bucket in which bucket b of ours counts; b > 0. */
static int32_t native_of(unsigned b)
{
    double end = bucket_end(b), begin = bucket_end(b - 1);

    return (int32_t)ceil((1 << SCHEMA) *
                         ((log2(begin) + log2(end)) / 2 - 9 * log2(10)));
}

static void put_span(struct builder *b, int64_t offset, uint32_t length)
{
    put_signed(&b->inner, 1, offset);
    put_u64(&b->inner, 2, length);
    put_message(&b->part, 12, &b->inner);
}

struct native {
    int32_t at[N_BUCKETS];
    uint64_t n[N_BUCKETS];
    size_t length;
};

static void take_native(struct native *to, const uint64_t buckets[N_BUCKETS])
{
    to->length = 0;
    for (unsigned b = 1; b < N_BUCKETS; b++) {
        int32_t at;

        if (buckets[b] == 0) {
            continue;
        }
        at = native_of(b);
        if (to->length == 0 || to->at[to->length - 1] != at) {
            to->at[to->length] = at;
            to->n[to->length++] = 0;
        }
        to->n[to->length - 1] += buckets[b];
    }
}

/* Neighbours are a span, and each count is told as its distance to the one before. */
static void put_native(struct builder *b, const uint64_t buckets[N_BUCKETS])
{
    struct native x;
    size_t first = 0;
    int64_t before = 0;

    take_native(&x, buckets);
    put_signed(&b->part, 5, SCHEMA);
    put_double(&b->part, 6, ZERO_THRESHOLD);
    put_u64(&b->part, 7, buckets[0]);
    for (size_t i = 0; i < x.length; i++) {
        if (i + 1 == x.length || x.at[i + 1] != x.at[i] + 1) {
            put_span(b, first == 0 ? x.at[0] : x.at[first] - x.at[first - 1] - 1,
                     (uint32_t)(i + 1 - first));
            first = i + 1;
        }
    }
    for (size_t i = 0; i < x.length; i++) {
        put_signed(&b->part, 13, (int64_t)x.n[i] - before);
        before = (int64_t)x.n[i];
    }
}

static void put_exemplar(struct builder *b, const struct series *s, size_t at)
{
    struct bytes timestamp = {NULL, 0, 0}, exemplar = {NULL, 0, 0};
    struct exemplar_text x;

    if (!exemplar_read(s, at, &x)) {
        return;
    }
    put_label(b, &exemplar, STR("trace_id"), x.trace, STATS_TRACE_BYTES);
    put_double(&exemplar, 2,
               s->unit != STATS_COUNT ? (double)x.value / 1e9 : (double)x.value);
    put_u64(&timestamp, 1, x.time_ms / 1000);
    put_u64(&timestamp, 2, x.time_ms % 1000 * 1000000);
    put_message(&exemplar, 3, &timestamp);
    put_message(&b->inner, 3, &exemplar);
    free(timestamp.p);
    free(exemplar.p);
}

static void put_bucket(struct builder *b, const struct series *s, size_t at,
                       double bound, uint64_t below)
{
    put_u64(&b->inner, 1, below);
    put_double(&b->inner, 2, bound);
    put_exemplar(b, s, at);
    put_message(&b->part, 3, &b->inner);
}

static void put_histogram(struct builder *b, const struct series *s)
{
    double unit = s->unit != STATS_COUNT ? 1e9 : 1;
    size_t n_bounds, at = 0;
    const double *bounds = bounds_of(s->unit, &n_bounds);
    uint64_t buckets[N_BUCKETS], total = 0, sum = series_buckets(s, buckets), all = 0;

    for (unsigned i = 0; i < N_BUCKETS; i++) {
        all += buckets[i];
    }
    put_u64(&b->part, 1, all);
    put_double(&b->part, 2, (double)sum / unit);
    for (unsigned i = 0; i < N_BUCKETS; i++) {
        for (; at < n_bounds && bucket_end(i) - 1 > bounds[at]; at++) {
            put_bucket(b, s, at, bounds[at] / unit, total);
        }
        total += buckets[i];
    }
    put_bucket(b, s, n_bounds, INFINITY, total);
    if (s->unit == STATS_NS_FINE) {
        put_native(b, buckets);
    }
    put_message(&b->metric, 7, &b->part);
}

/* ---- families ---- */

static void put_metric(struct builder *b, const struct series *s)
{
    put_labels(b, &b->metric, s->labels);
    if (s->kind == HISTOGRAM) {
        put_histogram(b, s);
    } else {
        put_double(&b->part, 1, series_double(s));
        put_message(&b->metric, s->kind == COUNTER ? 3 : 2, &b->part);
    }
    put_message(&b->family, 4, &b->metric);
}

static void end_family(struct builder *b, stats_put_fn *put, void *arg)
{
    char length[10];

    if (b->family.n > 0) {
        put(arg, length, varint(b->family.n, length));
        put(arg, b->family.p, b->family.n);
        b->family.n = 0;
    }
}

void protobuf_write(struct series *const *list, size_t n, stats_put_fn *put, void *arg)
{
    static const uint32_t types[] = {[COUNTER] = TYPE_COUNTER,
                                     [GAUGE] = TYPE_GAUGE,
                                     [HISTOGRAM] = TYPE_HISTOGRAM,
                                     [AGE] = TYPE_GAUGE};
    struct builder b = {0};
    const char *family = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct series *s = list[i];

        if (!series_is_shown(s)) {
            continue;
        }
        if (family == NULL || strcmp(s->name, family) != 0) {
            end_family(&b, put, arg);
            family = s->name;
            put_text(&b.family, 1, s->name, strlen(s->name));
            put_text(&b.family, 2, s->help, strlen(s->help));
            put_u64(&b.family, 3, types[s->kind]);
        }
        put_metric(&b, s);
    }
    end_family(&b, put, arg);
    free(b.family.p);
    free(b.metric.p);
    free(b.part.p);
    free(b.inner.p);
    free(b.deepest.p);
}
