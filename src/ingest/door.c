/*
 * door - what is decided about a request before its body is read: whether it has
 * a route, a type, room in the spool, and what on_request says.
 */
#include <stdio.h>

#include "base/clock.h"
#include "ingest/room.h"
#include "plan/media.h"

void refuse(struct ingest *in, struct http_request *r, int status,
            const char *headers, const struct answer_error *e)
{
    char text[2048];
    size_t n = answer_error(e, text, sizeof text);

    http_answer(r, status, headers, (struct str){text, n});
    meters_request(&in->m, status);
}

void door_refuse(struct ingest *in, struct http_request *r, int status,
                         const char *headers, const char *error,
                         const char *code, const char *detail)
{
    refuse(in, r, status, headers,
           &(struct answer_error){.error = error,
                                  .code = code,
                                  .detail = detail,
                                  .offset = -1,
                                  .limit = -1});
}

/* 1..5 s, spread so that refused clients do not come back as one. */
const char *door_retry_after(const struct ingest *in)
{
    static const char *const seconds[] = {
        "Retry-After: 1\r\n", "Retry-After: 2\r\n", "Retry-After: 3\r\n",
        "Retry-After: 4\r\n", "Retry-After: 5\r\n"};

    return seconds[(clock_mono_ns() / 1000 + in->conf.worker) % 5];
}

void door_full(struct ingest *in, struct http_request *r)
{
    door_refuse(in, r, 503, door_retry_after(in), "No room", "spool_full",
                 "the spool of this stream is full; send the request again "
                 "later");
}

struct policy_request door_request(const struct ingest *in,
                                        const struct http_view *v)
{
    return (struct policy_request){.time_ms = in->wall_ms,
                                   .method = v->method,
                                   .path = v->path,
                                   .query = v->query,
                                   .peer = v->peer,
                                   .headers = v->headers,
                                   .n_headers = v->n_headers};
}

/* False: refused and answered. */
static bool find_route(struct ingest *in, struct http_request *r,
                       const struct http_view *v, struct passage *p)
{
    char allow[128], header[160];
    enum scan_shape shape;

    p->route = plan_route(in->current->plan, v->method, v->path, allow,
                          sizeof allow);
    if (p->route == NULL && allow[0] == '\0') {
        door_refuse(in, r, 404, "", "Not found", "unknown_path",
                     "no route of the policy has this path");
        return false;
    }
    if (p->route == NULL) {
        (void)snprintf(header, sizeof header, "Allow: %s\r\n", allow);
        door_refuse(in, r, 405, header, "Method not allowed",
                     "method_not_allowed", allow);
        return false;
    }
    if (!media_shape(p->route, v->content_type, &shape)) {
        door_refuse(in, r, 415, "", "Unsupported media type",
                     "unsupported_type",
                     p->route->body == BODY_EVENT
                         ? "expected application/json"
                         : "expected application/json or application/x-ndjson");
        return false;
    }
    p->shape = shape;
    return true;
}

/* False: refused and answered. */
static bool ask_on_request(struct ingest *in, struct http_request *r,
                           const struct http_view *v, const struct passage *p)
{
    struct policy_request req = door_request(in, v);
    struct policy_verdict verdict = {0};

    policy_on_request(in->current->state, p->route, &req, &verdict);
    if (verdict.refuse) {
        door_refuse(in, r, verdict.status,
                     verdict.status == 429 ? door_retry_after(in) : "",
                     "Refused by policy", verdict.code, verdict.message);
    }
    return !verdict.refuse;
}

void door_headers(void *arg, struct http_request *r,
                       const struct http_view *v)
{
    struct ingest *in = arg;
    struct passage *p = http_user(r);
    uint64_t bytes;
    int stream;

    p->began_ns = clock_mono_ns();
    if (!find_route(in, r, v, p) ||
        (p->route->has_on_request && !ask_on_request(in, r, v, p))) {
        return;
    }
    if (p->route->stream >= 0) {
        /* Without a length the least is asked for here, and the whole when the
         * body is there. */
        bytes = v->content_length == UINT64_MAX ? 4096
                                                : v->content_length + 4096;
        stream = in->current->stream_ids[p->route->stream];
        if (!spool_reserve(in->conf.spool, stream, bytes)) {
            door_full(in, r);
            return;
        }
        p->reserved = bytes;
    }
    p->binding = in->current;
    binding_hold(p->binding);
}

void door_leave(struct ingest *in, struct passage *p)
{
    struct binding *b = p->binding;

    if (b == NULL) {
        return;
    }
    if (p->reserved > 0) {
        spool_release(in->conf.spool, b->stream_ids[p->route->stream],
                      p->reserved);
    }
    p->reserved = 0;
    p->binding = NULL;
    binding_drop(b);
}

void door_abort(void *arg, struct http_request *r)
{
    door_leave(arg, http_user(r));
}
