#include "plan/summary.h"

#include <string.h>

#include "decode/walk.h"
#include "plan/sheet.h"

enum { NUMBER_BYTES = 20 };

static void put_u64(struct sheet *t, uint64_t v)
{
    char digits[NUMBER_BYTES];
    size_t n = 0;

    do {
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    sheet_put(t, (struct str){digits + sizeof digits - n, n});
}

/* Between quotes of JSON. */
static void put_escaped(struct sheet *t, const char *z)
{
    sheet_put_text(t, TEXT_JSON, str_of(z), SHEET_TEXT_MAX);
}

/* A top-level value of the event as it is stored; of one that was refused, what of it is
 * JSON. m->kind SLOT_ABSENT: it has none. */
static void find_value(const struct event_batch *b, const struct event *ev,
                       struct str key, struct member *m)
{
    const struct edit *e, *found = NULL;

    m->kind = SLOT_ABSENT;
    for (uint32_t i = ev->edit_first; i != 0; i = e->next) {
        e = &b->edits[i - 1];
        if (e->key_len == key.n + 2 && memcmp(e->key + 1, key.p, key.n) == 0) {
            found = e;
        }
    }
    if (found != NULL && found->how == EDIT_REMOVE) {
        return;
    }
    if ((found == NULL || found->how == EDIT_DEFAULT) && ev->error_at == 0 &&
        ev->len > 0 && b->body[ev->off] == '{' &&
        walk_find((struct str){b->body + ev->off, ev->len}, key, m)) {
        return;
    }
    m->kind = SLOT_ABSENT;
    if (found != NULL) {
        m->value = walk_value(found->value, found->value + found->value_len, &m->kind);
    }
}

/* A text as it stands between its quotes, a number or a truth. */
static void put_value(struct sheet *t, const struct event_batch *b,
                      const struct event *ev, struct str key)
{
    struct member m = {0};

    find_value(b, ev, key, &m);
    switch (m.kind) {
    case SLOT_STRING:
    case SLOT_ESCAPED:
        sheet_put(t, (struct str){m.value.p + 1, m.value.n - 2});
        break;
    case SLOT_NUMBER:
    case SLOT_TRUE:
    case SLOT_FALSE:
        sheet_put(t, m.value);
        break;
    case SLOT_ABSENT:
    case SLOT_NULL:
    case SLOT_OBJECT:
    case SLOT_ARRAY:
        break;
    }
}

static uint64_t status_of(const struct answer_plan *a, const struct event *ev)
{
    if (ev->fate != EVENT_REJECT) {
        return (uint64_t)a->status;
    }
    return strcmp(ev->code, "policy_error") == 0 ? 500
           : (ev->flags & EVENT_RETRY) != 0      ? 429
                                                 : (uint64_t)a->refused;
}

static void put_item(struct sheet *t, const struct answer_plan *a,
                     const struct event_batch *b, const struct event *ev)
{
    bool refused = ev->fate == EVENT_REJECT;
    const struct fill_plan *f = refused ? &a->item_refused : &a->item;

    for (uint32_t i = 0; i < f->n; i++) {
        const struct fill_part *part = &f->parts[i];

        sheet_put(t, part->text);
        switch (part->kind) {
        case FILL_FIELD:
            if (part->path.n > 0) {
                put_value(t, b, ev, part->path);
            }
            break;
        case FILL_STATUS:
            put_u64(t, status_of(a, ev));
            break;
        case FILL_CODE:
            put_escaped(t, ev->code);
            break;
        case FILL_MESSAGE:
            put_escaped(t, ev->message == NULL ? ev->code : ev->message);
            break;
        case FILL_INDEX:
            put_u64(t, ev->index);
            break;
        case FILL_ACCEPTED:
        case FILL_REJECTED:
        case FILL_ERRORS:
        case FILL_ITEMS:
            break;
        }
    }
}

static void put_items(struct sheet *t, const struct answer_plan *a,
                      const struct event_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        sheet_put(t, (struct str){",", i > 0});
        put_item(t, a, b, &b->events[i]);
    }
}

/* The first event that was refused; NULL: none was. Of a fixed answer refused events are
 * dead letters already. */
static const struct event *first_refused(const struct event_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->events[i].fate == EVENT_REJECT || b->events[i].fate == EVENT_DEAD) {
            return &b->events[i];
        }
    }
    return NULL;
}

static void put_message(struct sheet *t, const struct event_batch *b)
{
    const struct event *ev = first_refused(b);

    put_escaped(t, ev == NULL ? "" : ev->message != NULL ? ev->message : ev->code);
}

static size_t summarise(const struct answer_plan *a, const struct event_batch *b,
                        const struct outcome *o, char *out)
{
    struct sheet t = {out, 0};
    uint64_t dead = a->item.n > 0 ? 0 : o->dead, refused = o->rejected + dead;

    if (refused == 0 && a->accepted.p != NULL) {
        sheet_put(&t, a->accepted);
        return t.n;
    }
    for (uint32_t i = 0; i < a->summary.n; i++) {
        const struct fill_part *part = &a->summary.parts[i];

        sheet_put(&t, part->text);
        switch (part->kind) {
        case FILL_ACCEPTED:
            put_u64(&t, o->accepted - dead);
            break;
        case FILL_REJECTED:
            put_u64(&t, refused);
            break;
        case FILL_ERRORS:
            sheet_put(&t, refused > 0 ? STR("true") : STR("false"));
            break;
        case FILL_MESSAGE:
            put_message(&t, b);
            break;
        case FILL_ITEMS:
            put_items(&t, a, b);
            break;
        case FILL_FIELD:
        case FILL_STATUS:
        case FILL_CODE:
        case FILL_INDEX:
            break;
        }
    }
    return t.n;
}

size_t summary_bound(const struct answer_plan *a, const struct event_batch *b,
                     const struct outcome *o)
{
    return summarise(a, b, o, NULL);
}

size_t summary_write(const struct answer_plan *a, const struct event_batch *b,
                     const struct outcome *o, char *out)
{
    return summarise(a, b, o, out);
}
