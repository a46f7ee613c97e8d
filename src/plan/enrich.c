#include "plan/enrich.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/attr.h"
#include "decode/edit.h"
#include "decode/number.h"
#include "decode/quote.h"
#include "decode/walk.h"
#include "plan/check.h"
#include "plan/rewrite.h"
#include "tables/csv_table.h"

static struct slot slot_of(const struct event_batch *b, const struct member *m)
{
    bool text = m->kind == SLOT_STRING || m->kind == SLOT_ESCAPED;
    struct str v = text ? (struct str){m->value.p + 1, m->value.n - 2} : m->value;

    return (struct slot){.off = (uint32_t)(v.p - b->body),
                         .tag = (uint32_t)v.n << 4 | (uint32_t)m->kind,
                         .num = m->kind == SLOT_NUMBER ? number_value(v.p, v.n) : 0};
}

static void no_room(struct event *ev)
{
    ev->fate = EVENT_REJECT;
    ev->code = "too_many_edits";
    ev->field = NULL;
    ev->message = "no room for the values of its envelope";
}

/* A value of the envelope as it stands in the body; false: it has none. */
static bool envelope_value(const struct event_batch *b, const struct slot *x,
                           struct member *m)
{
    bool text;

    m->kind = (enum slot_kind)(x->tag & 15);
    text = m->kind == SLOT_STRING || m->kind == SLOT_ESCAPED;
    m->value = (struct str){b->body + x->off - text, (x->tag >> 4) + (text ? 2 : 0)};
    return m->kind != SLOT_ABSENT;
}

/* The parts of the value that the schema's fields see. */
static void find_slots(const struct event_batch *b, const struct addition *c,
                       const struct member *m, struct slot *out)
{
    for (uint32_t k = 0; k < c->n_slots; k++) {
        struct member below = *m;

        out[k] = (struct slot){0};
        if (c->slots[k].path.n == 0 ||
            (m->kind == SLOT_OBJECT && walk_find(m->value, c->slots[k].path, &below))) {
            out[k] = slot_of(b, &below);
        }
    }
}

/* Whether ev has the key; only the schema's fields need to know it here. */
static bool has_key(const struct event_batch *b, const struct event *ev,
                    const struct addition *c)
{
    for (uint32_t k = 0; k < c->n_slots; k++) {
        if ((ev->slots[c->slots[k].slot].tag & 15) != SLOT_ABSENT) {
            return true;
        }
        if (c->slots[k].path.n == 0) {
            return false;
        }
    }
    return c->n_slots > 0 && edit_has_key(b, ev, c->key);
}

/* Takes the bytes that the edit adds off *left; false: they are more. */
static bool spend(uint64_t *left, const struct addition *c, struct str value)
{
    uint64_t bytes = c->key.n + value.n + 2;

    if (bytes > *left) {
        return false;
    }
    *left -= bytes;
    return true;
}

/* The values of an action are its event's, whatever that has of its own: also of one that
 * is refused, for the answer. */
static bool takes(const struct event_batch *b, const struct event *ev,
                  const struct addition *c, bool bulk)
{
    return bulk || (ev->fate == EVENT_ACCEPT && !has_key(b, ev, c));
}

/* What the action does not say, its event must not say either. */
static void take_away(const struct addition *c, struct event_batch *b, uint32_t first,
                      uint32_t end)
{
    for (uint32_t k = first; k < end; k++) {
        struct event *ev = &b->events[k];

        if (!edit_put(b, ev, c->key, (struct str){NULL, 0}, EDIT_REMOVE)) {
            no_room(ev);
        }
        for (uint32_t j = 0; j < c->n_slots; j++) {
            ev->slots[c->slots[j].slot] = (struct slot){0};
        }
    }
}

/* To the events first to end - 1. */
static bool give_value(const struct addition *c, const struct slot *x,
                       struct event_batch *b, uint32_t first, uint32_t end, bool bulk,
                       uint64_t *left)
{
    struct slot slots[SCHEMA_FIELDS_MAX];
    struct member m;
    bool newline;

    if (!envelope_value(b, x, &m)) {
        if (bulk) {
            take_away(c, b, first, end);
        }
        return true;
    }
    newline = memchr(m.value.p, '\n', m.value.n) != NULL ||
              memchr(m.value.p, '\r', m.value.n) != NULL;
    find_slots(b, c, &m, slots);
    for (uint32_t k = first; k < end; k++) {
        struct event *ev = &b->events[k];

        if (!takes(b, ev, c, bulk)) {
            continue;
        }
        if (!spend(left, c, m.value)) {
            return false;
        }
        if (!edit_put(b, ev, c->key, m.value, bulk ? EDIT_SET : EDIT_DEFAULT)) {
            no_room(ev);
            continue;
        }
        ev->flags |= newline ? EVENT_NEWLINE : 0u;
        for (uint32_t j = 0; j < c->n_slots; j++) {
            ev->slots[c->slots[j].slot] = slots[j];
        }
    }
    return true;
}

static bool give_envelope(const struct addition *c, uint32_t i, const struct route *r,
                          struct event_batch *b, uint64_t *left)
{
    bool bulk = r->body == BODY_BULK;
    bool fits = bulk || give_value(c, &b->envelope[i], b, 0, b->n, false, left);

    for (uint32_t k = 0; fits && k < b->n_runs; k++) {
        const struct envelope_run *x = &b->runs[k];

        if (x->place == i) {
            fits = give_value(c, &x->value, b, x->first, x->end, bulk, left);
        }
    }
    return fits;
}

/* *out: the value as JSON text in the arena; p is NULL: the request has none. False:
 * the arena has no room for it. */
static bool request_value(const struct addition *c, const struct route *r,
                          struct event_batch *b, const struct policy_request *q,
                          struct str *out)
{
    struct str raw;
    char *plain, *json;
    size_t n;

    *out = (struct str){NULL, 0};
    if (c->from == ENRICH_TIME) {
        json = arena_alloc(b->arena, 32);
        if (json != NULL) {
            *out = (struct str){json, (size_t)snprintf(json, 32, "%.0f", q->time_ms)};
        }
        return json != NULL;
    }
    raw = request_raw(q, r->path, c->part, c->name);
    if (raw.p == NULL) {
        return true;
    }
    plain = arena_alloc(b->arena, raw.n + 1);
    json = arena_alloc(b->arena, quote_bound(raw.n));
    if (plain == NULL || json == NULL) {
        return false;
    }
    if (request_decode(c->part, raw, plain, &n)) {
        *out = (struct str){json, quote_mended((struct str){plain, n}, json)};
    }
    /* Of a file of keys that is cut meanwhile zeros were read. */
    return LIKELY(c->part != REQUEST_KEY) || q->key_rows == NULL ||
           !csv_table_damaged(q->key_rows);
}

/* The rules of the field on the value, for all events at once: ev is marked as they
 * are to be. *value becomes what is stored of it. */
static bool allowed(const struct addition *c, struct event_batch *b, struct str *value,
                    const struct policy_request *q, struct event *ev)
{
    struct str json = *value, other;
    struct event_batch alone = {.body = json.p, .arena = b->arena};
    struct slot x = {0};
    enum slot_kind kind;

    if (c->field == NULL) {
        return true;
    }
    if (json.p != NULL) {
        struct member m = {.value = walk_value(json.p, json.p + json.n, &kind)};

        m.kind = kind;
        x = slot_of(&alone, &m);
    }
    if (!check_value(c->field, &alone, ev, &x, (int64_t)q->time_ms)) {
        return false;
    }
    if (json.p != NULL && c->field->rewrites) {
        if (!rewrite_value(c->field, &alone, &x, &other)) {
            no_room(ev);
            return false;
        }
        *value = other.p != NULL ? other : json;
        b->n_cut += alone.n_cut * b->n;
    }
    return true;
}

static bool set_from_request(const struct addition *c, const struct route *r,
                             struct event_batch *b, const struct policy_request *q,
                             uint64_t *left)
{
    struct event mark = {0};
    struct str json;
    bool good = request_value(c, r, b, q, &json);

    if (good) {
        good = allowed(c, b, &json, q, &mark);
    } else {
        no_room(&mark);
    }

    for (uint32_t k = 0; k < b->n; k++) {
        struct event *ev = &b->events[k];

        if (ev->fate != EVENT_ACCEPT) {
            continue;
        }
        if (!good) {
            ev->fate = mark.fate;
            ev->code = mark.code;
            ev->field = mark.field;
            ev->message = mark.message;
        } else if (!spend(left, c, json)) {
            return false;
        } else if (!edit_put(b, ev, c->key, json,
                             json.p == NULL ? EDIT_REMOVE : EDIT_SET)) {
            no_room(ev);
        }
    }
    return true;
}

bool enrich_events(const struct route *r, struct event_batch *b,
                   const struct policy_request *q, uint64_t max_bytes)
{
    bool fits = true;

    for (uint32_t i = 0; fits && i < r->enrichment->n; i++) {
        const struct addition *c = &r->enrichment->list[i];

        fits = c->from == ENRICH_ENVELOPE ? give_envelope(c, i, r, b, &max_bytes)
                                          : set_from_request(c, r, b, q, &max_bytes);
    }
    return fits;
}
