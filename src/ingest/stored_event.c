#include "ingest/stored_event.h"

#include <string.h>

#include "base/text.h"
#include "decode/edit.h"

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

/* {"event":<raw>,"stream":"events","reason":"policy_error","why":"...","time":ms,
 * "generation":N,"route":"POST /v1/events"} */
static size_t dead_letter(const struct plan *plan, const struct route *route,
                          const struct event_batch *b, const struct event *ev,
                          double now_ms, char *out)
{
    size_t n = put_text(out, 0, "{\"event\":");

    n += edit_splice(b, ev, out + n);
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
    return edit_bound(b, ev) + (ev->fate == EVENT_DEAD ? DEAD_FRAME_BYTES : 0);
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
