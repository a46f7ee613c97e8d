#include "cli/watch/refused_facts.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/show.h"
#include "cli/watch/facts.h"
#include "cli/watch/findings.h"
#include "cli/watch/series.h"

/* A code refuses much: with 4 %, so that one of 5 % shows in each look. */
#define MUCH .04
/* Of a route without an event during the look, the last minutes count, from so many refused
 * events on. */
enum { RECENT_LEAST = 20 };
/* A share that lasts is told as a note; a smaller one is daily life. A few events are one of
 * a route that refuses most of what it gets. */
#define SOME .01
#define MOST .5
enum { HOUR_LEAST = 10, FEW_LEAST = 3 };

/* ROUTE_BYTES: of a whole route, to be compared; TEXT: as a line shows it. */
enum { LISTED_MAX = 200, TOLD_MAX = 8, TEXT = 320, ROUTE_BYTES = 1200 };

/* ---- the list ---- */

struct listed {
    const struct series *x;
    double now;
};

static int by_events(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    return x->now != y->now             ? (x->now > y->now ? -1 : 1)
           : x->x->value != y->x->value ? (x->x->value > y->x->value ? -1 : 1)
                                        : strcmp(x->x->labels, y->x->labels);
}

static void add_refusal(struct findings *m, cJSON *list, const struct listed *l)
{
    cJSON *o = cJSON_CreateObject();
    char route[256], code[128], status[16];

    (void)series_label(l->x, "route", route, sizeof route);
    (void)series_label(l->x, "code", code, sizeof code);
    (void)series_label(l->x, "status", status, sizeof status);
    (void)cJSON_AddStringToObject(o, "route", route);
    (void)cJSON_AddStringToObject(o, "code", code);
    (void)cJSON_AddStringToObject(o, "status", status);
    findings_put(o, "per_second", m->seconds > 0 ? l->now / m->seconds : 0);
    findings_put(o, "since_start", l->x->value);
    (void)cJSON_AddItemToArray(list, o);
}

/* The most events of now first. */
static void list_refusals(struct findings *m)
{
    struct listed *all = mem_alloc((m->now->n + 1) * sizeof *all);
    cJSON *list = cJSON_AddArrayToObject(m->facts, "refusals");
    size_t n = 0;

    for (size_t i = 0; i < m->now->n; i++) {
        const struct series *x = &m->now->list[i];

        if (strcmp(x->name, "sluice_refusals_total") == 0 && x->value > 0) {
            all[n++] = (struct listed){x, findings_grown(m, x)};
        }
    }
    if (n > 1) {
        qsort(all, n, sizeof *all, by_events);
    }
    for (size_t i = 0; i < n && i < LISTED_MAX; i++) {
        add_refusal(m, list, &all[i]);
    }
    findings_put(m->facts, "refusals_more",
                 n > LISTED_MAX ? (double)(n - LISTED_MAX) : 0);
    free(all);
}

/* ---- the figures of the server's last hour; an older server has none ---- */

static const cJSON *lasting_of(const struct findings *m, const char *route,
                               const char *code)
{
    const cJSON *x;

    cJSON_ArrayForEach(
        x, cJSON_GetObjectItem(cJSON_GetObjectItem(m->status, "refusing"), "codes"))
    {
        if (strcmp(facts_text(x, "route"), route) == 0 &&
            strcmp(facts_text(x, "code"), code) == 0) {
            return x;
        }
    }
    return NULL;
}

/* ", for 12 min": how long this code has refused its share already. */
static const char *refusing_since(const cJSON *lasting, char out[64])
{
    double s = facts_number(lasting, "since_seconds");
    char text[SHOW_BYTES];

    out[0] = '\0';
    if (s >= 1) {
        (void)snprintf(out, 64, ", for %s", show_seconds(text, s));
    }
    return out;
}

static const char *name_of(const char *route)
{
    return strcmp(route, "none") == 0 ? "no route:" : route;
}

static const char *whose(const char *route)
{
    return strcmp(route, "none") == 0 ? "all" : "its";
}

/* ---- what is refused now ---- */

/* Of one route during the look. By events, and not by the refusals of the list: a batch
 * that is refused as a whole is one refusal of all its events. */
struct share {
    const struct series *code; /* that refuses the most */
    double most, refused;
    double named; /* by codes that are told of by their names */
    bool mates;   /* good events of batches that are refused */
    bool told;    /* of all codes together */
};

struct refusing {
    struct findings *m;
    char when[FINDINGS_WHEN];
    struct share *shares; /* by the number of the route's series of received events */
    struct listed *codes; /* that refuse much */
    size_t n;
    double received; /* of all routes */
    int n_routes;    /* that are told of now, by all codes together */
    int n_told[3];   /* of what lasts: those that call for a note, and for a problem */
};

/* The length of the labels before the result, which are those of the route; 0: it is the
 * result of no refusal. In a label's value a quotation mark has a backslash before it. */
static size_t route_length(const struct series *x)
{
    const char *at = strstr(x->labels, ",result=\"re");

    return strcmp(x->name, "sluice_events_total") != 0 || at == NULL
               ? 0
               : (size_t)(at - x->labels);
}

static bool is_nowhere(const struct series *x, size_t n)
{
    return n == sizeof "route=\"none\"" - 1 &&
           memcmp(x->labels, "route=\"none\"", n) == 0;
}

/* Outside of all routes everything is refused: that counts when it is much of all. */
static double received_of(const struct refusing *r, const struct series *x, size_t n)
{
    const struct series *of =
        series_find(r->m->now, "sluice_received_events_total", x->labels, n);

    return is_nowhere(x, n) ? r->received : of == NULL ? 0 : findings_grown(r->m, of);
}

static struct share *share_of(const struct refusing *r, const struct series *x,
                              size_t n)
{
    const struct series *of =
        series_find(r->m->now, "sluice_received_events_total", x->labels, n);

    return of == NULL ? NULL : &r->shares[of - r->m->now->list];
}

static void see_code(struct refusing *r, const struct series *x)
{
    const size_t n = route_length(x);
    const double now = n == 0 || x->value == 0 ? 0 : findings_grown(r->m, x);
    const double received = now == 0 ? 0 : received_of(r, x, n);
    struct share *share = now == 0 ? NULL : share_of(r, x, n);
    char code[128];

    if (now == 0) {
        return;
    }
    (void)series_label(x, "code", code, sizeof code);
    if (share != NULL) {
        share->refused += now;
        share->mates |= code[0] == '\0';
        if (code[0] != '\0' && now > share->most) {
            share->most = now;
            share->code = x;
        }
    }
    if (code[0] != '\0' && (received == 0 || now / received >= MUCH)) {
        r->codes[r->n++] = (struct listed){x, now};
        if (share != NULL) {
            share->named += now;
        }
    }
}

static double percent_of(double part, double whole)
{
    return whole == 0 || part > whole ? 100 : 100 * part / whole;
}

static void tell_code(struct refusing *r, const struct listed *l)
{
    const struct series *x = l->x;
    char route[TEXT], name[ROUTE_BYTES], code[128], since[64], all[SHOW_BYTES];
    const cJSON *lasting;

    (void)series_label(x, "route", route, sizeof route);
    (void)series_label(x, "route", name, sizeof name);
    (void)series_label(x, "code", code, sizeof code);
    lasting = lasting_of(r->m, name, code);
    (void)findings_tell(
        r->m->problems, "refuses", code,
        "%s refuses %.0f %% of %s events %s with %s%s, %s since the start",
        name_of(route), percent_of(l->now, received_of(r, x, route_length(x))),
        whose(route), r->when, code, refusing_since(lasting, since),
        show_count(all, x->value));
}

/* ", most with x"; "": no code is known. */
static const char *most_with(const char *code, char out[160])
{
    out[0] = '\0';
    if (code[0] != '\0') {
        (void)snprintf(out, 160, ", most with %s", code);
    }
    return out;
}

/* Many codes with little each, or good events of batches that are refused: what the codes
 * that have their own lines leave. */
static void tell_route(struct refusing *r, const struct series *received,
                       struct share *s)
{
    const bool nowhere = is_nowhere(received, strlen(received->labels));
    const double all = s->refused == 0 ? 0
                       : nowhere       ? r->received
                                       : findings_grown(r->m, received);
    char route[TEXT], code[128] = "", most[160];

    if (s->refused <= s->named || s->refused - s->named < MUCH * all) {
        return;
    }
    s->told = true;
    if (r->n_routes++ >= TOLD_MAX) {
        return;
    }
    (void)series_label(received, "route", route, sizeof route);
    if (s->code != NULL) {
        (void)series_label(s->code, "code", code, sizeof code);
    }
    (void)findings_tell(
        r->m->problems, "refuses", route,
        "%s refuses %.0f %% of %s events %s by all codes together%s%s", name_of(route),
        percent_of(s->refused, all), whose(route), r->when, most_with(code, most),
        s->mates ? " (a batch that is refused counts with all its events)" : "");
}

static void tell_now(struct refusing *r)
{
    if (r->n > 1) {
        qsort(r->codes, r->n, sizeof *r->codes, by_events);
    }
    for (size_t i = 0; i < r->n && i < TOLD_MAX; i++) {
        tell_code(r, &r->codes[i]);
    }
    if (r->n > TOLD_MAX) {
        (void)findings_tell(r->m->problems, "refuses", "codes",
                            "%zu more codes refuse much of a route's events %s: "
                            "sluice top, key r, shows them",
                            r->n - TOLD_MAX, r->when);
    }
    for (size_t i = 0; i < r->m->now->n; i++) {
        tell_route(r, &r->m->now->list[i], &r->shares[i]);
    }
    if (r->n_routes > TOLD_MAX) {
        (void)findings_tell(r->m->problems, "refuses", "routes",
                            "%d more routes refuse much %s by all codes together: "
                            "sluice top, key r, shows the codes",
                            r->n_routes - TOLD_MAX, r->when);
    }
}

/* ---- what is refused for longer than the look ---- */

/* Whether a problem of this look names the route and the code already. */
static bool is_told(const struct refusing *r, const char *route, const char *code)
{
    char x_route[ROUTE_BYTES], x_code[128];

    for (size_t i = 0; i < r->n; i++) {
        (void)series_label(r->codes[i].x, "route", x_route, sizeof x_route);
        (void)series_label(r->codes[i].x, "code", x_code, sizeof x_code);
        if (strcmp(x_route, route) == 0 && strcmp(x_code, code) == 0) {
            return true;
        }
    }
    return false;
}

/* The number of the route's series of received events; -1: it has none. */
static int series_of(const struct findings *m, const char *route)
{
    for (size_t i = 0; i < m->now->n; i++) {
        const struct series *x = &m->now->list[i];
        char name[ROUTE_BYTES];

        if (strcmp(x->name, "sluice_received_events_total") == 0 &&
            strcmp(series_label(x, "route", name, sizeof name), route) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* No event of the route came during the look. */
static bool is_quiet(const struct findings *m, const char *route)
{
    const int i = series_of(m, route);

    return i < 0 || findings_grown(m, &m->now->list[i]) == 0;
}

/* What a code or a route refuses calls for. */
enum call { CALLS_NOTHING, CALLS_NOTE, CALLS_PROBLEM };

static enum call call_of(const struct refusing *r, const char *route, double recent,
                         double recent_all, double hour, double hour_all)
{
    if (strcmp(route, "none") != 0 && recent >= RECENT_LEAST &&
        recent >= MUCH * recent_all && is_quiet(r->m, route)) {
        return CALLS_PROBLEM;
    }
    return hour >= SOME * hour_all && (hour >= HOUR_LEAST ||
                                       (hour >= FEW_LEAST && hour >= MOST * hour_all))
               ? CALLS_NOTE
               : CALLS_NOTHING;
}

/* with: " with x". */
static void tell_lasting(struct refusing *r, enum call call, const cJSON *x,
                         const char *subject, const char *with)
{
    const cJSON *of = cJSON_GetObjectItem(r->m->status, "refusing");
    const bool recent = call == CALLS_PROBLEM;
    const double n = facts_number(x, recent ? "recent" : "hour");
    const double all = facts_number(x, recent ? "recent_received" : "hour_received");
    char route[TEXT], time[SHOW_BYTES], part[SHOW_BYTES], whole[SHOW_BYTES];

    if (call != CALLS_NOTHING && r->n_told[call]++ >= TOLD_MAX) {
        return;
    }
    (void)snprintf(route, sizeof route, "%s", facts_text(x, "route"));
    (void)show_count(part, n);
    (void)show_count(whole, all);
    (void)show_seconds(time,
                       facts_number(of, recent ? "recent_seconds" : "hour_seconds"));
    if (recent) {
        (void)findings_tell(r->m->problems, "refuses", subject,
                            "%s refuses %.0f %% of its events%s: %s of %s in the last "
                            "%s, and no event %s",
                            route, percent_of(n, all), with, part, whole, time,
                            r->when);
    } else if (call == CALLS_NOTE) {
        (void)findings_tell(r->m->notes, "refused", subject,
                            "%s has refused %.3g %% of %s events%s in the last %s: %s "
                            "of %s",
                            name_of(route), percent_of(n, all), whose(route), with,
                            time, part, whole);
    }
}

/* Returns what it called for; a problem of this look is one. */
static enum call tell_lasting_code(struct refusing *r, const cJSON *x)
{
    const char *route = facts_text(x, "route"), *code = facts_text(x, "code");
    char with[160];
    enum call call;

    if (is_told(r, route, code)) {
        return CALLS_PROBLEM;
    }
    call =
        call_of(r, route, facts_number(x, "recent"), facts_number(x, "recent_received"),
                facts_number(x, "hour"), facts_number(x, "hour_received"));
    (void)snprintf(with, sizeof with, " with %s", code);
    tell_lasting(r, call, x, code, with);
    return call;
}

/* Of a route: what its codes that were told leave. */
static void tell_lasting_route(struct refusing *r, const cJSON *x, double recent,
                               double hour)
{
    const char *route = facts_text(x, "route");
    const int i = series_of(r->m, route);
    char most[160], with[200];

    if (i >= 0 && r->shares[i].told) {
        return;
    }
    (void)snprintf(with, sizeof with, " by all codes together%s",
                   most_with(facts_text(x, "most"), most));
    tell_lasting(r,
                 call_of(r, route, facts_number(x, "recent") - recent,
                         facts_number(x, "recent_received"),
                         facts_number(x, "hour") - hour,
                         facts_number(x, "hour_received")),
                 x, route, with);
}

/* The server lists at most 50 codes and routes of those that refuse. */
static const char *at_least(const cJSON *of)
{
    return facts_number(of, "more") + facts_number(of, "routes_more") > 0 ? "at least "
                                                                          : "";
}

/* Each is judged: many that refuse a little come before one that refuses all of few. */
static void tell_hour(struct refusing *r)
{
    const cJSON *of = cJSON_GetObjectItem(r->m->status, "refusing"), *x, *c;
    const cJSON *codes = cJSON_GetObjectItem(of, "codes");
    const int n = cJSON_GetArraySize(codes);
    enum call *calls = mem_zalloc(((size_t)n + 1) * sizeof *calls);
    char time[SHOW_BYTES];
    int i = 0;

    cJSON_ArrayForEach(c, codes)
    {
        calls[i++] = tell_lasting_code(r, c);
    }
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(of, "routes"))
    {
        double recent = 0, hour = 0;

        i = 0;
        cJSON_ArrayForEach(c, codes)
        {
            if (strcmp(facts_text(c, "route"), facts_text(x, "route")) == 0) {
                recent += calls[i] == CALLS_PROBLEM ? facts_number(c, "recent") : 0;
                hour += calls[i] != CALLS_NOTHING ? facts_number(c, "hour") : 0;
            }
            i++;
        }
        tell_lasting_route(r, x, recent, hour);
    }
    if (r->n_told[CALLS_PROBLEM] > TOLD_MAX) {
        (void)findings_tell(r->m->problems, "refuses", "more",
                            "%s%d more codes or routes refused much of a route's "
                            "events in the last %s: "
                            "sluice top, key r, shows the codes",
                            at_least(of), r->n_told[CALLS_PROBLEM] - TOLD_MAX,
                            show_seconds(time, facts_number(of, "recent_seconds")));
    }
    if (r->n_told[CALLS_NOTE] > TOLD_MAX) {
        (void)findings_tell(
            r->m->notes, "refused", "more",
            "%s%d more codes or routes have refused a part of a route's events in the "
            "last %s",
            at_least(of), r->n_told[CALLS_NOTE] - TOLD_MAX,
            show_seconds(time, facts_number(of, "hour_seconds")));
    }
    free(calls);
}

void refused_facts(struct findings *m)
{
    struct refusing r = {.m = m,
                         .shares = mem_zalloc((m->now->n + 1) * sizeof *r.shares),
                         .codes = mem_alloc((m->now->n + 1) * sizeof *r.codes),
                         .received =
                             findings_during(m, "sluice_received_events_total", NULL)};

    (void)findings_when(m, r.when);
    list_refusals(m);
    for (size_t i = 0; i < m->now->n; i++) {
        see_code(&r, &m->now->list[i]);
    }
    tell_now(&r);
    tell_hour(&r);
    free(r.shares);
    free(r.codes);
}
