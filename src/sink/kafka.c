/*
 * The Kafka sink: a message an event, or one of NDJSON lines a batch. The payload
 * stays where it lies in the batch until its report has come; reports settle
 * events in whatever order the partitions confirm them.
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/fields.h"
#include "sink/producer.h"
#include "sink/queue.h"
#include "sink/sink.h"
#include "spool/spool.h"

enum { SLOTS = 64, LOOK_MS = 20, WHY_MAX = 300 };
enum { KEY, TOPIC, N_FIELDS }; /* slots of a scanned event */

enum message_state { TO_SEND = 0, ON_ITS_WAY, TAKEN, REFUSED };

/* A batch in librdkafka's hands. */
struct cargo {
    struct batch *batch; /* NULL: free */
    unsigned char *state;/* of each message */
    uint32_t n, room;    /* messages */
    uint32_t at;         /* the next one to send */
    uint32_t on_its_way;
    bool parked;         /* the pump has it, and submits it again */
    int code;
    char why[WHY_MAX];
};

struct sink {
    struct sink_conf conf;
    const struct kafka_plan *plan;
    struct producer *producer;
    struct cargo cargo[SLOTS];
    struct queue queue;
    ev_timer look;               /* again, at what met a full queue */
    struct fields *fields;       /* NULL: neither key nor topic_by */
    int topic_slot;              /* KEY when both are the same field */
    stats_cell *fatals, *scanned;
};

static void on_report(void *arg, const rd_kafka_message_t *m);
static void on_fatal(void *arg, const char *why);

/* ---- verdicts ---- */

static void tell(struct sink *s, struct cargo *c, enum sink_verdict_kind kind,
                 uint32_t first, uint32_t n)
{
    struct sink_verdict v = {.kind = kind,
                             .first = first,
                             .n = n,
                             .row = -1,
                             .code = c->code,
                             .why = c->why};

    s->conf.done(s->conf.arg, c->batch, &v);
}

/* All reports of c have come: runs of one kind are one verdict. What is to be sent
 * again waits for the pump. */
static void settle(struct sink *s, struct cargo *c)
{
    bool whole = s->plan->framing == KAFKA_BATCH;
    uint32_t again = 0;

    for (uint32_t i = 0, k; i < c->n; i = k) {
        unsigned char state = c->state[i];

        for (k = i + 1; k < c->n && c->state[k] == state; k++) {
        }
        if (state == TO_SEND) {
            again += k - i;
        }
    }
    if (again == c->n) { /* nothing of it was settled now */
        c->parked = true;
        c->at = 0;
        tell(s, c, SINK_RETRY, 0, 0);
        return;
    }
    for (uint32_t i = 0, k; i < c->n; i = k) {
        unsigned char state = c->state[i];
        uint32_t n;

        for (k = i + 1; k < c->n && c->state[k] == state; k++) {
        }
        n = whole ? c->batch->n : k - i;
        if (state == TAKEN || state == REFUSED) {
            memset(c->state + i, 255, k - i); /* told */
            tell(s, c, state == TAKEN ? SINK_OK : SINK_DATA, i, n);
        }
    }
    if (again > 0) {
        c->parked = true;
        c->at = 0;
        tell(s, c, SINK_RETRY, 0, 0);
    } else {
        c->batch = NULL;
    }
}

/* Codes that only another message, or another limit, would mend. */
static bool is_refusal(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           err == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           err == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void note(struct cargo *c, uint32_t i, rd_kafka_resp_err_t err)
{
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        c->state[i] = TAKEN;
        return;
    }
    c->state[i] = is_refusal(err) ? REFUSED : TO_SEND;
    c->code = err;
    (void)snprintf(c->why, sizeof c->why, "%s: %s", rd_kafka_err2name(err),
                   rd_kafka_err2str(err));
}

static void on_report(void *arg, const rd_kafka_message_t *m)
{
    struct sink *s = arg;
    uintptr_t place = (uintptr_t)m->_private;
    struct cargo *c = &s->cargo[place >> 32];

    note(c, (uint32_t)place, m->err);
    c->on_its_way--;
    if (c->on_its_way == 0 && c->at == c->n) {
        settle(s, c);
    }
}

/* ---- messages ---- */

static rd_kafka_headers_t *position(const struct sink *s, const struct batch *b,
                                    uint32_t first, uint32_t n)
{
    struct batch_range r[BATCH_RANGES_MAX];
    rd_kafka_headers_t *h = rd_kafka_headers_new(2);
    char text[128];

    (void)batch_part(b, first, n, r);
    (void)snprintf(text, sizeof text, "%s/%u.%u/%lu", s->conf.spool_uuid,
                   r[0].epoch, r[0].worker, (unsigned long)r[0].first);
    (void)rd_kafka_header_add(h, "sluice-position", -1, text, -1);
    (void)snprintf(text, sizeof text, "%u", n);
    (void)rd_kafka_header_add(h, "sluice-events", -1, text, -1);
    return h;
}

static rd_kafka_resp_err_t produce(struct sink *s, rd_kafka_topic_t *topic,
                                   struct str payload, struct str key,
                                   rd_kafka_headers_t *headers, void *place)
{
    rd_kafka_resp_err_t err;

    if (headers == NULL) {
        return rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, 0,
                                (void *)(uintptr_t)payload.p, payload.n, key.p,
                                key.n, place) == 0
                   ? RD_KAFKA_RESP_ERR_NO_ERROR
                   : rd_kafka_last_error();
    }
    err = rd_kafka_producev(
        s->producer->rk, RD_KAFKA_V_RKT(topic),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)payload.p, payload.n),
        RD_KAFKA_V_KEY((void *)(uintptr_t)key.p, key.n),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(place), RD_KAFKA_V_END);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
    }
    return err;
}

/* The spool has noted the place of the event's key, of the key of this sink. */
static bool is_noted(const struct sink *s, const struct batch *b,
                     const struct batch_entry *e)
{
    return s->plan->key != NULL && b->key_hash == s->plan->key_hash &&
           (e->flags & ENTRY_KEY_UNKNOWN) == 0;
}

static struct str noted_key(const struct batch_entry *e, struct str event)
{
    return e->key_off == 0 ? (struct str){NULL, 0}
                           : (struct str){event.p + e->key_off, e->key_len};
}

static rd_kafka_resp_err_t send_one(struct sink *s, struct cargo *c, uint32_t i)
{
    const struct batch *b = c->batch;
    bool whole = s->plan->framing == KAFKA_BATCH;
    const struct batch_entry *e = &b->entries[i];
    struct str payload = whole ? (struct str){b->bytes, b->n_bytes}
                               : (struct str){b->bytes + e->off, e->len};
    uintptr_t place = (uintptr_t)(c - s->cargo) << 32 | i;
    rd_kafka_topic_t *topic = NULL;
    struct str key = {NULL, 0};
    rd_kafka_resp_err_t err;

    bool noted = !whole && is_noted(s, b, e);

    if (!whole && s->fields != NULL &&
        (s->plan->topic_by != NULL || !noted)) {
        fields_read(s->fields, payload);
        stats_add(s->scanned, 1);
    }
    if (!whole && s->plan->topic_by != NULL) {
        topic = producer_topic(s->producer,
                               fields_text(s->fields, s->topic_slot));
    }
    if (topic == NULL) {
        topic = producer_topic(s->producer, str_of(s->plan->topic));
    }
    if (topic == NULL) {
        return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
    }
    if (!whole && s->plan->key != NULL) {
        /* Last: one text lives at a time. */
        key = noted ? fields_unescape(s->fields, noted_key(e, payload),
                                      (e->flags & ENTRY_KEY_ESCAPED) != 0)
                    : fields_text(s->fields, KEY);
    }
    err = produce(s, topic, payload, key,
                  s->plan->position ? position(s, b, i, whole ? b->n : 1) : NULL,
                  (void *)place);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        c->state[i] = ON_ITS_WAY;
        c->on_its_way++;
    }
    return err;
}

/* Reports make room for what met a full queue. */
static void look_again(struct sink *s)
{
    if (!ev_is_active(&s->look)) {
        ev_timer_set(&s->look, LOOK_MS / 1000., 0.);
        ev_timer_start(s->conf.loop, &s->look);
    }
}

/* Hands over what c has left. A full queue is no error: reports make room. */
static void send_all(struct sink *s, struct cargo *c)
{
    for (; c->at < c->n; c->at++) {
        rd_kafka_resp_err_t err;

        if (c->state[c->at] != TO_SEND) {
            continue;
        }
        err = send_one(s, c, c->at);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            look_again(s);
            return;
        }
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            note(c, c->at, err);
            if (c->state[c->at] == TO_SEND) { /* nor will the rest be taken */
                c->at = c->n;
                break;
            }
        }
    }
    if (c->on_its_way == 0 && c->at == c->n) {
        settle(s, c);
    }
}

/* ---- batches ---- */

static struct cargo *cargo_of(struct sink *s, struct batch *b)
{
    struct cargo *c = s->cargo;

    for (size_t i = 0; i < SLOTS; i++) {
        if (s->cargo[i].batch == b) {
            s->cargo[i].parked = false;
            return &s->cargo[i];
        }
    }
    while (c->batch != NULL) {
        c++;
    }
    c->batch = b;
    c->n = s->plan->framing == KAFKA_BATCH ? 1 : b->n;
    c->at = c->on_its_way = 0;
    c->parked = false;
    c->code = 0;
    c->why[0] = '\0';
    if (c->n > c->room) {
        c->room = c->n;
        c->state = mem_realloc(c->state, c->room);
    }
    memset(c->state, TO_SEND, c->n);
    return c;
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct sink *s = OUTER(t, struct sink, look);

    (void)loop;
    (void)events;
    for (size_t i = 0; i < SLOTS; i++) {
        struct cargo *c = &s->cargo[i];

        if (c->batch != NULL && !c->parked && c->at < c->n) {
            send_all(s, c);
        }
    }
}

static void take(void *arg, struct batch *b)
{
    send_all(arg, cargo_of(arg, b));
}

static void kafka_submit(struct sink *s, struct batch *b)
{
    queue_put(&s->queue, b);
}

static uint32_t kafka_window(const struct sink *s)
{
    uint32_t used = queue_size(&s->queue);

    for (size_t i = 0; i < SLOTS; i++) {
        used += s->cargo[i].batch != NULL;
    }
    return used + 1 < SLOTS ? SLOTS : 0;
}

/* ---- life ---- */

/* Everything that has no report is to be sent again, by another producer. What had
 * been on its way may be there twice then: its position tells. */
static void on_fatal(void *arg, const char *why)
{
    struct sink *s = arg;
    struct producer *old = s->producer, *fresh;
    char quoted[WHY_MAX + 20];
    struct err e;

    fresh = producer_new(s->conf.loop, s->conf.plan->name, s->conf.plan,
                         on_report, on_fatal, s, &e);
    if (fresh == NULL) { /* asked again with the next statistics */
        log_write(LOG_ERROR, "sink", "sink=%s why=%s", s->conf.plan->name,
                  log_quote(quoted, sizeof quoted, e.text));
        return;
    }
    stats_add(s->fatals, 1);
    log_write(LOG_ERROR, "sink", "sink=%s status=new_producer why=%s",
              s->conf.plan->name, log_quote(quoted, sizeof quoted, why));
    s->producer = fresh;
    producer_free(old); /* reports come from in here */
}

static bool take_plan(struct sink *s, const struct sink_plan *plan,
                      struct err *e)
{
    const struct kafka_plan *k = &plan->kafka;
    bool same = k->key != NULL && k->topic_by != NULL &&
                strcmp(k->key, k->topic_by) == 0;
    /* Names that no JSON text can have stand for fields that are not wanted. */
    const struct str paths[N_FIELDS] = {
        [KEY] = k->key != NULL ? str_of(k->key) : STR("\x01"),
        [TOPIC] = k->topic_by != NULL && !same ? str_of(k->topic_by)
                                               : STR("\x02")};
    struct fields *fields = NULL;
    struct producer *p;

    if (s->plan != NULL && s->plan->framing != k->framing) {
        return err_set(e, "sink \"%s\" changes its framing: give it another "
                          "name",
                       plan->name);
    }
    if (k->key != NULL || k->topic_by != NULL) {
        fields = fields_new(paths, N_FIELDS, e);
        if (fields == NULL) {
            return false;
        }
    }
    p = producer_new(s->conf.loop, plan->name, plan, on_report, on_fatal, s, e);
    if (p == NULL) {
        fields_free(fields);
        return false;
    }
    if (s->producer != NULL) {
        producer_free(s->producer);
    }
    s->producer = p;
    fields_free(s->fields);
    s->fields = fields;
    s->topic_slot = same ? KEY : TOPIC;
    s->conf.plan = plan;
    s->plan = k;
    return true;
}

static struct sink *kafka_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);
    char label[160];

    s->conf = *conf;
    queue_init(&s->queue, conf->loop, take, s);
    ev_timer_init(&s->look, on_look, 0., 0.);
    (void)stats_label_pair(label, sizeof label, "sink", conf->plan->name);
    s->fatals = stats_counter("sluice_kafka_fatal_errors_total",
                              "Producers that had to be replaced.", label);
    s->scanned = stats_counter(
        "sluice_kafka_scanned_events_total",
        "Events that were read again at delivery for their key or topic.", label);
    if (!take_plan(s, conf->plan, e)) {
        free(s);
        return NULL;
    }
    return s;
}

static void kafka_close(struct sink *s)
{
    ev_timer_stop(s->conf.loop, &s->look);
    producer_free(s->producer);
    queue_fini(&s->queue);
    for (size_t i = 0; i < SLOTS; i++) {
        if (s->cargo[i].batch != NULL && !s->cargo[i].parked) {
            batch_free(s->cargo[i].batch);
        }
        free(s->cargo[i].state);
    }
    fields_free(s->fields);
    free(s);
}

const struct sink_ops sink_kafka = {.kind = "kafka",
                                    .keep = BATCH_KEEP_ENTRIES,
                                    .open = kafka_open,
                                    .apply = take_plan,
                                    .submit = kafka_submit,
                                    .window = kafka_window,
                                    .close = kafka_close};
