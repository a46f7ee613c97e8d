#include "server/admin/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "decode/path.h"
#include "http/stream.h"
#include "ingest/tap.h"
#include "plan/plan.h"
#include "policy/load/load.h"
#include "server/internal.h"

/* A reader is awake for each look that finds lines. Often only when a ring fills fast. */
static const double LOOK_S = .05, LOOK_SOON_S = .02;
enum { LOOK_SOON_BYTES = TAP_RING_BYTES / 4 };
#define DROPPED_NS 1000000000ull
#define BEAT_NS 5000000000ull

struct errand {
    struct reader *reader;
    uint32_t worker;
};

struct reader {
    struct taps *taps;
    struct reader *next;
    struct http_request *r; /* NULL: it has gone, and the workers are being told */
    struct tap *tap;
    bool raw, begun; /* begun: all workers watch for it */
    uint64_t began_ns, told_ns, sent_ns, told_dropped;
    char peer[64];
    struct errand errands[]; /* of each worker */
};

struct taps {
    struct server *s;
    ev_timer look;
    struct reader *first;
    uint32_t n;
    size_t most; /* bytes of a ring at this look */
    char lines[TAP_RING_BYTES];
};

/* ---- what is asked for ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* %20 and + as they are meant. False: it is empty, too long, or holds a NUL. */
static bool unquote(struct str s, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '+' ? ' ' : s.p[i];

        if (c == '%' && i + 2 < s.n && digit(s.p[i + 1]) >= 0 &&
            digit(s.p[i + 2]) >= 0) {
            c = (char)(digit(s.p[i + 1]) * 16 + digit(s.p[i + 2]));
            i += 2;
        }
        if (c == '\0' || n + 1 >= room) {
            return false;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0;
}

/* A second one would take the first one's place, and events would pass that the first
 * forbids. */
static bool is_again(const struct tap_filter *f, struct str name)
{
    return (f->route[0] != '\0' && str_eq(name, STR("route"))) ||
           (f->stream[0] != '\0' && str_eq(name, STR("stream"))) ||
           (f->path[0] != '\0' && str_eq(name, STR("field"))) ||
           (f->value[0] != '\0' && str_eq(name, STR("value")));
}

static bool set(struct tap_filter *f, struct str name, struct str value)
{
    char text[TAP_NAME_MAX], *end;
    struct path path;

    if (is_again(f, name)) {
        return false;
    }
    if (str_eq(name, STR("route"))) {
        return unquote(value, f->route, sizeof f->route);
    }
    if (str_eq(name, STR("stream"))) {
        return unquote(value, f->stream, sizeof f->stream);
    }
    if (str_eq(name, STR("field"))) {
        return unquote(value, f->path, sizeof f->path) &&
               path_parse(str_of(f->path), &path) && path.n > 0;
    }
    if (str_eq(name, STR("value"))) {
        return unquote(value, f->value, sizeof f->value);
    }
    if (str_eq(name, STR("refused"))) {
        f->refused = true;
        return value.n == 0;
    }
    if (str_eq(name, STR("raw"))) {
        f->raw = true;
        return value.n == 0;
    }
    if (str_eq(name, STR("sample")) && unquote(value, text, sizeof text) &&
        text[0] >= '.' && text[0] <= '9') {
        f->share = strtod(text, &end);
        return *end == '\0' && f->share > 0 && f->share <= 1;
    }
    return false;
}

/* "route=POST+%2Fv1&refused": False: something in it is not known. */
static bool filter_of(struct tap_filter *f, struct str query)
{
    *f = (struct tap_filter){.share = 1};
    while (query.n > 0) {
        const char *amp = memchr(query.p, '&', query.n);
        struct str part = {query.p, amp == NULL ? query.n : (size_t)(amp - query.p)};
        const char *eq = memchr(part.p, '=', part.n);
        struct str name = {part.p, eq == NULL ? part.n : (size_t)(eq - part.p)};
        struct str value =
            eq == NULL ? STR("") : (struct str){eq + 1, part.n - name.n - 1};

        if (!set(f, name, value)) {
            return false;
        }
        part.n += amp != NULL;
        query = (struct str){query.p + part.n, query.n - part.n};
    }
    return (f->path[0] == '\0') == (f->value[0] == '\0');
}

/* Of events outside of all routes, and of those that share the last account. */
static bool has_route(const struct plan *plan, const char *name)
{
    char text[TAP_NAME_MAX];
    bool known = strcmp(name, "none") == 0 || strcmp(name, "other") == 0;

    for (uint32_t i = 0; i < plan->n_routes && !known; i++) {
        (void)snprintf(text, sizeof text, "%s %s", plan->routes[i].method,
                       plan->routes[i].path);
        known = strcmp(text, name) == 0;
    }
    return known;
}

static bool has_stream(const struct plan *plan, const char *name)
{
    bool known = strcmp(name, "dead") == 0;

    for (uint32_t i = 0; i < plan->n_streams && !known; i++) {
        known = strcmp(plan->streams[i].name, name) == 0;
    }
    return known;
}

/* ---- readers ---- */

static void on_join(void *arg) /* a worker's thread */
{
    const struct errand *x = arg;

    ingest_tap(worker_ingest(x->reader->taps->s->workers[x->worker]), x->reader->tap);
}

static void on_leave(void *arg) /* a worker's thread */
{
    const struct errand *x = arg;

    ingest_untap(worker_ingest(x->reader->taps->s->workers[x->worker]), x->reader->tap);
}

static void tell_workers(struct reader *x, void (*fn)(void *arg))
{
    for (uint32_t i = 0; i < x->taps->s->n_workers; i++) {
        worker_post(x->taps->s->workers[i], fn, &x->errands[i]);
    }
}

static void leave(struct reader *x)
{
    log_write(LOG_INFO, "tap", "status=ends ms=%lu dropped=%lu",
              (unsigned long)((clock_mono_ns() - x->began_ns) / 1000000),
              (unsigned long)tap_dropped(x->tap));
    stream_end(x->r);
    x->r = NULL;
    tell_workers(x, on_leave);
}

static void send(struct reader *x, const char *p, size_t n, uint64_t now)
{
    x->taps->most = n > x->taps->most ? n : x->taps->most;
    if (n > 0 && stream_put(x->r, (struct str){p, n})) {
        x->sent_ns = now;
    }
}

/* No event passes until a load brings it. */
static void tell_unknown(struct reader *x, const char *what, const char *name)
{
    char text[6 * TAP_NAME_MAX + 64], escaped[6 * TAP_NAME_MAX + 1];
    int n = snprintf(text, sizeof text, "{\"unknown\":\"%s\",\"name\":\"%s\"}\n", what,
                     text_z(TEXT_JSON, str_of(name), escaped, sizeof escaped));

    send(x, text, (size_t)n, x->began_ns);
}

static void tell_begin(struct reader *x)
{
    if (!x->begun && tap_joined(x->tap) == x->taps->s->n_workers) {
        x->begun = true;
        log_write(LOG_INFO, "tap", "status=begins peer=%s raw=%s", x->peer,
                  x->raw ? "true" : "false");
    }
}

/* Lines wait in the rings until the client has room for them all. */
static void pass_on(struct reader *x, uint64_t now)
{
    struct taps *t = x->taps;
    uint64_t dropped = tap_dropped(x->tap);
    char text[64];
    int n;

    for (uint32_t i = 0;
         i < t->s->n_workers && stream_takes(x->r, TAP_RING_BYTES + sizeof text); i++) {
        send(x, t->lines, tap_read(x->tap, i, t->lines), now);
    }
    if (!stream_takes(x->r, sizeof text)) {
        return;
    }
    if (dropped > x->told_dropped && now - x->told_ns >= DROPPED_NS) {
        n = snprintf(text, sizeof text, "{\"dropped\":%lu}\n",
                     (unsigned long)(dropped - x->told_dropped));
        x->told_dropped = dropped;
        x->told_ns = now;
        send(x, text, (size_t)n, now);
    } else if (now - x->sent_ns >= BEAT_NS) {
        send(x, "\n", 1, now); /* so that a path that is broken is noticed */
    }
}

static void on_look(struct ev_loop *loop, ev_timer *w, int events)
{
    struct taps *t = OUTER(w, struct taps, look);
    uint64_t now = clock_mono_ns();
    struct reader **at = &t->first;

    (void)events;
    t->most = 0;
    while (*at != NULL) {
        struct reader *x = *at;

        if (x->r != NULL && !stream_open(x->r)) {
            leave(x);
        } else if (x->r != NULL) {
            tell_begin(x);
            pass_on(x, now);
        }
        if (x->r == NULL && tap_left(x->tap) == t->s->n_workers) {
            *at = x->next;
            tap_free(x->tap);
            free(x);
            t->n--;
        } else {
            at = &x->next;
        }
    }
    w->repeat = t->most < LOOK_SOON_BYTES ? LOOK_S : LOOK_SOON_S;
    if (t->first == NULL) {
        ev_timer_stop(loop, w);
    }
}

struct taps *taps_new(struct server *s)
{
    struct taps *t = mem_zalloc(sizeof *t);

    t->s = s;
    ev_timer_init(&t->look, on_look, LOOK_S, LOOK_S);
    return t;
}

static void refuse(struct http_request *r, int status, const char *text)
{
    http_answer(r, status, "Content-Type: text/plain; charset=utf-8\r\n", str_of(text));
}

void taps_get(struct taps *t, struct http_request *r, const struct http_view *v)
{
    struct tap_filter f;
    struct reader *x;

    if (!str_eq(v->method, STR("GET"))) {
        http_answer(r, 405, "Allow: GET\r\n", (struct str){NULL, 0});
        return;
    }
    if (!filter_of(&f, v->query)) {
        refuse(r, 400,
               "expected route=, stream=, field= with value=, each once and of at most "
               "255 "
               "bytes, sample= (more than 0, at most 1), refused or raw\n");
        return;
    }
    if (t->n >= TAPS_MAX) {
        refuse(r, 503, "4 taps are open; end one of them first\n");
        return;
    }
    if (!stream_begin(r, "Content-Type: application/x-ndjson\r\n"
                         "Cache-Control: no-store\r\n")) {
        refuse(r, 400, "a tap wants a connection of its own\n");
        return;
    }
    x = mem_zalloc(sizeof *x + t->s->n_workers * sizeof x->errands[0]);
    *x = (struct reader){.taps = t,
                         .next = t->first,
                         .r = r,
                         .tap = tap_new(&f, t->s->n_workers),
                         .raw = f.raw,
                         .began_ns = clock_mono_ns()};
    (void)snprintf(x->peer, sizeof x->peer, "%.*s", (int)v->peer.n, v->peer.p);
    x->sent_ns = x->began_ns;
    for (uint32_t i = 0; i < t->s->n_workers; i++) {
        x->errands[i] = (struct errand){x, i};
    }
    t->first = x;
    t->n++;
    if (f.route[0] != '\0' && !has_route(policy_plan(t->s->policy), f.route)) {
        tell_unknown(x, "route", f.route);
    }
    if (f.stream[0] != '\0' && !has_stream(policy_plan(t->s->policy), f.stream)) {
        tell_unknown(x, "stream", f.stream);
    }
    tell_workers(x, on_join);
    if (!ev_is_active(&t->look)) {
        ev_timer_start(t->s->loop, &t->look);
    }
}

void taps_stop(struct taps *t)
{
    for (struct reader *x = t == NULL ? NULL : t->first; x != NULL; x = x->next) {
        if (x->r != NULL) {
            stream_end(x->r);
            x->r = NULL;
        }
    }
    if (t != NULL) {
        ev_timer_stop(t->s->loop, &t->look);
    }
}

void taps_free(struct taps *t)
{
    while (t != NULL && t->first != NULL) {
        struct reader *next = t->first->next;

        tap_free(t->first->tap);
        free(t->first);
        t->first = next;
    }
    free(t);
}
