/*
 * The result of a batch: its messages' ends as verdicts for the pump, and the messages
 * that are sent again: alone, in halves, or by the pump.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "sink/kafka/internal.h"
#include "sink/kafka/reason.h"

/* Of a message's limit, for its headers and the request around it. */
enum { OVERHEAD_BYTES = 2048, MESSAGES_MAX = UINT16_MAX, PLACE_BYTES = 900 };
/* A parked batch is back at least as often: its breaker may have been closed by hand, or
 * the sink have other brokers. */
enum { PARK_MS = 1000 };

/* ---- messages of a batch ---- */

void in_flight_reserve(struct in_flight *c, uint32_t n)
{
    if (n > c->room) {
        c->room = n;
        c->state = mem_realloc(c->state, n);
        c->codes = mem_realloc(c->codes, n * sizeof *c->codes);
        c->places = mem_realloc(c->places, n * sizeof *c->places);
        if (c->sink->plan->framing == KAFKA_BATCH) {
            c->starts = mem_realloc(c->starts, n * sizeof *c->starts);
        }
    }
}

/* As many events in each as librdkafka lets one message have; one larger event goes
 * alone. */
void in_flight_split(struct in_flight *c)
{
    const struct batch *b = c->batch;
    size_t most = c->sink->clusters[0].producer->message_max_bytes;
    uint32_t first = 0;

    most = most > 2 * OVERHEAD_BYTES ? most - OVERHEAD_BYTES : most;
    c->n = 0;
    for (uint32_t i = 1; i <= b->n; i++) {
        size_t end = i == b->n ? 0 : b->entries[i].off + b->entries[i].len + 1u;

        if (i == b->n ||
            (end - b->entries[first].off > most && c->n < MESSAGES_MAX / 2)) {
            in_flight_reserve(c, c->n + 1);
            c->starts[c->n++] = first;
            first = i;
        }
    }
}

static uint32_t n_events(const struct in_flight *c, uint32_t i)
{
    return message_first(c, i + 1) - message_first(c, i);
}

static bool can_halve(const struct in_flight *c)
{
    for (uint32_t i = 0; i < c->n && c->n < MESSAGES_MAX; i++) {
        if ((c->state[i] & TO_ISOLATE) != 0 && n_events(c, i) > 1) {
            return true;
        }
    }
    return false;
}

/* Messages to isolate of more than one event become two messages each. */
static void halve_suspects(struct in_flight *c)
{
    for (uint32_t i = 0; i < c->n && c->n < MESSAGES_MAX; i++) {
        uint32_t n = n_events(c, i);

        if ((c->state[i] & TO_ISOLATE) == 0 || n < 2) {
            continue;
        }
        in_flight_reserve(c, c->n + 1);
        memmove(c->state + i + 1, c->state + i, c->n - i);
        memmove(c->codes + i + 1, c->codes + i, (c->n - i) * sizeof *c->codes);
        memmove(c->places + i + 1, c->places + i, (c->n - i) * sizeof *c->places);
        memmove(c->starts + i + 1, c->starts + i, (c->n - i) * sizeof *c->starts);
        c->n++;
        c->starts[i + 1] = c->starts[i] + n / 2;
        c->state[i] = c->state[i + 1] = 0;
        i++;
    }
}

/* ---- verdicts ---- */

static void give(struct in_flight *c, struct sink_verdict v)
{
    struct sink *s = c->sink;

    v.row = -1;
    v.code = c->code;
    v.why = c->why;
    s->conf.done(s->conf.arg, c->batch, &v);
}

/* The error of this message, not of the one that failed last. */
static void own_words(struct in_flight *c, uint32_t i, const char *topic)
{
    rd_kafka_resp_err_t err = (rd_kafka_resp_err_t)c->codes[i];

    c->code = err;
    if (err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
        (void)snprintf(c->why, sizeof c->why,
                       "events name more than max_topics = %u topics",
                       c->sink->plan->max_topics);
    } else {
        (void)reason_write(err, topic, c->why, sizeof c->why);
    }
}

/* That it was refused for; "": for something else. */
static void topic_of_fault(struct in_flight *c, uint32_t i, char out[256])
{
    rd_kafka_resp_err_t err = (rd_kafka_resp_err_t)c->codes[i];
    struct str own = {NULL, 0};

    if (lacking_is_topic_error(err) && err != RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) {
        own = message_own_topic(c, i);
    }
    (void)snprintf(out, 256, "%.*s", (int)own.n, own.p == NULL ? "" : own.p);
}

static void mark_told(struct in_flight *c, uint32_t i)
{
    c->state[i] = (unsigned char)((c->state[i] & OUT) | TOLD);
}

static bool same_fault(struct in_flight *c, uint32_t i, int16_t code, const char *topic)
{
    char other[256];

    if ((c->state[i] & REFUSED) == 0 || c->codes[i] != code) {
        return false;
    }
    topic_of_fault(c, i, other);
    return strcmp(topic, other) == 0;
}

/* Message i, and those after it with the same fault: one verdict is one write. */
static void tell_fault(struct in_flight *c, uint32_t i)
{
    uint32_t *but = mem_alloc((c->n - i) * sizeof *but), n_but = 0, last = i;
    uint32_t last_but = 0;
    char topic[256];

    topic_of_fault(c, i, topic);
    own_words(c, i, topic);
    for (uint32_t k = i; k < c->n; k++) {
        if (same_fault(c, k, c->codes[i], topic)) {
            mark_told(c, k);
            last = k;
            last_but = n_but;
        } else {
            but[n_but++] = k;
        }
        if (c->sink->plan->framing == KAFKA_BATCH) {
            break; /* its events are a range */
        }
    }
    give(c, (struct sink_verdict){.kind = SINK_DATA,
                                  .first = message_first(c, i),
                                  .n = message_first(c, last + 1) - message_first(c, i),
                                  .but = but,
                                  .n_but = last_but});
    free(but);
}

static void tell_refused(struct in_flight *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if ((c->state[i] & REFUSED) != 0) {
            tell_fault(c, i);
        }
    }
}

/* Runs are one verdict. The last one takes the batch away, when it is c's last. */
void in_flight_tell_taken(struct in_flight *c)
{
    const struct kafka_plan *plan = c->sink->plan;
    const char *topic = plan->topic_by != NULL || plan->has_topic ? NULL : plan->topic;
    char place[PLACE_BYTES];

    for (uint32_t i = 0, k; i < c->n; i = k) {
        uint32_t first = message_first(c, i);

        k = i + 1;
        if ((c->state[i] & TAKEN) == 0) {
            continue;
        }
        mark_told(c, i);
        for (; k < c->n && (c->state[k] & TAKEN) != 0; k++) {
            mark_told(c, k);
        }
        give(c, (struct sink_verdict){.kind = SINK_OK,
                                      .first = first,
                                      .n = message_first(c, k) - first,
                                      .place = place_text(topic, c->places + i, k - i,
                                                          place, sizeof place)});
    }
}

void in_flight_park(struct in_flight *c, bool unsent, int64_t after_ms)
{
    ev_timer_stop(c->sink->conf.loop, &c->hedge);
    c->parked = true;
    c->waits_told = false;
    c->at = 0;
    give(c, (struct sink_verdict){.kind = SINK_RETRY,
                                  .unsent = unsent,
                                  .after_ms = after_ms < PARK_MS ? after_ms : PARK_MS});
}

/* A broker refuses a request as a whole, however many of its messages are bad: each is
 * sent again in one of its own. False: there is none, or it can't be sent now and is
 * back among the messages to be sent. */
static bool send_suspects(struct in_flight *c)
{
    uint32_t before = c->undecided;
    struct producer *to = NULL;
    struct err e;

    for (uint32_t i = 0; i < c->n; i++) {
        rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__STATE;

        if ((c->state[i] & TO_ISOLATE) == 0) {
            continue;
        }
        if (to == NULL && !c->sink->rests) {
            to = cluster_isolating(&c->sink->clusters[0], &e);
        }
        if (to != NULL) {
            err = message_send(c, to, i, false);
        }
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            c->state[i] = OUT_FIRST | ISOLATED;
            c->undecided++;
            cluster_asked(&c->tries[0]);
        } else {
            c->state[i] = 0;
        }
    }
    return c->undecided > before;
}

/* All sent messages have their verdicts. Messages to be sent again wait for the pump,
 * which gets the batch back: not before the first cluster has let go of its bytes. When
 * nothing is left for the pump, the bytes stay behind until then. */
void in_flight_conclude(struct in_flight *c)
{
    uint32_t again = 0, lacking = 0;

    if (can_halve(c)) {
        if (c->tries[0].owed == 0 && c->tries[1].owed == 0) {
            halve_suspects(c);
            (void)in_flight_send(c);
        }
        return;
    }
    if (send_suspects(c)) {
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        again += c->state[i] == 0;
        lacking += (c->state[i] & LACKING) != 0;
    }
    if (again + lacking > 0 && c->tries[0].owed > 0) {
        return;
    }
    ev_timer_stop(c->sink->conf.loop, &c->hedge);
    tell_refused(c);
    if (again + lacking == 0 && c->tries[0].owed > 0) {
        c->bytes = batch_take_bytes(c->batch);
    }
    in_flight_tell_taken(c);
    if (again > 0) {
        in_flight_park(c, false, 0);
    } else if (lacking > 0) {
        lacking_wait(c);
    } else {
        c->batch = NULL; /* the pump's, with its last event */
    }
}
