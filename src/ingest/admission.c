/*
 * admission - the decisions about a request before its body is read: whether it has a
 * route, a type, room in the spool, and on_request's verdict.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/clock.h"
#include "ingest/coding.h"
#include "ingest/internal.h"
#include "ingest/sampling.h"
#include "ingest/tapping.h"
#include "policy/run/auth.h"
#include "policy/run/limits.h"

static NOINLINE void tell_line(const struct answering *a, int status, const char *code,
                               size_t bytes)
{
    struct access_said said = {.status = status,
                               .code = code,
                               .refused = a->n_events + a->n_rejected,
                               .bytes_out = bytes};

    if (a->w == NULL) {
        access_now(a->in, http_user(a->r), a->account, a->mark, &said);
    } else if (a->w->line != NULL) {
        /* They are stored if the answer only says that they are not delivered yet. */
        said.accepted = a->w->failed ? 0 : a->w->n_accepted;
        said.refused = a->w->n_accepted + a->w->n_refused - said.accepted;
        access_late(a->in, a->w->line, a->account, a->mark, &said);
        a->w->line = NULL;
    }
}

void refuse_with(const struct answering *a, int status, const char *lines,
                 const struct answer_error *e)
{
    char text[ANSWER_REFUSAL_BYTES];
    size_t n = answer_refusal(a->own, status, e, text);
    const char *code = e->code;

    http_answer(a->r, status, lines, (struct str){text, n});
    if (UNLIKELY(a->in->access.plan != NULL)) {
        tell_line(a, status, e->code, n);
    }
    meters_answered(a->account, a->mark, status);
    if (a->hook_of != NULL) {
        code = account_hook_code(a->account, code, &status, a->hook_of);
    }
    account_refused(a->account, code, status, a->n_events);
}

void refuse(struct ingest *in, const struct answering *a, int status,
            const char *headers, const struct answer_error *e)
{
    char lines[sizeof in->extra + TYPE_LINE_BYTES + 256];

    if (LIKELY(in->extra[0] == '\0' && a->own == NULL)) {
        refuse_with(a, status, headers, e);
        return;
    }
    (void)snprintf(lines, sizeof lines, "%s%s%s",
                   a->own == NULL ? "" : a->own->type_line, headers, in->extra);
    refuse_with(a, status, lines, e);
}

/* For an answer to r, which is refused with its n events. */
static struct answering refusing(struct ingest *in, struct http_request *r, uint32_t n)
{
    const struct request_state *p = http_user(r);

    return (struct answering){.in = in,
                              .r = r,
                              .account = p->account,
                              .mark = &p->mark,
                              .n_events = n,
                              .own = refused_body_of(p->route)};
}

/* 1..5 s, spread so that refused clients do not come back as one. */
const char *admission_retry_after(const struct ingest *in)
{
    static const char *const seconds[] = {"Retry-After: 1\r\n", "Retry-After: 2\r\n",
                                          "Retry-After: 3\r\n", "Retry-After: 4\r\n",
                                          "Retry-After: 5\r\n"};

    return seconds[(clock_mono_ns() / 1000 + in->conf.worker) % 5];
}

static const struct {
    const char *error, *code, *detail;
    int status; /* 0: 503 */
} unstored[] = {
    [STORE_FULL] = {"No room", "spool_full",
                    "the spool of this stream is full; send the request "
                    "again later"},
    [STORE_UNWRITABLE] = {"No room", "spool_unwritable",
                          "the disk of the spool is full or returns errors; send the "
                          "request again later"},
    [STORE_CROWDED] = {"Busy", "too_many_waiting",
                       "too many requests wait for the disk or for sinks; "
                       "send the request again later"},
    [STORE_BLOCKED] = {"Sink unavailable", "sink_unavailable",
                       "this stream waits until its sinks have the events, "
                       "and one sink does not take events now; send the "
                       "request again later"},
    [STORE_KEYS_FULL] = {"Busy", "dedup_behind",
                         "the keys of earlier events wait to be saved; send the "
                         "request again later"},
    [STORE_KEYS_UNREAD] = {"Keys unreadable", "dedup_unreadable",
                           "the disk does not say whether the events came before; "
                           "send the request again later"},
    [STORE_TOO_LARGE] = {"Too large", "events_too_large",
                         "with what the policy adds to them, the events are larger "
                         "than a segment of the spool; send fewer events",
                         413}};

const char *admission_unstored_code(enum store_result why)
{
    return unstored[why].code;
}

void admission_unstored(struct ingest *in, struct http_request *r,
                        enum store_result why, uint32_t n, uint32_t n_rejected)
{
    struct answering a = refusing(in, r, n);
    const int status = unstored[why].status != 0 ? unstored[why].status : 503;

    a.n_rejected = n_rejected;
    refuse(in, &a, status, status == 503 ? admission_retry_after(in) : "",
           &(struct answer_error){.error = unstored[why].error,
                                  .code = unstored[why].code,
                                  .detail = unstored[why].detail,
                                  .offset = -1,
                                  .limit = -1});
    sampling_whole(in, in->current, a.account, NULL, status,
                   &(struct answer_error){.code = unstored[why].code,
                                          .error = unstored[why].error,
                                          .detail = unstored[why].detail},
                   true);
}

void admission_count_unstored(struct account *a, enum store_result why, int status,
                              uint32_t n)
{
    account_refused(a, unstored[why].code, status, n);
}

/* Before it has events: those that are taps' business. */
static void tell_refusal(struct ingest *in, const struct account *a, int status,
                         const struct answer_error *e)
{
    tapping_refusal(in, &(struct tapped_refusal){
                            a, status, e->code,
                            e->detail == NULL ? e->error : e->detail, in->tapped_body});
}

static void tell_unstored(struct ingest *in, const struct account *a,
                          enum store_result why)
{
    tapping_refusal(in, &(struct tapped_refusal){.account = a,
                                                 .status = 503,
                                                 .code = unstored[why].code,
                                                 .detail = unstored[why].detail});
}

/* Before the body is read: whether the route's stream has room. */
static enum store_result look_ahead(const struct ingest *in, int stream, uint64_t bytes)
{
    if (UNLIKELY(in->writers[stream].delivered)) {
        if (spool_blocked(in->conf.spool, stream)) {
            return STORE_BLOCKED;
        }
        if (in->n_delivering >= DELIVERING_MAX) {
            return STORE_CROWDED;
        }
    }
    return spool_has_room(in->conf.spool, stream, bytes) &&
                   spool_writer_fits(in->writers[stream].writer, bytes, false)
               ? STORE_OK
               : store_no_room(in, stream);
}

/* Its body is read without room, for what it is answered may be in it. */
static bool is_answered_unstored(const struct route *r)
{
    return UNLIKELY(r->answer != NULL) && r->answer->same_unstored;
}

/* Room is taken for bytes that have arrived: a head promises nothing. */
bool admission_progress(void *arg, struct http_request *r, const struct http_view *v,
                        uint64_t bytes)
{
    struct ingest *in = arg;
    struct policy_request req;
    struct request_state *p = http_user(r);
    enum store_result why;
    int stream;

    in->view = v;

    if (p->route->stream < 0 || bytes <= p->reserved ||
        is_answered_unstored(p->route)) {
        return true;
    }
    stream = p->binding->stream_ids[p->route->stream];
    if (spool_reserve(in->conf.spool, stream, bytes - p->reserved)) {
        p->reserved = bytes;
        return true;
    }
    req = admission_request(in, v);
    answer_head_common(p->route, &req, in->extra);
    admission_leave(in, p);
    account_received(p->account, 1);
    why = store_no_room(in, stream);
    if (UNLIKELY(in->n_taps > 0)) {
        tell_unstored(in, p->account, why);
    }
    admission_unstored(in, r, why, 1, 0);
    return false;
}

struct policy_request admission_request(const struct ingest *in,
                                        const struct http_view *v)
{
    return (struct policy_request){.time_ms = in->wall_ms,
                                   .mono_ms = in->mono_ms,
                                   .method = v->method,
                                   .path = v->path,
                                   .query = v->query,
                                   .peer = v->peer,
                                   .listener = v->listener,
                                   .moved = v->moved,
                                   .tls = v->tls,
                                   .sent = v->sent,
                                   .headers = v->headers,
                                   .n_headers = v->n_headers};
}

/* With the headers that the status asks for. */
void admission_refuse_whole(struct ingest *in, struct http_request *r,
                            const struct refused *no)
{
    const struct request_state *p = http_user(r);
    char lines[HEAD_BYTES];
    struct answering a;

    /* The number of its events is not known: it counts as one. */
    account_received(p->account, 1);
    a = refusing(in, r, 1);
    a.hook_of = no->hook_of;
    if (UNLIKELY(in->n_taps > 0)) {
        tell_refusal(in, p->account, no->status, &no->error);
    }
    answer_head_refused(no, a.own, admission_retry_after(in), in->extra, lines);
    refuse_with(&a, no->status, lines, &no->error);
}

void admission_refuse_kept(struct ingest *in, struct http_request *r,
                           const struct refused *no)
{
    const struct request_state *p = http_user(r);
    const struct refused_body *own = refused_body_of(p->route);
    struct waiter *w = waiter_get(in);
    char lines[HEAD_BYTES], text[ANSWER_REFUSAL_BYTES];
    size_t n_lines, n;
    char *out;

    if (w == NULL) {
        admission_refuse_whole(in, r, no);
        return;
    }
    if (UNLIKELY(in->n_taps > 0)) {
        tell_refusal(in, p->account, no->status, &no->error);
    }
    account_received(p->account, 1);
    account_refused(p->account, no->error.code, no->status, 1);
    answer_head_refused(no, own, admission_retry_after(in), in->extra, lines);
    n_lines = lines[0] == '\0' ? 0 : strlen(lines) + 1;
    n = answer_refusal(own, no->status, &no->error, text);
    out = waiter_text(w, n_lines + n);
    memcpy(out, lines, n_lines);
    memcpy(out + n_lines, text, n);
    w->req = r;
    w->mark = p->mark;
    w->status = no->status;
    w->account = p->account;
    w->ends = (struct ends){0};
    if (UNLIKELY(in->access.plan != NULL)) {
        w->line = access_keep(in, p);
        w->n_accepted = 0;
        w->n_refused = 1;
        (void)snprintf(w->code, sizeof w->code, "%s", no->error.code);
    }
    w->headers_bytes = (uint32_t)n_lines;
    w->answer_bytes = (uint32_t)n;
    waiter_join(in, w, 0);
}

void admission_give_back(struct ingest *in, const struct request_state *p,
                         struct policy_request *req)
{
    struct policy_state *state = p->binding->state;

    if (LIKELY(p->route->limits == NULL)) {
        return;
    }
    policy_set_key(state, p->key_table, p->key_row, req);
    policy_set_auth(state, p->route, p->auth, req);
    limits_give(state, p->route, req, in->batch.n);
    answer_head_common(p->route, req, in->extra);
    limits_lines(state, p->route, in->extra, sizeof in->extra);
}

/* OPTIONS of a browser or of a sender of web hooks. True: answered. */
static bool preflight(struct ingest *in, const struct binding *b,
                      struct http_request *r, const struct policy_request *req)
{
    const struct request_state *p = http_user(r);

    if (!answer_head_preflight(b->plan, req, in->extra)) {
        return false;
    }
    http_answer(r, 204, in->extra, (struct str){"", 0});
    meters_answered(p->account, &p->mark, 204);
    if (UNLIKELY(in->access.plan != NULL)) {
        access_now(in, p, p->account, &p->mark, &(struct access_said){.status = 204});
    }
    return true;
}

static struct account *account_at(const struct ingest *in, const struct binding *b,
                                  const struct route *route)
{
    return route == NULL ? in->m.nowhere : b->accounts[route->index];
}

/* False: refused. */
static bool set_coding(struct ingest *in, struct http_request *r,
                       const struct policy_request *req, const struct route *route,
                       enum scan_shape shape)
{
    enum http_encoding how;
    struct refused no;

    if (!coding_of(route, shape, req, http_encoding(r), &how, &no)) {
        admission_refuse_whole(in, r, &no);
        return false;
    }
    http_set_encoding(r, how);
    return true;
}

/* The trace of v's request, where it has one. */
static void put_trace(const struct http_view *v, char trace[33])
{
    static const struct str name = STR("traceparent");

    for (uint32_t i = 0; i < v->n_headers; i++) {
        if (UNLIKELY(v->headers[i].name.n == name.n) &&
            strncasecmp(v->headers[i].name.p, name.p, name.n) == 0) {
            access_trace(v->headers[i].value, trace);
            return;
        }
    }
}

void admission_headers(void *arg, struct http_request *r, const struct http_view *v)
{
    struct ingest *in = arg;
    struct request_state *p = http_user(r);
    struct policy_request req = admission_request(in, v);
    struct binding *b = UNLIKELY(in->candidate != NULL)
                            ? candidate_pick(in, r, v, &p->unit)
                            : in->current;
    enum scan_shape shape;
    struct refused no;
    const char *health = in->current->plan->listeners[v->listener].health;
    uint64_t bytes;
    enum store_result stored;

    in->view = v;

    if (UNLIKELY(health != NULL) && health_answer(in, r, v, health)) {
        return;
    }
    p->mark.began_ns = clock_mono_ns();
    p->mark.method = (uint8_t)method_of(v->method);
    put_trace(v, p->mark.trace);
    in->extra[0] = '\0';
    p->account = in->m.nowhere;
    if (!decide_head(b->state, &req, v->content_type, &p->route, &shape, &no)) {
        p->account = account_at(in, b, p->route);
        if (UNLIKELY(no.auth != AUTH_OK)) {
            account_auth(p->account, no.auth);
        }
        if (UNLIKELY(no.status == 500)) { /* no other part of a head's decision fails */
            account_raised(p->account, HOOK_REQUEST, 1);
        }
        if (no.status == 405 && preflight(in, b, r, &req)) {
            return;
        }
        if (no.status == 405) {
            answer_head_other(b->plan, no.allow, &req, in->extra);
        } else {
            answer_head_common(p->route, &req, in->extra);
        }
        if (UNLIKELY(no.limited)) {
            limits_lines(b->state, p->route, in->extra, sizeof in->extra);
        }
        admission_refuse_whole(in, r, &no);
        sampling_whole(in, b, p->account, v, no.status, &no.error, true);
        if (UNLIKELY(in->candidate != NULL)) {
            candidate_head(in, b, v, &no, p, clock_mono_ns() - p->mark.began_ns);
        }
        return;
    }
    answer_head_common(p->route, &req, in->extra);
    p->key_row = req.key_row;
    p->key_table = req.key_table;
    p->auth = req.auth;
    p->shape = shape;
    p->account = account_at(in, b, p->route);
    if (UNLIKELY(p->route->encoding != ENCODING_BY_HEADER) &&
        !set_coding(in, r, &req, p->route, shape)) {
        return;
    }
    if (UNLIKELY(in->candidate != NULL)) {
        p->head_ns = (uint32_t)(clock_mono_ns() - p->mark.began_ns);
    }
    if (p->route->stream >= 0 && !is_answered_unstored(p->route)) {
        /* A look: nothing is taken before it has arrived. */
        bytes = v->content_length == UINT64_MAX ? 4096 : v->content_length + 4096;
        stored = look_ahead(in, b->stream_ids[p->route->stream], bytes);
        if (stored != STORE_OK) {
            account_received(p->account, 1);
            if (UNLIKELY(in->n_taps > 0)) {
                tell_unstored(in, p->account, stored);
            }
            admission_unstored(in, r, stored, 1, 0);
            return;
        }
    }
    p->binding = b;
    binding_hold(p->binding);
}

/* A body that is inflated costs memory and time: nobody unknown gets that. */
bool admission_sent(void *arg, struct http_request *r, const struct http_view *v)
{
    struct ingest *in = arg;
    struct request_state *p = http_user(r);
    struct policy_request req;
    struct refused no;

    if (LIKELY(p->auth != REQUEST_UNSIGNED)) {
        return true;
    }
    in->view = v;
    req = admission_request(in, v);
    if (policy_authenticate_body(p->binding->state, p->route, &req, v->sent, &no)) {
        p->auth = REQUEST_SIGNED;
        return true;
    }
    answer_head_common(p->route, &req, in->extra);
    account_auth(p->account, no.auth);
    admission_refuse_whole(in, r, &no);
    if (UNLIKELY(in->candidate != NULL)) {
        tally_request(&p->binding->tally, p->unit, 1, 1, 0, p->head_ns);
    }
    admission_leave(in, p);
    return false;
}

void admission_leave(struct ingest *in, struct request_state *p)
{
    struct binding *b = p->binding;

    if (b == NULL) {
        return;
    }
    if (p->reserved > 0) {
        spool_release(in->conf.spool, b->stream_ids[p->route->stream], p->reserved);
    }
    p->reserved = 0;
    p->binding = NULL;
    binding_drop(b);
}

void admission_abort(void *arg, struct http_request *r)
{
    admission_leave(arg, http_user(r));
}
