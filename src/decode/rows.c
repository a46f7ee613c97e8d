#include "decode/rows.h"

#include "base/mem.h"
#include "decode/extent.h"
#include "decode/list.h"

struct rows {
    const struct row_columns *columns;
    struct params_room *room;
    size_t n, max_bytes;
    const char *from; /* of the body: what is before it has been copied */
    uint32_t n_events;
    bool full;
};

static bool put(struct rows *x, const char *p, size_t n)
{
    if (n > x->max_bytes - x->n) {
        x->full = true;
        return false;
    }
    if (x->n + n + SCAN_PAD > x->room->n) {
        x->room->n = 2 * (x->n + n) + SCAN_PAD;
        x->room->p = mem_realloc(x->room->p, x->room->n);
    }
    memcpy(x->room->p + x->n, p, n);
    x->n += n;
    return true;
}

static bool put_value(struct rows *x, struct str key, struct str value, bool first)
{
    return put(x, first ? "{" : ",", 1) && put(x, key.p, key.n) && put(x, ":", 1) &&
           put(x, value.p, value.n);
}

/* Its values, from after the '[' to after the ']'. *fits: they were all written. */
static bool read_values(struct scan *s, bool *fits)
{
    struct rows *x = s->rows;
    struct lex *l = &s->l;
    bool first = true;
    uint32_t i = 0;

    *fits = true;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == ']') {
        l->p++;
        return put(x, "{", 1);
    }
    for (;; i++) {
        const char *from = l->p;
        enum slot_kind kind;

        if (!lex_value(l, 2, &kind)) {
            return false;
        }
        *fits = *fits && i < x->columns->n;
        if (*fits && kind != SLOT_NULL) {
            if (!put_value(x, x->columns->keys[i],
                           (struct str){from, (size_t)(l->p - from)}, first)) {
                return false;
            }
            first = false;
        }
        lex_maybe_space(l);
        if (l->p >= l->end || (*l->p != ',' && *l->p != ']')) {
            return lex_fail(l, l->p, "expected ',' or ']'");
        }
        if (*l->p++ == ']') {
            return !first || put(x, "{", 1);
        }
        lex_maybe_space(l);
    }
}

/* p is at an element. False: it has no end, or there is no room. */
static bool read_row(struct scan *s)
{
    struct rows *x = s->rows;
    struct lex *l = &s->l;
    const char *from = l->p, *stop, *copied = x->from;
    size_t n = x->n;
    enum slot_kind kind;
    bool fits = false, good;

    if (l->p < l->end && *l->p == '[') {
        l->p++;
        good = put(x, copied, (size_t)(from - copied)) && read_values(s, &fits) &&
               (!fits || put(x, "}", 1));
    } else {
        good = lex_value(l, 1, &kind);
    }
    if (good && fits) {
        x->from = l->p;
        return true;
    }
    x->n = n;
    if (good || x->full) {
        return good;
    }
    stop = extent_end(from, l->end);
    if (stop == NULL) {
        return false;
    }
    l->p = stop;
    l->deep = l->wide = false;
    return true;
}

enum scan_result rows_read(struct scan *s, struct scan_error *se)
{
    struct lex *l = &s->l;

    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == ']') {
        l->p++;
        return SCAN_OK;
    }
    for (;;) {
        if (s->rows->n_events++ == s->limits->max_events) {
            return event_too_many(s, se);
        }
        if (!read_row(s)) {
            if (s->rows->full) {
                (void)lex_fail(l, l->p, "no room");
            }
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

enum scan_result rows_write(const struct row_columns *columns, const struct envelope *v,
                            const struct scan_limits *limits, struct str body,
                            size_t max_bytes, struct params_room *room,
                            struct event_batch *b, struct str *out,
                            struct scan_error *se)
{
    struct rows x = {
        .columns = columns, .room = room, .max_bytes = max_bytes, .from = body.p};
    enum scan_result r = scan_rows(b, &x, v, limits, body, se);

    if (r != SCAN_OK && !x.full) {
        return r;
    }
    if (x.full || !put(&x, x.from, (size_t)(body.p + body.n - x.from))) {
        *se = (struct scan_error){0, "written as objects, the events are more than "
                                     "twice as large as a body may be"};
        return SCAN_TOO_LONG;
    }
    memset(room->p + x.n, 0, SCAN_PAD);
    *out = (struct str){room->p, x.n};
    return SCAN_OK;
}
