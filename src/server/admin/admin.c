/*
 * admin - the second listener: GET /metrics /healthz /readyz /status /tap, the page at / with
 * its data, POST /reload /loglevel, and orders to one sink: /sinks/NAME/drop, breaker, replay.
 * On the supervisor's loop;
 * nothing here is on the events' way.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/admin/guard.h"
#include "server/admin/problems.h"
#include "server/admin/scrape.h"
#include "server/admin/tap.h"
#include "server/certificates.h"
#include "server/internal.h"
#include "server/page/asset.h"
#include "server/page/data.h"
#include "server/renewal.h"
#include "server/upgrade/successor.h"

static const uint64_t LATE_NS = 5000000000u;

static const char BREAKER[] = "/breaker", DROP[] = "/drop", REPLAY[] = "/replay";
static const char PLAIN_TEXT[] = "Content-Type: text/plain; charset=utf-8\r\n";

static void answer_text(struct http_request *r, int status, const char *text)
{
    http_answer(r, status, PLAIN_TEXT, str_of(text));
}

static void get_readyz(struct server *s, struct http_request *r)
{
    const char *why = ingest_why_unready(s->spool, s->draining || s->resting);
    char text[64];

    (void)snprintf(text, sizeof text, "%s\n", why == NULL ? "ready" : why);
    answer_text(r, why == NULL ? 200 : 503, text);
}

/* cJSON escapes, and takes any bytes: a message may hold a client's, or be cut
 * inside a character. */
static void answer_json(struct http_request *r, int status, char *json)
{
    char *text = text_new(TEXT_PLAIN, str_of(json));

    http_answer(r, status, "", str_of(text));
    free(text);
    free(json);
}

static void get_status(struct server *s, struct http_request *r)
{
    answer_json(r, 200, status_json(s));
}

static void on_reloaded(void *arg, const struct reload_answer *a)
{
    static const int statuses[] = {
        [RELOAD_OK] = 200,     [RELOAD_BAD_POLICY] = 422, [RELOAD_NEEDS_RESTART] = 409,
        [RELOAD_FAILED] = 500, [RELOAD_CONFLICT] = 409,   [RELOAD_BUSY] = 503};
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "status", a->status);
    (void)cJSON_AddNumberToObject(o, "generation", (double)a->live);
    if (a->generation != 0) {
        (void)cJSON_AddNumberToObject(o, "loaded", (double)a->generation);
    }
    (void)cJSON_AddStringToObject(o, "report", a->text);
    (void)cJSON_AddItemToObject(o, "problems", problems_json(a->report));
    (void)cJSON_AddItemToObject(o, "retiring", status_retiring(a->server));
    answer_json(arg, statuses[a->result], cJSON_PrintUnformatted(o));
    cJSON_Delete(o);
}

/* Answered when it is done: the request waits, the listener does not. */
static void post_reload(struct server *s, struct http_request *r, struct str query)
{
    struct reload_request asked = {.cause = "POST", .done = on_reloaded, .arg = r};
    char late[ERR_TEXT_MAX];

    if (query.n == 0) {
        asked.kind = RELOAD_FILE;
    } else if (str_eq(query, STR("rollback"))) {
        asked.kind = RELOAD_ROLLBACK;
    } else if (str_eq(query, STR("promote"))) {
        asked.kind = RELOAD_PROMOTE;
    } else {
        answer_text(r, 400, "expected /reload, ?rollback or ?promote\n");
        return;
    }
    if (!reload_ask(s, &asked)) {
        reload_late_text(s, late, sizeof late);
        answer_text(r, 503,
                    s->draining            ? "draining\n"
                    : successor_leaving(s) ? "an upgrade is under way: ask again\n"
                    : s->reload_late       ? late
                                           : "too many reloads wait\n");
    }
}

/* The NAME of /sinks/NAME + tail; false: another path. */
static bool sink_path(struct str path, const char *tail, char *name, size_t bytes)
{
    static const char head[] = "/sinks/";
    size_t n_head = sizeof head - 1, n_tail = strlen(tail);
    size_t n = path.n - n_head - n_tail;

    if (path.n <= n_head + n_tail || n >= bytes || memcmp(path.p, head, n_head) != 0 ||
        memcmp(path.p + path.n - n_tail, tail, n_tail) != 0) {
        return false;
    }
    memcpy(name, path.p + n_head, n);
    name[n] = '\0';
    return true;
}

struct dropping {
    struct server *s;
    struct http_request *r; /* NULL: it has its answer */
    ev_timer timer;
    char name[96];
    struct delivery_status dropped;
    int status;
    const char *text;
};

static void drop(void *arg) /* the changer's thread */
{
    struct dropping *d = arg;
    struct running_sink *sink = sinks_find(d->s, d->name);
    struct err e;

    if (sink == NULL) {
        d->status = 404;
        d->text = "there is no such sink\n";
    } else if (!sink->retiring) {
        d->status = 409;
        d->text = "this sink is in the policy: take it out first\n";
    } else if (!spool_in_place(d->s->spool, &e)) {
        d->text = "the spool's directory was moved, removed or unmounted, nothing was "
                  "dropped: put it back\n";
    } else if (sink_drop(d->s, sink, "POST", &d->dropped)) {
        d->status = 200;
    }
}

static void on_dropped(void *arg)
{
    struct dropping *d = arg;
    char text[128];

    ev_timer_stop(d->s->loop, &d->timer);
    (void)snprintf(text, sizeof text, "dropped events=%lu bytes=%lu\n",
                   (unsigned long)d->dropped.remaining,
                   (unsigned long)d->dropped.lag_bytes);
    if (d->r != NULL) {
        answer_text(d->r, d->status, d->status == 200 ? text : d->text);
    }
    free(d);
}

/* It can't be called back; the log says when it is done. */
static void on_drop_late(struct ev_loop *loop, ev_timer *t, int events)
{
    struct dropping *d = OUTER(t, struct dropping, timer);

    (void)loop;
    (void)events;
    answer_text(d->r, 503,
                "it waits for a disk, and is done once that answers: look at "
                "/status\n");
    d->r = NULL;
}

/* The only way in which events are given up: see retired.c. The request waits, the
 * listener does not. */
static void post_drop(struct server *s, struct http_request *r, const char *name)
{
    static const char hangs[] = "the sink's thread hangs, nothing was dropped: try "
                                "again later\n";
    struct dropping *d;
    char at[96];

    if (changer_late(&s->changer, LATE_NS, at, sizeof at)) {
        answer_text(r, 503,
                    "another sink's change waits for a disk, nothing was "
                    "dropped: try again later\n");
        return;
    }
    d = mem_zalloc(sizeof *d);
    *d = (struct dropping){.s = s, .r = r, .status = 503, .text = hangs};
    (void)snprintf(d->name, sizeof d->name, "%s", name);
    ev_timer_init(&d->timer, on_drop_late, (double)LATE_NS / 1e9, 0.);
    ev_timer_start(s->loop, &d->timer);
    changer_post(&s->changer, drop, on_dropped, d);
}

static void post_breaker(struct server *s, struct http_request *r, const char *name,
                         struct str query)
{
    static const char *const words[][2] = {
        [DELIVERY_FORCED_NOW] = {"closed\n", "open until it is closed\n"},
        [DELIVERY_FORCED_LATER] = {"the sink is held; closed once it starts\n",
                                   "the sink is held; open once it starts, until it is "
                                   "closed\n"}};
    bool open = str_eq(query, STR("open"));
    struct running_sink *sink;
    enum delivery_forced forced;

    sinks_lock(s);
    sink = sinks_find(s, name);
    if (sink == NULL) {
        answer_text(r, 404, "there is no such sink\n");
    } else if (!open && !str_eq(query, STR("close"))) {
        answer_text(r, 400, "expected ?open or ?close\n");
    } else if ((forced = delivery_force(sink->delivery, open)) ==
               DELIVERY_FORCED_NONE) {
        answer_text(r, 409, "this sink has no breaker\n");
    } else {
        log_write(LOG_WARN, "breaker", "sink=%s cause=POST state=%s", name,
                  open ? "open" : "closed");
        answer_text(r, 200, words[forced][open]);
    }
    sinks_unlock(s);
}

/* POST begins it, DELETE ends it, GET says how far it is: no request waits for a
 * sink. */
static void replay_letters(struct server *s, struct http_request *r,
                           const struct http_view *v, const char *name)
{
    bool post = str_eq(v->method, STR("POST"));
    bool stop = str_eq(v->method, STR("DELETE"));
    bool dry = str_eq(v->query, STR("dry-run"));
    char text[ERR_TEXT_MAX + 8];
    struct running_sink *sink;
    struct err e;

    sinks_lock(s);
    sink = sinks_find(s, name);
    if (sink == NULL) {
        answer_text(r, 404, "there is no such sink\n");
    } else if (v->query.n > 0 && !(post && dry)) {
        answer_text(r, 400, "expected nothing or ?dry-run behind /replay\n");
    } else if ((post && !delivery_replay_begin(sink->delivery, dry, &e)) ||
               (stop && !delivery_replay_stop(sink->delivery, &e))) {
        (void)snprintf(text, sizeof text, "%s\n", e.text);
        answer_text(r, 409, text);
    } else {
        answer_json(r, post || stop ? 202 : 200, status_replay(sink->delivery));
    }
    sinks_unlock(s);
}

/* How it ends is in /status, maybe of another process. */
static void post_upgrade(struct server *s, struct http_request *r, struct str query)
{
    char text[ERR_TEXT_MAX + 2];
    struct err e;

    if (query.n > 0) {
        answer_text(r, 400, "expected /upgrade; /status says how the last one went\n");
        return;
    }
    if (successor_begin(s, "POST", &e)) {
        answer_text(r, 202, "a new process starts\n");
        return;
    }
    (void)snprintf(text, sizeof text, "%s\n", e.text);
    answer_text(r, 409, text);
}

static void post_drain(struct server *s, struct http_request *r, struct str query)
{
    bool off = str_eq(query, STR("off"));

    if (query.n > 0 && !off) {
        answer_text(r, 400, "expected /drain or /drain?off\n");
        return;
    }
    if (off && s->draining) {
        answer_text(r, 409, "the server stops: it takes no events again\n");
        return;
    }
    drain_rest(s, !off);
    answer_text(r, 200, off ? "returns\n" : "rests\n");
}

/* The next load of a policy sets its own. */
static void post_loglevel(struct http_request *r, struct str query)
{
    enum log_level level;
    char word[16], text[64];

    (void)snprintf(word, sizeof word, "%.*s", (int)(query.n < 15 ? query.n : 15),
                   query.p);
    if (!log_level_of(word, &level)) {
        answer_text(r, 400, "expected ?debug, ?info, ?warn or ?error\n");
        return;
    }
    log_set_level(LOG_INFO); /* that it changes is told whatever it was, and becomes */
    log_write(LOG_INFO, "loglevel", "cause=POST level_now=%s", word);
    log_set_level(level);
    (void)snprintf(text, sizeof text, "level=%s until the next reload\n", word);
    answer_text(r, 200, text);
}

static bool is_get(const struct http_view *v)
{
    return str_eq(v->method, STR("GET")) || str_eq(v->method, STR("HEAD"));
}

static void on_headers(void *arg, struct http_request *r, const struct http_view *v)
{
    static const struct {
        const char *path;
        bool post;
    } paths[] = {{"/metrics", false}, {"/healthz", false},   {"/readyz", false},
                 {"/status", false},  {"/page.json", false}, {"/policy.json", false},
                 {"/tap", false},     {"/reload", true},     {"/loglevel", true},
                 {"/drain", true},    {"/upgrade", true}};
    char name[96];
    bool get = is_get(v);

    if (!guard_passes(((struct server *)arg)->admin_plan, r, v)) {
        return;
    }
    if (sink_path(v->path, REPLAY, name, sizeof name)) {
        if (!get && !str_eq(v->method, STR("POST")) &&
            !str_eq(v->method, STR("DELETE"))) {
            http_answer(r, 405, "Allow: GET, POST, DELETE\r\n", (struct str){NULL, 0});
        }
        return;
    }
    if (sink_path(v->path, BREAKER, name, sizeof name) ||
        sink_path(v->path, DROP, name, sizeof name)) {
        if (!str_eq(v->method, STR("POST"))) {
            http_answer(r, 405, "Allow: POST\r\n", (struct str){NULL, 0});
        }
        return;
    }
    for (size_t i = 0; i < N_ELEMS(paths); i++) {
        bool post = paths[i].post;

        if (!str_eq(v->path, str_of(paths[i].path)) && (post || !asset_is(v->path))) {
            continue;
        }
        if (post ? !str_eq(v->method, STR("POST")) : !get) {
            http_answer(r, 405, post ? "Allow: POST\r\n" : "Allow: GET\r\n",
                        post ? STR("{\"error\":\"Method not allowed\","
                                   "\"code\":\"method_not_allowed\","
                                   "\"detail\":\"this path accepts POST\"}")
                             : STR("{\"error\":\"Method not allowed\","
                                   "\"code\":\"method_not_allowed\","
                                   "\"detail\":\"this path accepts GET\"}"));
        }
        return;
    }
    http_answer(r, 404, "",
                STR("{\"error\":\"Not found\",\"code\":\"unknown_path\","
                    "\"detail\":\"expected /, /metrics, /healthz, /readyz, /status, "
                    "/tap, POST /reload, /drain, /loglevel or /upgrade\"}"));
}

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    struct server *s = arg;
    char name[96];

    if (sink_path(v->path, REPLAY, name, sizeof name)) {
        replay_letters(s, r, v, name);
    } else if (sink_path(v->path, BREAKER, name, sizeof name)) {
        post_breaker(s, r, name, v->query);
    } else if (sink_path(v->path, DROP, name, sizeof name)) {
        post_drop(s, r, name);
    } else if (str_eq(v->path, STR("/metrics"))) {
        scrape_answer(r, v);
    } else if (str_eq(v->path, STR("/healthz"))) {
        answer_text(r, 200, "ok\n");
    } else if (str_eq(v->path, STR("/readyz"))) {
        get_readyz(s, r);
    } else if (str_eq(v->path, STR("/status"))) {
        get_status(s, r);
    } else if (str_eq(v->path, STR("/upgrade"))) {
        post_upgrade(s, r, v->query);
    } else if (str_eq(v->path, STR("/tap"))) {
        taps_get(s->taps, r, v);
    } else if (str_eq(v->path, STR("/drain"))) {
        post_drain(s, r, v->query);
    } else if (str_eq(v->path, STR("/loglevel"))) {
        post_loglevel(r, v->query);
    } else if (str_eq(v->path, STR("/page.json"))) {
        data_answer(s, r, v);
    } else if (str_eq(v->path, STR("/policy.json"))) {
        data_policy(s, r, v);
    } else if (asset_is(v->path)) {
        asset_answer(r, v);
    } else {
        post_reload(s, r, v->query);
    }
}

static void on_abort(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
}

static void on_refusal(void *arg, struct http_request *r, const struct http_view *v,
                       struct http_refusal *no)
{
    (void)arg;
    (void)r;
    (void)v;
    (void)no;
}

static struct http_listener options_of(const struct server *s)
{
    struct http_listener options = ingest_listener(&s->admin_plan->listener);
    const struct tls_plan *t = s->admin_plan->listener.tls;

    options.name = "admin";
    if (t != NULL) {
        options.tls = (struct http_tls){renewal_door(s->renewal, CERTIFICATES_ADMIN),
                                        t->handshake_timeout_ms, t->max_handshakes};
    }
    return options;
}

bool admin_start(struct server *s, struct err *e)
{
    static const struct http_ops ops = {on_headers, on_body,    NULL,
                                        on_abort,   on_refusal, NULL};
    static const struct http_limits limits = {.max_body = 64 * 1024,
                                              .max_headers_bytes = 16 * 1024,
                                              .max_connections = 256,
                                              /* Others still ask /healthz. */
                                              .max_per_address = 128,
                                              .max_buffered = 16 << 20,
                                              .header_timeout_ms = 10000,
                                              .body_timeout_ms = 10000,
                                              .idle_timeout_ms = 60000};
    struct http_listener options;

    if (s->admin_listener.fds == NULL &&
        !listening_open_one(&s->admin_listener, s->place, e)) {
        return false;
    }
    s->taps = taps_new(s);
    s->admin = http_server_new(s->loop, &limits, &ops, s);
    options = options_of(s);
    http_server_listen(s->admin, s->admin_listener.fds[0], &options);
    return true;
}

void admin_follow(struct server *s)
{
    struct http_listener options;

    s->admin_plan = &policy_plan(s->policy)->admin;
    options = options_of(s);
    http_server_listener(s->admin, 0, &options);
}
