#include "policy/decide.h"

#include "plan/check.h"
#include "plan/media.h"
#include "policy/state.h"

static bool refuse(struct refused *no, int status, const char *error,
                   const char *code, const char *detail)
{
    no->status = status;
    no->error = (struct answer_error){.error = error,
                                      .code = code,
                                      .detail = detail,
                                      .offset = -1,
                                      .limit = -1};
    return false;
}

static bool refuse_scan(struct refused *no, enum scan_result r,
                        const struct scan_error *se,
                        const struct scan_limits *limits)
{
    no->status = outcome_of_scan(r, &no->error.code);
    no->error.error = r == SCAN_INVALID    ? "Invalid JSON"
                      : r == SCAN_TOO_MANY ? "Too many events"
                                           : "Nested too deep";
    no->error.detail = se->detail;
    no->error.offset = (int64_t)se->at;
    no->error.limit = r == SCAN_TOO_MANY   ? (int64_t)limits->max_events
                      : r == SCAN_TOO_DEEP ? (int64_t)limits->max_depth
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
        return refuse(no, 405, "Method not allowed", "method_not_allowed",
                      no->allow);
    }
    no->allow[0] = '\0';
    if (!media_shape(*route, content_type, shape)) {
        return refuse(no, 415, "Unsupported media type", "unsupported_type",
                      (*route)->body == BODY_EVENT
                          ? "expected application/json"
                          : "expected application/json or application/x-ndjson");
    }
    if ((*route)->has_on_request) {
        policy_on_request(s, *route, req, &v);
    }
    return !v.refuse || refuse(no, v.status, "Refused by policy", v.code,
                               v.message);
}

static void passed(const struct decide_meter *m, enum decide_stage stage)
{
    if (m != NULL) {
        m->passed(m->arg, stage);
    }
}

bool decide_body(struct policy_state *s, const struct route *route,
                 enum scan_shape shape, const struct policy_request *req,
                 struct str body, struct event_batch *b,
                 const struct decide_meter *m, uint32_t *raised,
                 struct refused *no)
{
    const struct server_plan *sp = &s->policy->plan->server;
    struct scan_limits limits = {sp->max_events, sp->max_depth};
    struct scan_error se;
    enum scan_result r =
        scan_body(b, route->schema == NULL ? NULL : route->schema->keys, shape,
                  &limits, body.p, body.n, &se);

    *raised = 0;
    if (r != SCAN_OK) {
        return refuse_scan(no, r, &se, &limits);
    }
    passed(m, DECIDE_DECODE);
    if (route->schema != NULL) {
        check_events(route->schema, b, (int64_t)req->time_ms);
        passed(m, DECIDE_CHECK);
    }
    if (route->has_on_event) {
        policy_on_events(s, route, b, req, raised);
        passed(m, DECIDE_POLICY);
    }
    return true;
}
