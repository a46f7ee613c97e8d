#include "journal/record.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/crc32c.h"

static unsigned char *put(unsigned char *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        *p++ = (unsigned char)(v >> 8 * i);
    }
    return p;
}

static unsigned char *put_text(unsigned char *p, struct str s)
{
    assert(s.n <= RECORD_TEXT_MAX);
    p = put(p, s.n, 2);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    return p + s.n;
}

static uint32_t checksum(const unsigned char *p, size_t payload)
{
    return crc32c(crc32c(0, p, 8), p + RECORD_HEAD_BYTES, payload);
}

size_t record_encode(const struct record *r, unsigned char *out)
{
    unsigned char *p = out + RECORD_HEAD_BYTES;
    size_t payload;

    assert(r->n_ranges <= RECORD_RANGES_MAX);
    p = put(p, (uint64_t)r->time_ms, 8);
    p = put(p, r->value, 8);
    p = put_text(p, r->id);
    p = put_text(p, r->stream);
    p = put_text(p, r->name);
    p = put(p, r->n_ranges, 4);
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        p = put(p, r->ranges[i].epoch, 4);
        p = put(p, r->ranges[i].worker, 4);
        p = put(p, r->ranges[i].first, 8);
        p = put(p, r->ranges[i].n, 8);
    }
    payload = (size_t)(p - out) - RECORD_HEAD_BYTES;
    (void)put(out, payload, 4);
    (void)put(out + 4, (uint64_t)r->type, 4);
    (void)put(out + 8, checksum(out, payload), 4);
    return (size_t)(p - out);
}

/* A bounded walk over the payload: ok turns false at the first overrun. */
struct walk {
    const unsigned char *p, *end;
    bool ok;
};

static uint64_t get(struct walk *w, unsigned bytes)
{
    uint64_t v = 0;

    if ((size_t)(w->end - w->p) < bytes) {
        w->ok = false;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++) {
        v |= (uint64_t)*w->p++ << 8 * i;
    }
    return v;
}

static struct str get_text(struct walk *w)
{
    size_t n = (size_t)get(w, 2);
    struct str s = {(const char *)w->p, n};

    if (n > RECORD_TEXT_MAX || (size_t)(w->end - w->p) < n) {
        w->ok = false;
        return (struct str){NULL, 0};
    }
    w->p += n;
    return s;
}

static bool get_payload(struct walk *w, struct record *r, struct batch_range *ranges)
{
    r->time_ms = (int64_t)get(w, 8);
    r->value = get(w, 8);
    r->id = get_text(w);
    r->stream = get_text(w);
    r->name = get_text(w);
    r->n_ranges = (uint32_t)get(w, 4);
    r->ranges = ranges;
    if (!w->ok || r->n_ranges > RECORD_RANGES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        ranges[i].epoch = (uint32_t)get(w, 4);
        ranges[i].worker = (uint32_t)get(w, 4);
        ranges[i].first = get(w, 8);
        ranges[i].n = get(w, 8);
    }
    return w->ok && w->p == w->end;
}

enum record_result record_decode(const unsigned char *p, size_t n, struct record *r,
                                 struct batch_range *ranges, size_t *size)
{
    struct walk head = {p, p + n, true}, body;
    size_t length;
    uint32_t type, crc;

    if (n < RECORD_HEAD_BYTES) {
        return RECORD_SHORT;
    }
    length = (size_t)get(&head, 4);
    type = (uint32_t)get(&head, 4);
    crc = (uint32_t)get(&head, 4);
    if (length > RECORD_BYTES_MAX - RECORD_HEAD_BYTES || type == 0) {
        return RECORD_BAD;
    }
    if (n - RECORD_HEAD_BYTES < length) {
        return RECORD_SHORT;
    }
    if (crc != checksum(p, length)) {
        return RECORD_BAD;
    }
    if (type >= RECORD_N_TYPES) {
        return RECORD_NEWER;
    }
    body = (struct walk){head.p, head.p + length, true};
    r->type = (enum record_type)type;
    *size = RECORD_HEAD_BYTES + length;
    return get_payload(&body, r, ranges) ? RECORD_OK : RECORD_BAD;
}
