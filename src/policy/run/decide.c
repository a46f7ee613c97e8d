#include "policy/run/decide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "decode/envelope.h"
#include "decode/rows.h"
#include "plan/check.h"
#include "plan/enrich.h"
#include "plan/media.h"
#include "plan/others.h"
#include "plan/reply.h"
#include "policy/run/auth.h"
#include "policy/run/internal.h"
#include "policy/run/limits.h"
#include "policy/run/make.h"
#include "policy/run/postback.h"

enum { RETRY_MAX_S = 86400, LARGE_BYTES = 80, ROW_BYTES = 80 };

bool decide_head(struct policy_state *s, struct policy_request *req,
                 struct str content_type, const struct route **route,
                 enum scan_shape *shape, struct refused *no)
{
    struct policy_verdict v = {0};

    no->limited = false;
    *route = plan_route(s->policy->plan, req->listener, req->method, req->path,
                        no->allow, sizeof no->allow);
    if (*route == NULL && no->allow[0] == '\0') {
        return make_refuse(no, 404, "Not found", "unknown_path",
                           "no route of the policy has this path");
    }
    if (*route == NULL) {
        (void)snprintf(no->text, sizeof no->text, "this path accepts %s", no->allow);
        return make_refuse(no, 405, "Method not allowed", "method_not_allowed",
                           no->text);
    }
    no->allow[0] = '\0';
    if (UNLIKELY((*route)->access != NULL) &&
        !networks_allow_text((*route)->access, req->peer)) {
        return make_refuse(no, 403, "Not allowed", "denied_network",
                           "this route takes no requests from the client's network");
    }
    if (UNLIKELY((*route)->auth != NULL) && !policy_authenticate(s, *route, req, no)) {
        return false;
    }
    if (!media_shape(*route, content_type, shape)) {
        return make_refuse(no, 415, "Unsupported media type", "unsupported_type",
                           media_expected(*route));
    }
    if (UNLIKELY((*route)->limits != NULL) && !limits_look(s, *route, req, no)) {
        return false;
    }
    if ((*route)->has_on_request) {
        policy_on_request(s, *route, req, &v);
    }
    if (v.refuse) {
        (void)make_refuse(no, v.status, "Refused by policy", v.code, v.message);
        no->hook_of = s->policy;
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

static bool is_array(struct str body)
{
    size_t i = 0;

    while (i < body.n && (unsigned char)body.p[i] <= ' ') {
        i++;
    }
    return i < body.n && body.p[i] == '[';
}

/* What rows_write has left as it was. It stands elsewhere in the body that was sent. */
static void refuse_rows(const struct row_columns *columns, struct event_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct event *ev = &b->events[i];
        char *text;

        ev->flags |= EVENT_MOVED;
        if (ev->fate != EVENT_REJECT || strcmp(ev->code, "not_an_object") != 0) {
            continue;
        }
        text = arena_alloc(b->arena, ROW_BYTES);
        if (text != NULL) {
            (void)snprintf(text, ROW_BYTES,
                           "expected an array of at most %u values, or an object",
                           columns->n);
            ev->code = "not_a_row";
            ev->message = text;
        }
    }
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

    if (UNLIKELY(shape < SCAN_DATA && body.n >= 3 &&
                 memcmp(body.p, "\xEF\xBB\xBF", 3) == 0)) {
        body.p += 3; /* a byte order mark is skipped (RFC 8259, 8.1) */
        body.n -= 3;
        skipped = 3;
    }
    if (UNLIKELY(shape >= SCAN_DATA)) {
        if (!make_event(s, route, shape, req, &limits, &body, no)) {
            return false;
        }
        shape = route->form_body.n > 0 ? media_json_shape(route) : shape;
    }
    if (UNLIKELY(route->columns != NULL && shape == SCAN_BATCH) &&
        !make_rows(s, route, &limits, b, &body, no)) {
        return false;
    }
    r = LIKELY(route->envelope == NULL) ||
                (shape != SCAN_BATCH && shape != SCAN_VALUES && shape != SCAN_BULK)
            ? scan_body(b, keys, shape, &limits, body.p, body.n, &se)
            : (shape == SCAN_VALUES ? scan_maybe_enveloped : scan_enveloped)(
                  b, keys, route->envelope, &limits, body.p, body.n, &se);
    if (LIKELY(r == SCAN_OK)) {
        if (UNLIKELY(route->postback != NULL) && !req->stored) {
            postback_verify(s, route, &limits, b);
        }
        if (UNLIKELY(route->columns != NULL)) {
            refuse_rows(route->columns, b);
        }
        return true;
    }
    se.at += skipped;
    (void)make_refuse_scan(no, r, &se, &limits);
    if (r == SCAN_INVALID && shape == SCAN_EVENT && is_array(body)) {
        no->error.error = "Not one event";
        no->error.detail = "this route accepts one JSON object; send an array to a "
                           "route with body = \"batch\"";
    }
    return false;
}

/* What the route's own answer needs of the event. */
static void prepare(struct policy_state *s, const struct route *route,
                    struct event_batch *b, const struct policy_request *req,
                    uint32_t *raised)
{
    const struct answer_plan *a = route->answer;
    struct str url = {NULL, 0};

    if (LIKELY(a == NULL || (a->location == NULL && a->fill.n == 0)) ||
        (req != NULL && req->stored)) { /* no client waits for it */
        return;
    }
    if (a->location != NULL && a->location->has_function && b->n == 1 &&
        b->events[0].len > 0) {
        url = policy_location(s, route, b, req, raised);
    }
    reply_prepare(route, b, url);
}

/* A request that can't be read is one refused event where the route answers those as it
 * answers others. False, as read_events has said, where it does not. */
static bool answer_unread(struct policy_state *s, const struct route *route,
                          struct event_batch *b, const struct refused *no)
{
    struct str why;

    if (LIKELY(route->answer == NULL || !route->answer->same_refused)) {
        return false;
    }
    arena_reset(b->arena);
    why = arena_copy(
        b->arena, str_of(no->error.detail == NULL ? no->error.code : no->error.detail));
    b->events[0] =
        (struct event){.fate = EVENT_REJECT, .code = no->error.code, .message = why.p};
    b->body_len = b->n_edits = 0;
    b->sent = NULL;
    b->n = 1;
    b->wait_ms = 0;
    prepare(s, route, b, NULL, NULL);
    return true;
}

/* Too large an event is its own fault. */
static void refuse_large(const struct route *route, struct event_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct event *ev = &b->events[i];
        char *text;

        if (ev->fate != EVENT_ACCEPT || ev->len <= route->max_event) {
            continue;
        }
        text = arena_alloc(b->arena, LARGE_BYTES);
        ev->fate = EVENT_REJECT;
        ev->code = "event_too_large";
        ev->message = "the event is larger than the route allows";
        if (text != NULL) {
            (void)snprintf(text, LARGE_BYTES, "%u bytes, more than the allowed %lu",
                           ev->len, (unsigned long)route->max_event);
            ev->message = text;
        }
    }
}

/* A HEAD is answered as a GET would be, and leaves nothing. */
static void store_nothing(struct event_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->events[i].fate != EVENT_REJECT) {
            b->events[i].fate = EVENT_DROP;
        }
    }
}

bool decide_body(struct policy_state *s, const struct route *route,
                 enum scan_shape shape, const struct policy_request *req,
                 struct str body, struct event_batch *b, const struct decide_meter *m,
                 uint32_t *raised, struct refused *no)
{
    *raised = 0;
    no->limited = false;
    if (UNLIKELY(req->auth == REQUEST_UNSIGNED) && !req->stored &&
        !policy_authenticate_body(s, route, req, body, no)) {
        return false;
    }
    if (!read_events(s, route, shape, req, body, b, no)) {
        return answer_unread(s, route, b, no);
    }
    passed(m, DECIDE_DECODE);
    if (UNLIKELY(route->limits != NULL) && !req->stored &&
        !limits_take(s, route, req, b->n, no)) {
        return false;
    }
    b->stored = req->stored;
    if (UNLIKELY(route->max_event > 0)) {
        refuse_large(route, b);
    }
    if (route->enrichment != NULL && !req->stored &&
        !enrich_events(route, b, req, make_added_max(s))) {
        return make_refuse(
            no, 413, "Too large", "copies_too_large",
            "the values that the route copies into the events are larger, "
            "all together, than a body may be; send fewer events");
    }
    if (route->schema != NULL) {
        if (UNLIKELY(route->schema->others != OTHERS_KEEP)) {
            others_apply(route->schema, b, &s->named);
        }
        check_events(route->schema, b, (int64_t)req->time_ms);
        passed(m, DECIDE_CHECK);
    }
    if (route->has_on_event) {
        policy_on_events(s, route, b, req, raised);
        passed(m, DECIDE_POLICY);
    }
    outcome_keep_refused(route, b);
    prepare(s, route, b, req, raised);
    if (UNLIKELY(shape == SCAN_QUERY) && str_eq(req->method, STR("HEAD"))) {
        store_nothing(b);
    }
    return true;
}
