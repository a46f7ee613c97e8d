#include "policy/run/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plan/limit.h"
#include "policy/library/library.h"
#include "policy/run/handles.h"
#include "policy/run/internal.h"
#include "policy/run/make.h"
#include "shared/buckets.h"
#include "shared/quota.h"
#include "tables/csv_table.h"

/* One limit for one request. */
struct asked {
    const struct limit_plan *plan;
    const struct held_limit *held;
    enum limit_kind kind;
    struct limit_amount amount;
    struct str key;
    char peer[LIMIT_PEER_BYTES];
    double mono_ms, wall_ms;
};

static struct bucket_rate rate_of(const struct asked *a)
{
    return (struct bucket_rate){a->amount.amount, a->amount.burst};
}

static void look(const struct asked *a, double n, struct limit_view *v)
{
    const struct bucket_rate r = rate_of(a);

    if (a->held->quota != NULL) {
        quota_look(a->held->quota, a->key, n, (uint64_t)a->amount.amount, a->wall_ms,
                   v);
    } else {
        buckets_look(a->held->buckets, a->plan->column.p == NULL ? NULL : &r, a->key, n,
                     a->mono_ms, v);
    }
}

static double take(const struct asked *a, double n)
{
    const struct bucket_rate r = rate_of(a);

    return a->held->quota != NULL
               ? quota_take(a->held->quota, a->key, n, (uint64_t)a->amount.amount,
                            a->wall_ms)
               : buckets_take_at(a->held->buckets,
                                 a->plan->column.p == NULL ? NULL : &r, a->key, n,
                                 a->mono_ms);
}

static void give(const struct asked *a, double n)
{
    const struct bucket_rate r = rate_of(a);

    if (a->kind != LIMIT_AMOUNT) {
        return;
    }
    if (a->held->quota != NULL) {
        quota_give(a->held->quota, a->key, n, a->wall_ms);
    } else {
        buckets_give(a->held->buckets, a->plan->column.p == NULL ? NULL : &r, a->key, n,
                     a->mono_ms);
    }
}

static void count_refused(const struct asked *a)
{
    if (a->held->quota != NULL) {
        quota_count_refused(a->held->quota);
    } else {
        buckets_count_refused(a->held->buckets);
    }
}

/* The limits of the route for the request. */
static uint32_t ask(struct policy_state *s, const struct route *route,
                    const struct policy_request *req,
                    struct asked list[ROUTE_LIMITS_MAX])
{
    const struct plan *plan = s->policy->plan;
    uint32_t n = 0;

    for (uint32_t i = 0; i < route->limits->n; i++) {
        struct asked *a = &list[n];

        a->plan = &plan->limits[route->limits->list[i]];
        a->held = handles_limit(s->handles, route->limits->list[i]);
        if (a->held == NULL) {
            continue; /* while the policy is loaded */
        }
        a->kind = limit_amount(a->plan, req, &a->amount);
        a->key = limit_key(a->plan, route->path, req, a->peer);
        a->mono_ms = req->mono_ms > 0 ? req->mono_ms : req->time_ms;
        a->wall_ms = req->time_ms;
        n++;
    }
    return n;
}

static bool limited(struct refused *no)
{
    no->limited = true;
    return false;
}

static bool refuse_unset(const struct asked *a, const struct policy_request *req,
                         struct refused *no)
{
    count_refused(a);
    if (req->key_rows != NULL && csv_table_damaged(req->key_rows)) {
        (void)make_refuse(no, 503, "Keys unreadable", "keys_unreadable",
                          "the server can't read its keys now; send the request again "
                          "later");
        no->auth = AUTH_UNREADABLE;
        return limited(no);
    }
    if (a->kind == LIMIT_ZERO) {
        (void)snprintf(no->text, sizeof no->text,
                       "the limit %.64s of this key is 0: it may send nothing",
                       a->plan->name);
        (void)make_refuse(no, 403, "Not allowed", "limit_zero", no->text);
        return limited(no);
    }
    (void)snprintf(no->text, sizeof no->text,
                   "the server knows no number for the limit %.64s of this key",
                   a->plan->name);
    (void)make_refuse(no, 403, "Not allowed", "no_limit", no->text);
    return limited(no);
}

static bool refuse_large(const struct asked *a, const struct limit_view *v, uint32_t n,
                         struct refused *no)
{
    (void)snprintf(no->text, sizeof no->text,
                   "%u events at once are more than the limit %.64s ever allows; send "
                   "smaller batches",
                   n, a->plan->name);
    (void)make_refuse(no, 413, "Too many events", "batch_over_limit", no->text);
    no->error.limit = (int64_t)v->limit;
    return limited(no);
}

static bool refuse_over(const struct asked *a, const struct limit_view *v, uint32_t n,
                        struct refused *no)
{
    if (n > 1 && v->left >= 1) {
        (void)snprintf(no->text, sizeof no->text,
                       "%u events, and the limit %.64s has %.0f left; nothing of them "
                       "was taken: send them again later, or fewer",
                       n, a->plan->name, v->left);
    } else {
        (void)snprintf(no->text, sizeof no->text,
                       "more than the limit %.64s allows; send the request again later",
                       a->plan->name);
    }
    (void)make_refuse(no, 429, "Too many requests", "rate_limited", no->text);
    no->wait_ms = v->wait_ms;
    return limited(no);
}

/* Whether n fit into all; each that has no room is counted. What it says of all is kept
 * for the headers. */
static bool fits(struct policy_state *s, const struct policy_request *req,
                 const struct asked *list, uint32_t n_asked, uint32_t n,
                 struct refused *no)
{
    const struct asked *tightest = NULL, *large = NULL;
    struct limit_view over = {0}, least = {0};

    s->n_limited = 0;
    for (uint32_t i = 0; i < n_asked; i++) {
        const struct asked *a = &list[i];
        struct limit_view v;

        if (a->kind == LIMIT_UNSET || a->kind == LIMIT_ZERO) {
            return refuse_unset(a, req, no);
        }
        if (a->kind == LIMIT_UNLIMITED) {
            continue;
        }
        look(a, n, &v);
        s->limited[s->n_limited].name = a->plan->name;
        s->limited[s->n_limited++].view = v;
        if (v.wait_ms >= LIMIT_NEVER && (large == NULL || v.limit < least.limit)) {
            large = a;
            least = v;
        } else if (v.wait_ms > over.wait_ms) {
            tightest = a;
            over = v;
        }
        if (v.wait_ms > 0) {
            count_refused(a);
        }
    }
    if (large != NULL) {
        return refuse_large(large, &least, n, no);
    }
    return tightest == NULL || refuse_over(tightest, &over, n, no);
}

/* After something was taken or given. */
static void look_again(struct policy_state *s, const struct asked *list, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < n && k < s->n_limited; i++) {
        if (list[i].kind == LIMIT_AMOUNT) {
            look(&list[i], 0, &s->limited[k++].view);
        }
    }
}

bool limits_look(struct policy_state *s, const struct route *route,
                 const struct policy_request *req, struct refused *no)
{
    struct asked list[ROUTE_LIMITS_MAX];

    return fits(s, req, list, ask(s, route, req, list), 1, no);
}

bool limits_take(struct policy_state *s, const struct route *route,
                 const struct policy_request *req, uint32_t n, struct refused *no)
{
    struct asked list[ROUTE_LIMITS_MAX];
    uint32_t n_asked = ask(s, route, req, list);

    if (!fits(s, req, list, n_asked, n, no)) {
        return false;
    }
    for (uint32_t i = 0; i < n_asked; i++) {
        double wait_ms = list[i].kind == LIMIT_UNLIMITED ? 0 : take(&list[i], n);

        if (wait_ms > 0) { /* another worker was faster */
            for (uint32_t k = 0; k < i; k++) {
                give(&list[k], n);
            }
            return refuse_over(&list[i], &(struct limit_view){.wait_ms = wait_ms}, n,
                               no);
        }
    }
    if (route->limits->headers != LIMIT_HEADERS_NONE) {
        look_again(s, list, n_asked);
    }
    return true;
}

void limits_give(struct policy_state *s, const struct route *route,
                 const struct policy_request *req, uint32_t n)
{
    struct asked list[ROUTE_LIMITS_MAX];
    uint32_t n_asked = ask(s, route, req, list);

    for (uint32_t i = 0; i < n_asked; i++) {
        give(&list[i], n);
    }
    look_again(s, list, n_asked);
}

/* ---- headers ---- */

/* A name as a string of a structured field (RFC 9651). */
static const char *quoted(const char *name, char out[68])
{
    size_t n = 0;

    for (; name[n] != '\0' && n < 64; n++) {
        char c = name[n];

        out[n] = c;
        if (c < ' ' || c > '~' || c == '"' || c == '\\') {
            out[n] = '_';
        }
    }
    out[n] = '\0';
    return out;
}

static double seconds(double ms)
{
    return ceil(ms / 1000);
}

static void separate(const struct policy_state *s, char *out, size_t room)
{
    const struct limit_view *v = &s->limited[0].view;

    for (uint32_t i = 1; i < s->n_limited; i++) {
        const struct limit_view *x = &s->limited[i].view;

        if (x->wait_ms > v->wait_ms ||
            (x->wait_ms == v->wait_ms && x->left < v->left)) {
            v = x;
        }
    }
    (void)snprintf(out, room,
                   "RateLimit-Limit: %.0f\r\nRateLimit-Remaining: %.0f\r\n"
                   "RateLimit-Reset: %.0f\r\n",
                   v->limit, v->left, seconds(v->reset_ms));
}

static void combined(const struct policy_state *s, char *out, size_t room)
{
    char name[68];
    size_t n = (size_t)snprintf(out, room, "RateLimit-Policy: ");

    for (uint32_t i = 0; i < s->n_limited && n < room; i++) {
        const struct limit_view *v = &s->limited[i].view;

        n += (size_t)snprintf(out + n, room - n, "%s\"%s\";q=%.0f;w=%.0f",
                              i > 0 ? ", " : "", quoted(s->limited[i].name, name),
                              v->limit, ceil(v->window_s));
    }
    n += (size_t)snprintf(out + n, n < room ? room - n : 0, "\r\nRateLimit: ");
    for (uint32_t i = 0; i < s->n_limited && n < room; i++) {
        const struct limit_view *v = &s->limited[i].view;

        n += (size_t)snprintf(out + n, room - n, "%s\"%s\";r=%.0f;t=%.0f",
                              i > 0 ? ", " : "", quoted(s->limited[i].name, name),
                              v->left, seconds(v->reset_ms));
    }
    (void)snprintf(out + n, n < room ? room - n : 0, "\r\n");
}

void limits_lines(const struct policy_state *s, const struct route *route, char *out,
                  size_t room)
{
    size_t n = strlen(out);
    char lines[LIMIT_LINES_BYTES];

    if (route->limits == NULL || route->limits->headers == LIMIT_HEADERS_NONE ||
        s->n_limited == 0) {
        return;
    }
    if (route->limits->headers == LIMIT_HEADERS_SEPARATE) {
        separate(s, lines, sizeof lines);
    } else {
        combined(s, lines, sizeof lines);
    }
    if (n + strlen(lines) < room) {
        memcpy(out + n, lines, strlen(lines) + 1);
    }
}

/* ---- for hooks ---- */

double sluice_take(struct sluice_context *c, int32_t limit, const char *key, size_t n,
                   double tokens)
{
    struct policy_state *s = OUTER(c, struct policy_state, context);
    struct asked a = {.held = handles_limit(s->handles, (uint32_t)limit),
                      .key = {key, n},
                      .mono_ms = s->now_ms};

    if (a.held == NULL || (c->request != NULL && c->request->moved)) {
        return 0;
    }
    a.plan = &s->policy->plan->limits[limit];
    a.wall_ms = c->request == NULL ? s->now_ms : c->request->time_ms;
    a.kind = limit_amount(a.plan, c->request, &a.amount);
    if (a.kind == LIMIT_UNLIMITED) {
        return 0;
    }
    if (a.kind != LIMIT_AMOUNT) {
        count_refused(&a);
        return LIMIT_NEVER;
    }
    if (a.plan->by == LIMIT_BY_PEER) {
        a.key = limit_peer(a.key, a.peer);
    }
    return take(&a, tokens);
}
