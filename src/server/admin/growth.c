#include "server/admin/growth.h"

#include <cjson/cJSON.h>
#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/admin/totals.h"
#include "stats/stats.h"

/* Of the last minute, in moments; looks are a second apart at least. */
enum { COUNTERS_MAX = 256, MOMENTS = 7, MOMENT_S = 10, NAME_BYTES = 256 };
enum { LISTED_MAX = 50, RULES_MAX = 64, LINES_MAX = 10 };
static const uint64_t SECOND_NS = 1000000000u, BREAK_NS = 300000000000u;

struct counter {
    const struct growth_rule *rule;
    char name[NAME_BYTES];
    uint64_t seen, sum; /* of all series at the last look, and at this one */
    uint32_t moments[MOMENTS];
    uint64_t told_n;           /* that it has grown by since the log has told it */
    uint64_t told_ns, last_ns; /* 0: not told; it has grown last */
};

struct growth {
    struct ev_loop *loop;
    ev_timer timer;
    uint64_t look_ns;
    const char *name; /* of the series seen last, and the rules that it is of */
    uint64_t rules;
    struct counter *counters;
    uint32_t n;
};

static void on_time(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    growth_look(OUTER(t, struct growth, timer), clock_mono_ns());
}

struct growth *growth_new(struct ev_loop *loop)
{
    struct growth *g = mem_zalloc(sizeof *g);

    g->loop = loop;
    g->counters = mem_zalloc(COUNTERS_MAX * sizeof *g->counters);
    ev_timer_init(&g->timer, on_time, (double)MOMENT_S, (double)MOMENT_S);
    ev_timer_start(loop, &g->timer);
    return g;
}

void growth_free(struct growth *g)
{
    if (g == NULL) {
        return;
    }
    ev_timer_stop(g->loop, &g->timer);
    free(g->counters);
    free(g);
}

/* ---- one look ---- */

/* In labels each name stands behind a comma, or first. */
static void name_of(const struct growth_rule *r, const char *labels, char *out,
                    size_t bytes)
{
    char label[40];
    const char *at;

    out[0] = '\0';
    (void)snprintf(label, sizeof label, "%s=\"", r->label == NULL ? "" : r->label);
    at = r->label == NULL ? NULL : strstr(labels, label);
    if (at != NULL) {
        totals_label(&at, label, out, bytes);
    }
}

static void see_counter(struct growth *g, const struct growth_rule *r,
                        const struct stats_series *x)
{
    char name[NAME_BYTES];

    name_of(r, x->labels, name, sizeof name);
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->counters[i].rule == r && strcmp(g->counters[i].name, name) == 0) {
            g->counters[i].sum += x->value;
            return;
        }
    }
    if (g->n < COUNTERS_MAX) {
        g->counters[g->n] = (struct counter){.rule = r, .sum = x->value};
        memcpy(g->counters[g->n++].name, name, sizeof name);
    }
}

/* Most series are of names that no rule has; many of one name follow each other. */
static bool has_rule(void *arg, const char *name)
{
    struct growth *g = arg;

    if (name != g->name) {
        g->name = name;
        g->rules = 0;
        for (size_t i = 0; growth_rule(i) != NULL && i < RULES_MAX; i++) {
            g->rules |= (uint64_t)(strcmp(growth_rule(i)->name, name) == 0) << i;
        }
    }
    return g->rules != 0;
}

static void see(void *arg, const struct stats_series *x)
{
    struct growth *g = arg;

    if (x->value == 0 || x->total || !has_rule(g, x->name)) {
        return;
    }
    for (size_t i = 0; g->rules >> i != 0; i++) {
        if ((g->rules >> i & 1) != 0 &&
            growth_counts(growth_rule(i), x->name, x->labels)) {
            see_counter(g, growth_rule(i), x);
        }
    }
}

static uint64_t recent_of(const struct counter *c)
{
    uint64_t n = 0;

    for (int i = 0; i < MOMENTS; i++) {
        n += c->moments[i];
    }
    return n;
}

static void text_of(const struct counter *c, uint64_t n, const char *when, char *out,
                    size_t bytes)
{
    char count[24], text[600];

    (void)snprintf(count, sizeof count, "%" PRIu64, n);
    growth_text(c->rule, count, c->name, text, sizeof text);
    (void)snprintf(out, bytes, "%s (%s)", text, when);
}

/* A line when it begins, and one when it is over: never one a second. A look that has
 * written many leaves the others to the next ones. */
static void tell(struct counter *c, uint64_t more, uint64_t now_ns, int *lines)
{
    const struct growth_rule *r = c->rule;
    char text[700], why[2 * sizeof text], name[2 * sizeof c->name];

    if (more > 0) {
        c->last_ns = now_ns;
        c->told_n += more;
    }
    if (r->event == NULL || *lines == LINES_MAX) {
        return;
    }
    (void)log_quote(name, sizeof name, c->name);
    if (c->told_n > 0 && c->told_ns == 0) {
        c->told_ns = now_ns;
        text_of(c, c->told_n, "just now", text, sizeof text);
        log_write(LOG_WARN, r->event, "%s=%s status=%s n=%" PRIu64 " why=%s", r->label,
                  name, r->status, c->told_n, log_quote(why, sizeof why, text));
        (*lines)++;
    } else if (more == 0 && c->told_ns != 0 && now_ns - c->last_ns > BREAK_NS) {
        log_write(LOG_INFO, r->event,
                  "%s=%s status=over n=%" PRIu64 " was=%s during_s=%" PRIu64, r->label,
                  name, c->told_n, r->status, (c->last_ns - c->told_ns) / SECOND_NS);
        c->told_ns = 0;
        c->told_n = 0;
        (*lines)++;
    }
}

static void take(struct counter *c, uint64_t from_ns, uint64_t now_ns, int *lines)
{
    const uint64_t from = from_ns / SECOND_NS / MOMENT_S;
    const uint64_t now = now_ns / SECOND_NS / MOMENT_S;
    const uint64_t more = c->sum > c->seen ? c->sum - c->seen : 0;

    for (uint64_t i = 0; i < now - from && i < MOMENTS; i++) {
        c->moments[(now - i) % MOMENTS] = 0;
    }
    c->moments[now % MOMENTS] += (uint32_t)more;
    c->seen = c->sum;
    tell(c, more, now_ns, lines);
}

void growth_look(struct growth *g, uint64_t now_ns)
{
    int lines = 0;

    if (g->look_ns != 0 && now_ns - g->look_ns < SECOND_NS) {
        return;
    }
    for (uint32_t i = 0; i < g->n; i++) {
        g->counters[i].sum = 0;
    }
    g->name = NULL;
    stats_each(see, g);
    stats_each_asked(has_rule, see, g);
    for (uint32_t i = 0; i < g->n; i++) {
        take(&g->counters[i], g->look_ns == 0 ? now_ns : g->look_ns, now_ns, &lines);
    }
    g->look_ns = now_ns;
}

/* ---- what it has seen ---- */

static cJSON *counter_json(const struct counter *c)
{
    const uint64_t recent = recent_of(c);
    cJSON *o = cJSON_CreateObject();
    char text[700];

    text_of(c, recent > 0 ? recent : c->seen,
            recent > 0 ? "in the last minute" : "since the start", text, sizeof text);
    (void)cJSON_AddStringToObject(o, "what", c->rule->what);
    (void)cJSON_AddStringToObject(o, "subject", c->name);
    (void)cJSON_AddNumberToObject(o, "recent", (double)recent);
    (void)cJSON_AddNumberToObject(o, "since_start", (double)c->seen);
    (void)cJSON_AddBoolToObject(o, "mild", c->rule->mild);
    (void)cJSON_AddStringToObject(o, "text", text);
    (void)cJSON_AddStringToObject(o, "next", c->rule->next);
    return o;
}

struct cJSON *growth_json(const struct growth *g)
{
    cJSON *list = cJSON_CreateArray();

    for (int old = 0; old < 2; old++) {
        for (uint32_t i = 0; i < g->n; i++) {
            const struct counter *c = &g->counters[i];

            if ((recent_of(c) == 0) == (old == 1) && (old == 0 || !c->rule->passes) &&
                c->seen > 0 && cJSON_GetArraySize(list) < LISTED_MAX) {
                (void)cJSON_AddItemToArray(list, counter_json(c));
            }
        }
    }
    return list;
}
