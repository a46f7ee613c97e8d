/*
 * One pass over a body: grammar and UTF-8 are checked while slots are filled.
 *
 *   scan_body ─► scan_one | list_read | scan_lines
 *                   └─► object_read ─► guessed: keys by the order of the shape
 *                            └───────► found: keys by their names
 */
#include "decode/scan.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/envelope.h"
#include "decode/extent.h"
#include "decode/list.h"

/* {} as a set of fields: for routes without a schema. */
static const struct scan_keys no_keys = {.n_nodes = 1, .first = {[0] = KEY_NONE}};

struct event *event_next(struct scan *s)
{
    struct event_batch *b = s->b;
    struct event *ev;

    if (b->n == s->limits->max_events) {
        return NULL;
    }
    if (b->n == b->max_events) {
        b->max_events = b->max_events == 0 ? 256 : 2 * b->max_events;
        /* After the last event's is room for what no field is for. */
        b->slots =
            mem_realloc(b->slots, ((size_t)b->max_events * SCHEMA_FIELDS_MAX + 1) *
                                      sizeof *b->slots);
    }
    ev = &b->events[b->n];
    *ev = (struct event){.index = b->n, .epoch = b->epoch};
    s->slots = b->slots + (size_t)b->n * b->n_slots;
    memset(s->slots, 0, b->n_slots * sizeof *s->slots);
    b->n++;
    return ev;
}

/* What a body is that does not begin as JSON; NULL: nothing that is known. */
static const char *known_beginning(const char *p, const char *end)
{
    static const struct {
        const char *bytes, *is;
    } known[] = {
        {"\x1F\x8B", "the body begins like gzip; name it in Content-Encoding"},
        {"\x28\xB5\x2F\xFD", "the body begins like zstd; name it in Content-Encoding"},
        {"\xFF\xFE", "the body begins like UTF-16; send UTF-8"},
        {"\xFE\xFF", "the body begins like UTF-16; send UTF-8"}};

    for (size_t i = 0; i < N_ELEMS(known); i++) {
        size_t n = strlen(known[i].bytes);

        if ((size_t)(end - p) >= n && memcmp(p, known[i].bytes, n) == 0) {
            return known[i].is;
        }
    }
    return NULL;
}

enum scan_result scan_failed(const struct scan *s, struct scan_error *se)
{
    const char *is = NULL;

    se->at = (size_t)(s->l.at - s->b->body);
    if (se->at == 0) {
        is = known_beginning(s->b->body, s->l.end);
    }
    se->detail = is != NULL ? is : s->l.detail;
    return s->l.deep ? SCAN_TOO_DEEP : s->l.wide ? SCAN_TOO_WIDE : SCAN_INVALID;
}

/* The lexer's error is that of one event. */
static void reject_text(const struct scan *s, struct event *ev)
{
    event_reject(ev,
                 s->l.deep   ? "too_deep"
                 : s->l.wide ? "too_many_keys"
                             : "invalid_json",
                 NULL, s->l.detail);
    ev->error_at = 1 + (uint32_t)(s->l.at - s->b->body);
}

enum scan_result event_too_many(struct scan *s, struct scan_error *se)
{
    se->at = (size_t)(s->l.p - s->b->body);
    se->detail = "the body has more events than max_events allows";
    return SCAN_TOO_MANY;
}

static enum scan_result at_end(struct scan *s, struct scan_error *se)
{
    lex_space(&s->l);
    if (s->l.p != s->l.end) {
        (void)lex_fail(&s->l, s->l.p,
                       "expected the end of the body after the JSON value");
        return scan_failed(s, se);
    }
    return SCAN_OK;
}

static enum scan_result scan_one(struct scan *s, struct scan_error *se)
{
    if (*s->l.p != '{') {
        enum slot_kind kind;

        /* Text that is no JSON is told first. */
        if (lex_value(&s->l, 1, &kind)) {
            (void)lex_fail(&s->l, s->b->body, "expected one JSON object, the event");
        }
        return scan_failed(s, se);
    }
    if (!object_read(s, event_next(s))) {
        return scan_failed(s, se);
    }
    return at_end(s, se);
}

void event_slice(const struct scan *s, struct event *ev, const char *from,
                 const char *end)
{
    ev->off = (uint32_t)(from - s->b->body);
    ev->len = (uint32_t)(end - from);
}

/* What begins at from and goes to stop is not JSON. False: stop is NULL; its end is not
 * known, and so neither is the start of the next one. */
static bool pass_over(struct scan *s, struct event *ev, const char *from,
                      const char *stop)
{
    struct lex *l = &s->l;

    if (stop == NULL) {
        return false;
    }
    event_slice(s, ev, from, stop);
    reject_text(s, ev);
    l->p = stop;
    l->deep = l->wide = false;
    return true;
}

/* p is at an element of a list. False: it has no end, see l. */
static bool element(struct scan *s, struct event *ev)
{
    struct lex *l = &s->l;
    const char *from = l->p;
    enum slot_kind kind;

    if (l->p < l->end && *l->p == '{') {
        return object_read(s, ev) || pass_over(s, ev, from, extent_end(from, l->end));
    }
    if (lex_value(l, 1, &kind)) {
        event_slice(s, ev, from, l->p);
        event_reject(ev, "not_an_object", NULL, "expected a JSON object as the event");
        return true;
    }
    return pass_over(s, ev, from, extent_end(from, l->end));
}

enum scan_result list_read(struct scan *s, struct scan_error *se)
{
    struct lex *l = &s->l;

    if (UNLIKELY(s->rows != NULL)) {
        return rows_read(s, se);
    }
    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == ']') {
        l->p++;
        return SCAN_OK;
    }
    for (;;) {
        struct event *ev = event_next(s);

        if (ev == NULL) {
            return event_too_many(s, se);
        }
        if (!element(s, ev)) {
            return scan_failed(s, se);
        }
        lex_maybe_space(l);
        if (l->p >= l->end || (*l->p != ',' && *l->p != ']')) {
            (void)lex_fail(l, l->p, "expected ',' or ']'");
            return scan_failed(s, se);
        }
        if (*l->p++ == ']') {
            return SCAN_OK;
        }
        lex_maybe_space(l);
    }
}

static enum scan_result scan_batch(struct scan *s, struct scan_error *se)
{
    enum scan_result r;

    if (*s->l.p != '{' && *s->l.p != '[') {
        return scan_one(s, se);
    }
    r = *s->l.p == '[' ? list_read(s, se) : envelope_read(s, &envelope_usual, NULL, se);
    return r == SCAN_OK ? at_end(s, se) : r;
}

static enum scan_result scan_array(struct scan *s, struct scan_error *se)
{
    enum slot_kind kind;

    if (*s->l.p == '[') {
        return scan_batch(s, se);
    }
    if (lex_value(&s->l, 1, &kind)) {
        (void)lex_fail(&s->l, s->b->body, "expected an array of events");
    }
    return scan_failed(s, se);
}

/* One value or more, with or without space between them. */
static enum scan_result scan_values(struct scan *s, struct scan_error *se)
{
    struct lex *l = &s->l;
    enum scan_result r;
    const char *from;
    struct event *ev;

    while (l->p < l->end) {
        if (*l->p == '[') {
            r = list_read(s, se);
            if (r != SCAN_OK) {
                return r;
            }
        } else if (*l->p == '{') {
            ev = event_next(s);
            if (ev == NULL) {
                return event_too_many(s, se);
            }
            from = l->p;
            if (!object_read(s, ev) &&
                !pass_over(s, ev, from, extent_object_end(from, l->end))) {
                return scan_failed(s, se);
            }
        } else {
            (void)lex_fail(l, l->p, "expected a JSON object or an array of objects");
            return scan_failed(s, se);
        }
        lex_space(l);
    }
    return SCAN_OK;
}

static void reject_line(struct scan *s, struct event *ev, const char *line)
{
    char *text = arena_alloc(s->b->arena, 128);

    reject_text(s, ev);
    event_slice(s, ev, line, s->l.end);
    if (text != NULL) {
        (void)snprintf(text, 128, "%s at byte %zu of the line", s->l.detail,
                       (size_t)(s->l.at - line));
        ev->message = text;
    }
}

void line_read(struct scan *s, struct event *ev, const char *line)
{
    if (*s->l.p != '{') {
        (void)lex_fail(&s->l, s->l.p, "expected a JSON object");
        reject_line(s, ev, line);
    } else if (!object_read(s, ev)) {
        reject_line(s, ev, line);
    } else if (lex_space(&s->l), s->l.p != s->l.end) {
        (void)lex_fail(&s->l, s->l.p,
                       "expected the end of the line after the JSON object");
        reject_line(s, ev, line);
    }
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
        s->l.deep = s->l.wide = false;
        lex_space(&s->l);
        if (s->l.p == s->l.end) {
            continue;
        }
        ev = event_next(s);
        if (ev == NULL) {
            return event_too_many(s, se);
        }
        line_read(s, ev, line);
    }
    return SCAN_OK;
}

/* Events without the envelope. */
static enum scan_result scan_bare(struct scan *s, const struct envelope *v,
                                  struct scan_error *se)
{
    enum scan_result r;

    envelope_clear(s->b, v);
    r = scan_values(s, se);
    if (r == SCAN_OK) {
        envelope_refuse_astray(s->b, v);
    }
    return r;
}

/* With SCAN_VALUES the object may lack the events' path: then it is an event itself. */
static enum scan_result scan_wrapped(struct scan *s, enum scan_shape shape,
                                     const struct envelope *v, struct scan_error *se)
{
    const char *from = s->l.p;
    enum scan_result r;
    bool found = true;

    if (shape == SCAN_VALUES && *from != '{') {
        return scan_bare(s, v, se);
    }
    r = envelope_read(s, v, shape == SCAN_VALUES ? &found : NULL, se);
    if (r == SCAN_OK && !found) {
        s->l.p = from;
        return scan_bare(s, v, se);
    }
    return r == SCAN_OK ? at_end(s, se) : r;
}

static enum scan_result dispatch(struct scan *s, enum scan_shape shape,
                                 const struct envelope *v, struct scan_error *se)
{
    static const char bom[] = "\xEF\xBB\xBF";
    struct lex *l = &s->l;

    if (l->end - l->p >= 3 && memcmp(l->p, bom, 3) == 0) {
        (void)lex_fail(l, l->p,
                       "the body starts with a byte order mark; send it without");
        return scan_failed(s, se);
    }
    lex_space(l);
    if (l->p == l->end) {
        (void)lex_fail(l, l->p, "the body is empty");
        return scan_failed(s, se);
    }
    if (shape == SCAN_BULK) {
        return v != NULL ? bulk_read(s, v, se) : scan_one(s, se);
    }
    if (v != NULL) {
        return scan_wrapped(s, shape, v, se);
    }
    switch (shape) {
    case SCAN_EVENT:
    case SCAN_BULK:
    case SCAN_DATA:
    case SCAN_QUERY:
    case SCAN_FORM:
    case SCAN_MULTIPART:
        return scan_one(s, se);
    case SCAN_ARRAY:
        return scan_array(s, se);
    case SCAN_BATCH:
        return scan_batch(s, se);
    case SCAN_VALUES:
        return scan_values(s, se);
    case SCAN_NDJSON:
        break;
    }
    return scan_lines(s, se);
}

static enum scan_result read_body(struct event_batch *b, const struct scan_keys *k,
                                  enum scan_shape shape, const struct envelope *v,
                                  const struct scan_limits *limits, struct str body,
                                  struct scan_error *se)
{
    struct scan s = {
        .l = {.p = body.p, .end = body.p + body.n, .max_depth = limits->max_depth},
        .b = b,
        .keys = k == NULL ? &no_keys : k,
        .shape = b->shape = shape_use(b->shape, k == NULL ? &no_keys : k),
        .limits = limits};
    enum scan_result r;

    arena_reset(b->arena);
    b->n = 0;
    if (body.n >= SCAN_BODY_MAX) {
        *se = (struct scan_error){SCAN_BODY_MAX, "the body is longer than 256 MiB"};
        return SCAN_TOO_LONG;
    }
    b->body = body.p;
    b->body_len = (uint32_t)body.n;
    b->n_slots = s.keys->n_slots;
    b->n_edits = 0;
    b->wait_ms = 0;
    b->n_base = 0;
    b->n_runs = 0;
    b->n_cut = 0;
    b->shaped_from = 0;
    b->sent = NULL;
    b->epoch++;
    r = dispatch(&s, shape, v, se);
    if (r != SCAN_OK) {
        b->n = 0;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        b->events[i].slots = b->slots + (size_t)i * b->n_slots;
    }
    return r;
}

enum scan_result scan_body(struct event_batch *b, const struct scan_keys *k,
                           enum scan_shape shape, const struct scan_limits *limits,
                           const char *body, size_t n, struct scan_error *se)
{
    return read_body(b, k, shape, NULL, limits, (struct str){body, n}, se);
}

enum scan_result scan_enveloped(struct event_batch *b, const struct scan_keys *k,
                                const struct envelope *v,
                                const struct scan_limits *limits, const char *body,
                                size_t n, struct scan_error *se)
{
    return read_body(b, k, envelope_is_bulk(v) ? SCAN_BULK : SCAN_BATCH, v, limits,
                     (struct str){body, n}, se);
}

enum scan_result scan_rows(struct event_batch *b, struct rows *rows,
                           const struct envelope *v, const struct scan_limits *limits,
                           struct str body, struct scan_error *se)
{
    struct scan s = {
        .l = {.p = body.p, .end = body.p + body.n, .max_depth = limits->max_depth},
        .b = b,
        .keys = &no_keys,
        .limits = limits,
        .rows = rows};

    b->body = body.p;
    b->n = b->n_runs = 0;
    if (body.n >= SCAN_BODY_MAX) {
        *se = (struct scan_error){SCAN_BODY_MAX, "the body is longer than 256 MiB"};
        return SCAN_TOO_LONG;
    }
    lex_space(&s.l);
    if (s.l.p < s.l.end && (*s.l.p == '{' || *s.l.p == '[')) {
        return dispatch(&s, SCAN_BATCH, v, se);
    }
    /* It has no events: the second pass says why. */
    return SCAN_OK;
}

enum scan_result scan_maybe_enveloped(struct event_batch *b, const struct scan_keys *k,
                                      const struct envelope *v,
                                      const struct scan_limits *limits,
                                      const char *body, size_t n, struct scan_error *se)
{
    return read_body(b, k, SCAN_VALUES, v, limits, (struct str){body, n}, se);
}

enum scan_result scan_value(const struct scan_limits *limits, const char *body,
                            size_t n, struct scan_error *se)
{
    struct event_batch b = {.body = body};
    struct scan s = {.l = {.p = body, .end = body + n, .max_depth = limits->max_depth},
                     .b = &b};
    enum slot_kind kind;

    lex_space(&s.l);
    return lex_value(&s.l, 1, &kind) ? at_end(&s, se) : scan_failed(&s, se);
}
