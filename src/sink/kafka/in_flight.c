/*
 * A batch in librdkafka's hands. Payloads stay where they lie in the batch until
 * the first cluster's reports have come; the hedge's messages are copies. Reports
 * acknowledge events in whatever order the partitions confirm them.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "sink/kafka/internal.h"
#include "sink/kafka/reason.h"

enum { LOOK_MS = 20 };

/* librdkafka has it since 2.4: a message beside it in its set was refused. */
enum { INVALID_DIFFERENT_RECORD = -138 };

/* Codes that only another message, or another limit, would mend. INVALID_MSG is none: it
 * also tells of bytes that were damaged on their way. */
static bool is_refusal(const struct sink *s, rd_kafka_resp_err_t err)
{
    switch ((int)err) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: /* than a segment of the topic */
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case INVALID_DIFFERENT_RECORD:
        return true;
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP: /* else it is a clock's fault, not its */
        return s->plan->timestamp != NULL;
    default:
        return false;
    }
}

static bool is_purge(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
           err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

/* One of the topic that an event names: it waits for that, and no other does. */
static bool is_own_fault(struct in_flight *c, uint32_t i, rd_kafka_resp_err_t err)
{
    return lacking_is_topic_error(err) &&
           (c->batch == NULL || message_own_topic(c, i).p != NULL);
}

/* Of a time that is not far from that of its arrival a clock is at fault: alone, such a
 * message waits. In a set it may be another one's. */
static bool may_be_refused(struct in_flight *c, uint32_t i, rd_kafka_resp_err_t err)
{
    return is_refusal(c->sink, err) && (err != RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ||
                                        (c->state[i] & ISOLATED) == 0 ||
                                        c->batch == NULL || message_is_untimely(c, i));
}

static void keep_words(struct in_flight *c, struct in_flight_attempt *t, uint32_t i,
                       rd_kafka_resp_err_t err, const char *topic)
{
    const char *fatal = c->sink->clusters[t - c->tries].fatal;

    c->code = err;
    c->codes[i] = (int16_t)err;
    /* Messages are purged, too, because their producer has failed. */
    if (fatal[0] != '\0' && (is_purge(err) || err == RD_KAFKA_RESP_ERR__FATAL)) {
        (void)snprintf(c->why, sizeof c->why, "%s", fatal);
    } else {
        (void)reason_write(err, topic, c->why, sizeof c->why);
    }
    t->purged |= is_purge(err);
    t->failed |=
        !is_purge(err) && !may_be_refused(c, i, err) && !is_own_fault(c, i, err);
}

/* The cluster has reported on all that it got of c. */
static void end_try(struct in_flight *c, unsigned number)
{
    struct in_flight_attempt *t = &c->tries[number];

    if (!t->open || t->owed > 0 || (number == 0 && c->at < c->n)) {
        return;
    }
    if (number == 0 && t->asked && !t->failed && !t->purged) {
        hedging_took(&c->sink->hedging, (double)(clock_mono_ns() - t->began_ns) / 1e6);
    }
    cluster_done(&c->sink->clusters[number], t);
}

/* After each report and each sending. */
static void look_at(struct in_flight *c)
{
    end_try(c, 0);
    end_try(c, 1);
    if (c->batch == NULL) {
        if (c->tries[0].owed == 0) {
            free(c->bytes);
            c->bytes = NULL;
        }
    } else if (!c->parked && !c->lacking && c->at == c->n && c->undecided == 0) {
        in_flight_conclude(c);
    }
}

/* ---- reports: of both clusters, the first success decides ---- */

static void decide(struct in_flight *c, uint32_t i, unsigned char verdict)
{
    c->state[i] = (unsigned char)((c->state[i] & ~ISOLATED) | verdict);
    c->undecided--;
}

static unsigned char verdict_of(struct in_flight *c, uint32_t i,
                                rd_kafka_resp_err_t err)
{
    if (lacking_is_topic_error(err)) {
        return lacking_refused(c, i, err);
    }
    if (may_be_refused(c, i, err)) {
        return (c->state[i] & ISOLATED) != 0 ? REFUSED : TO_ISOLATE;
    }
    return 0;
}

/* It is sent again, as another message to the broker. */
static void count_copy(struct cluster *from, const rd_kafka_message_t *m)
{
    if (!is_refusal(from->sink, m->err) &&
        rd_kafka_message_status(m) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
        stats_add(from->sink->copies, 1);
        cluster_copied(from);
    }
}

void in_flight_report(struct cluster *from, const rd_kafka_message_t *m, bool taken)
{
    struct sink *s = from->sink;
    uint32_t i;
    struct in_flight *c = message_of(s, m, &i);
    struct in_flight_attempt *t = &c->tries[from->number];
    unsigned char out = from->number == 0 ? OUT_FIRST : OUT_SECOND;

    c->state[i] = (unsigned char)(c->state[i] & ~out);
    t->owed--;
    if (taken) {
        t->taken = true;
        from->took_ns = clock_mono_ns();
        from->n_nothing = 0;
        from->fatal[0] = '\0';
    } else if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)snprintf(
            c->why, sizeof c->why,
            "a broker took later messages and did not confirm these (topic %s)",
            rd_kafka_topic_name(m->rkt));
    } else {
        keep_words(c, t, i, m->err, rd_kafka_topic_name(m->rkt));
    }
    if ((c->state[i] & (TAKEN | REFUSED | TOLD)) == 0) {
        if (taken) {
            decide(c, i, TAKEN);
            c->places[i] = (struct message_place){m->offset, m->partition};
            lacking_taken(s, m);
            stats_add(s->hedge_wins, from->number);
        } else if ((c->state[i] & OUT) == 0) {
            count_copy(from, m);
            decide(c, i, verdict_of(c, i, m->err));
        }
    }
    if (t->owed == 0 || c->undecided == 0) {
        look_at(c);
    }
}

/* ---- sending ---- */

/* Reports make room for messages that met a full queue. */
void in_flight_look(struct sink *s)
{
    if (!ev_is_active(&s->look)) {
        ev_timer_set(&s->look, LOOK_MS / 1000., 0.);
        ev_timer_start(s->conf.loop, &s->look);
    }
}

/* librdkafka's own error for a message, without asking the broker. */
static unsigned char refused_here(struct in_flight *c, uint32_t i,
                                  rd_kafka_resp_err_t err)
{
    if (lacking_is_topic_error(err)) {
        return lacking_refused(c, i, err);
    }
    if (is_refusal(c->sink, err)) { /* one of many events is halved, not refused */
        return message_first(c, i + 1) - message_first(c, i) > 1 ? TO_ISOLATE : REFUSED;
    }
    return 0;
}

static const char *topic_words(struct in_flight *c, uint32_t i, char out[256])
{
    struct str own = message_own_topic(c, i);

    if (own.p == NULL) {
        return c->sink->plan->topic;
    }
    (void)snprintf(out, 256, "%.*s", (int)own.n, own.p);
    return out;
}

/* Hands over c's remaining messages. Reports make room in a full queue. */
static void send_all(struct in_flight *c)
{
    struct sink *s = c->sink;
    struct in_flight_attempt *t = &c->tries[0];
    char text[256];

    if (s->rests) {
        t->purged |= c->at < c->n; /* which says nothing about the cluster */
        c->at = c->n;
        look_at(c);
        return;
    }
    if (s->clusters[0].next != NULL) { /* no message may overtake those in flight */
        in_flight_look(s);
        return;
    }
    if (t->owed == 0) {
        t->began_ns = clock_mono_ns();
    }
    for (; c->at < c->n; c->at++) {
        rd_kafka_resp_err_t err;

        if (c->state[c->at] != 0) {
            continue;
        }
        err = message_send(c, s->clusters[0].producer, c->at, false);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            in_flight_look(s);
            return;
        }
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            c->state[c->at] = OUT_FIRST;
            c->undecided++;
            cluster_asked(t);
            s->hedging.n_attempts++;
            continue;
        }
        keep_words(c, t, c->at, err, topic_words(c, c->at, text));
        c->state[c->at] = refused_here(c, c->at, err);
        if (c->state[c->at] == 0) { /* nor will the rest be taken */
            c->at = c->n;
            break;
        }
    }
    look_at(c);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int events)
{
    struct sink *s = OUTER(w, struct sink, look);
    bool open = breaker_state(&s->clusters[0].breaker, kafka_now_ms()) == BREAKER_OPEN;

    (void)loop;
    (void)events;
    if (!cluster_look(&s->clusters[0])) {
        in_flight_look(s);
        return;
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        struct in_flight *c = &s->in_flight[i];

        if (c->batch == NULL || c->parked || c->lacking || c->at == c->n) {
            continue;
        }
        if (open && !s->rests) {
            in_flight_look(s);
        } else {
            send_all(c);
        }
    }
}

/* Messages without a report of the first cluster go to the second, too. */
static void on_hedge(struct ev_loop *loop, ev_timer *w, int events)
{
    struct in_flight *c = OUTER(w, struct in_flight, hedge);
    struct sink *s = c->sink;
    struct in_flight_attempt *t = &c->tries[1];
    uint64_t left = hedging_left(&s->hedging, &s->plan->hedge);
    int64_t wait_ms;

    (void)loop;
    (void)events;
    if (s->rests || left == 0 || t->owed > 0 || s->clusters[1].producer == NULL ||
        !cluster_take(&s->clusters[1], t, &wait_ms)) {
        return;
    }
    for (uint32_t i = 0; i < c->n && left > 0; i++) {
        rd_kafka_resp_err_t err;

        if (c->state[i] != OUT_FIRST) {
            continue;
        }
        err = message_send(c, s->clusters[1].producer, i, true);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            c->state[i] |= OUT_SECOND;
            cluster_asked(t);
            left--;
            s->hedging.n_hedges++;
            stats_add(s->hedges, 1);
        } else if (!is_refusal(s, err)) {
            t->failed = err != RD_KAFKA_RESP_ERR__QUEUE_FULL;
            break;
        }
    }
    end_try(c, 1);
}

/* ---- slots ---- */

static struct in_flight *in_flight_of(struct sink *s, struct batch *b)
{
    struct in_flight *c = s->in_flight;

    for (size_t i = 0; i < s->n_slots; i++) {
        if (s->in_flight[i].batch == b) {
            s->in_flight[i].parked = false;
            return &s->in_flight[i];
        }
    }
    while (!in_flight_is_free(c)) { /* the window has seen to it that there is one */
        c++;
    }
    if ((size_t)(c - s->in_flight) >= s->n_slots) {
        s->n_slots = (uint32_t)(c - s->in_flight) + 1;
    }
    assert(b->n <= UINT16_MAX || s->plan->framing == KAFKA_BATCH); /* message.c */
    c->batch = b;
    c->at = c->undecided = 0;
    c->parked = c->lacking = c->waits_told = false;
    c->code = 0;
    c->why[0] = '\0';
    if (s->plan->framing == KAFKA_BATCH) {
        in_flight_split(c);
    } else {
        c->n = b->n;
        in_flight_reserve(c, c->n);
    }
    memset(c->state, 0, c->n);
    return c;
}

bool in_flight_send(struct in_flight *c)
{
    struct sink *s = c->sink;
    int64_t wait_ms, hedge_ms;

    if (!cluster_take(&s->clusters[0], &c->tries[0], &wait_ms)) {
        if (c->why[0] == '\0') {
            producer_why_shut(s->clusters[0].producer, s->clusters[0].breaker.forced,
                              c->why, sizeof c->why);
        }
        if (!c->lacking) {
            in_flight_park(c, true, wait_ms);
        }
        return false;
    }
    c->lacking = false;
    c->at = 0;
    hedge_ms = s->clusters[1].producer == NULL
                   ? -1
                   : hedging_after_ms(&s->hedging, &s->plan->hedge);
    if (hedge_ms >= 0) {
        ev_timer_set(&c->hedge, (double)hedge_ms / 1000., 0.);
        ev_timer_start(s->conf.loop, &c->hedge);
    }
    send_all(c);
    return true;
}

/* Messages in librdkafka can't be taken back: they keep the bytes. */
void in_flight_forget(struct sink *s, struct batch *b)
{
    for (size_t k = 0; k < s->n_slots; k++) {
        struct in_flight *c = &s->in_flight[k];

        if (c->batch != b) {
            continue;
        }
        ev_timer_stop(s->conf.loop, &c->hedge);
        for (uint32_t i = 0; i < c->n; i++) {
            c->state[i] = (unsigned char)((c->state[i] & OUT) | TOLD);
        }
        if (c->tries[0].owed > 0) {
            c->bytes = batch_take_bytes(b);
        }
        c->at = c->n;
        c->undecided = 0;
        c->parked = c->lacking = false;
        c->batch = NULL;
        look_at(c);
    }
}

void in_flight_take(struct sink *s, struct batch *b)
{
    (void)in_flight_send(in_flight_of(s, b));
}

void in_flight_init(struct sink *s)
{
    ev_timer_init(&s->look, on_look, 0., 0.);
    for (size_t i = 0; i < SLOTS; i++) {
        s->in_flight[i].sink = s;
        ev_timer_init(&s->in_flight[i].hedge, on_hedge, 0., 0.);
    }
}

void in_flight_fini(struct sink *s)
{
    ev_timer_stop(s->conf.loop, &s->look);
    for (size_t i = 0; i < SLOTS; i++) {
        struct in_flight *c = &s->in_flight[i];

        ev_timer_stop(s->conf.loop, &c->hedge);
        if (c->batch != NULL && !c->parked) {
            batch_free(c->batch);
        }
        free(c->bytes);
        free(c->state);
        free(c->codes);
        free(c->places);
        free(c->starts);
    }
}
