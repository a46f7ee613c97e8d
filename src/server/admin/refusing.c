#include "server/admin/refusing.h"

#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/admin/hour.h"
#include "server/admin/refusing_seen.h"
#include "stats/stats.h"

/* Looks are at least a second apart. */
static const uint64_t SECOND_NS = 1000000000u, BREAK_NS = 300000000000u;
static const double SOME = .01; /* a smaller share is no refusing that lasts */

static void on_time(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    refusing_look(OUTER(t, struct refusing, timer), clock_mono_ns());
}

struct refusing *refusing_new(struct ev_loop *loop, refusing_state_fn *state,
                              const void *arg)
{
    struct refusing *r = mem_zalloc(sizeof *r);

    r->loop = loop;
    r->state_of = state;
    r->arg = arg;
    ev_timer_init(&r->timer, on_time, 0., (double)HOUR_MOMENT_S);
    ev_timer_start(loop, &r->timer);
    return r;
}

void refusing_free(struct refusing *r)
{
    if (r == NULL) {
        return;
    }
    ev_timer_stop(r->loop, &r->timer);
    for (uint32_t i = 0; i < r->n_routes; i++) {
        free(r->routes[i].pair);
    }
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        free(r->pairs[i]->key);
        free(r->pairs[i]);
    }
    free(r->routes);
    free(r->pairs);
    free(r);
}

/* ---- one look ---- */

static uint32_t *route_place_of(struct refusing *r, struct str pair)
{
    const uint64_t hash = str_hash(STR_HASH, pair);

    return &r->route_places[(hash ^ hash >> 32) % REFUSING_PLACES];
}

struct refusing_route *refusing_route_of(const struct refusing *r, struct str pair)
{
    const uint64_t hash = str_hash(STR_HASH, pair);
    uint32_t i = r->route_places[(hash ^ hash >> 32) % REFUSING_PLACES];

    while (i != 0 && !str_eq(str_of(r->routes[i - 1].pair), pair)) {
        i = r->routes[i - 1].next;
    }
    return i == 0 ? NULL : &r->routes[i - 1];
}

/* NULL: there are too many. */
static struct refusing_route *route_or_new(struct refusing *r, struct str pair)
{
    struct refusing_route *route = refusing_route_of(r, pair);
    uint32_t *place;

    if (route != NULL || r->n_routes == REFUSING_ROUTES_MAX) {
        r->n_unplaced += route == NULL;
        return route;
    }
    if ((r->n_routes & (r->n_routes - 1)) == 0) {
        r->routes =
            mem_realloc(r->routes, (2 * (size_t)r->n_routes + 1) * sizeof *r->routes);
    }
    place = route_place_of(r, pair);
    route = &r->routes[r->n_routes++];
    *route =
        (struct refusing_route){.pair = mem_strndup(pair.p, pair.n), .next = *place};
    *place = r->n_routes;
    return route;
}

static uint32_t *place_of(struct refusing *r, struct str route, struct str code)
{
    const uint64_t hash = str_hash(str_hash(STR_HASH, route), code);

    return &r->places[(hash ^ hash >> 32) % REFUSING_PLACES];
}

static struct refusing_pair *pair_of(struct refusing *r, struct str route,
                                     struct str code)
{
    uint32_t *place = place_of(r, route, code);
    struct refusing_pair *p;

    for (uint32_t i = *place; i != 0; i = p->next) {
        p = r->pairs[i - 1];
        if (strlen(p->key) == route.n + 1 + code.n &&
            memcmp(p->key, route.p, route.n) == 0 &&
            memcmp(p->key + p->code, code.p, code.n) == 0) {
            return p;
        }
    }
    if (r->n_pairs == REFUSING_PAIRS_MAX) {
        return NULL;
    }
    if ((r->n_pairs & (r->n_pairs - 1)) == 0) {
        r->pairs =
            mem_realloc(r->pairs, (2 * (size_t)r->n_pairs + 1) * sizeof *r->pairs);
    }
    p = mem_zalloc(sizeof *p);
    p->key = mem_alloc(route.n + code.n + 2);
    memcpy(p->key, route.p, route.n);
    p->key[route.n] = ',';
    memcpy(p->key + route.n + 1, code.p, code.n + 1); /* with its NUL */
    p->code = route.n + 1;
    p->next = *place;
    r->pairs[r->n_pairs++] = p;
    *place = r->n_pairs;
    return p;
}

static void see_received(struct refusing *r, const struct stats_series *x)
{
    struct refusing_route *route = route_or_new(r, str_of(x->labels));

    if (route != NULL) {
        hour_count(&route->received, x->value);
    }
}

/* route="POST /e",result="rejected",code="x". In a label's value a quotation mark has a
 * backslash before it: no name of a route holds the words for a result. */
static void see_result(struct refusing *r, const struct stats_series *x)
{
    static const char *const results[] = {",result=\"rejected\",",
                                          ",result=\"refused\","};

    for (size_t i = 0; i < N_ELEMS(results); i++) {
        const char *at = strstr(x->labels, results[i]);
        struct str name = {x->labels, at == NULL ? 0 : (size_t)(at - x->labels)};
        struct refusing_route *route;
        struct refusing_pair *p;

        if (at == NULL) {
            continue;
        }
        route = route_or_new(r, name);
        if (route != NULL) {
            hour_count(&route->refused, x->value);
        }
        p = pair_of(r, name, str_of(at + strlen(results[i])));
        if (p == NULL) {
            r->n_unwatched++;
        } else {
            hour_count(&p->refused, x->value);
        }
        return;
    }
}

static void see(void *arg, const struct stats_series *x)
{
    if (x->value == 0 || x->total) { /* a total grows by what was counted long before */
        return;
    }
    if (strcmp(x->name, "sluice_received_events_total") == 0) {
        see_received(arg, x);
    } else if (strcmp(x->name, "sluice_events_total") == 0) {
        see_result(arg, x);
    }
}

bool refusing_is_nowhere(struct str route)
{
    return str_eq(route, STR("route=\"none\""));
}

const struct hour *refusing_base(const struct refusing *r, const struct hour *all,
                                 const struct refusing_pair *p)
{
    struct str name = {p->key, p->code - 1};
    const struct refusing_route *route;

    if (refusing_is_nowhere(name)) {
        return all;
    }
    route = refusing_route_of(r, name);
    return route == NULL ? NULL : &route->received;
}

void refusing_add_all(const struct refusing *r, struct hour *all)
{
    *all = (struct hour){0};
    for (uint32_t i = 0; i < r->n_routes; i++) {
        hour_add(all, &r->routes[i].received);
    }
}

static void follow(struct refusing_pair *p, const struct hour *of, uint64_t now_ns)
{
    if (p->refused.more > 0 && of != NULL &&
        p->refused.more >= SOME * (double)of->more) {
        p->since_ns = p->since_ns == 0 ? now_ns : p->since_ns;
        p->last_ns = now_ns;
    } else if (now_ns - p->last_ns > BREAK_NS) {
        p->since_ns = 0;
    }
}

static void forget_routes(struct refusing *r)
{
    uint32_t n = 0, *place;

    memset(r->route_places, 0, sizeof r->route_places);
    for (uint32_t i = 0; i < r->n_routes; i++) {
        struct refusing_route *route = &r->routes[i];

        if (hour_is_over(&route->received) && hour_is_over(&route->refused)) {
            free(route->pair);
            continue;
        }
        place = route_place_of(r, str_of(route->pair));
        route->next = *place;
        r->routes[n++] = *route;
        *place = n;
    }
    r->n_routes = n;
}

static void forget_pairs(struct refusing *r)
{
    uint32_t n = 0, *place;

    memset(r->places, 0, sizeof r->places);
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        struct refusing_pair *p = r->pairs[i];

        if (hour_is_over(&p->refused)) {
            free(p->key);
            free(p);
            continue;
        }
        place =
            place_of(r, (struct str){p->key, p->code - 1}, str_of(p->key + p->code));
        p->next = *place;
        r->pairs[n++] = p;
        *place = n;
    }
    r->n_pairs = n;
}

/* Reloads rename routes: those that are full make room for others. */
static void make_room(struct refusing *r)
{
    if (r->n_routes == REFUSING_ROUTES_MAX) {
        forget_routes(r);
    }
    if (r->n_pairs == REFUSING_PAIRS_MAX) {
        forget_pairs(r);
    }
}

static void see_all(struct refusing *r)
{
    const uint32_t n_routes = r->n_routes, n_pairs = r->n_pairs;
    const bool routes_waited = r->n_unplaced > 0, pairs_waited = r->n_unwatched > 0;

    r->n_unwatched = r->n_unplaced = 0;
    stats_each(see, r);
    /* One that had no place until now may have counted for days. */
    for (uint32_t i = n_routes; routes_waited && i < r->n_routes; i++) {
        hour_begin(&r->routes[i].received);
        hour_begin(&r->routes[i].refused);
    }
    for (uint32_t i = n_pairs; pairs_waited && i < r->n_pairs; i++) {
        hour_begin(&r->pairs[i]->refused);
    }
}

void refusing_look(struct refusing *r, uint64_t now_ns)
{
    const uint64_t state = r->state_of(r->arg), s = now_ns / SECOND_NS,
                   from_s = r->look_ns / SECOND_NS;
    const bool other = r->state != state;
    struct hour all;

    if (r->look_ns == 0) {
        r->began_ns = r->look_ns = r->state_ns = now_ns;
        r->state = state;
        return;
    }
    if (!other && now_ns - r->look_ns < SECOND_NS) {
        return;
    }
    see_all(r);
    for (uint32_t i = 0; i < r->n_routes; i++) {
        hour_take(&r->routes[i].received, from_s, s, other);
        hour_take(&r->routes[i].refused, from_s, s, other);
    }
    refusing_add_all(r, &all);
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        hour_take(&r->pairs[i]->refused, from_s, s, other);
        follow(r->pairs[i], refusing_base(r, &all, r->pairs[i]), now_ns);
    }
    make_room(r);
    r->state_ns = other ? now_ns : r->state_ns;
    r->state = state;
    r->look_ns = now_ns;
}
