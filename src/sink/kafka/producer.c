#include "sink/kafka/producer.h"
#include "sink/kafka/options.h"
#include "sink/kafka/reason.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "decode/scan.h"

enum {
    POLL_MOST = 64, /* events a turn; one may carry thousands of reports */
    FLUSH_MS = 10,
    END_MS = 2000,
    ASIDE_MS = 500
};

static const char UNREACHED[] = "no broker was reached yet";
static const char SIGNAL[8] = {1}; /* the number that an eventfd wants to be written */

/* ---- statistics ---- */

static void take_stats(struct producer *p, const char *json, size_t n)
{
    /* Of its objects only brokers have a state of that name. */
    const bool reached = strstr(json, "\"state\":\"UP") != NULL;
    static const struct scan_limits limits = {1, 64};
    struct arena arena;
    struct event_batch b;
    struct scan_error se;
    char *padded, why[300];

    if (p->stats == NULL) {
        return; /* they are only asked for the turn of the loop */
    }
    padded = mem_zalloc(n + SCAN_PAD);
    memcpy(padded, json, n);
    arena_init(&arena, 1 << 20);
    event_batch_init(&b, &arena);
    if (scan_body(&b, p->stat_keys, SCAN_EVENT, &limits, padded, n, &se) == SCAN_OK) {
        const struct slot *s = b.events[0].slots;

        stats_set(p->cells->queued, (uint64_t)s[0].num);
        stats_set(p->cells->queued_bytes, (uint64_t)s[1].num);
        stats_add(p->cells->sent, (uint64_t)s[2].num - p->sent_before);
        stats_add(p->cells->wire, (uint64_t)s[3].num - p->wire_before);
        p->sent_before = (uint64_t)s[2].num;
        p->wire_before = (uint64_t)s[3].num;
    }
    event_batch_fini(&b);
    arena_fini(&arena);
    free(padded);
    if (reached && strcmp(p->last_error, UNREACHED) == 0) {
        (void)snprintf(p->last_error, sizeof p->last_error, "the brokers answer late");
    }
    p->stats(p->arg, reached, producer_refusal(p, json, why, sizeof why));
}

static struct scan_keys *stat_keys(void)
{
    static const struct str paths[] = {STR("msg_cnt"), STR("msg_size"), STR("txmsgs"),
                                       STR("tx_bytes")};
    struct err e;

    return scan_keys_new(paths, N_ELEMS(paths), &e);
}

void producer_cells_init(struct producer_cells *c, const char *sink,
                         const char *brokers)
{
    char label[760], s[160], b[560];

    (void)stats_label_pair(s, sizeof s, "sink", sink);
    (void)stats_label_pair(b, sizeof b, "endpoint", brokers);
    (void)snprintf(label, sizeof label, "%s,%s", s, b);
    c->queued = stats_gauge("sluice_kafka_queued_messages",
                            "Messages in librdkafka's queues.", label);
    c->queued_bytes = stats_gauge("sluice_kafka_queued_bytes",
                                  "Bytes in librdkafka's queues.", label);
    c->sent = stats_counter("sluice_kafka_sent_messages_total",
                            "Messages sent to brokers.", label);
    c->wire = stats_counter("sluice_sink_wire_bytes_total",
                            "Bytes of bodies sent to the sink, after "
                            "compression.",
                            s);
}

/* ---- events ---- */

static void take_error(struct producer *p, rd_kafka_event_t *ev)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);

    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        return; /* the one before says why */
    }
    (void)reason_detail(code, rd_kafka_event_error_string(ev), p->last_error,
                        sizeof p->last_error);
}

/* An idempotent producer takes a message that a broker refused for stored, and reports it
 * without an offset, once the broker has taken a later one of the partition: by the
 * sequence numbers it should not have. But one that knows nothing of this producer yet
 * takes any number. So only an offset is a broker's word. */
static bool is_taken(const struct producer *p, const rd_kafka_message_t *m)
{
    return m->err == RD_KAFKA_RESP_ERR_NO_ERROR && (m->offset >= 0 || !p->idempotent);
}

static void take_reports(struct producer *p, rd_kafka_event_t *ev)
{
    const rd_kafka_message_t *m;

    while ((m = rd_kafka_event_message_next(ev)) != NULL) {
        partition_reported(p, m);
        p->report(p->arg, m, is_taken(p, m));
    }
}

bool producer_poll(struct producer *p, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        rd_kafka_event_t *ev = rd_kafka_queue_poll(p->queue, 0);

        if (ev == NULL) {
            return true;
        }
        switch (rd_kafka_event_type(ev)) {
        case RD_KAFKA_EVENT_DR:
            take_reports(p, ev);
            break;
        case RD_KAFKA_EVENT_ERROR:
            take_error(p, ev);
            break;
        case RD_KAFKA_EVENT_STATS:
            take_stats(p, rd_kafka_event_stats(ev), strlen(rd_kafka_event_stats(ev)));
            break;
        default:
            break;
        }
        rd_kafka_event_destroy(ev);
    }
    return false;
}

static void poll_on(struct producer *p)
{
    if (!producer_poll(p, POLL_MOST)) {
        ev_idle_start(p->loop, &p->again);
    }
    /* Asked, because its event does not always come; statistics do, each second. */
    if (rd_kafka_fatal_error(p->rk, p->fatal_why, sizeof p->fatal_why) !=
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        p->fatal(p->arg, p->fatal_why); /* p is gone after this */
    }
}

static void on_io(struct ev_loop *loop, ev_io *w, int events)
{
    struct producer *p = OUTER(w, struct producer, io);
    uint64_t n;

    (void)loop;
    (void)events;
    /* Read before the queue is: it signals once, until it was polled empty. */
    while (read(p->fd, &n, sizeof n) > 0) {
    }
    poll_on(p);
}

static void on_again(struct ev_loop *loop, ev_idle *w, int events)
{
    (void)events;
    ev_idle_stop(loop, w);
    poll_on(OUTER(w, struct producer, again));
}

/* librdkafka's own lines, also before rd_kafka_new returns, on any thread. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    struct producer *p = rd_kafka_opaque(rk);
    char why[600];

    if (level > 6) {
        refusal_take(p, facility, text);
        if (!p->debug) {
            return;
        }
    }
    log_write(level <= 3   ? LOG_ERROR
              : level == 4 ? LOG_WARN
              : level <= 6 ? LOG_INFO
                           : LOG_DEBUG,
              "kafka_client", "sink=%s facility=%s why=%s", p->name, facility,
              log_quote(why, sizeof why, text));
}

/* ---- topics ---- */

rd_kafka_topic_t *producer_topic(struct producer *p, struct str name)
{
    bool own = str_eq(name, str_of(p->plan->topic));
    struct topic *t =
        topics_add(p->topics, name, own ? UINT32_MAX : p->plan->max_topics + 1);

    if (t != NULL && t->handle == NULL) {
        t->handle = rd_kafka_topic_new(p->rk, t->name, partition_conf(p));
    }
    return t == NULL ? NULL : t->handle;
}

/* ---- life ---- */

/* The policy wants librdkafka's own words. */
static bool asks_debug(const struct kafka_plan *k)
{
    for (uint32_t i = 0; i < k->n_options; i++) {
        if (strcmp(k->options[i].name, "debug") == 0) {
            return true;
        }
    }
    return false;
}

struct producer *producer_new(const struct producer_conf *c, struct err *e)
{
    struct producer *p = mem_zalloc(sizeof *p);
    rd_kafka_conf_t *conf = options_conf(c->plan, c->brokers, c->alone, e);
    rd_kafka_t *rk = NULL;
    char why[256];

    (void)pthread_mutex_init(&p->refused_lock, NULL);
    p->debug = asks_debug(&c->plan->kafka);
    (void)snprintf(p->name, sizeof p->name, "%s", c->plan->name);
    (void)snprintf(p->last_error, sizeof p->last_error, "%s", UNREACHED);
    if (conf != NULL) {
        p->message_max_bytes = options_message_max(conf);
        p->idempotent = options_idempotent(conf);
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR |
                                           RD_KAFKA_EVENT_STATS);
        rd_kafka_conf_set_log_cb(conf, on_log);
        rd_kafka_conf_set_opaque(conf, p);
        rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    }
    if (rk == NULL) {
        if (conf != NULL) {
            rd_kafka_conf_destroy(conf);
            (void)err_set(e, "kafka: %s", why);
        }
        free(p);
        return NULL;
    }
    p->loop = c->loop;
    p->rk = rk;
    p->plan = &c->plan->kafka;
    p->sticky_messages = c->plan->batch.max;
    p->report = c->report;
    p->stats = c->stats;
    p->fatal = c->fatal;
    p->arg = c->arg;
    p->cells = c->cells;
    p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->queue = rd_kafka_queue_get_main(rk);
    p->stat_keys = stat_keys();
    p->topics = topics_new();
    (void)producer_topic(p, str_of(p->plan->topic)); /* there is always room for it */
    rd_kafka_queue_io_event_enable(p->queue, p->fd, SIGNAL, sizeof SIGNAL);
    ev_io_init(&p->io, on_io, p->fd, EV_READ);
    ev_idle_init(&p->again, on_again);
    producer_wake(p);
    return p;
}

void producer_rest(struct producer *p)
{
    ev_io_stop(p->loop, &p->io);
    ev_idle_stop(p->loop, &p->again);
}

/* It signals only when its queue was empty before: events from before then, such as a
 * refused connection, must be fetched without a signal. */
void producer_wake(struct producer *p)
{
    ev_io_start(p->loop, &p->io);
    ev_idle_start(p->loop, &p->again);
}

bool producer_failed(const struct producer *p)
{
    char why[8];

    return rd_kafka_fatal_error(p->rk, why, sizeof why) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool producer_idle(const struct producer *p)
{
    return rd_kafka_outq_len(p->rk) == 0;
}

void producer_flush(struct producer *p)
{
    if (!producer_idle(p)) {
        (void)rd_kafka_flush(p->rk, FLUSH_MS);
    }
}

void producer_give_back(struct producer *p)
{
    (void)rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static _Atomic int n_aside; /* producers whose threads have not ended yet */

/* It joins librdkafka's threads, which may be resolving a name, and may call back. */
static void *destroy(void *arg)
{
    struct producer *p = arg;

    rd_kafka_destroy(p->rk);
    (void)pthread_mutex_destroy(&p->refused_lock);
    free(p);
    (void)atomic_fetch_sub(&n_aside, 1);
    return NULL;
}

/* At the end of the process: they mostly need some milliseconds, and a checker of leaks
 * finds nothing that is freed in part. */
static void wait_for_aside(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < ASIDE_MS && atomic_load(&n_aside) > 0; i++) {
        (void)nanosleep(&pause, NULL);
    }
}

static void at_exit(void)
{
    (void)atexit(wait_for_aside);
}

static void destroy_aside(struct producer *p)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_attr_t attr;
    pthread_t thread;

    (void)pthread_once(&once, at_exit);
    (void)atomic_fetch_add(&n_aside, 1);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, destroy, p) != 0) {
        (void)destroy(p);
    }
    (void)pthread_attr_destroy(&attr);
}

void producer_free(struct producer *p)
{
    int left = END_MS / FLUSH_MS;

    producer_rest(p);
    p->stats = NULL; /* its owner has another one, or none */
    (void)rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(p->rk) > 0 && left-- > 0) {
        (void)rd_kafka_flush(p->rk, FLUSH_MS);
        (void)producer_poll(p, UINT32_MAX);
    }
    for (uint32_t i = 0; i < topics_count(p->topics); i++) {
        if (topics_at(p->topics, i)->handle != NULL) {
            rd_kafka_topic_destroy(topics_at(p->topics, i)->handle);
        }
    }
    topics_free(p->topics);
    rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(p->queue);
    (void)close(p->fd);
    scan_keys_free(p->stat_keys);
    if (p->cells != NULL && p->cells->queued != NULL) {
        stats_set(p->cells->queued, 0);
        stats_set(p->cells->queued_bytes, 0);
    }
    destroy_aside(p);
}

void producer_why_shut(const struct producer *p, bool forced, char *out, size_t n)
{
    (void)snprintf(
        out, n, "the breaker %s%s",
        forced ? "was opened by hand" : "is open: ", forced ? "" : p->last_error);
}
