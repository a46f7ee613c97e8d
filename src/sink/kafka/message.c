/* One message: its topic, its key, its headers, and where its report belongs. */
#include <stdio.h>

#include "sink/kafka/kafka.h"
#include "spool/spool.h"

enum { SLOT_SHIFT = 48, MESSAGE_SHIFT = 32 };

/* A report's opaque pointer: the cargo's slot, the message in it, and its bytes. */
static void *place_of(const struct cargo *c, uint32_t i, size_t bytes)
{
    return (void *)((uintptr_t)(c - c->sink->cargo) << SLOT_SHIFT |
                    (uintptr_t)i << MESSAGE_SHIFT | (uint32_t)bytes);
}

struct cargo *message_of(struct sink *s, const rd_kafka_message_t *m, uint32_t *i)
{
    uintptr_t place = (uintptr_t)m->_private;

    *i = (uint16_t)(place >> MESSAGE_SHIFT);
    return &s->cargo[place >> SLOT_SHIFT];
}

static rd_kafka_headers_t *position(const struct sink *s, const struct batch *b,
                                    uint32_t first, uint32_t n)
{
    struct batch_range r[BATCH_RANGES_MAX];
    rd_kafka_headers_t *h = rd_kafka_headers_new(2);
    char text[128];

    (void)batch_part(b, first, n, r);
    (void)snprintf(text, sizeof text, "%s/%u.%u/%lu",
                   sink_uuid(&s->conf, r[0].epoch), r[0].epoch, r[0].worker, (unsigned long)r[0].first);
    (void)rd_kafka_header_add(h, "sluice-position", -1, text, -1);
    (void)snprintf(text, sizeof text, "%u", n);
    (void)rd_kafka_header_add(h, "sluice-events", -1, text, -1);
    return h;
}

static rd_kafka_resp_err_t produce(struct producer *p, rd_kafka_topic_t *topic,
                                   struct str payload, struct str key,
                                   rd_kafka_headers_t *headers, bool copy,
                                   void *place)
{
    int flags = copy ? RD_KAFKA_MSG_F_COPY : 0;
    rd_kafka_resp_err_t err;

    if (headers == NULL) {
        return rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, flags,
                                (void *)(uintptr_t)payload.p, payload.n, key.p,
                                key.n, place) == 0
                   ? RD_KAFKA_RESP_ERR_NO_ERROR
                   : rd_kafka_last_error();
    }
    err = rd_kafka_producev(
        p->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(flags),
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

/* By the event, as the policy says; the default when that is none, or no name of a
 * topic. Fields are read. */
static rd_kafka_topic_t *topic_of(struct sink *s, struct producer *to,
                                  struct str event, bool whole)
{
    const struct sink_hooks *hooks = s->conf.hooks;
    rd_kafka_topic_t *topic = NULL;

    if (!whole && (s->plan->topic_by != NULL || s->plan->has_topic)) {
        struct str name = {NULL, 0};

        if (s->plan->topic_by != NULL) {
            name = fields_text(s->fields, s->topic_slot);
        } else if (hooks->topic != NULL) {
            name = hooks->topic(hooks->arg, event);
        }
        topic = producer_topic(to, name);
        stats_add(s->defaults, topic == NULL);
    }
    return topic != NULL ? topic
                         : producer_topic(to, str_of(s->plan->topic));
}

rd_kafka_resp_err_t message_send(struct cargo *c, struct producer *to, uint32_t i,
                                 bool copy)
{
    struct sink *s = c->sink;
    const struct batch *b = c->batch;
    bool whole = s->plan->framing == KAFKA_BATCH;
    const struct batch_entry *e = &b->entries[i];
    struct str payload = whole ? (struct str){b->bytes, b->n_bytes}
                               : (struct str){b->bytes + e->off, e->len};
    rd_kafka_topic_t *topic;
    struct str key = {NULL, 0};
    bool noted = !whole && is_noted(s, b, e);

    if (!whole && s->fields != NULL &&
        (s->plan->topic_by != NULL || !noted)) {
        fields_read(s->fields, payload);
        stats_add(s->scanned, 1);
    }
    topic = topic_of(s, to, payload, whole);
    if (topic == NULL) {
        return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
    }
    if (!whole && s->plan->key != NULL) {
        /* Last: one text lives at a time. */
        key = noted ? fields_unescape(s->fields, noted_key(e, payload),
                                      (e->flags & ENTRY_KEY_ESCAPED) != 0)
                    : fields_text(s->fields, KEY);
    }
    return produce(to, topic, payload, key,
                   s->plan->position ? position(s, b, i, whole ? b->n : 1) : NULL,
                   copy, place_of(c, i, payload.n));
}
