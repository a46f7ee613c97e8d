/*
 * Messages whose own topic the cluster does not have, or does not let us write to: they
 * wait beside all others, and after topic_wait, or when too many batches wait so, they
 * are dead letters, and so are later messages for that topic. The topic is tried again
 * all the while.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "sink/kafka/internal.h"
#include "sink/kafka/reason.h"

static const double AGAIN_S = 1.;

bool lacking_is_topic_error(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION ||
           err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
}

static void say(const struct sink *s, const struct topic *t, const char *status,
                rd_kafka_resp_err_t err)
{
    char topic[TOPIC_BYTES_MAX + 8], why[WHY_MAX];

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_write(LOG_INFO, "kafka_topic", "sink=%s topic=%s status=%s",
                  s->conf.plan->name, log_quote(topic, sizeof topic, t->name), status);
        return;
    }
    log_write(
        LOG_WARN, "kafka_topic", "sink=%s topic=%s status=%s topic_wait_ms=%ld why=%s",
        s->conf.plan->name, log_quote(topic, sizeof topic, t->name), status,
        (long)s->plan->topic_wait_ms, log_quote(why, sizeof why, reason_text(err)));
}

unsigned char lacking_refused(struct in_flight *c, uint32_t i, rd_kafka_resp_err_t err)
{
    struct sink *s = c->sink;
    struct str own = message_own_topic(c, i);
    uint64_t now = clock_mono_ns();
    struct topic *t;

    if (own.p == NULL) {
        return 0;
    }
    if (err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) { /* one too many */
        return REFUSED;
    }
    t = topics_add(s->lacking, own, 2 * s->plan->max_topics);
    if (t == NULL) {
        return REFUSED;
    }
    if (in_flight_count(s).lacking >= LACKING_MAX) {
        return REFUSED;
    }
    if (t->lacking_ns == 0) {
        t->lacking_ns = c->tries[0].began_ns;
        s->n_lacking++;
        say(s, t, "lacking", err);
    }
    if (now - t->lacking_ns < (uint64_t)s->plan->topic_wait_ms * 1000000u) {
        return LACKING;
    }
    if (!t->refused) {
        t->refused = true;
        say(s, t, "refused", err);
    }
    return REFUSED;
}

void lacking_taken(struct sink *s, const rd_kafka_message_t *m)
{
    struct topic *t;

    if (s->n_lacking == 0) {
        return;
    }
    t = topics_find(s->lacking, str_of(rd_kafka_topic_name(m->rkt)));
    if (t != NULL && t->lacking_ns != 0) {
        t->lacking_ns = 0;
        t->refused = false;
        s->n_lacking--;
        say(s, t, "there_again", RD_KAFKA_RESP_ERR_NO_ERROR);
    }
}

void lacking_wait(struct in_flight *c)
{
    struct sink *s = c->sink;

    c->lacking = true;
    batch_compact(c->batch, c->state, LACKING);
    if (!c->waits_told) { /* the brokers answer: the sink holds no more */
        c->waits_told = true;
        s->conf.done(s->conf.arg, c->batch,
                     &(struct sink_verdict){.kind = SINK_OK, .row = -1});
    }
    if (!ev_is_active(&s->lacking_timer)) {
        ev_timer_set(&s->lacking_timer, AGAIN_S, 0.);
        ev_timer_start(s->conf.loop, &s->lacking_timer);
    }
}

static bool try_again(struct in_flight *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if ((c->state[i] & LACKING) != 0) {
            c->state[i] = 0;
        }
    }
    if (in_flight_send(c)) {
        return true;
    }
    for (uint32_t i = 0; i < c->n; i++) { /* the breaker is open */
        if (c->state[i] == 0) {
            c->state[i] = LACKING;
        }
    }
    return false;
}

static void on_lacking(struct ev_loop *loop, ev_timer *w, int events)
{
    struct sink *s = OUTER(w, struct sink, lacking_timer);
    bool go_on = true;

    (void)events;
    for (size_t i = 0; i < s->n_slots; i++) {
        struct in_flight *c = &s->in_flight[i];

        if (c->lacking && go_on) {
            go_on = try_again(c);
        }
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        if (s->in_flight[i].lacking && !ev_is_active(w)) {
            ev_timer_set(w, AGAIN_S, 0.);
            ev_timer_start(loop, w);
        }
    }
}

void lacking_rest(struct sink *s)
{
    ev_timer_stop(s->conf.loop, &s->lacking_timer);
    for (size_t i = 0; i < s->n_slots; i++) {
        if (s->in_flight[i].lacking) {
            s->in_flight[i].lacking = false;
            in_flight_park(&s->in_flight[i], true, 0);
        }
    }
}

void lacking_init(struct sink *s)
{
    s->lacking = topics_new();
    ev_timer_init(&s->lacking_timer, on_lacking, 0., 0.);
}

void lacking_fini(struct sink *s)
{
    ev_timer_stop(s->conf.loop, &s->lacking_timer);
    topics_free(s->lacking);
}
