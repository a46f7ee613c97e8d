#include "ingest/answer_head.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "ingest/webhook.h"

static struct str header(const struct policy_request *req, const char *name)
{
    return request_raw(req, "", REQUEST_HEADER, str_of(name));
}

void answer_head_common(const struct route *route, const struct policy_request *req,
                        char out[CORS_BYTES])
{
    out[0] = '\0';
    if (UNLIKELY(route != NULL && route->cors != NULL)) {
        cors_answer(route->cors, header(req, "origin"), out);
    }
}

static const char *type_line(const struct refused_body *own)
{
    return own == NULL ? "" : own->type_line;
}

void answer_head_refused(const struct refused *no, const struct refused_body *own,
                         const char *retry_after, const char *common,
                         char out[HEAD_BYTES])
{
    char allow[160] = "", after[40];

    if (no->status == 405) {
        (void)snprintf(allow, sizeof allow, "Allow: %s\r\n", no->allow);
    }
    if (no->status == 429 && no->wait_ms > 0) {
        (void)snprintf(after, sizeof after, "Retry-After: %u\r\n",
                       decide_retry_s(no->wait_ms));
        retry_after = after;
    }
    (void)snprintf(out, HEAD_BYTES, "%s%s%s%s%s", type_line(own), allow,
                   no->status == 429 || no->auth == AUTH_UNREADABLE ? retry_after : "",
                   no->status != 401 ? ""
                   : no->challenge != NULL
                       ? no->challenge
                       : "WWW-Authenticate: Basic realm=\"sluice\"\r\n",
                   common);
}

/* RFC 9110 (11.6.1): a 401 names a scheme. Basic's is for a hook that asks for a name and
 * a key; there is no registered one for what is signed in the body. */
static const char *challenge(const struct outcome *o)
{
    return o->unverified ? "WWW-Authenticate: Postback-Signature realm=\"sluice\"\r\n"
                         : "WWW-Authenticate: Basic realm=\"sluice\"\r\n";
}

const char *answer_head_outcome(const struct outcome *o, const char *retry_after,
                                const char *common, char out[HEAD_BYTES])
{
    const struct answer_plan *a = o->answer;

    if (UNLIKELY(o->status == 429)) {
        (void)snprintf(out, HEAD_BYTES, "%s%s%s", type_line(o->refused_body),
                       retry_after, common);
        return out;
    }
    if (UNLIKELY(o->status == 401)) {
        (void)snprintf(out, HEAD_BYTES, "%s%s%s", type_line(o->refused_body),
                       challenge(o), common);
        return out;
    }
    if (UNLIKELY(o->refused_body != NULL)) {
        (void)snprintf(out, HEAD_BYTES, "%s%s", type_line(o->refused_body), common);
        return out;
    }
    if (LIKELY(a == NULL ||
               (a->type == NULL && a->lines == NULL && o->location == NULL))) {
        return common;
    }
    (void)snprintf(
        out, HEAD_BYTES, "%s%s%s%s%s%s%s%s",
        a->type == NULL ? "" : "Content-Type: ", a->type == NULL ? "" : a->type,
        a->type == NULL ? "" : "\r\n",
        o->location == NULL ? "" : "Location: ", o->location == NULL ? "" : o->location,
        o->location == NULL ? "" : "\r\n", a->lines == NULL ? "" : a->lines, common);
    return out;
}

static const struct route *route_of(const struct plan *plan, struct str method,
                                    const struct policy_request *req)
{
    char allow[128];

    return method.p == NULL ? NULL
                            : plan_route(plan, req->listener, method, req->path, allow,
                                         sizeof allow);
}

void answer_head_other(const struct plan *plan, const char *allow,
                       const struct policy_request *req, char out[CORS_BYTES])
{
    out[0] = '\0';
    if (str_eq(req->method, STR("OPTIONS"))) {
        return;
    }
    while (*allow != '\0' && out[0] == '\0') {
        size_t n = strcspn(allow, ",");

        answer_head_common(route_of(plan, (struct str){allow, n}, req), req, out);
        allow += n;
        allow += strspn(allow, ", ");
    }
}

bool answer_head_preflight(const struct plan *plan, const struct policy_request *req,
                           char out[CORS_BYTES])
{
    const struct route *route;

    if (!str_eq(req->method, STR("OPTIONS"))) {
        return false;
    }
    route = route_of(plan, header(req, "access-control-request-method"), req);
    if (route != NULL && route->cors != NULL &&
        cors_preflight(route->cors, header(req, "origin"), str_of(route->method),
                       out)) {
        return true;
    }
    route = route_of(plan, STR("POST"), req);
    return route != NULL && route->webhook != NULL &&
           webhook_grant(route->webhook, req, out);
}
