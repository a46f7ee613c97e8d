#include "server/waiting.h"

#include <ev.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/log.h"
#include "http/http.h"
#include "ingest/ingest.h"
#include "net/tls_context.h"
#include "net/tls_door.h"
#include "policy/load/load.h"

enum { HANDSHAKE_MS = 10000, HANDSHAKES_MAX = 64 };

static const double LOOK_S = 1.;
/* A start needs no more than some small files and a part of a segment. */
static const unsigned long long ROOM_BYTES = 1 << 20;

struct waiter {
    struct waiting *w;
    struct ev_loop *loop;
    ev_timer look;
    ev_signal on_term, on_int, on_hup;
    enum waiting_end end;
};

static void refuse(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    (void)v;
    http_answer(r, 503, "Retry-After: 5\r\n",
                STR("{\"error\":\"Service unavailable\",\"code\":\"no_room\","
                    "\"detail\":\"the server's disk has no room: nothing can be "
                    "stored\"}"));
}

static void admin_answer(void *arg, struct http_request *r, const struct http_view *v)
{
    static const char plain[] = "Content-Type: text/plain; charset=utf-8\r\n";
    struct waiter *a = arg;
    char text[sizeof a->w->why + 64];

    if (str_eq(v->path, STR("/healthz"))) {
        http_answer(r, 200, plain, STR("ok\n"));
        return;
    }
    (void)snprintf(text, sizeof text, "the start waits: %s\n", a->w->why);
    http_answer(r, 503, plain, str_of(text));
}

static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    (void)r;
    (void)v; /* it had its answer */
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

/* If room can't be told, the start is tried. */
static bool has_room(const char *dir)
{
    struct statvfs st;

    return statvfs(dir, &st) != 0 ||
           (unsigned long long)st.f_bavail * st.f_frsize >= ROOM_BYTES;
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct waiter *a = OUTER(t, struct waiter, look);

    (void)events;
    if (has_room(a->w->data_dir)) {
        ev_break(loop, EVBREAK_ALL);
    }
}

static void on_signal(struct ev_loop *loop, ev_signal *sig, int events)
{
    struct waiter *a = sig->data;

    (void)events;
    a->end = sig->signum == SIGHUP ? WAITING_AGAIN : WAITING_TOLD;
    ev_break(loop, EVBREAK_ALL);
}

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

static void on_guarded(struct ev_loop *loop, ev_signal *sig, int events)
{
    (void)loop;
    (void)sig;
    (void)events; /* the watcher of that time acts on it */
}

void waiting_guard(struct waiting *w)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);

    for (size_t i = 0; i < N_ELEMS(signals) && !w->guarded; i++) {
        ev_signal_init(&w->guards[i], on_guarded, signals[i]);
        ev_signal_start(loop, &w->guards[i]);
    }
    w->guarded = true;
}

static void watch(struct waiter *a)
{
    ev_signal *all[] = {&a->on_term, &a->on_int, &a->on_hup};

    for (size_t i = 0; i < N_ELEMS(all); i++) {
        ev_signal_init(all[i], on_signal, signals[i]);
        all[i]->data = a;
        ev_signal_start(a->loop, all[i]);
    }
    ev_timer_init(&a->look, on_look, LOOK_S, LOOK_S);
    ev_timer_start(a->loop, &a->look);
}

static void unwatch(struct waiter *a)
{
    ev_timer_stop(a->loop, &a->look);
    ev_signal_stop(a->loop, &a->on_term);
    ev_signal_stop(a->loop, &a->on_int);
    ev_signal_stop(a->loop, &a->on_hup);
}

static void tell(struct waiting *w)
{
    char quoted[sizeof w->why + 16], listen[LISTENINGS_TEXT], words[3][PATH_MAX];

    listenings_show(&w->listeners, listen, sizeof listen);
    if (strcmp(w->told, w->why) != 0) {
        log_write(LOG_ERROR, "start_waits", "listen=%s admin=%s data=%s why=%s",
                  log_word(words[0], sizeof words[0], listen),
                  log_word(words[1], sizeof words[1], w->admin.bound),
                  log_word(words[2], sizeof words[2], w->data_dir),
                  log_quote(quoted, sizeof quoted, w->why));
        (void)snprintf(w->told, sizeof w->told, "%s", w->why);
    }
}

/* All or none. */
static bool bind_ports(struct waiting *w, struct err *e)
{
    if (!listenings_open(&w->listeners, 1, NULL, e)) {
        return false;
    }
    if (!listening_open_one(&w->admin, NULL, e)) {
        listenings_close(&w->listeners);
        return false;
    }
    return true;
}

static void keep_port(struct listening *x)
{
    if (x->own) {
        memcpy(x->address, x->bound, sizeof x->address);
    }
}

/* Clients that know the ports of this wait find them at the next one. */
static void close_ports(struct waiting *w)
{
    for (uint32_t i = 0; i < w->listeners.n; i++) {
        keep_port(&w->listeners.list[i]);
    }
    keep_port(&w->admin);
    listenings_close(&w->listeners);
    listening_close(&w->admin);
}

/* As a listener of the policy: a PROXY header is read, and who is denied gets no byte. One
 * with TLS never speaks without: without its certificates, it closes. */
static void listen_at(struct http_server *s, struct waiting *w,
                      const struct listening *l, uint32_t place, struct tls_door **door)
{
    const struct plan *plan = policy_plan(w->policy);
    struct tls_context *c = w->certificates.contexts[place];
    struct http_listener o = ingest_listener(
        place == CERTIFICATES_ADMIN ? &plan->admin.listener : &plan->listeners[place]);

    o.name = NULL; /* its counters would stay after each wait */
    *door = NULL;
    if (l->tls) {
        *door = tls_door_new(c == NULL ? NULL : tls_context_ref(c));
        o.tls = (struct http_tls){*door, HANDSHAKE_MS, HANDSHAKES_MAX};
    }
    http_server_listen(s, l->fds == NULL ? -1 : l->fds[0], &o);
}

enum waiting_end waiting_for_room(struct waiting *w)
{
    static const struct http_ops ops = {refuse,   on_body,    NULL,
                                        on_abort, on_refusal, NULL};
    static const struct http_ops admin_ops = {admin_answer, on_body,    NULL,
                                              on_abort,     on_refusal, NULL};
    static const struct http_limits limits = {.max_body = 64 * 1024,
                                              .max_headers_bytes = 16 * 1024,
                                              .max_connections = 256,
                                              .max_per_address = 128,
                                              .max_buffered = 16 << 20,
                                              .header_timeout_ms = 10000,
                                              .body_timeout_ms = 10000,
                                              .idle_timeout_ms = 10000};
    struct waiter a = {.w = w, .loop = ev_default_loop(EVFLAG_AUTO)};
    struct http_server *events = NULL, *admin = NULL;
    struct tls_door *doors[CERTIFICATES_PLACES] = {NULL};
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!bind_ports(w, &e)) {
        log_write(LOG_ERROR, "start", "why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
        return WAITING_FAILED;
    }
    events = http_server_new(a.loop, &limits, &ops, &a);
    for (uint32_t i = 0; i < w->listeners.n; i++) {
        listen_at(events, w, &w->listeners.list[i], i, &doors[i]);
    }
    admin = http_server_new(a.loop, &limits, &admin_ops, &a);
    listen_at(admin, w, &w->admin, CERTIFICATES_ADMIN, &doors[CERTIFICATES_ADMIN]);
    tell(w);
    watch(&a);
    (void)ev_run(a.loop, 0);
    unwatch(&a);
    http_server_free(events);
    http_server_free(admin);
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        tls_door_free(doors[i]);
    }
    close_ports(w);
    return a.end;
}

void waiting_over(struct waiting *w)
{
    certificates_free(&w->certificates);
    w->certificates = (struct certificates){0};
    policy_unref(w->policy);
    w->policy = NULL;
    w->listeners.n = 0;
}
