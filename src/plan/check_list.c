/* A list: how many items, and the rules of each. */
#include <stdio.h>

#include "base/arena.h"
#include "decode/number.h"
#include "decode/walk.h"
#include "plan/check_parts.h"

enum { PLACE_BYTES = 24 };

/* The next item after p; false: none is left. */
static bool next_item(const char **p, const char *end, struct str *value,
                      enum slot_kind *kind)
{
    while (*p < end && ((unsigned char)**p <= ' ' || **p == ',')) {
        (*p)++;
    }
    if (*p >= end) {
        return false;
    }
    *value = walk_value(*p, end, kind);
    *p = value->p + value->n;
    return true;
}

static struct slot slot_of(const struct event_batch *b, struct str v,
                           enum slot_kind kind)
{
    bool text = kind == SLOT_STRING || kind == SLOT_ESCAPED;
    double num = kind == SLOT_NUMBER ? number_value(v.p, v.n) : 0;

    if (text) {
        v = (struct str){v.p + 1, v.n - 2};
    }
    return (struct slot){(uint32_t)(v.p - b->body), (uint32_t)v.n << 4 | (uint32_t)kind,
                         num};
}

/* The item is refused once more, now with its place: "tags[3]". */
static void name_item(struct event_batch *b, struct event *ev, const struct field *f,
                      struct slot *x, uint32_t at, int64_t now_ms)
{
    struct field item = *f->item;
    char *path = arena_alloc(b->arena, f->path.n + PLACE_BYTES);

    if (path != NULL) {
        item.path.p = path;
        item.path.n =
            (size_t)snprintf(path, f->path.n + PLACE_BYTES, "%s[%u]", f->path.p, at);
        (void)check_field(b, ev, &item, x, now_ms);
    }
}

static bool check_item(struct event_batch *b, struct event *ev, const struct field *f,
                       struct str v, enum slot_kind kind, uint32_t at, int64_t now_ms)
{
    struct slot x = slot_of(b, v, kind);

    if (!check_field(b, ev, f->item, &x, now_ms)) {
        x = slot_of(b, v, kind);
        name_item(b, ev, f, &x, at, now_ms);
        return false;
    }
    return true;
}

bool check_list(struct event_batch *b, struct event *ev, const struct field *f,
                const struct slot *x, int64_t now_ms)
{
    struct str s = text_of(b, x), value;
    const char *p = s.p + 1, *end = s.p + s.n - 1;
    enum slot_kind kind;
    uint32_t n = 0;

    if (kind_of(x) != SLOT_ARRAY) {
        return check_wrong_type(b, ev, f, x, "an array");
    }
    while (next_item(&p, end, &value, &kind)) {
        n++;
        if (f->has_max && n > f->max) {
            return check_refuse(b, ev, f, "too_long", "more than %.0f item%s", f->max,
                                f->max == 1 ? "" : "s");
        }
        if (!check_item(b, ev, f, value, kind, n, now_ms)) {
            return false;
        }
    }
    if (f->has_min && n < f->min) {
        return check_refuse(b, ev, f, "too_short", "fewer than %.0f item%s", f->min,
                            f->min == 1 ? "" : "s");
    }
    return true;
}
