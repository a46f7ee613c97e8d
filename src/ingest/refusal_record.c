#include "ingest/refusal_record.h"

#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "base/utf8.h"
#include "decode/event.h"
#include "plan/outcome.h"

/* Bytes of the parts, as sent; each may become six. */
enum {
    CODE_MAX = 64,
    FIELD_MAX = 256,
    MESSAGE_MAX = 512,
    ROUTE_MAX = 1200,
    TARGET_MAX = 2048,
    TYPE_MAX = 256,
    PEER_MAX = 64
};
enum {
    FIXED_BYTES = 512,
    PARTS_BYTES = 6 * (CODE_MAX + FIELD_MAX + MESSAGE_MAX + ROUTE_MAX + 2 * TARGET_MAX +
                       TYPE_MAX + PEER_MAX)
};

struct line {
    char *at;
};

static void put(struct line *l, struct str s)
{
    memcpy(l->at, s.p, s.n);
    l->at += s.n;
}

static void put_u64(struct line *l, uint64_t v)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    put(l, (struct str){digits + sizeof digits - n, n});
}

/* Between quotes; at most max bytes of s, whole characters. */
static void put_text(struct line *l, struct str s, size_t max)
{
    s.n = text_cut(s, max);
    put(l, STR("\""));
    l->at += text_write(TEXT_JSON, s, l->at, text_bound(s.n));
    put(l, STR("\""));
}

/* With its name, ",\"path\":"; nothing where s is empty. */
static void put_part(struct line *l, struct str name, struct str s, size_t max)
{
    if (s.n > 0) {
        put(l, name);
        put_text(l, s, max);
    }
}

static bool is_utf8(struct str s)
{
    const char *p = s.p, *end = s.p + s.n;

    while (p < end) {
        unsigned n = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, end);

        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}

static void put_raw(struct line *l, struct str raw, uint64_t max)
{
    struct str kept = {raw.p, raw.n < max ? raw.n : (size_t)max};
    struct str text = {raw.p, text_cut(raw, kept.n)};

    if (is_utf8(text)) {
        kept = text;
        put(l, STR(",\"raw\":"));
        put_text(l, text, text.n);
    } else {
        put(l, STR(",\"raw_base64\":\""));
        l->at += base64_write(kept, l->at);
        put(l, STR("\""));
    }
    put(l, STR(",\"bytes\":"));
    put_u64(l, raw.n);
    if (kept.n < raw.n) {
        put(l, STR(",\"cut\":true"));
    }
}

static struct str text_of(const char *z)
{
    return z == NULL ? STR("") : str_of(z);
}

static struct str as_sent(const struct event_batch *b, const struct event *ev)
{
    const struct sent_place *x;

    if (LIKELY(b->sent == NULL)) {
        return (struct str){b->body + ev->off, ev->len};
    }
    x = &b->places[ev - b->events];
    return (struct str){b->sent + x->off, x->len};
}

bool refusal_is_lost(const struct event *ev, const struct outcome *o)
{
    return ev->fate == EVENT_REJECT ? (ev->flags & EVENT_RETRY) == 0
                                    : !o->store && ev->fate != EVENT_DROP;
}

struct refusal_record refusal_record_of(const struct refusal_record *request,
                                        const struct event_batch *b,
                                        const struct event *ev, bool many)
{
    struct refusal_record r = *request;
    bool own = ev->fate == EVENT_REJECT;

    r.code = own ? ev->code : "batch_refused";
    r.field = own ? ev->field : NULL;
    r.message = own ? ev->message
                    : "another event of its batch was refused, and the route takes "
                      "all or none";
    if (many) {
        r.index = ev->index;
        r.raw = as_sent(b, ev);
    }
    return r;
}

size_t refusal_record_bound(const struct refusal_record *r)
{
    return FIXED_BYTES + PARTS_BYTES +
           text_bound(r->raw.n < r->max ? r->raw.n : (size_t)r->max);
}

size_t refusal_record_write(const struct refusal_record *r, char *out)
{
    struct line l = {out};

    put(&l, STR("{\"refused\":{\"code\":"));
    put_text(&l, str_of(r->code), CODE_MAX);
    put_part(&l, STR(",\"field\":"), text_of(r->field), FIELD_MAX);
    put_part(&l, STR(",\"message\":"), text_of(r->message), MESSAGE_MAX);
    put(&l, STR("},\"route\":\""));
    put(&l, str_of(r->method));
    put(&l, STR(" "));
    l.at += text_write(TEXT_JSON, str_of(r->route), l.at, text_bound(ROUTE_MAX));
    put(&l, STR("\""));
    put_part(&l, STR(",\"peer\":"), r->peer, PEER_MAX);
    put(&l, STR(",\"time\":"));
    put_u64(&l, r->time_ms);
    put_part(&l, STR(",\"path\":"), r->path, TARGET_MAX);
    put_part(&l, STR(",\"query\":"), r->query, TARGET_MAX);
    put_part(&l, STR(",\"type\":"), r->type, TYPE_MAX);
    if (r->index >= 0) {
        put(&l, STR(",\"index\":"));
        put_u64(&l, (uint64_t)r->index);
    }
    put_raw(&l, r->raw, r->max);
    put(&l, STR("}"));
    return (size_t)(l.at - out);
}
