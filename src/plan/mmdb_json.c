#include "plan/mmdb_json.h"

#include <math.h>
#include <string.h>

#include "base/base64.h"
#include "decode/number.h"
#include "decode/quote.h"
#include "plan/mmdb_check.h"

enum { NESTED_MAX = 64, DIGITS = 40, EXACT_BITS = 53 };

struct out {
    char *p;
    size_t n, room;
};

static bool put(struct out *o, const char *p, size_t n)
{
    if (o->room - o->n < n) {
        return false;
    }
    memcpy(o->p + o->n, p, n);
    o->n += n;
    return true;
}

static unsigned __int128 whole(struct str data, const struct mmdb_head *h)
{
    unsigned __int128 v = 0;

    for (uint32_t i = 0; i < h->size; i++) {
        v = v << 8 | (unsigned char)data.p[h->next + i];
    }
    return v;
}

static double fraction(struct str data, const struct mmdb_head *h)
{
    uint64_t bits = (uint64_t)whole(data, h);
    uint32_t half = (uint32_t)bits;
    double d;
    float f;

    memcpy(&d, &bits, sizeof d);
    memcpy(&f, &half, sizeof f);
    return h->type == MMDB_DOUBLE ? d : (double)f;
}

static double as_number(struct str data, const struct mmdb_head *h)
{
    if (h->type == MMDB_DOUBLE || h->type == MMDB_FLOAT) {
        return fraction(data, h);
    }
    if (h->type == MMDB_INT32) {
        return (double)(int32_t)(uint32_t)whole(data, h);
    }
    return (double)whole(data, h);
}

/* The digits of a whole number, which may be longer than a double's. */
static size_t write_digits(unsigned __int128 v, char out[DIGITS])
{
    char back[DIGITS];
    size_t n = 0;

    do {
        back[n++] = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++) {
        out[i] = back[n - 1 - i];
    }
    return n;
}

static bool is_long(struct str data, const struct mmdb_head *h)
{
    return (h->type == MMDB_UINT64 || h->type == MMDB_UINT128) &&
           whole(data, h) >> EXACT_BITS != 0;
}

static bool write_number(struct str data, const struct mmdb_head *h, struct out *o)
{
    char text[DIGITS];
    double v;

    if (is_long(data, h)) {
        return put(o, text, write_digits(whole(data, h), text));
    }
    v = as_number(data, h);
    return isfinite(v) ? put(o, text, number_write(v, text)) : put(o, "null", 4);
}

/* No more than what quote_write needs, which mostly is less than its bound. */
static size_t quoted_bytes(struct str s)
{
    size_t n = s.n + 2;

    for (size_t i = 0; i < s.n; i++) {
        n += (unsigned char)s.p[i] < ' ' || s.p[i] == '"' || s.p[i] == '\\' ? 5 : 0;
    }
    return n;
}

static bool write_text(struct str s, struct out *o)
{
    size_t left = o->room - o->n;

    if (left < quote_bound(s.n) && (left < s.n || left < quoted_bytes(s))) {
        return false;
    }
    o->n += quote_write(s, o->p + o->n);
    return true;
}

static bool write_bytes(struct str s, struct out *o)
{
    if (o->room - o->n < base64_length(s.n) + 2) {
        return false;
    }
    o->p[o->n++] = '"';
    o->n += base64_write(s, o->p + o->n);
    o->p[o->n++] = '"';
    return true;
}

static struct str text_at(struct str data, const struct mmdb_head *h)
{
    return (struct str){data.p + h->next, h->size};
}

static bool write_value(struct str data, uint32_t at, unsigned depth, uint32_t *end,
                        struct out *o);

static bool write_inside(struct str data, const struct mmdb_head *h, unsigned depth,
                         uint32_t *end, struct out *o)
{
    bool map = h->type == MMDB_MAP;

    *end = h->next;
    if (!put(o, map ? "{" : "[", 1)) {
        return false;
    }
    for (uint32_t i = 0; i < h->size; i++) {
        if ((i > 0 && !put(o, ",", 1)) ||
            (map && (!write_value(data, *end, depth, end, o) || !put(o, ":", 1))) ||
            !write_value(data, *end, depth, end, o)) {
            return false;
        }
    }
    return put(o, map ? "}" : "]", 1);
}

static bool write_value(struct str data, uint32_t at, unsigned depth, uint32_t *end,
                        struct out *o)
{
    struct mmdb_head h, first;
    uint32_t inside;
    bool good;

    (void)mmdb_head(data, at, &first);
    (void)mmdb_follow(data, at, &h);
    *end = first.type == MMDB_POINTER ? first.next : h.next + h.size;
    switch (h.type) {
    case MMDB_MAP:
    case MMDB_ARRAY:
        good = depth < NESTED_MAX && write_inside(data, &h, depth + 1, &inside, o);
        *end = good && first.type != MMDB_POINTER ? inside : *end;
        return good;
    case MMDB_TEXT:
        return write_text(text_at(data, &h), o);
    case MMDB_BYTES:
        return write_bytes(text_at(data, &h), o);
    case MMDB_BOOL:
        *end = first.next;
        return h.size != 0 ? put(o, "true", 4) : put(o, "false", 5);
    default:
        return write_number(data, &h, o);
    }
}

static bool give_number(struct str data, const struct mmdb_head *h, char *room,
                        struct mmdb_value *out)
{
    if (is_long(data, h)) {
        out->kind = SLOT_STRING;
        out->text = (struct str){room, write_digits(whole(data, h), room)};
        return true;
    }
    out->kind = SLOT_NUMBER;
    out->num = as_number(data, h);
    return isfinite(out->num);
}

bool mmdb_give(struct str data, uint32_t at, char *room, size_t n,
               struct mmdb_value *out)
{
    struct out o = {room, 0, n};
    struct mmdb_head h;
    uint32_t end;

    at = mmdb_follow(data, at, &h);
    *out = (struct mmdb_value){.kind = SLOT_STRING};
    switch (h.type) {
    case MMDB_TEXT:
        out->text = text_at(data, &h);
        return true;
    case MMDB_BOOL:
        out->kind = h.size != 0 ? SLOT_TRUE : SLOT_FALSE;
        return true;
    case MMDB_BYTES:
        out->text = (struct str){room + 1, 0};
        if (!write_bytes(text_at(data, &h), &o)) {
            return false;
        }
        out->text.n = o.n - 2;
        return true;
    case MMDB_MAP:
    case MMDB_ARRAY:
        out->kind = h.type == MMDB_MAP ? SLOT_OBJECT : SLOT_ARRAY;
        if (!write_value(data, at, 0, &end, &o)) {
            return false;
        }
        out->text = (struct str){room, o.n};
        return true;
    default:
        return give_number(data, &h, room, out);
    }
}
