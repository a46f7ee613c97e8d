#include "policy/run/make.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/text.h"
#include "decode/multipart.h"
#include "decode/query.h"
#include "decode/rows.h"
#include "decode/walk.h"
#include "plan/auth.h"
#include "plan/cloudevent.h"
#include "policy/run/internal.h"

enum { SHOWN_BYTES = 60 };

bool make_refuse(struct refused *no, int status, const char *error, const char *code,
                 const char *detail)
{
    no->status = status;
    no->wait_ms = 0;
    no->hook_of = NULL;
    no->auth = AUTH_OK;
    no->challenge = NULL;
    no->error = (struct answer_error){
        .error = error, .code = code, .detail = detail, .offset = -1, .limit = -1};
    return false;
}

bool make_refuse_scan(struct refused *no, enum scan_result r,
                      const struct scan_error *se, const struct scan_limits *limits)
{
    no->status = outcome_of_scan(r, &no->error.code);
    no->wait_ms = 0;
    no->hook_of = NULL;
    no->auth = AUTH_OK;
    no->challenge = NULL;
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

uint64_t make_added_max(const struct policy_state *s)
{
    const uint64_t least = 1 << 20, body = s->policy->plan->server.max_body;

    return body > least ? body : least;
}

/* A CloudEvent in binary mode, as the structured one that it stands for. False:
 * *no tells. */
static bool make_cloudevent(struct policy_state *s, const struct policy_request *req,
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
            return make_refuse_scan(no, r, &se, limits);
        }
    }
    if (bound > s->policy->plan->server.max_body + make_added_max(s)) {
        return make_refuse(no, 413, "Too large", "too_large",
                           "written as JSON, the data is more than twice as large as a "
                           "body may be");
    }
    if (bound > s->made.n) {
        s->made.n = bound;
        s->made.p = mem_realloc(s->made.p, bound);
    }
    body->n = cloudevent_write(req, *body, kind, s->made.p, &why);
    body->p = s->made.p;
    if (body->n == 0) {
        return make_refuse(no, 400, "Not a CloudEvent", "not_a_cloudevent", why);
    }
    memset(s->made.p + body->n, 0, SCAN_PAD);
    return true;
}

/* A query or a form of which a parameter can't be read. */
static bool refuse_param(struct refused *no, const char *error, const char *code,
                         const struct params_error *e, const char *detail)
{
    if (e->name.p == NULL) {
        (void)snprintf(no->text, sizeof no->text, "%s", detail);
    } else {
        (void)snprintf(no->text, sizeof no->text, "parameter \"%.*s\": %s",
                       (int)text_cut(e->name, SHOWN_BYTES), e->name.p, detail);
    }
    (void)make_refuse(no, 400, error, code, no->text);
    no->error.offset = (int64_t)e->at;
    return false;
}

static bool refuse_params(struct refused *no, enum params_result r,
                          enum scan_shape shape, const struct params_error *e)
{
    switch (r) {
    case PARAMS_TOO_MANY:
        (void)make_refuse(no, 413, "Too many parameters", "too_many_parameters", NULL);
        no->error.offset = (int64_t)e->at;
        no->error.limit = PARAMS_MAX;
        return false;
    case PARAMS_TOO_LARGE:
        return make_refuse(no, 413, "Too large", "too_large",
                           "written as JSON, the parameters are more than twice as "
                           "large as a body may be");
    case PARAMS_FILE:
        return refuse_param(
            no, "No files", "file_refused", e,
            "this route accepts no files, only fields without filename");
    case PARAMS_INVALID:
    case PARAMS_OK:
        break;
    }
    return shape == SCAN_QUERY
               ? refuse_param(no, "Invalid query", "invalid_query", e, e->detail)
               : refuse_param(no, "Invalid form", "invalid_form", e, e->detail);
}

/* The query that the event is made of. */
static struct str query_of(struct policy_state *s, const struct route *route,
                           const struct policy_request *req)
{
    if (LIKELY(!auth_in_query(route->auth))) {
        return req->query;
    }
    if (req->query.n > s->part_room) {
        s->part_room = req->query.n;
        s->part = mem_realloc(s->part, s->part_room);
    }
    return auth_without_keys(route->auth, req->query, s->part);
}

/* *body to the value of the form's field that holds the route's body. */
static bool take_field(const struct route *route, struct str *body, struct refused *no)
{
    struct str found = {NULL, 0};
    struct member m;
    struct walk w;

    walk_start(&w, *body);
    while (walk_next(&w, &m)) {
        if (!walk_is(&m, route->form_body)) {
            continue;
        }
        if (found.p != NULL) {
            return make_refuse(no, 400, "Invalid form", "invalid_form",
                               "the field that holds the events comes more than once");
        }
        found = m.value;
    }
    *body = found;
    return found.p != NULL ||
           make_refuse(no, 400, "Invalid form", "invalid_form",
                       "the form lacks the field that holds the events");
}

static bool make_params(struct policy_state *s, const struct route *route,
                        enum scan_shape shape, const struct policy_request *req,
                        const struct scan_limits *limits, struct str *body,
                        struct refused *no)
{
    size_t most = s->policy->plan->server.max_body + make_added_max(s);
    struct params_error e;
    enum params_result r;
    struct str boundary;
    char room[BOUNDARY_MAX];

    if (shape == SCAN_QUERY && body->n > 0) {
        return make_refuse(no, 400, "Unexpected body", "unexpected_body",
                           "this route reads the query; send no body");
    }
    if (shape == SCAN_MULTIPART) {
        boundary = multipart_boundary(
            request_raw(req, "", REQUEST_HEADER, STR("content-type")), room);
        if (boundary.n == 0) {
            return make_refuse(no, 400, "Invalid form", "invalid_form",
                               "expected a boundary of 1 to 70 characters in "
                               "Content-Type");
        }
        r = multipart_write(route->params, limits, boundary, *body, most, &s->made,
                            body, &e);
    } else {
        r = query_write(route->params, limits,
                        shape == SCAN_QUERY ? query_of(s, route, req) : *body, most,
                        &s->made, body, &e);
    }
    if (r != PARAMS_OK) {
        return refuse_params(no, r, shape, &e);
    }
    return route->form_body.n == 0 || take_field(route, body, no);
}

bool make_event(struct policy_state *s, const struct route *route,
                enum scan_shape shape, const struct policy_request *req,
                const struct scan_limits *limits, struct str *body, struct refused *no)
{
    return shape == SCAN_DATA ? make_cloudevent(s, req, limits, body, no)
                              : make_params(s, route, shape, req, limits, body, no);
}

bool make_rows(struct policy_state *s, const struct route *route,
               const struct scan_limits *limits, struct event_batch *b,
               struct str *body, struct refused *no)
{
    size_t most = s->policy->plan->server.max_body + make_added_max(s);
    struct scan_error se;
    enum scan_result r = rows_write(route->columns, route->envelope, limits, *body,
                                    most, &s->made, b, body, &se);

    if (r == SCAN_TOO_LONG) {
        return make_refuse(no, 413, "Too large", "too_large", se.detail);
    }
    return r == SCAN_OK || make_refuse_scan(no, r, &se, limits);
}
