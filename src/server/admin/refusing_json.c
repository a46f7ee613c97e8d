#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "server/admin/refusing_seen.h"
#include "server/admin/totals.h"

enum { LISTED_MAX = 50, ROUTE_BYTES = 1200, CODE_BYTES = 256 };
static const uint64_t SECOND_NS = 1000000000u;

/* From these on a status or the page may tell of it: cli/watch/refused_facts.c, page/words.js. */
enum { RECENT_LEAST = 20, HOUR_LEAST = 3 };
static const double MUCH = .04, SOME = .01;

struct listed {
    uint32_t i; /* the pair or the route */
    int call;   /* for an operator: the most first */
    const char *name;
    uint64_t hour;
};

static int by_call(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    return x->call != y->call   ? y->call - x->call
           : x->hour != y->hour ? (x->hour > y->hour ? -1 : 1)
                                : strcmp(x->name, y->name);
}

/* A busy route with a small share has more events than a quiet one that refuses all. */
static int call_of(const struct hour *refused, const struct hour *of)
{
    const uint64_t recent = hour_recent(refused), hour = hour_sum(refused);

    return recent >= RECENT_LEAST && (double)recent >= MUCH * (double)hour_recent(of)
               ? 2
           : hour >= HOUR_LEAST && (double)hour >= SOME * (double)hour_sum(of) ? 1
                                                                               : 0;
}

static void sort(struct listed *list, uint32_t n)
{
    if (n > 1) {
        qsort(list, n, sizeof *list, by_call);
    }
}

static void add_text(cJSON *o, const char *name, const char *labels, const char *label)
{
    char text[ROUTE_BYTES];

    totals_label(&labels, label, text, sizeof text);
    (void)cJSON_AddStringToObject(o, name, text);
}

/* Of good events of a batch that was refused there is none. */
static void add_code(cJSON *o, const char *name, const struct refusing_pair *p)
{
    const char *at = p->key + p->code;
    char code[CODE_BYTES];

    totals_label(&at, "code=\"", code, sizeof code);
    (void)cJSON_AddStringToObject(o, name, code[0] == '\0' ? "batch_refused" : code);
}

static void add_figures(cJSON *o, const struct hour *refused, const struct hour *of)
{
    (void)cJSON_AddNumberToObject(o, "recent", (double)hour_recent(refused));
    (void)cJSON_AddNumberToObject(o, "recent_received",
                                  of == NULL ? 0 : (double)hour_recent(of));
    (void)cJSON_AddNumberToObject(o, "hour", (double)hour_sum(refused));
    (void)cJSON_AddNumberToObject(o, "hour_received",
                                  of == NULL ? 0 : (double)hour_sum(of));
}

static cJSON *pair_json(const struct refusing_pair *p, const struct hour *of,
                        uint64_t now_ns)
{
    cJSON *o = cJSON_CreateObject();

    add_text(o, "route", p->key, "route=\"");
    add_code(o, "code", p);
    add_figures(o, &p->refused, of);
    (void)cJSON_AddNumberToObject(
        o, "since_seconds",
        p->since_ns == 0 ? 0 : (double)(now_ns - p->since_ns) / (double)SECOND_NS);
    return o;
}

/* The whole time that the places of a ring stand for, in seconds. */
static double covered(uint64_t from_ns, uint64_t now_ns, uint64_t n, uint64_t step_s)
{
    const double since = (double)(now_ns - from_ns) / (double)SECOND_NS;
    const uint64_t s = now_ns / SECOND_NS;
    const double most = (double)((n - 1) * step_s + s % step_s);

    return since < most ? since : most;
}

static void add_codes(const struct refusing *r, cJSON *to, uint64_t now_ns)
{
    struct listed list[REFUSING_PAIRS_MAX];
    struct hour all;
    cJSON *codes = cJSON_AddArrayToObject(to, "codes");
    uint32_t n = 0, n_baseless = 0;

    refusing_add_all(r, &all);
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        const struct refusing_pair *p = r->pairs[i];
        const struct hour *of = refusing_base(r, &all, p);
        uint64_t hour = hour_sum(&p->refused);

        if (hour > 0 && of == NULL) {
            n_baseless++; /* its route has no place: of what it is a share, nothing tells */
        } else if (hour > 0) {
            list[n++] = (struct listed){i, call_of(&p->refused, of), p->key, hour};
        }
    }
    sort(list, n);
    for (uint32_t i = 0; i < n && i < LISTED_MAX; i++) {
        const struct refusing_pair *p = r->pairs[list[i].i];

        (void)cJSON_AddItemToArray(codes,
                                   pair_json(p, refusing_base(r, &all, p), now_ns));
    }
    (void)cJSON_AddNumberToObject(to, "more",
                                  (n > LISTED_MAX ? n - LISTED_MAX : 0) + n_baseless +
                                      r->n_unwatched);
}

/* The code of each route that refuses the most, of late if it refuses now. */
static void find_most(const struct refusing *r, const struct refusing_pair **most)
{
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        const struct refusing_pair *p = r->pairs[i], *best;
        const struct refusing_route *route =
            refusing_route_of(r, (struct str){p->key, p->code - 1});
        uint64_t recent = hour_recent(&p->refused);

        if (route == NULL) {
            continue;
        }
        best = most[route - r->routes];
        if (best == NULL || recent > hour_recent(&best->refused) ||
            (recent == hour_recent(&best->refused) &&
             hour_sum(&p->refused) > hour_sum(&best->refused))) {
            most[route - r->routes] = p;
        }
    }
}

static void add_routes(const struct refusing *r, cJSON *to)
{
    struct listed list[REFUSING_ROUTES_MAX];
    const struct refusing_pair *most[REFUSING_ROUTES_MAX] = {NULL};
    cJSON *routes = cJSON_AddArrayToObject(to, "routes");
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_routes; i++) {
        const struct refusing_route *x = &r->routes[i];
        uint64_t hour = hour_sum(&x->refused);

        if (hour > 0 && !refusing_is_nowhere(str_of(x->pair))) {
            list[n++] =
                (struct listed){i, call_of(&x->refused, &x->received), x->pair, hour};
        }
    }
    sort(list, n);
    find_most(r, most);
    for (uint32_t i = 0; i < n && i < LISTED_MAX; i++) {
        const struct refusing_route *route = &r->routes[list[i].i];
        cJSON *o = cJSON_CreateObject();

        add_text(o, "route", route->pair, "route=\"");
        if (r->n_unwatched == 0 && most[list[i].i] != NULL) {
            add_code(o, "most", most[list[i].i]);
        }
        add_figures(o, &route->refused, &route->received);
        (void)cJSON_AddItemToArray(routes, o);
    }
    (void)cJSON_AddNumberToObject(to, "routes_more",
                                  n > LISTED_MAX ? n - LISTED_MAX : 0);
}

cJSON *refusing_json(const struct refusing *r, uint64_t now_ns)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddNumberToObject(
        o, "recent_seconds", covered(r->state_ns, now_ns, HOUR_MOMENTS, HOUR_MOMENT_S));
    (void)cJSON_AddNumberToObject(o, "hour_seconds",
                                  covered(r->began_ns, now_ns, HOUR_MINUTES, 60));
    add_codes(r, o, now_ns);
    add_routes(r, o);
    return o;
}
