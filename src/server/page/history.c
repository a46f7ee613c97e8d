#include "server/page/history.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"

/* Refusals are many from that share on, as cli/watch/facts.c tells them; a minute without makes
 * an end of it. */
static const float MUCH = .04f;
static const uint64_t BREAK_NS = 60000000000u;

/* The last minute of a stage begins at one of two copies, which take turns. */
enum { STAGES_MAX = 8, COPY_EVERY_S = 30, STAGE_BYTES = 24 };

/* Rates are a second's. */
enum {
    REQUESTS,
    RECEIVED,
    STORED,
    REFUSED, /* and rejected */
    DROPPED, /* and duplicates */
    DELIVERED,
    N_RATES,
    P50 = N_RATES,
    P99,
    P999,
    LEFT,    /* events that sinks have still to deliver */
    OLDEST,  /* seconds */
    WAITING, /* events */
    CPU,     /* of one core, 0..1 */
    N_FIGURES
};

static const char *const columns[N_FIGURES] = {
    "requests", "received", "stored", "refused",  "dropped", "delivered", "p50_ms",
    "p99_ms",   "p999_ms",  "left",   "oldest_s", "waiting", "cpu"};

struct row {
    uint64_t at_ns; /* on the monotonic clock: rows stay in order when a clock is set */
    float figures[N_FIGURES];
};

struct stage {
    char name[STAGE_BYTES]; /* "": free */
    struct stats_histogram *now, *before[2];
};

struct history {
    struct ev_loop *loop;
    ev_timer timer;
    uint64_t last_ns;
    uint64_t n; /* rows ever */
    uint64_t counts[N_RATES];
    double cpu_s;
    struct stats_histogram *latency, *before, *since; /* the last row */
    struct stage stages[STAGES_MAX];
    uint32_t copies; /* of the stages */
    double copy_s;   /* since the last one */
    struct row rows[HISTORY_ROWS];
};

/* What one look at the registry adds up. */
struct look {
    struct history *h;
    uint64_t counts[N_RATES];
    double left, oldest, waiting;
};

/* In a label's value a quotation mark has a backslash before it: no name of a route holds
 * the words for a result. */
static void see_result(struct look *l, const char *labels, uint64_t value)
{
    static const struct {
        const char *words;
        int figure;
    } results[] = {{",result=\"stored\"", STORED},
                   {",result=\"rejected\"", REFUSED},
                   {",result=\"refused\"", REFUSED},
                   {",result=\"dropped\"", DROPPED},
                   {",result=\"duplicate\"", DROPPED}};

    for (size_t i = 0; i < N_ELEMS(results); i++) {
        if (strstr(labels, results[i].words) != NULL) {
            l->counts[results[i].figure] += value;
            return;
        }
    }
}

static void see_stage(struct history *h, const struct stats_series *x)
{
    char name[STAGE_BYTES];
    struct stage *s = h->stages;

    if (sscanf(x->labels, "stage=\"%23[a-z_]\"", name) != 1) {
        return;
    }
    while (s < h->stages + STAGES_MAX && s->name[0] != '\0' &&
           strcmp(s->name, name) != 0) {
        s++;
    }
    if (s == h->stages + STAGES_MAX) {
        return;
    }
    if (s->name[0] == '\0') {
        memcpy(s->name, name, sizeof name);
        s->now = stats_histogram_new();
        s->before[0] = stats_histogram_new();
        s->before[1] = stats_histogram_new();
    }
    stats_histogram_add(s->now, x->histogram);
}

static void see_gauge(struct look *l, const char *name, uint64_t value)
{
    if (strcmp(name, "sink_left_events") == 0) {
        l->left += (double)value;
    } else if (strcmp(name, "sink_oldest_event_seconds") == 0 && value > 0) {
        /* the wall time of that event; 0: none is left */
        l->oldest =
            fmax(l->oldest, (double)clock_wall_ms() / 1e3 - (double)value / 1e3);
    } else if (strcmp(name, "waiting_events") == 0) {
        l->waiting += (double)value;
    }
}

/* Most series are of routes and codes, up to 100,000: one letter tells most of them apart. */
static void see(void *arg, const struct stats_series *x)
{
    struct look *l = arg;
    const char *name = x->name + sizeof "sluice_" - 1;

    if (strncmp(x->name, "sluice_", sizeof "sluice_" - 1) != 0) {
        return;
    }
    switch (*name) {
    case 'd':
        l->counts[DELIVERED] +=
            strcmp(name, "delivered_events_total") == 0 ? x->value : 0;
        break;
    case 'e':
        if (x->value > 0 && strcmp(name, "events_total") == 0) {
            see_result(l, x->labels, x->value);
        }
        break;
    case 'r':
        if (name[2] == 'f') {
            return; /* refusals */
        }
        l->counts[RECEIVED] +=
            strcmp(name, "received_events_total") == 0 ? x->value : 0;
        l->counts[REQUESTS] += strcmp(name, "requests_total") == 0 ? x->value : 0;
        if (strcmp(name, "request_seconds") == 0) {
            stats_histogram_add(l->h->latency, x->histogram);
        }
        break;
    case 's':
        if (strcmp(name, "stage_seconds") == 0) {
            see_stage(l->h, x);
            return;
        }
        see_gauge(l, name, x->value);
        break;
    case 'w':
        see_gauge(l, name, x->value);
        break;
    default:
        break;
    }
}

static double cpu_now(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Of the requests since the last row; NAN without any. */
static void take_latency(struct history *h, struct row *row)
{
    static const double shares[] = {0.5, 0.99, 0.999};
    const struct stats_histogram *list[1] = {h->since};

    stats_histogram_clear(h->since);
    stats_histogram_add(h->since, h->latency);
    stats_histogram_less(h->since, h->before);
    stats_histogram_clear(h->before);
    stats_histogram_add(h->before, h->latency);
    for (int i = 0; i < 3; i++) {
        row->figures[P50 + i] = stats_histogram_count(h->since) == 0
                                    ? NAN
                                    : (float)(stats_quantile(list, 1, shares[i]) / 1e6);
    }
}

static void copy_stages(struct history *h, double elapsed_s)
{
    h->copy_s += elapsed_s;
    if (h->copy_s < COPY_EVERY_S) {
        return;
    }
    h->copy_s = 0;
    h->copies++;
    for (struct stage *s = h->stages; s < h->stages + STAGES_MAX && s->name[0]; s++) {
        struct stats_histogram *to = s->before[h->copies % 2];

        stats_histogram_clear(to);
        stats_histogram_add(to, s->now);
    }
}

void history_take(struct history *h, double elapsed_s)
{
    struct look l = {.h = h};
    struct row *row = &h->rows[h->n % HISTORY_ROWS];
    double cpu = cpu_now();

    stats_histogram_clear(h->latency);
    for (struct stage *s = h->stages; s < h->stages + STAGES_MAX && s->name[0]; s++) {
        stats_histogram_clear(s->now);
    }
    row->at_ns =
        clock_mono_ns(); /* a look that takes long is of its begin, as elapsed_s */
    stats_each(see, &l);
    for (int i = 0; i < N_RATES; i++) {
        uint64_t more = l.counts[i] > h->counts[i] ? l.counts[i] - h->counts[i] : 0;

        row->figures[i] = (float)((double)more / elapsed_s);
    }
    memcpy(h->counts, l.counts, sizeof h->counts);
    take_latency(h, row);
    row->figures[LEFT] = (float)l.left;
    row->figures[OLDEST] = (float)l.oldest;
    row->figures[WAITING] = (float)l.waiting;
    row->figures[CPU] = (float)((cpu - h->cpu_s) / elapsed_s);
    h->cpu_s = cpu;
    copy_stages(h, elapsed_s);
    h->n++;
}

static void on_second(struct ev_loop *loop, ev_timer *t, int events)
{
    struct history *h = OUTER(t, struct history, timer);
    uint64_t now = clock_mono_ns();

    (void)loop;
    (void)events;
    if (now > h->last_ns) {
        history_take(h, (double)(now - h->last_ns) / 1e9);
    }
    h->last_ns = now;
}

struct history *history_new(struct ev_loop *loop)
{
    struct history *h = mem_zalloc(sizeof *h);

    h->loop = loop;
    h->latency = stats_histogram_new();
    h->before = stats_histogram_new();
    h->since = stats_histogram_new();
    h->last_ns = clock_mono_ns();
    h->cpu_s = cpu_now();
    ev_timer_init(&h->timer, on_second, 1., 1.);
    ev_timer_start(loop, &h->timer);
    return h;
}

double history_refusing_s(const struct history *h)
{
    uint64_t now = clock_mono_ns(), since = now;
    uint64_t first = h->n > HISTORY_ROWS ? h->n - HISTORY_ROWS : 0;

    for (uint64_t i = h->n; i > first; i--) {
        const struct row *row = &h->rows[(i - 1) % HISTORY_ROWS];

        if (since - row->at_ns > BREAK_NS) {
            break;
        }
        if (row->figures[REFUSED] > 0 &&
            row->figures[REFUSED] >= MUCH * row->figures[RECEIVED]) {
            since = row->at_ns;
        }
    }
    return (double)(now - since) / 1e9;
}

uint64_t history_seq(const struct history *h)
{
    return h->n;
}

void history_free(struct history *h)
{
    if (h == NULL) {
        return;
    }
    ev_timer_stop(h->loop, &h->timer);
    stats_histogram_free(h->latency);
    stats_histogram_free(h->before);
    stats_histogram_free(h->since);
    for (struct stage *s = h->stages; s < h->stages + STAGES_MAX; s++) {
        stats_histogram_free(s->now);
        stats_histogram_free(s->before[0]);
        stats_histogram_free(s->before[1]);
    }
    free(h);
}

struct writer {
    stats_put_fn *put;
    void *arg;
};

static void say(const struct writer *w, const char *fmt, ...) PRINTF(2, 3);

static void say(const struct writer *w, const char *fmt, ...)
{
    char text[128];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->put(w->arg, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void write_row(const struct writer *w, const struct row *row)
{
    uint64_t age_ns = clock_mono_ns() - row->at_ns;

    say(w, "[%" PRId64, clock_wall_ms() - (int64_t)(age_ns / 1000000));
    for (int i = 0; i < N_FIGURES; i++) {
        if (isfinite(row->figures[i])) {
            say(w, ",%.5g", (double)row->figures[i]);
        } else {
            say(w, ",null");
        }
    }
    say(w, "]");
}

void history_write(const struct history *h, uint64_t since, stats_put_fn *put,
                   void *arg)
{
    const struct writer w = {put, arg};
    uint64_t first = h->n > HISTORY_ROWS ? h->n - HISTORY_ROWS : 0;

    /* More than there are: of an earlier process. */
    first = since > first && since <= h->n ? since : first;
    say(&w, "\"columns\":[\"at_ms\"");
    for (int i = 0; i < N_FIGURES; i++) {
        say(&w, ",\"%s\"", columns[i]);
    }
    say(&w, "],\"first\":%" PRIu64 ",\"seq\":%" PRIu64 ",\"rows\":[", first, h->n);
    for (uint64_t i = first; i < h->n; i++) {
        say(&w, "%s", i > first ? "," : "");
        write_row(&w, &h->rows[i % HISTORY_ROWS]);
    }
    say(&w, "]");
}

static void write_stage(const struct writer *w, const struct stage *s,
                        const struct stats_histogram *before)
{
    struct stats_histogram *since = stats_histogram_new();
    const struct stats_histogram *list[1] = {since};

    stats_histogram_add(since, s->now);
    stats_histogram_less(since, before);
    say(w, "{\"stage\":\"%s\",\"n\":%" PRIu64, s->name, stats_histogram_count(since));
    if (stats_histogram_count(since) > 0) {
        say(w, ",\"p50_ms\":%.4g,\"p99_ms\":%.4g,\"p999_ms\":%.4g",
            stats_quantile(list, 1, 0.5) / 1e6, stats_quantile(list, 1, 0.99) / 1e6,
            stats_quantile(list, 1, 0.999) / 1e6);
    }
    say(w, "}");
    stats_histogram_free(since);
}

void history_stages(const struct history *h, stats_put_fn *put, void *arg)
{
    const struct writer w = {put, arg};

    say(&w, "\"stages\":[");
    for (uint32_t i = 0; i < STAGES_MAX && h->stages[i].name[0] != '\0'; i++) {
        say(&w, "%s", i > 0 ? "," : "");
        write_stage(&w, &h->stages[i], h->stages[i].before[(h->copies + 1) % 2]);
    }
    say(&w, "]");
}
