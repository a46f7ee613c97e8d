#include "decode/object.h"

#include "base/arena.h"

/* Events in a row without a fit after which prediction rests for as many. */
enum { PATIENCE = 8, REST = 56, LOOK_AHEAD = 12 };

static bool object_fast(struct scan *s, uint16_t node, uint32_t depth);
static bool object_slow(struct scan *s, uint16_t node, uint32_t depth);

/* The value of a key whose slot and node are known. Twice inline: bench/scan, 102
 * to 88 ns an event. */
static ALWAYS_INLINE bool value(struct scan *s, uint16_t slot, uint16_t child,
                                uint32_t depth, bool fast)
{
    struct lex *l = &s->l;
    const char *from = l->p;
    enum slot_kind kind;

    if (child != KEY_NONE && l->p < l->end && *l->p == '{') {
        kind = SLOT_OBJECT;
        if (depth + 1 > l->max_depth) {
            l->deep = true;
            return lex_fail(l, l->p, "objects and arrays are nested too deep");
        }
        if (!(fast ? object_fast(s, child, depth + 1)
                   : object_slow(s, child, depth + 1))) {
            return false;
        }
    } else if (LIKELY(l->p < l->end && *l->p == '"')) {
        bool escaped;

        l->p++;
        if (!lex_string(l, &escaped)) {
            return false;
        }
        kind = escaped ? SLOT_ESCAPED : SLOT_STRING;
    } else if (l->p < l->end && (*l->p == '{' || *l->p == '[')) {
        if (!lex_value(l, depth + 1, &kind)) {
            return false;
        }
    } else if (!lex_scalar(l, &kind)) {
        return false;
    }
    if (slot != KEY_NONE) {
        slot_fill(&s->slots[slot], s->b->body, kind, from, l->p);
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
            vector_equal(s->l.p, k->text, k->len)) {
            s->expected = i + 1;
            return k;
        }
    }
    return NULL;
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
        if (!value(s, k->slot, k->child, depth, true) || !member_end(l, &more)) {
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
        l->wide = true;
        return lex_fail(l, from, "the event has too many keys");
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

static void reject_twice(struct scan *s, struct event *ev, struct str name)
{
    struct str copy = arena_copy(s->b->arena, name);

    /* Without room for it, field is NULL: the event's error says less. */
    event_reject(ev, "duplicate_key", copy.p, "the event has this key twice");
}

bool object_read(struct scan *s, struct event *ev)
{
    struct shape *shape = s->shape;
    struct lex *l = &s->l;
    const char *from = l->p;
    uint32_t restarts = shape->restarts, predicted = 0;
    struct str twice;

    l->newline = false;
    ev->off = (uint32_t)(from - s->b->body);
    if (shape->n > 0 && shape->misses % (PATIENCE + REST) < PATIENCE) {
        s->expected = 0;
        s->miss = false;
        if (object_fast(s, 0, 1)) {
            shape->misses = 0;
            predicted = EVENT_PREDICTED;
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
    if (shape->restarts != restarts) {
        s->b->shaped_from = ev->index;
    }
    if (twice.p != NULL) {
        reject_twice(s, ev, twice);
    }
whole:
    ev->len = (uint32_t)(l->p - from);
    ev->flags = (l->newline ? EVENT_NEWLINE : 0u) | predicted;
    return true;
}
