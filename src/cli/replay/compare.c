#include "cli/replay/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/replay/refused_lines.h"
#include "decode/edit.h"
#include "decode/scan.h"
#include "ingest/stored_event.h"
#include "plan/media.h"
#include "policy/load/load.h"
#include "policy/run/decide.h"
#include "policy/run/dedup.h"
#include "policy/run/run.h"

/* BOUNDED_LINES: a bound of 50 ms is for a request; most have few events. */
enum { ARENA_MAX_BYTES = 256 << 20, BOUNDED_LINES = 10 };

struct comparison {
    const struct compare_conf *conf;
    struct policy *policy;
    const struct plan *plan;
    struct policy_state *state;
    struct arena arena;
    struct event_batch batch;
    const struct route *route;
    struct policy_request req;
    const struct str *text;
    bool single;       /* the lines can't be decided at once: one by one */
    struct refused no; /* single: of the line in hand */
    char *line, *body;
    size_t room, body_room;
};

struct comparison *compare_new(struct policy *p, const struct compare_conf *conf,
                               struct err *e)
{
    struct policy_state *state = policy_state_new(p, e);
    struct comparison *j;

    if (state == NULL) {
        return NULL;
    }
    j = mem_zalloc(sizeof *j);
    j->conf = conf;
    j->policy = policy_ref(p);
    j->plan = policy_plan(p);
    j->state = state;
    policy_state_by_event(state);
    arena_init(&j->arena, ARENA_MAX_BYTES);
    event_batch_init(&j->batch, &j->arena);
    return j;
}

void compare_free(struct comparison *j)
{
    if (j == NULL) {
        return;
    }
    policy_state_free(j->state);
    policy_unref(j->policy);
    event_batch_fini(&j->batch);
    arena_fini(&j->arena);
    free(j->line);
    free(j->body);
    free(j);
}

/* ---- the route ---- */

static const struct route *named(const struct comparison *j, struct err *e)
{
    const char *space = strchr(j->conf->route, ' ');
    const struct route *r = NULL;
    char allow[128];

    if (space != NULL) {
        r = plan_route(j->plan, 0,
                       (struct str){j->conf->route, (size_t)(space - j->conf->route)},
                       str_of(space + 1), allow, sizeof allow);
    }
    if (r == NULL) {
        (void)err_set(e, "the policy %s has no route \"%s\"", policy_file(j->policy, 0),
                      j->conf->route);
    }
    return r;
}

/* Events meet the same checks and the same hook on both, and go the same way. */
static bool same(struct comparison *j, const struct route *a, const struct route *b)
{
    return a->schema == b->schema && a->on_error == b->on_error &&
           policy_same_hook(j->state, a, b);
}

static int32_t find_stream(const struct plan *p, const char *name)
{
    for (uint32_t i = 0; name != NULL && i < p->n_streams; i++) {
        if (strcmp(p->streams[i].name, name) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

const struct route *compare_route(struct comparison *j, const char *stream,
                                  struct err *e)
{
    const char *file = policy_file(j->policy, 0);
    int32_t wanted = find_stream(j->plan, stream);
    const struct route *found = NULL;

    if (j->conf->route != NULL) {
        return named(j, e);
    }
    for (uint32_t i = 0; i < j->plan->n_routes; i++) {
        const struct route *r = &j->plan->routes[i];

        if (r->stream != wanted && stream != NULL) {
            continue;
        }
        if (found != NULL && !same(j, found, r)) {
            (void)err_set(e,
                          "more than one route of %s fits events of \"%s\" "
                          "(\"%s %s\", \"%s %s\"): name one with --route",
                          file, stream == NULL ? "?" : stream, found->method,
                          found->path, r->method, r->path);
            return NULL;
        }
        found = found == NULL ? r : found;
    }
    if (found == NULL) {
        (void)err_set(e,
                      "no route of %s leads to the stream \"%s\": name a route with "
                      "--route \"POST /...\", or the stream to read with "
                      "--stream",
                      file, stream == NULL ? "?" : stream);
    }
    return found;
}

uint32_t compare_most(const struct comparison *j, const struct route *route)
{
    uint32_t most =
        policy_is_bounded(j->state, route) ? BOUNDED_LINES : COMPARE_LINES_MAX;

    return most < j->plan->server.max_events ? most : j->plan->server.max_events;
}

/* ---- verdicts ---- */

static bool decide(struct comparison *j, struct str lines)
{
    struct dedup_hold hold;
    uint32_t raised;

    if (!decide_body(j->state, j->route, SCAN_NDJSON, &j->req, lines, &j->batch, NULL,
                     &raised, &j->no)) {
        return false;
    }
    if (j->plan->n_dedups > 0) {
        (void)dedup_mark(j->state, j->route, &j->batch,
                         (struct dedup_now){j->req.time_ms, j->req.time_ms}, &hold);
        dedup_finish(&hold, true);
    }
    return true;
}

void compare_lines(struct comparison *j, const struct route *route, int64_t time_ms,
                   struct str lines, const struct str *text, uint32_t n)
{
    j->route = route;
    j->req = (struct policy_request){.time_ms = (double)time_ms,
                                     .method = str_of(route->method),
                                     .path = str_of(route->path),
                                     .peer = STR("127.0.0.1"),
                                     .headers = j->conf->headers,
                                     .n_headers = j->conf->n_headers,
                                     .stored = true};
    j->text = text;
    /* If a rule refuses the body as a whole, such as too many events for the policy,
     * each line is decided alone instead. */
    j->single = !decide(j, lines) || j->batch.n != n;
}

/* ---- what was refused ---- */

/* The body as a client sent it, with its pad; one event of a batch is a batch of one. */
static struct str body_of(struct comparison *j, const struct refused_line *q)
{
    size_t room = q->raw.n + 2 + SCAN_PAD, at = 0;

    if (room > j->body_room) {
        j->body_room = 2 * room;
        j->body = mem_realloc(j->body, j->body_room);
    }
    if (q->one) {
        j->body[at++] = '[';
    }
    memcpy(j->body + at, q->raw.p, q->raw.n);
    at += q->raw.n;
    if (q->one) {
        j->body[at++] = ']';
    }
    memset(j->body + at, 0, SCAN_PAD);
    return (struct str){j->body, at};
}

/* Its route, and how it reads the body. NULL: j->no says why. */
static const struct route *route_of(struct comparison *j, const struct refused_line *q,
                                    struct policy_request *req, enum scan_shape *shape)
{
    const char *space = memchr(q->route.p, ' ', q->route.n);
    const struct route *r;

    req->method = (struct str){q->route.p, (size_t)(space - q->route.p)};
    req->path = q->path.n > 0 ? q->path
                              : (struct str){space + 1, q->route.n - req->method.n - 1};
    if (j->conf->route != NULL) {
        struct err e;

        r = named(j, &e);
    } else {
        r = plan_route(j->plan, 0, req->method, req->path, j->no.allow,
                       sizeof j->no.allow);
    }
    *shape = SCAN_ARRAY;
    if (r == NULL) {
        j->no.error.code =
            j->no.allow[0] == '\0' ? "unknown_path" : "method_not_allowed";
    } else if (!q->one && !media_shape(r, q->type, shape)) {
        j->no.error.code = "unsupported_type";
        r = NULL;
    }
    return r;
}

static struct verdict verdict_of(struct comparison *j, const struct event *ev);

struct verdict compare_refused(struct comparison *j, const struct refused_line *q)
{
    struct str_pair headers[COMPARE_HEADERS_MAX + 1] = {{STR("content-type"), q->type}};
    uint32_t n = q->type.n > 0, i = 0, raised;
    enum scan_shape shape;
    struct str body;

    for (uint32_t k = 0; k < j->conf->n_headers && k < COMPARE_HEADERS_MAX; k++) {
        headers[n++] = j->conf->headers[k];
    }
    j->req = (struct policy_request){.time_ms = (double)q->time_ms,
                                     .query = q->query,
                                     .peer = q->peer,
                                     .headers = headers,
                                     .n_headers = n};
    j->no.allow[0] = '\0';
    j->route = route_of(j, q, &j->req, &shape);
    if (j->route != NULL) {
        body = body_of(j, q);
        if (shape == SCAN_QUERY) {
            j->req.query = q->raw;
            body.n = 0;
        }
        if (decide_body(j->state, j->route, shape, &j->req, body, &j->batch, NULL,
                        &raised, &j->no)) {
            while (i + 1 < j->batch.n && j->batch.events[i].fate == EVENT_ACCEPT) {
                i++;
            }
            if (j->batch.n > 0) {
                return verdict_of(j, &j->batch.events[i]);
            }
            j->no.error.code = "no_events";
        }
    }
    return (struct verdict){.fate = EVENT_REJECT, .code = j->no.error.code};
}

static struct str line_of(struct comparison *j, const struct event *ev)
{
    bool kept;
    size_t bound = stored_event_bound(&j->batch, ev);

    if (ev->n_edits == 0 && ev->fate == EVENT_ACCEPT) {
        return (struct str){j->batch.body + ev->off, ev->len};
    }
    if (bound > j->room) {
        j->room = 2 * bound;
        j->line = mem_realloc(j->line, j->room);
    }
    return (struct str){j->line, stored_event_write(j->plan, j->route, &j->batch, ev,
                                                    j->req.time_ms, j->line, &kept)};
}

struct verdict compare_verdict(struct comparison *j, uint32_t i)
{
    const struct event *ev = &j->batch.events[i];

    if (j->single) {
        bool ok = decide(j, (struct str){j->text[i].p, j->text[i].n + 1});

        if (!ok || j->batch.n != 1) {
            return (struct verdict){.fate = EVENT_REJECT,
                                    .code = ok ? "invalid_json" : j->no.error.code};
        }
        ev = &j->batch.events[0];
    }
    return verdict_of(j, ev);
}

static struct verdict verdict_of(struct comparison *j, const struct event *ev)
{
    struct verdict v = {
        .fate = (enum event_fate)ev->fate,
        .code = ev->code,
        .field = ev->field,
        .message = ev->message,
        .streams = stored_event_streams(j->route, ev, (int)j->plan->n_streams)};
    if (v.streams != 0) {
        v.line = line_of(j, ev);
    }
    return v;
}
