#include "cli/watch/counted.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

#include "cli/show.h"
#include "cli/watch/facts.h"
#include "cli/watch/findings.h"
#include "cli/watch/series.h"
#include "server/admin/growth.h"

/* Of one counter, at most so many problems, and as many notes: a policy may have thousands
 * of routes. One more says how many more there are. */
enum { TOLD_MAX = 8 };

struct told {
    size_t problems, notes;
};

static bool is_counted(const struct series *x, const struct growth_rule *r)
{
    return x->value > 0 && growth_counts(r, x->name, x->labels);
}

/* What the server has seen of it in the last minute; an older one does not say. */
static double recent(const struct findings *m, const char *what, const char *name)
{
    const cJSON *x;

    cJSON_ArrayForEach(x, cJSON_GetObjectItem(m->status, "counted"))
    {
        if (strcmp(facts_text(x, "what"), what) == 0 &&
            strcmp(facts_text(x, "subject"), name) == 0) {
            return facts_number(x, "recent");
        }
    }
    return 0;
}

static void tell(struct findings *m, const struct series *x,
                 const struct growth_rule *r, struct told *told)
{
    const double now = findings_grown(m, x);
    const bool problem = now > 0 && !r->mild;
    double n = now > 0 ? now : x->value;
    char look[FINDINGS_WHEN];
    const char *when = now > 0 ? findings_when(m, look) : "since the start";
    char name[256] = "", count[SHOW_BYTES], text[600];
    cJSON *o;

    if (r->label != NULL) {
        (void)series_label(x, r->label, name, sizeof name);
    }
    if (r->passes && now == 0) {
        n = recent(m, r->what, name);
        when = "in the last minute";
    }
    if (n > 0 && (problem ? told->problems++ : told->notes++) < TOLD_MAX) {
        growth_text(r, show_count(count, n), name, text, sizeof text);
        o = findings_tell(problem ? m->problems : m->notes, r->what,
                          name[0] == '\0' ? "server" : name, "%s (%s)", text, when);
        /* Rules with one word have causes of their own, and so has their advice. */
        (void)cJSON_ReplaceItemInObject(o, "next", cJSON_CreateString(r->next));
    }
}

/* The rest of n; series: the metric that has them all. */
static void tell_more(cJSON *list, const char *what, const char *series, size_t n)
{
    if (n > TOLD_MAX) {
        (void)findings_tell(list, what, "server",
                            "%zu more like these: /metrics has %s", n - TOLD_MAX,
                            series);
    }
}

/* A half-open one whose last try has passed waits for more events only. */
static bool lets_nothing_through(const struct findings *m, const struct series *x)
{
    const struct series *failing =
        series_find(m->now, "sluice_endpoint_failing", x->labels, strlen(x->labels));

    return x->value == 2 || (x->value == 1 && failing != NULL && failing->value > 0);
}

static void breaker(struct findings *m, const struct series *x, size_t *told)
{
    char sink[128], endpoint[256];

    if (strcmp(x->name, "sluice_breaker_state") != 0 || x->value == 0) {
        return;
    }
    (void)series_label(x, "sink", sink, sizeof sink);
    if (lets_nothing_through(m, x) && (*told)++ < TOLD_MAX) {
        (void)series_label(x, "endpoint", endpoint, sizeof endpoint);
        (void)findings_tell(m->notes, "breaker", sink,
                            "sink %s sends nothing%s to %s: its breaker is %s", sink,
                            x->value == 2 ? "" : " but tries", endpoint,
                            x->value == 2 ? "open" : "half-open");
    }
}

void counted_facts(struct findings *m)
{
    size_t open = 0;

    for (size_t i = 0; growth_rule(i) != NULL; i++) {
        const struct growth_rule *r = growth_rule(i);
        struct told told = {0, 0};

        for (size_t k = 0; k < m->now->n; k++) {
            if (is_counted(&m->now->list[k], r)) {
                tell(m, &m->now->list[k], r, &told);
            }
        }
        tell_more(m->problems, r->what, r->name, told.problems);
        tell_more(m->notes, r->what, r->name, told.notes);
    }
    for (size_t k = 0; k < m->now->n; k++) {
        breaker(m, &m->now->list[k], &open);
    }
    tell_more(m->notes, "breaker", "sluice_breaker_state", open);
}
