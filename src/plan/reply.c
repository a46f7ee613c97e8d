#include "plan/reply.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "decode/edit.h"
#include "decode/walk.h"

enum { WHY_BYTES = 256 };

/* The event as it is stored; n 0: there is none, or no room for it. */
static struct str text_of(struct event_batch *b, const struct event *ev)
{
    char *text;

    if (ev == NULL || ev->len == 0) {
        return (struct str){NULL, 0};
    }
    if (ev->n_edits == 0) {
        return (struct str){b->body + ev->off, ev->len};
    }
    text = arena_alloc(b->arena, edit_bound(b, ev));
    return text == NULL ? (struct str){NULL, 0}
                        : (struct str){text, edit_splice(b, ev, text)};
}

/* A text between its quotes, a number or a truth as it stands; n 0: none of them. */
static struct str value_at(struct str event, struct str path, bool *is_string)
{
    struct member m;

    *is_string = false;
    if (event.n == 0 || !walk_find(event, path, &m)) {
        return (struct str){"", 0};
    }
    switch (m.kind) {
    case SLOT_STRING:
    case SLOT_ESCAPED:
        *is_string = true;
        return (struct str){m.value.p + 1, m.value.n - 2};
    case SLOT_NUMBER:
    case SLOT_TRUE:
    case SLOT_FALSE:
        return m.value;
    case SLOT_ABSENT:
    case SLOT_NULL:
    case SLOT_OBJECT:
    case SLOT_ARRAY:
        break;
    }
    return (struct str){"", 0};
}

/* The text without its escapes, in the arena; p NULL: no room. */
static struct str plain_at(struct event_batch *b, struct str event, struct str path)
{
    bool is_string;
    struct str v = value_at(event, path, &is_string);
    char *plain;

    if (!is_string) {
        return v;
    }
    plain = arena_alloc(b->arena, v.n + 1);
    return plain == NULL ? (struct str){NULL, 0}
                         : (struct str){plain, scan_unescape(v.p, v.n, plain)};
}

/* ---- the body: values between quotes of JSON, so that they are copied as they are ---- */

static void fill_body(struct event_batch *b, const struct fill_plan *f,
                      struct str event)
{
    size_t bound = 0, n = 0;
    bool is_string;
    char *out;

    for (uint32_t i = 0; i < f->n; i++) {
        bound += f->parts[i].text.n;
        bound += f->parts[i].path.n == 0
                     ? 0
                     : value_at(event, f->parts[i].path, &is_string).n;
    }
    out = arena_alloc(b->arena, bound + 1);
    for (uint32_t i = 0; out != NULL && i < f->n; i++) {
        struct str text = f->parts[i].text, v = {"", 0};

        if (f->parts[i].path.n > 0) {
            v = value_at(event, f->parts[i].path, &is_string);
        }
        memcpy(out + n, text.p, text.n);
        memcpy(out + n + text.n, v.p, v.n);
        n += text.n + v.n;
    }
    b->filled = out;
    b->filled_len = (uint32_t)n;
}

/* ---- the location ---- */

/* p NULL: it would be longer than a location may be, or there is no room. */
static struct str fill_url(struct event_batch *b, const struct fill_plan *f,
                           struct str event)
{
    char *out = arena_alloc(b->arena, LOCATION_MAX);
    size_t n = 0;

    for (uint32_t i = 0; out != NULL && i < f->n; i++) {
        struct str text = f->parts[i].text, v = {"", 0};

        if (f->parts[i].path.n > 0) {
            v = plain_at(b, event, f->parts[i].path);
        }
        if (v.p == NULL || text.n + 3 * v.n > LOCATION_MAX - n) {
            return (struct str){NULL, 0};
        }
        memcpy(out + n, text.p, text.n);
        n += text.n;
        n += location_escape(v, out + n);
    }
    return (struct str){out, n};
}

static struct str url_of(struct event_batch *b, const struct location_plan *l,
                         struct str event, struct str given)
{
    if (l->has_function) {
        return given;
    }
    return l->field.n > 0 ? plain_at(b, event, l->field) : fill_url(b, &l->fill, event);
}

static void refuse(struct event_batch *b, const struct location_plan *l,
                   struct event *ev, const char *why)
{
    char *text = arena_alloc(b->arena, WHY_BYTES);

    ev->fate = EVENT_REJECT;
    ev->code = "bad_location";
    ev->field = l->field.n > 0 ? l->field.p : NULL;
    ev->message = why;
    if (text != NULL) {
        (void)snprintf(text, WHY_BYTES, "%s: %s",
                       ev->field == NULL ? "the redirect" : ev->field, why);
        ev->message = text;
    }
}

static void find_location(struct event_batch *b, const struct location_plan *l,
                          struct event *ev, struct str event, struct str given)
{
    const char *why = "there is no url";
    char *out = arena_alloc(b->arena, LOCATION_MAX + 1);
    struct str url = url_of(b, l, event, given);

    b->location = NULL;
    if (out != NULL && url.n > 0 && location_write(l->hosts, url, out, &why)) {
        b->location = out;
    } else if (l->fallback.p != NULL) {
        b->location = l->fallback.p;
    } else if (ev != NULL && ev->fate != EVENT_REJECT) {
        refuse(b, l, ev, why);
    }
}

void reply_prepare(const struct route *r, struct event_batch *b, struct str given)
{
    const struct answer_plan *a = r->answer;
    struct event *ev = b->n == 1 ? &b->events[0] : NULL;
    struct str event = text_of(b, ev);

    b->filled = NULL;
    b->filled_len = 0;
    if (a->location != NULL) {
        find_location(b, a->location, ev, event, given);
    }
    if (a->fill.n > 0) {
        fill_body(b, &a->fill, event);
    }
}
