/*
 * One pass over a body: grammar and UTF-8 are checked while slots are filled.
 *
 *   scan_body ─► scan_one | scan_list | scan_lines
 *                   └─► read_event ─► predicted ──► object_fast ──┐ keys by shape
 *                            │            └─ miss ─► once more:   │
 *                            └──────────────────────► object_slow ┘ keys by name,
 *                                                     duplicates looked for
 */
#include "decode/scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/keys.h"
#include "decode/lex.h"
#include "decode/number.h"
#include "decode/shape.h"

/* Events in a row without a fit after which prediction rests for as many. */
enum { PATIENCE = 8, REST = 56, LOOK_AHEAD = 12 };

struct scan {
    struct lex l;
    struct event_batch *b;
    const struct scan_keys *keys;
    struct shape *shape;
    const struct scan_limits *limits;
    uint32_t expected;  /* object_fast: place in the shape */
    bool miss;          /* object_fast: the shape does not fit */
    struct slot *slots; /* of the event in hand */
};

/* {} as a set of fields: for routes without a schema. */
static const struct scan_keys no_keys = {
    .n_nodes = 1, .first = {[0] = KEY_NONE}};

static void fill(struct scan *s, uint16_t slot, enum slot_kind kind,
                 const char *from, const char *to)
{
    struct slot *x = &s->slots[slot];

    if (kind == SLOT_STRING || kind == SLOT_ESCAPED) {
        from++;
        to--;
    }
    x->off = (uint32_t)(from - s->b->body);
    x->tag = (uint32_t)(to - from) << 4 | (uint32_t)kind;
    if (kind == SLOT_NUMBER) {
        x->num = number_value(from, (size_t)(to - from));
    }
}

static bool object_fast(struct scan *s, uint16_t node, uint32_t depth);
static bool object_slow(struct scan *s, uint16_t node, uint32_t depth);

/* The value of a key whose slot and node are known. */
static bool value(struct scan *s, uint16_t slot, uint16_t child,
                  uint32_t depth, bool fast)
{
    struct lex *l = &s->l;
    const char *from = l->p;
    enum slot_kind kind;

    if (child != KEY_NONE && l->p < l->end && *l->p == '{') {
        kind = SLOT_OBJECT;
        if (depth + 1 > l->max_depth) {
            l->deep = true;
            return lex_fail(l, l->p, "nested too deep");
        }
        if (!(fast ? object_fast(s, child, depth + 1)
                   : object_slow(s, child, depth + 1))) {
            return false;
        }
    } else if (!lex_value(l, depth + 1, &kind)) {
        return false;
    }
    if (slot != KEY_NONE) {
        fill(s, slot, kind, from, l->p);
    }
    return true;
}

/* The next key of the shape that stands at p; NULL: none does. */
static const struct shape_key *predict(struct scan *s, uint16_t node)
{
    const struct shape *shape = s->shape;
    uint32_t last = s->expected + LOOK_AHEAD;
    size_t left = (size_t)(s->l.end - s->l.p);

    if (last > shape->n) {
        last = shape->n;
    }
    for (uint32_t i = s->expected; i < last; i++) {
        const struct shape_key *k = &shape->list[i];

        if (k->node == node && k->len <= left &&
            memcmp(s->l.p, k->text, k->len) == 0) {
            s->expected = i + 1;
            return k;
        }
    }
    return NULL;
}

/* Behind a value: ',' or '}'. *more tells which. */
static inline bool member_end(struct lex *l, bool *more)
{
    lex_maybe_space(l);
    if (UNLIKELY(l->p >= l->end || (*l->p != ',' && *l->p != '}'))) {
        return lex_fail(l, l->p, "expected ',' or '}'");
    }
    *more = *l->p++ == ',';
    if (*more) {
        lex_maybe_space(l);
    }
    return true;
}

/* p is at '{'. False with s->miss: to be read by object_slow. */
static bool object_fast(struct scan *s, uint16_t node, uint32_t depth)
{
    struct lex *l = &s->l;
    bool more = true;

    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == '}') {
        l->p++;
        return true;
    }
    while (more) {
        const struct shape_key *k = predict(s, node);

        if (UNLIKELY(k == NULL)) {
            s->miss = true;
            return false;
        }
        l->p += k->len;
        lex_maybe_space(l);
        if (!value(s, k->slot, k->child, depth, true) ||
            !member_end(l, &more)) {
            return false;
        }
    }
    return true;
}

/* A key in quotes with its colon, noted in the shape. */
static bool key(struct scan *s, uint16_t node)
{
    struct lex *l = &s->l;
    const char *from = l->p + 1;
    struct str raw;
    bool escaped;

    if (l->p >= l->end || *l->p != '"') {
        return lex_fail(l, l->p, "expected a key in quotes");
    }
    l->p++;
    if (!lex_string(l, &escaped)) {
        return false;
    }
    raw = (struct str){from, (size_t)(l->p - 1 - from)};
    if (!shape_see(s->shape, s->b->arena, raw, escaped, node)) {
        return lex_fail(l, from, "too many escaped keys");
    }
    lex_maybe_space(l);
    if (l->p >= l->end || *l->p != ':') {
        return lex_fail(l, l->p, "expected ':'");
    }
    l->p++;
    lex_maybe_space(l);
    return true;
}

static bool object_slow(struct scan *s, uint16_t node, uint32_t depth)
{
    struct lex *l = &s->l;
    bool more = true;

    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == '}') {
        l->p++;
        return true;
    }
    while (more) {
        uint16_t slot, child;

        if (!key(s, node)) {
            return false;
        }
        slot = s->shape->seen[s->shape->n_seen - 1].slot;
        child = s->shape->seen[s->shape->n_seen - 1].child;
        if (!value(s, slot, child, depth, false) || !member_end(l, &more)) {
            return false;
        }
    }
    return true;
}

static void reject(struct event *ev, const char *code, const char *field,
                   const char *message)
{
    ev->fate = EVENT_REJECT;
    ev->code = code;
    ev->field = field;
    ev->message = message;
}

static void reject_twice(struct scan *s, struct event *ev, struct str name)
{
    struct str copy = arena_copy(s->b->arena, name);

    reject(ev, "duplicate_key", copy.p, "the event has this key twice");
}

/* Room for one more event; false: the limit is reached. */
static struct event *next_event(struct scan *s)
{
    struct event_batch *b = s->b;
    struct event *ev;

    if (b->n == s->limits->max_events) {
        return NULL;
    }
    if (b->n == b->max_events) {
        b->max_events = b->max_events == 0 ? 256 : 2 * b->max_events;
        b->events = mem_realloc(b->events, b->max_events * sizeof *b->events);
        b->slots = mem_realloc(b->slots, (size_t)b->max_events *
                                             SCHEMA_FIELDS_MAX *
                                             sizeof *b->slots);
    }
    ev = &b->events[b->n];
    *ev = (struct event){.index = b->n, .epoch = b->epoch};
    s->slots = b->slots + (size_t)b->n * b->n_slots;
    memset(s->slots, 0, b->n_slots * sizeof *s->slots);
    b->n++;
    return ev;
}

/* The object at p as event ev. */
static bool read_event(struct scan *s, struct event *ev)
{
    struct shape *shape = s->shape;
    struct lex *l = &s->l;
    const char *from = l->p;
    struct str twice;

    l->newline = false;
    ev->off = (uint32_t)(from - s->b->body);
    if (shape->n > 0 && shape->misses % (PATIENCE + REST) < PATIENCE) {
        s->expected = 0;
        s->miss = false;
        if (object_fast(s, 0, 1)) {
            shape->misses = 0;
            goto whole;
        }
        if (!s->miss) {
            return false;
        }
        l->p = from;
        memset(s->slots, 0, s->b->n_slots * sizeof *s->slots);
    }
    shape->n_seen = 0;
    if (!object_slow(s, 0, 1)) {
        return false;
    }
    twice = shape_learn(shape);
    if (twice.p != NULL) {
        reject_twice(s, ev, twice);
    }
whole:
    ev->len = (uint32_t)(l->p - from);
    ev->flags = l->newline ? EVENT_NEWLINE : 0;
    return true;
}

static enum scan_result failed(struct scan *s, struct scan_error *se)
{
    se->at = (size_t)(s->l.at - s->b->body);
    se->detail = s->l.detail;
    return s->l.deep ? SCAN_TOO_DEEP : SCAN_INVALID;
}

static enum scan_result too_many(struct scan *s, struct scan_error *se)
{
    se->at = (size_t)(s->l.p - s->b->body);
    se->detail = "more events than max_events";
    return SCAN_TOO_MANY;
}

static enum scan_result at_end(struct scan *s, struct scan_error *se)
{
    lex_space(&s->l);
    if (s->l.p != s->l.end) {
        (void)lex_fail(&s->l, s->l.p, "something follows the JSON value");
        return failed(s, se);
    }
    return SCAN_OK;
}

static enum scan_result scan_one(struct scan *s, struct scan_error *se)
{
    if (*s->l.p != '{') {
        enum slot_kind kind;

        /* Text that is no JSON is told first. */
        if (lex_value(&s->l, 1, &kind)) {
            (void)lex_fail(&s->l, s->b->body,
                           "expected one JSON object, the event");
        }
        return failed(s, se);
    }
    if (!read_event(s, next_event(s))) {
        return failed(s, se);
    }
    return at_end(s, se);
}

/* p is at '['. */
static enum scan_result scan_list(struct scan *s, struct scan_error *se)
{
    struct lex *l = &s->l;

    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == ']') {
        l->p++;
        return SCAN_OK;
    }
    for (;;) {
        struct event *ev = next_event(s);
        enum slot_kind kind;

        if (ev == NULL) {
            return too_many(s, se);
        }
        if (l->p < l->end && *l->p == '{') {
            if (!read_event(s, ev)) {
                return failed(s, se);
            }
        } else if (lex_value(l, 1, &kind)) {
            reject(ev, "not_an_object", NULL, "an event is a JSON object");
        } else {
            return failed(s, se);
        }
        lex_maybe_space(l);
        if (l->p >= l->end || (*l->p != ',' && *l->p != ']')) {
            (void)lex_fail(l, l->p, "expected ',' or ']'");
            return failed(s, se);
        }
        if (*l->p++ == ']') {
            return SCAN_OK;
        }
        lex_maybe_space(l);
    }
}

/* One member of the batch's envelope. *found: "events" was read. */
static enum scan_result envelope_member(struct scan *s, bool *found,
                                        struct scan_error *se)
{
    struct lex *l = &s->l;
    const char *from = l->p;
    enum slot_kind kind;
    bool escaped, events;

    if (l->p >= l->end || *l->p != '"') {
        (void)lex_fail(l, l->p, "expected a key in quotes");
        return failed(s, se);
    }
    l->p++;
    if (!lex_string(l, &escaped)) {
        return failed(s, se);
    }
    events = l->p - from == 8 && memcmp(from, "\"events\"", 8) == 0;
    lex_maybe_space(l);
    if (l->p >= l->end || *l->p != ':') {
        (void)lex_fail(l, l->p, "expected ':'");
        return failed(s, se);
    }
    l->p++;
    lex_maybe_space(l);
    if (!events) {
        return lex_value(l, 1, &kind) ? SCAN_OK : failed(s, se);
    }
    if (*found || l->p >= l->end || *l->p != '[') {
        (void)lex_fail(l, *found ? from : l->p,
                       *found ? "\"events\" is given twice"
                              : "\"events\" must be an array");
        return failed(s, se);
    }
    *found = true;
    return scan_list(s, se);
}

/* {"events":[...]} */
static enum scan_result scan_envelope(struct scan *s, struct scan_error *se)
{
    struct lex *l = &s->l;
    bool found = false, more;

    l->p++;
    lex_maybe_space(l);
    more = l->p >= l->end || *l->p != '}';
    l->p += !more;
    while (more) {
        enum scan_result r = envelope_member(s, &found, se);

        if (r != SCAN_OK) {
            return r;
        }
        if (!member_end(l, &more)) {
            return failed(s, se);
        }
    }
    if (!found) {
        (void)lex_fail(l, s->b->body, "expected {\"events\":[...]} or an array");
        return failed(s, se);
    }
    return SCAN_OK;
}

static enum scan_result scan_batch(struct scan *s, struct scan_error *se)
{
    enum scan_result r;

    if (*s->l.p != '{' && *s->l.p != '[') {
        return scan_one(s, se);
    }
    r = *s->l.p == '[' ? scan_list(s, se) : scan_envelope(s, se);
    return r == SCAN_OK ? at_end(s, se) : r;
}

static void reject_line(struct scan *s, struct event *ev, const char *line)
{
    char *text = arena_alloc(s->b->arena, 128);

    if (text != NULL) {
        (void)snprintf(text, 128, "%s at byte %zu of the line", s->l.detail,
                       (size_t)(s->l.at - line));
    }
    reject(ev, s->l.deep ? "too_deep" : "invalid_json", NULL,
           text == NULL ? s->l.detail : text);
}

static enum scan_result scan_lines(struct scan *s, struct scan_error *se)
{
    const char *end = s->l.end;
    const char *line, *next;

    for (line = s->l.p; line < end; line = next) {
        const char *nl = memchr(line, '\n', (size_t)(end - line));
        struct event *ev;

        next = nl == NULL ? end : nl + 1;
        s->l.p = line;
        s->l.end = nl == NULL ? end : nl;
        s->l.deep = false;
        lex_space(&s->l);
        if (s->l.p == s->l.end) {
            continue;
        }
        ev = next_event(s);
        if (ev == NULL) {
            return too_many(s, se);
        }
        if (*s->l.p != '{') {
            (void)lex_fail(&s->l, s->l.p, "expected a JSON object");
            reject_line(s, ev, line);
        } else if (!read_event(s, ev)) {
            reject_line(s, ev, line);
        } else if (lex_space(&s->l), s->l.p != s->l.end) {
            (void)lex_fail(&s->l, s->l.p, "something follows the JSON object");
            reject_line(s, ev, line);
        }
    }
    return SCAN_OK;
}

static enum scan_result dispatch(struct scan *s, enum scan_shape shape,
                                 struct scan_error *se)
{
    static const char bom[] = "\xEF\xBB\xBF";
    struct lex *l = &s->l;

    if (l->end - l->p >= 3 && memcmp(l->p, bom, 3) == 0) {
        (void)lex_fail(l, l->p, "a byte order mark is not JSON");
        return failed(s, se);
    }
    lex_space(l);
    if (l->p == l->end) {
        (void)lex_fail(l, l->p, "empty body");
        return failed(s, se);
    }
    switch (shape) {
    case SCAN_EVENT:
        return scan_one(s, se);
    case SCAN_BATCH:
        return scan_batch(s, se);
    case SCAN_NDJSON:
        break;
    }
    return scan_lines(s, se);
}

enum scan_result scan_body(struct event_batch *b, const struct scan_keys *k,
                           enum scan_shape shape,
                           const struct scan_limits *limits, const char *body,
                           size_t n, struct scan_error *se)
{
    struct scan s = {.l = {.p = body,
                           .end = body + n,
                           .max_depth = limits->max_depth},
                     .b = b,
                     .keys = k == NULL ? &no_keys : k,
                     .shape = b->shape,
                     .limits = limits};
    enum scan_result r;

    arena_reset(b->arena);
    b->body = body;
    b->body_len = (uint32_t)n;
    b->n = 0;
    b->n_slots = s.keys->n_slots;
    b->n_edits = 0;
    b->epoch++;
    shape_use(b->shape, s.keys);
    r = dispatch(&s, shape, se);
    if (r != SCAN_OK) {
        b->n = 0;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        b->events[i].slots = b->slots + (size_t)i * b->n_slots;
    }
    return r;
}

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

size_t scan_unescape(const char *src, size_t n, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t o = 0;

    for (size_t i = 0; i < n;) {
        if (src[i] != '\\') {
            out[o++] = src[i++];
        } else if (src[i + 1] != 'u') {
            out[o++] = to[strchr(from, src[i + 1]) - from];
            i += 2;
        } else {
            unsigned c = (unsigned)lex_hex4(src + i + 2);

            i += 6;
            if (c >= 0xD800 && c <= 0xDBFF) {
                unsigned low = (unsigned)lex_hex4(src + i + 2);

                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                i += 6;
            }
            o += put_utf8(out + o, c);
        }
    }
    return o;
}
