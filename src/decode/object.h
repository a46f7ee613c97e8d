/*
 * object - one event of a body: its members read, its slots filled, a key given twice
 * found. Shared by the files of the scanner; no other file includes it.
 */
#pragma once

#include "decode/keys.h"
#include "decode/lex.h"
#include "decode/number.h"
#include "decode/scan.h"
#include "decode/shape.h"

/* One pass over one body. */
struct scan {
    struct lex l;
    struct event_batch *b;
    const struct scan_keys *keys;
    struct shape *shape;
    const struct scan_limits *limits;
    struct rows *rows; /* NULL: events are read, not written (rows.h) */
    /* Of the event in hand: */
    struct slot *slots;
    bool guesses;         /* keys are expected in the shape's order */
    uint32_t expected;    /* place in it of the next key */
    uint64_t event;       /* its number, see shape.h */
    bool sorts;           /* its keys are kept in the shape's ids */
    uint32_t strays;      /* keys that the shape has and that stood elsewhere */
    uint32_t n_ids;       /* so far */
    const char *twice_at; /* where the first key of the shape is given again */
    struct str twice;     /* its name; NULL: none is */
};

/* After a value: ',' or '}'. *more tells which. */
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

/* The value from..to of kind, in body. */
static inline void slot_fill(struct slot *x, const char *body, enum slot_kind kind,
                             const char *from, const char *to)
{
    if (kind == SLOT_STRING || kind == SLOT_ESCAPED) {
        from++;
        to--;
    }
    x->off = (uint32_t)(from - body);
    x->tag = (uint32_t)(to - from) << 4 | (uint32_t)kind;
    if (kind == SLOT_NUMBER) {
        x->num = number_value(from, (size_t)(to - from));
    }
}

static inline void event_reject(struct event *ev, const char *code, const char *field,
                                const char *message)
{
    ev->fate = EVENT_REJECT;
    ev->code = code;
    ev->field = field;
    ev->message = message;
}

/* The object at p as event ev of the batch; one that gives a key twice is marked
 * EVENT_REJECT. False: not JSON, see l. */
bool object_read(struct scan *s, struct event *ev);
