#include "server/admin/refusing.h"

#include <cjson/cJSON.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/admin/totals.h"
#include "stats/stats.h"

/* Looks are at least a second apart. */
enum { PAIRS_MAX = 1024, ROUTES_MAX = 1100, PLACES = 4096, LISTED_MAX = 50 };
enum {
    MINUTES = 60,
    MOMENTS = 30,
    MOMENT_S = 10,
    ROUTE_BYTES = 1200,
    CODE_BYTES = 256
};
static const uint64_t SECOND_NS = 1000000000u, BREAK_NS = 300000000000u;
static const double SOME = .01; /* a smaller share is no refusing that lasts */

/* A count by its time: whole minutes of the last hour, and moments of the last 5 minutes. */
struct count {
    uint64_t seen, sum; /* of all cells at the last look, and at this one */
    uint32_t more;      /* between the two */
    uint32_t minutes[MINUTES], moments[MOMENTS];
};

struct route {
    char *pair; /* route="POST /e" */
    struct count received;
};

struct pair {
    char *key;   /* the route's pair, a comma, and code="x" */
    size_t code; /* where that begins */
    uint32_t next;
    uint64_t since_ns, last_ns; /* it refuses SOME or more; 0: it does not */
    struct count refused;
};

struct refusing {
    struct ev_loop *loop;
    ev_timer timer;
    refusing_state_fn *state_of;
    const void *arg;
    uint64_t began_ns, look_ns, state_ns, state;
    struct route *routes;
    struct pair **pairs;
    uint32_t n_routes, n_pairs, n_unwatched;
    uint32_t places[PLACES]; /* 1 + the first pair of each hash; 0: none */
};

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
    ev_timer_init(&r->timer, on_time, 0., (double)MOMENT_S);
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

static struct route *route_of(struct refusing *r, struct str pair)
{
    for (uint32_t i = 0; i < r->n_routes; i++) {
        if (str_eq(str_of(r->routes[i].pair), pair)) {
            return &r->routes[i];
        }
    }
    return NULL;
}

static void see_received(struct refusing *r, const struct stats_series *x)
{
    struct route *route = route_of(r, str_of(x->labels));

    if (route == NULL && r->n_routes < ROUTES_MAX) {
        if ((r->n_routes & (r->n_routes - 1)) == 0) {
            r->routes = mem_realloc(r->routes,
                                    (2 * (size_t)r->n_routes + 1) * sizeof *r->routes);
        }
        route = &r->routes[r->n_routes++];
        *route = (struct route){.pair = mem_strdup(x->labels)};
    }
    if (route != NULL) {
        route->received.sum += x->value;
    }
}

static uint32_t *place_of(struct refusing *r, struct str route, struct str code)
{
    const uint64_t hash = str_hash(str_hash(STR_HASH, route), code);

    return &r->places[(hash ^ hash >> 32) % PLACES];
}

static struct pair *pair_of(struct refusing *r, struct str route, struct str code)
{
    uint32_t *place = place_of(r, route, code);
    struct pair *p;

    for (uint32_t i = *place; i != 0; i = p->next) {
        p = r->pairs[i - 1];
        if (strlen(p->key) == route.n + 1 + code.n &&
            memcmp(p->key, route.p, route.n) == 0 &&
            memcmp(p->key + p->code, code.p, code.n) == 0) {
            return p;
        }
    }
    if (r->n_pairs == PAIRS_MAX) {
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

/* route="POST /e",result="rejected",code="x". In a label's value a quotation mark has a
 * backslash before it: no name of a route holds the words for a result. */
static void see_result(struct refusing *r, const struct stats_series *x)
{
    static const char *const results[] = {",result=\"rejected\",",
                                          ",result=\"refused\","};

    for (size_t i = 0; i < N_ELEMS(results); i++) {
        const char *at = strstr(x->labels, results[i]);
        struct pair *p;

        if (at == NULL) {
            continue;
        }
        p = pair_of(r, (struct str){x->labels, (size_t)(at - x->labels)},
                    str_of(at + strlen(results[i])));
        if (p == NULL) {
            r->n_unwatched++;
        } else {
            p->refused.sum += x->value;
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

static uint64_t sum_of(const uint32_t *list, int n)
{
    uint64_t sum = 0;

    for (int i = 0; i < n; i++) {
        sum += list[i];
    }
    return sum;
}

/* The places of the times since the last look begin at 0; from: of that look, 0: none. */
static void turn(uint32_t *ring, uint64_t n, uint64_t from, uint64_t now)
{
    uint64_t steps = now - from < n ? now - from : n;

    for (uint64_t i = 0; i < steps; i++) {
        ring[(now - i) % n] = 0;
    }
}

static void take(struct count *c, uint64_t from_ns, uint64_t now_ns, bool other)
{
    const uint64_t s = now_ns / SECOND_NS, from = from_ns / SECOND_NS;

    turn(c->minutes, MINUTES, from / 60, s / 60);
    turn(c->moments, MOMENTS, from / MOMENT_S, s / MOMENT_S);
    if (other) {
        memset(c->moments, 0, sizeof c->moments);
    }
    c->more = (uint32_t)(c->sum > c->seen ? c->sum - c->seen : 0);
    c->minutes[s / 60 % MINUTES] += c->more;
    c->moments[s / MOMENT_S % MOMENTS] += other ? 0 : c->more;
    c->seen = c->sum;
    c->sum = 0;
}

/* What the shares of a code are of: the route's events; outside of all routes, where
 * everything is refused, those of the server. */
static const struct count *base_of(const struct refusing *r, const struct count *all,
                                   const struct pair *p)
{
    struct str route = {p->key, p->code - 1};

    if (str_eq(route, STR("route=\"none\""))) {
        return all;
    }
    for (uint32_t i = 0; i < r->n_routes; i++) {
        if (str_eq(str_of(r->routes[i].pair), route)) {
            return &r->routes[i].received;
        }
    }
    return NULL;
}

static void add_all(const struct refusing *r, struct count *all)
{
    *all = (struct count){0};
    for (uint32_t i = 0; i < r->n_routes; i++) {
        const struct count *c = &r->routes[i].received;

        all->more += c->more;
        for (int k = 0; k < MINUTES; k++) {
            all->minutes[k] += c->minutes[k];
        }
        for (int k = 0; k < MOMENTS; k++) {
            all->moments[k] += c->moments[k];
        }
    }
}

static void follow(struct pair *p, const struct count *of, uint64_t now_ns)
{
    if (p->refused.more > 0 && of != NULL &&
        p->refused.more >= SOME * (double)of->more) {
        p->since_ns = p->since_ns == 0 ? now_ns : p->since_ns;
        p->last_ns = now_ns;
    } else if (now_ns - p->last_ns > BREAK_NS) {
        p->since_ns = 0;
    }
}

/* Its series are gone, and the last hour has nothing of it. */
static bool is_over(const struct count *c)
{
    return c->seen == 0 && sum_of(c->minutes, MINUTES) == 0;
}

static void forget_routes(struct refusing *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_routes; i++) {
        if (is_over(&r->routes[i].received)) {
            free(r->routes[i].pair);
        } else {
            r->routes[n++] = r->routes[i];
        }
    }
    r->n_routes = n;
}

static void forget_pairs(struct refusing *r)
{
    uint32_t n = 0, *place;

    memset(r->places, 0, sizeof r->places);
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        struct pair *p = r->pairs[i];

        if (is_over(&p->refused)) {
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
    if (r->n_routes == ROUTES_MAX) {
        forget_routes(r);
    }
    if (r->n_pairs == PAIRS_MAX) {
        forget_pairs(r);
    }
}

void refusing_look(struct refusing *r, uint64_t now_ns)
{
    uint64_t state = r->state_of(r->arg);
    bool other = r->state != state;
    struct count all;

    if (r->look_ns == 0) {
        r->began_ns = r->look_ns = r->state_ns = now_ns;
        r->state = state;
        return;
    }
    if (!other && now_ns - r->look_ns < SECOND_NS) {
        return;
    }
    r->n_unwatched = 0;
    stats_each(see, r);
    for (uint32_t i = 0; i < r->n_routes; i++) {
        take(&r->routes[i].received, r->look_ns, now_ns, other);
    }
    add_all(r, &all);
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        take(&r->pairs[i]->refused, r->look_ns, now_ns, other);
        follow(r->pairs[i], base_of(r, &all, r->pairs[i]), now_ns);
    }
    make_room(r);
    r->state_ns = other ? now_ns : r->state_ns;
    r->state = state;
    r->look_ns = now_ns;
}

/* ---- what it has seen ---- */

struct listed {
    const struct pair *pair;
    uint64_t hour;
};

static int by_events(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    return x->hour > y->hour   ? -1
           : x->hour < y->hour ? 1
                               : strcmp(x->pair->key, y->pair->key);
}

static cJSON *pair_json(const struct listed *x, const struct count *of, uint64_t now_ns)
{
    const struct pair *p = x->pair;
    const char *at = p->key;
    char route[ROUTE_BYTES], code[CODE_BYTES];
    cJSON *o = cJSON_CreateObject();

    totals_label(&at, "route=\"", route, sizeof route);
    totals_label(&at, "code=\"", code, sizeof code);
    (void)cJSON_AddStringToObject(o, "route", route);
    (void)cJSON_AddStringToObject(o, "code", code[0] == '\0' ? "batch_refused" : code);
    (void)cJSON_AddNumberToObject(o, "recent",
                                  (double)sum_of(p->refused.moments, MOMENTS));
    (void)cJSON_AddNumberToObject(
        o, "recent_received", of == NULL ? 0 : (double)sum_of(of->moments, MOMENTS));
    (void)cJSON_AddNumberToObject(o, "hour", (double)x->hour);
    (void)cJSON_AddNumberToObject(
        o, "hour_received", of == NULL ? 0 : (double)sum_of(of->minutes, MINUTES));
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

cJSON *refusing_json(const struct refusing *r, uint64_t now_ns)
{
    struct listed list[PAIRS_MAX];
    struct count all;
    cJSON *o = cJSON_CreateObject(), *codes;
    uint32_t n = 0;

    (void)cJSON_AddNumberToObject(o, "recent_seconds",
                                  covered(r->state_ns, now_ns, MOMENTS, MOMENT_S));
    (void)cJSON_AddNumberToObject(o, "hour_seconds",
                                  covered(r->began_ns, now_ns, MINUTES, 60));
    codes = cJSON_AddArrayToObject(o, "codes");
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        uint64_t hour = sum_of(r->pairs[i]->refused.minutes, MINUTES);

        if (hour > 0) {
            list[n++] = (struct listed){r->pairs[i], hour};
        }
    }
    if (n > 1) {
        qsort(list, n, sizeof *list, by_events);
    }
    add_all(r, &all);
    for (uint32_t i = 0; i < n && i < LISTED_MAX; i++) {
        const struct count *of = base_of(r, &all, list[i].pair);

        (void)cJSON_AddItemToArray(codes, pair_json(&list[i], of, now_ns));
    }
    (void)cJSON_AddNumberToObject(
        o, "more", (n > LISTED_MAX ? n - LISTED_MAX : 0) + r->n_unwatched);
    return o;
}
