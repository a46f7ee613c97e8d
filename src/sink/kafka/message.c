/* One message: its topic, its key, its headers, and where its report belongs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/moment.h"
#include "sink/kafka/internal.h"
#include "sink/position.h"
#include "spool/spool.h"

enum { SLOT_SHIFT = 48, MESSAGE_SHIFT = 32, UNTIMELY_MS = 600000 };

/* A report's opaque pointer: the in_flight's slot, the message in it, and its bytes. */
static void *place_of(const struct in_flight *c, uint32_t i, size_t bytes)
{
    return (void *)((uintptr_t)(c - c->sink->in_flight) << SLOT_SHIFT |
                    (uintptr_t)i << MESSAGE_SHIFT | (uint32_t)bytes);
}

struct in_flight *message_of(struct sink *s, const rd_kafka_message_t *m, uint32_t *i)
{
    uintptr_t place = (uintptr_t)m->_private;

    *i = (uint16_t)(place >> MESSAGE_SHIFT);
    return &s->in_flight[place >> SLOT_SHIFT];
}

static rd_kafka_headers_t *position(const struct sink *s, const struct batch *b,
                                    uint32_t first, uint32_t n)
{
    struct batch_range r[BATCH_RANGES_MAX];
    rd_kafka_headers_t *h = rd_kafka_headers_new(2);
    char text[POSITION_MAX];

    (void)batch_part(b, first, n, r);
    (void)position_write(
        &(struct position){.uuid = str_of(sink_uuid(&s->conf, r[0].epoch)),
                           .stream = str_of(s->conf.streams[b->stream].name),
                           .epoch = r[0].epoch,
                           .worker = r[0].worker,
                           .seq = r[0].first},
        text);
    (void)rd_kafka_header_add(h, "sluice-position", -1, text, -1);
    (void)snprintf(text, sizeof text, "%u", n);
    (void)rd_kafka_header_add(h, "sluice-events", -1, text, -1);
    return h;
}

struct message {
    rd_kafka_topic_t *topic;
    struct str payload, key;
    rd_kafka_headers_t *headers; /* NULL: none; taken */
    int64_t time_ms;
    void *place;
};

static rd_kafka_resp_err_t produce(struct producer *p, const struct message *m,
                                   bool copy)
{
    int flags = copy ? RD_KAFKA_MSG_F_COPY : 0;
    rd_kafka_resp_err_t err;

    if (m->headers == NULL) {
        return rd_kafka_producev(
            p->rk, RD_KAFKA_V_RKT(m->topic), RD_KAFKA_V_MSGFLAGS(flags),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)m->payload.p, m->payload.n),
            RD_KAFKA_V_KEY((void *)(uintptr_t)m->key.p, m->key.n),
            RD_KAFKA_V_TIMESTAMP(m->time_ms), RD_KAFKA_V_OPAQUE(m->place),
            RD_KAFKA_V_END);
    }
    err = rd_kafka_producev(
        p->rk, RD_KAFKA_V_RKT(m->topic), RD_KAFKA_V_MSGFLAGS(flags),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)m->payload.p, m->payload.n),
        RD_KAFKA_V_KEY((void *)(uintptr_t)m->key.p, m->key.n),
        RD_KAFKA_V_TIMESTAMP(m->time_ms), RD_KAFKA_V_HEADERS(m->headers),
        RD_KAFKA_V_OPAQUE(m->place), RD_KAFKA_V_END);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(m->headers);
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

/* By the event, as the policy says; {NULL, 0}: that gives none, or no name of a topic.
 * Fields are read. */
static struct str own_topic(struct sink *s, struct str event)
{
    const struct sink_hooks *hooks = s->conf.hooks;
    struct str name = {NULL, 0};

    if (s->plan->topic_by != NULL) {
        name = fields_text(s->fields, s->slots[TOPIC]);
    } else if (hooks->topic != NULL) {
        name = hooks->topic(hooks->arg, event);
    }
    return topic_is_valid(name) ? name : (struct str){NULL, 0};
}

static bool has_own_topic(const struct sink *s)
{
    return s->plan->framing == KAFKA_EVENT &&
           (s->plan->topic_by != NULL || s->plan->has_topic);
}

static struct str event_of(const struct batch *b, uint32_t i)
{
    return (struct str){b->bytes + b->entries[i].off, b->entries[i].len};
}

struct str message_own_topic(struct in_flight *c, uint32_t i)
{
    struct sink *s = c->sink;
    struct str event, name;

    if (!has_own_topic(s)) {
        return (struct str){NULL, 0};
    }
    event = event_of(c->batch, i);
    if (s->plan->topic_by != NULL) {
        fields_read(s->fields, event);
    }
    name = own_topic(s, event);
    return str_eq(name, str_of(s->plan->topic)) ? (struct str){NULL, 0} : name;
}

/* NULL: events name more topics than there may be. */
static rd_kafka_topic_t *topic_of(struct sink *s, struct producer *to, struct str event)
{
    struct str name = {NULL, 0};

    if (has_own_topic(s)) {
        name = own_topic(s, event);
        stats_add(s->defaults, name.p == NULL);
    }
    return producer_topic(to, name.p != NULL ? name : str_of(s->plan->topic));
}

/* When the event says that it happened; else when it was accepted. */
static int64_t time_of(const struct sink *s, const struct batch *b, uint32_t i)
{
    int64_t arrived = batch_wall_ms(b, i), ms;
    struct str text;
    char number[24];
    char *end;

    if (s->plan->timestamp == NULL) {
        return arrived;
    }
    text = fields_text(s->fields, s->slots[TIME]);
    if (text.n == 0 || moment_ms(text, &ms)) {
        return text.n == 0 ? arrived : ms;
    }
    if (text.n >= sizeof number) {
        return arrived;
    }
    memcpy(number, text.p, text.n);
    number[text.n] = '\0';
    ms = strtoll(number, &end, 10);
    return *end == '\0' && ms > 0 ? ms : arrived;
}

bool message_is_untimely(struct in_flight *c, uint32_t i)
{
    struct sink *s = c->sink;
    int64_t off;

    fields_read(s->fields, event_of(c->batch, i));
    off = time_of(s, c->batch, i) - batch_wall_ms(c->batch, i);
    return off > UNTIMELY_MS || off < -UNTIMELY_MS;
}

/* A batch's lines, or some of them. */
static struct str lines_of(const struct in_flight *c, uint32_t i)
{
    const struct batch *b = c->batch;
    uint32_t first = message_first(c, i), end = message_first(c, i + 1);
    size_t from = b->entries[first].off;
    size_t to = end == b->n ? b->n_bytes : b->entries[end].off;

    return (struct str){b->bytes + from, to - from};
}

/* One text of fields lives at a time: the time, then the topic, then the key. */
static void read_fields(struct in_flight *c, uint32_t i, struct message *m)
{
    struct sink *s = c->sink;
    const struct batch_entry *e = &c->batch->entries[i];
    bool noted = is_noted(s, c->batch, e);

    if (s->fields != NULL &&
        (s->plan->topic_by != NULL || s->plan->timestamp != NULL || !noted)) {
        fields_read(s->fields, m->payload);
        stats_add(s->scanned, 1);
    }
    m->time_ms = time_of(s, c->batch, i);
}

static void read_key(struct in_flight *c, uint32_t i, struct message *m)
{
    struct sink *s = c->sink;
    const struct batch_entry *e = &c->batch->entries[i];

    if (s->plan->key != NULL) {
        m->key = is_noted(s, c->batch, e)
                     ? fields_unescape(s->fields, noted_key(e, m->payload),
                                       (e->flags & ENTRY_KEY_ESCAPED) != 0)
                     : fields_text(s->fields, s->slots[KEY]);
    }
}

rd_kafka_resp_err_t message_send(struct in_flight *c, struct producer *to, uint32_t i,
                                 bool copy)
{
    struct sink *s = c->sink;
    const struct batch *b = c->batch;
    bool whole = s->plan->framing == KAFKA_BATCH;
    uint32_t first = message_first(c, i);
    uint32_t n = message_first(c, i + 1) - first;
    struct message m = {.payload = whole ? lines_of(c, i) : event_of(b, i)};

    if (whole) {
        m.time_ms = batch_wall_ms(b, first);
    } else {
        read_fields(c, i, &m);
    }
    m.topic = topic_of(s, to, m.payload);
    if (m.topic == NULL) {
        return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
    }
    if (!whole) {
        read_key(c, i, &m);
    }
    m.headers = s->plan->position ? position(s, b, first, n) : NULL;
    m.place = place_of(c, i, m.payload.n);
    return produce(to, &m, copy);
}
