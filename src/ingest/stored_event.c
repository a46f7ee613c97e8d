#include "ingest/stored_event.h"

#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "decode/edit.h"
#include "decode/quote.h"

/* The most bytes that the frame of a dead letter adds to its event. */
enum { DEAD_FRAME_BYTES = 4096 };

static size_t put_json(char *out, size_t at, size_t max, const char *z)
{
    size_t n = text_write(TEXT_JSON, str_of(z), out + at + 1, max - at);

    out[at] = out[at + 1 + n] = '"';
    return at + n + 2;
}

static size_t put_text(char *out, size_t at, const char *z)
{
    size_t n = strlen(z);

    memcpy(out + at, z, n);
    return at + n;
}

static size_t put_number(char *out, size_t at, uint64_t v)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    memcpy(out + at, digits + sizeof digits - n, n);
    return at + n;
}

/* Of an event that is no JSON, in quotes: also in base64. */
static size_t raw_bound(size_t n)
{
    return 2 * n + 8;
}

/* Bytes of s as a text of JSON; 0: it is not UTF-8, or too long so. */
static size_t quoted_bytes(struct str s)
{
    size_t n = s.n + 2;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        n += c < ' ' || c == 0x7F ? 5 : c == '"' || c == '\\' ? 1 : 0;
    }
    return n <= raw_bound(s.n) && quote_is_utf8(s) ? n : 0;
}

/* The dead letter's line is JSON. An event that is not JSON stands there as a text. */
static size_t put_event(const struct event_batch *b, const struct event *ev, char *out,
                        size_t n)
{
    struct str raw = {b->body + ev->off, ev->len};

    if (ev->error_at == 0) {
        n = put_text(out, n, "{\"event\":");
        return n + edit_splice(b, ev, out + n);
    }
    if (quoted_bytes(raw) > 0) {
        n = put_text(out, n, "{\"event\":");
        return n + quote_write(raw, out + n);
    }
    n = put_text(out, n, "{\"event\":\"");
    n += base64_write(raw, out + n);
    return put_text(out, n, "\",\"encoding\":\"base64\"");
}

/* {"event":<raw>,"stream":"events","reason":"policy_error","why":"...","time":ms,
 * "generation":N,"route":"POST /v1/events"} */
static size_t dead_letter(const struct plan *plan, const struct route *route,
                          const struct event_batch *b, const struct event *ev,
                          double now_ms, char *out)
{
    size_t n = put_event(b, ev, out, 0);

    n = put_text(out, n, ",\"stream\":");
    n = route->stream < 0 ? put_text(out, n, "null")
                          : put_json(out, n, n + 80, plan->streams[route->stream].name);
    n = put_text(out, n, ",\"route\":");
    n = put_json(out, n, n + 1000, route->path);
    n = put_text(out, n, ",\"reason\":");
    n = put_json(out, n, n + 80, ev->code == NULL ? "policy_error" : ev->code);
    n = put_text(out, n, ",\"why\":");
    n = put_json(out, n, n + 2000, ev->message == NULL ? "" : ev->message);
    n = put_text(out, n, ",\"time\":");
    n = put_number(out, n, (uint64_t)now_ms);
    n = put_text(out, n, ",\"generation\":");
    n = put_number(out, n, plan->generation);
    return put_text(out, n, "}");
}

uint64_t stored_event_streams(const struct route *route, const struct event *ev,
                              int dead)
{
    if (ev->fate == EVENT_DEAD) {
        return dead < 0 ? 0 : 1ull << (dead & 63);
    }
    if (ev->fate != EVENT_ACCEPT) {
        return 0;
    }
    if (ev->flags & EVENT_ROUTED) {
        return ev->to;
    }
    return route->stream < 0 ? 0 : 1ull << route->stream;
}

size_t stored_event_bound(const struct event_batch *b, const struct event *ev)
{
    if (ev->fate != EVENT_DEAD) {
        return edit_bound(b, ev);
    }
    return DEAD_FRAME_BYTES +
           (ev->error_at == 0 ? edit_bound(b, ev) : raw_bound(ev->len));
}

size_t stored_event_write(const struct plan *plan, const struct route *route,
                          const struct event_batch *b, const struct event *ev,
                          double now_ms, char *out, bool *kept)
{
    if (ev->fate == EVENT_DEAD) {
        *kept = false;
        return dead_letter(plan, route, b, ev, now_ms, out);
    }
    return edit_splice_kept(b, ev, out, kept);
}
