#include "sink/http/transfers.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/http/multi.h"
#include "sink/http/transfer.h"
#include "stats/stats.h"

struct list {
    struct transfer *first, *last;
};

struct transfers {
    struct multi multi;
    struct pool_plan plan;
    struct list waiting, running;
    struct transfer *spare; /* kept with their easy handles */
    uint32_t n_running, n_spare;
    uint64_t open;       /* sockets */
    uint64_t applied_ns; /* the plan is from then */
    stats_cell *open_gauge, *active, *idle, *waiting_gauge, *opened, *closed;
    struct stats_histogram *wait;
};

/* ---- lists ---- */

static void push(struct list *l, struct transfer *x)
{
    x->next = NULL;
    x->prev = l->last;
    if (l->last != NULL) {
        l->last->next = x;
    } else {
        l->first = x;
    }
    l->last = x;
}

static void take(struct list *l, struct transfer *x)
{
    if (x->prev != NULL) {
        x->prev->next = x->next;
    } else {
        l->first = x->next;
    }
    if (x->next != NULL) {
        x->next->prev = x->prev;
    } else {
        l->last = x->prev;
    }
    x->next = x->prev = NULL;
}

static void show(struct transfers *t)
{
    uint64_t waiting = 0;

    for (const struct transfer *x = t->waiting.first; x != NULL; x = x->next) {
        waiting++;
    }
    stats_set(t->open_gauge, t->open);
    stats_set(t->active, t->n_running);
    stats_set(t->idle, t->open > t->n_running ? t->open - t->n_running : 0);
    stats_set(t->waiting_gauge, waiting);
}

/* ---- connections, counted ---- */

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfers *t = arg;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

    (void)purpose;
    if (fd >= 0) {
        t->open++;
        stats_add(t->opened, 1);
    }
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    struct transfers *t = arg;

    t->open--;
    stats_add(t->closed, 1);
    return close(fd);
}

/* ---- transfers ---- */

static void start_waiting(struct transfers *t)
{
    while (t->waiting.first != NULL && t->n_running < t->plan.max_open) {
        struct transfer *x = t->waiting.first;

        take(&t->waiting, x);
        push(&t->running, x);
        t->n_running++;
        x->began_ns = clock_mono_ns();
        stats_record(t->wait, x->began_ns - x->queued_ns);
        (void)curl_multi_add_handle(t->multi.curl, x->easy);
    }
    show(t);
}

/* A handle from before the last reload would resume its TLS session: the server would
 * still see the old certificate, and its own would not be looked at again. */
static bool is_outdated(const struct transfers *t, const struct transfer *x)
{
    return x->made_ns < t->applied_ns;
}

static void drop(struct transfer *x)
{
    curl_easy_cleanup(x->easy);
    free(x);
}

static struct transfer *get(struct transfers *t)
{
    struct transfer *x;

    while ((x = t->spare) != NULL) {
        t->spare = x->next;
        t->n_spare--;
        if (!is_outdated(t, x)) {
            return x;
        }
        drop(x);
    }
    x = mem_zalloc(sizeof *x);
    x->easy = curl_easy_init();
    x->owner = t;
    x->made_ns = clock_mono_ns();
    return x;
}

static void put(struct transfers *t, struct transfer *x)
{
    transfer_clear(x);
    if (t->n_spare >= t->plan.max_idle || is_outdated(t, x)) {
        drop(x);
        return;
    }
    x->next = t->spare;
    t->spare = x;
    t->n_spare++;
}

/* Connections made before the last reload are not used: files of certificates may have
 * changed. */
static long lifetime_s(const struct transfers *t)
{
    long since = (long)((clock_mono_ns() - t->applied_ns) / 1000000000u) + 1;
    long most = (long)(t->plan.max_lifetime_ms / 1000);

    return since < most ? since : most;
}

struct transfer *transfers_send(struct transfers *t, const struct transfer_request *r)
{
    struct transfer *x = get(t);

    x->r = *r;
    x->n_answer = x->n_read = x->n_sent = 0;
    x->summary = x->too_long = x->twice = false;
    x->answer = mem_zalloc(1);
    x->exception = 0;
    x->error[0] = '\0';
    x->queued_ns = clock_mono_ns();
    transfer_set_up(x, &t->plan, lifetime_s(t));
    (void)curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, t);
    (void)curl_easy_setopt(x->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    (void)curl_easy_setopt(x->easy, CURLOPT_CLOSESOCKETDATA, t);
    push(&t->waiting, x);
    /* Also starts it: curl may call back, and done must not come from here. */
    multi_end_soon(&t->multi);
    return x;
}

static void stop_running(struct transfers *t, struct transfer *x)
{
    (void)curl_multi_remove_handle(t->multi.curl, x->easy);
    take(&t->running, x);
    t->n_running--;
}

void transfers_cancel(struct transfers *t, struct transfer *x)
{
    if (x->began_ns < x->queued_ns) {
        take(&t->waiting, x);
    } else {
        stop_running(t, x);
    }
    put(t, x);
    multi_end_soon(&t->multi);
}

static void on_ended(void *arg, CURL *easy, CURLcode rc)
{
    struct transfers *t = arg;
    struct transfer *x;
    struct transfer_answer a;

    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &x);
    a = transfer_answer_of(x, rc);
    a.ns = clock_mono_ns() - x->began_ns;
    stop_running(t, x);
    x->r.done(x->r.arg, &a);
    put(t, x);
}

static void on_settled(void *arg)
{
    start_waiting(arg);
}

/* ---- life ---- */

static void make_cells(struct transfers *t, const char *sink)
{
    char label[160];

    (void)stats_label_pair(label, sizeof label, "sink", sink);
    t->open_gauge = stats_gauge("sluice_sink_connections_open",
                                "Connections in the sink's pool.", label);
    t->active = stats_gauge("sluice_sink_connections_active",
                            "Connections in the pool that carry a request.", label);
    t->idle = stats_gauge("sluice_sink_connections_idle",
                          "Connections in the pool without a request.", label);
    t->waiting_gauge = stats_gauge("sluice_sink_connections_waiting",
                                   "Requests that wait for a connection.", label);
    t->opened = stats_counter("sluice_sink_connections_opened_total",
                              "Connections that were opened.", label);
    t->closed = stats_counter("sluice_sink_connections_closed_total",
                              "Connections that were closed.", label);
    t->wait =
        stats_histogram("sluice_sink_connection_wait_seconds",
                        "Time that a request waits for a connection.", label, STATS_NS);
}

void transfers_apply(struct transfers *t, const struct pool_plan *plan)
{
    t->plan = *plan;
    t->applied_ns = clock_mono_ns();
    (void)curl_multi_setopt(t->multi.curl, CURLMOPT_MAXCONNECTS, (long)plan->max_idle);
    (void)curl_multi_setopt(t->multi.curl, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            (long)plan->max_open);
    multi_end_soon(&t->multi);
}

struct transfers *transfers_new(struct ev_loop *loop, const char *sink,
                                const struct pool_plan *plan)
{
    struct transfers *t = mem_zalloc(sizeof *t);

    make_cells(t, sink);
    multi_init(&t->multi, loop, on_ended, on_settled, t);
    transfers_apply(t, plan);
    return t;
}

void transfers_free(struct transfers *t)
{
    while (t->running.first != NULL) {
        transfers_cancel(t, t->running.first);
    }
    while (t->waiting.first != NULL) {
        transfers_cancel(t, t->waiting.first);
    }
    while (t->spare != NULL) {
        struct transfer *x = t->spare;

        t->spare = x->next;
        curl_easy_cleanup(x->easy);
        free(x);
    }
    multi_fini(&t->multi);
    show(t);
    free(t);
}
