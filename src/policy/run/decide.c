#include "policy/run/decide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "decode/envelope.h"
#include "plan/check.h"
#include "plan/cloudevent.h"
#include "plan/enrich.h"
#include "plan/media.h"
#include "policy/run/internal.h"

enum { RETRY_MAX_S = 86400 };

static bool refuse(struct refused *no, int status, const char *error, const char *code,
                   const char *detail)
{
    no->status = status;
    no->wait_ms = 0;
    no->error = (struct answer_error){
        .error = error, .code = code, .detail = detail, .offset = -1, .limit = -1};
    return false;
}

static bool refuse_scan(struct refused *no, enum scan_result r,
                        const struct scan_error *se, const struct scan_limits *limits)
{
    no->status = outcome_of_scan(r, &no->error.code);
    no->wait_ms = 0;
    no->error.error = r == SCAN_INVALID    ? "Invalid JSON"
                      : r == SCAN_TOO_MANY ? "Too many events"
                      : r == SCAN_TOO_WIDE ? "Too many keys"
                      : r == SCAN_TOO_LONG ? "Too large"
                                           : "Nested too deep";
    no->error.detail = se->detail;
    no->error.offset = (int64_t)se->at;
    no->error.limit = r == SCAN_TOO_MANY   ? (int64_t)limits->max_events
                      : r == SCAN_TOO_DEEP ? (int64_t)limits->max_depth
                      : r == SCAN_TOO_WIDE ? SCAN_KEYS_MAX
                      : r == SCAN_TOO_LONG ? SCAN_BODY_MAX - 1
                                           : -1;
    return false;
}

bool decide_head(struct policy_state *s, const struct policy_request *req,
                 struct str content_type, const struct route **route,
                 enum scan_shape *shape, struct refused *no)
{
    struct policy_verdict v = {0};

    *route = plan_route(s->policy->plan, req->method, req->path, no->allow,
                        sizeof no->allow);
    if (*route == NULL && no->allow[0] == '\0') {
        return refuse(no, 404, "Not found", "unknown_path",
                      "no route of the policy has this path");
    }
    if (*route == NULL) {
        (void)snprintf(no->text, sizeof no->text, "this path accepts %s", no->allow);
        return refuse(no, 405, "Method not allowed", "method_not_allowed", no->text);
    }
    no->allow[0] = '\0';
    if (!media_shape(*route, content_type, shape)) {
        return refuse(no, 415, "Unsupported media type", "unsupported_type",
                      media_expected(*route));
    }
    if ((*route)->has_on_request) {
        policy_on_request(s, *route, req, &v);
    }
    if (v.refuse) {
        (void)refuse(no, v.status, "Refused by policy", v.code, v.message);
        no->wait_ms = v.wait_ms;
    }
    return !v.refuse;
}

uint32_t decide_retry_s(double wait_ms)
{
    double s = ceil(wait_ms / 1000);

    return s < 1 ? 1 : s > RETRY_MAX_S ? RETRY_MAX_S : (uint32_t)s;
}

static void passed(const struct decide_meter *m, enum decide_stage stage)
{
    if (m != NULL) {
        m->passed(m->arg, stage);
    }
}

/* The most bytes that may be added to a request's events: as much again as a body, so
 * that its block fits into a segment, which has room for four. */
static uint64_t added_max(const struct policy_state *s)
{
    const uint64_t least = 1 << 20, body = s->policy->plan->server.max_body;

    return body > least ? body : least;
}

/* A CloudEvent in binary mode, as the structured one that it stands for. False:
 * *no tells. */
static bool make_event(struct policy_state *s, const struct policy_request *req,
                       const struct scan_limits *limits, struct str *body,
                       struct refused *no)
{
    enum cloudevent_data kind = cloudevent_data(req, *body);
    size_t bound = cloudevent_bound(req, *body, kind) + SCAN_PAD;
    struct scan_error se;
    enum scan_result r;
    const char *why;

    if (kind == CLOUDEVENT_JSON) {
        r = scan_value(limits, body->p, body->n, &se);
        if (r != SCAN_OK) {
            return refuse_scan(no, r, &se, limits);
        }
    }
    if (bound > s->policy->plan->server.max_body + added_max(s)) {
        return refuse(no, 413, "Too large", "too_large",
                      "written as JSON, the data is more than twice as large as a "
                      "body may be");
    }
    if (bound > s->made_room) {
        s->made_room = bound;
        s->made = mem_realloc(s->made, bound);
    }
    body->n = cloudevent_write(req, *body, kind, s->made, &why);
    body->p = s->made;
    if (body->n == 0) {
        return refuse(no, 400, "Not a CloudEvent", "not_a_cloudevent", why);
    }
    memset(s->made + body->n, 0, SCAN_PAD);
    return true;
}

static bool is_array(struct str body)
{
    size_t i = 0;

    while (i < body.n && (unsigned char)body.p[i] <= ' ') {
        i++;
    }
    return i < body.n && body.p[i] == '[';
}

static bool read_events(struct policy_state *s, const struct route *route,
                        enum scan_shape shape, const struct policy_request *req,
                        struct str body, struct event_batch *b, struct refused *no)
{
    const struct server_plan *sp = &s->policy->plan->server;
    const struct scan_keys *keys = route->schema == NULL ? NULL : route->schema->keys;
    struct scan_limits limits = {sp->max_events, sp->max_depth};
    struct scan_error se;
    enum scan_result r;
    size_t skipped = 0;

    if (UNLIKELY(shape != SCAN_DATA && body.n >= 3 &&
                 memcmp(body.p, "\xEF\xBB\xBF", 3) == 0)) {
        body.p += 3; /* a byte order mark is skipped (RFC 8259, 8.1) */
        body.n -= 3;
        skipped = 3;
    }
    if (UNLIKELY(shape == SCAN_DATA) && !make_event(s, req, &limits, &body, no)) {
        return false;
    }
    r = UNLIKELY(route->envelope != NULL && shape == SCAN_BATCH)
            ? scan_enveloped(b, keys, route->envelope, &limits, body.p, body.n, &se)
            : scan_body(b, keys, shape, &limits, body.p, body.n, &se);
    if (LIKELY(r == SCAN_OK)) {
        return true;
    }
    se.at += skipped;
    (void)refuse_scan(no, r, &se, &limits);
    if (r == SCAN_INVALID && shape == SCAN_EVENT && is_array(body)) {
        no->error.error = "Not one event";
        no->error.detail = "this route accepts one JSON object; send an array to a "
                           "route with body = \"batch\"";
    }
    return false;
}

bool decide_body(struct policy_state *s, const struct route *route,
                 enum scan_shape shape, const struct policy_request *req,
                 struct str body, struct event_batch *b, const struct decide_meter *m,
                 uint32_t *raised, struct refused *no)
{
    *raised = 0;
    if (!read_events(s, route, shape, req, body, b, no)) {
        return false;
    }
    passed(m, DECIDE_DECODE);
    if (route->enrichment != NULL && !req->stored &&
        !enrich_events(route, b, req, added_max(s))) {
        return refuse(no, 413, "Too large", "copies_too_large",
                      "the values that the route copies into the events are larger, "
                      "all together, than a body may be; send fewer events");
    }
    if (route->schema != NULL) {
        check_events(route->schema, b, (int64_t)req->time_ms);
        passed(m, DECIDE_CHECK);
    }
    if (route->has_on_event) {
        policy_on_events(s, route, b, req, raised);
        passed(m, DECIDE_POLICY);
    }
    outcome_keep_refused(route, b);
    return true;
}
