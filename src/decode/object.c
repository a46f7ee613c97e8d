#include "decode/object.h"

#include "base/arena.h"

/* Events in a row in another order, after which for REST events none is guessed. */
enum { PATIENCE = 4, REST = 63 };

static bool guessed(struct scan *s, uint16_t node, uint32_t depth);
static bool found(struct scan *s, uint16_t node, uint32_t depth);

/* A value that is no string. */
static bool other_value(struct scan *s, struct key_use use, uint32_t depth)
{
    struct lex *l = &s->l;
    const char *from = l->p;
    enum slot_kind kind;

    if (l->p < l->end && *l->p == '{' && use.child != KEY_NONE) {
        kind = SLOT_OBJECT;
        if (depth + 1 > l->max_depth) {
            l->deep = true;
            return lex_fail(l, l->p, "objects and arrays are nested too deep");
        }
        if (!(s->guesses ? guessed : found)(s, use.child, depth + 1)) {
            return false;
        }
    } else if (l->p < l->end && (*l->p == '{' || *l->p == '[')) {
        if (!lex_value(l, depth + 1, &kind)) {
            return false;
        }
    } else if (!lex_scalar(l, &kind)) {
        return false;
    }
    if (use.slot < s->b->n_slots) {
        slot_fill(&s->slots[use.slot], s->b->body, kind, from, l->p);
    }
    return true;
}

/* "true", its first letter lowest */
enum { TRUE_WORD = 0x65757274 };

/* After an array of whole numbers of less than eight digits without space; NULL: it is
 * another, or none. */
static ALWAYS_INLINE const char *small_numbers(const char *p, const char *end)
{
    do {
        uint64_t v;
        unsigned n;

        memcpy(&v, ++p, 8);
        n = vector_count_digits(v);
        if (n - 1 > 6 || (*p == '0' && n > 1)) {
            return NULL;
        }
        p += n;
    } while (*p == ',' && p < end);
    return *p == ']' && p < end ? p + 1 : NULL;
}

/* After space at p. */
static const char *space(struct scan *s, const char *p)
{
    s->l.p = p;
    lex_space(&s->l);
    return s->l.p;
}

/* Mostly there is none, or one. */
static ALWAYS_INLINE const char *maybe_space(struct scan *s, const char *p)
{
    if (UNLIKELY((unsigned char)*p <= ' ')) {
        p = *p == ' ' && (unsigned char)p[1] > ' ' && p < s->l.end ? p + 1
                                                                   : space(s, p);
    }
    return p;
}

/* p is at a value that is no short string of plain ASCII. */
static const char *any_value(struct scan *s, struct key_use use, uint32_t depth,
                             const char *p)
{
    struct lex *l = &s->l;
    struct slot *x = &s->slots[use.slot];
    uint32_t word;
    bool escaped;

    memcpy(&word, p, 4);
    if (word == TRUE_WORD && l->end - p >= 4) {
        x->off = (uint32_t)(p - s->b->body);
        x->tag = 4u << 4 | SLOT_TRUE;
        return p + 4;
    }
    if (*p == '-') {
        const char *to = lex_decimal(p + 1, l->end, true, &x->num);

        if (to != NULL) {
            x->num = -x->num;
            x->off = (uint32_t)(p - s->b->body);
            x->tag = (uint32_t)(to - p) << 4 | SLOT_NUMBER;
            return to;
        }
    }
    if (*p == '[' && depth < l->max_depth) {
        const char *to = small_numbers(p, l->end);

        if (to != NULL) {
            slot_fill(x, s->b->body, SLOT_ARRAY, p, to);
            return to;
        }
    }
    l->p = p;
    if (p >= l->end || *p != '"') {
        return other_value(s, use, depth) ? l->p : NULL;
    }
    l->p++;
    if (!lex_string(l, &escaped)) {
        return NULL;
    }
    slot_fill(x, s->b->body, escaped ? SLOT_ESCAPED : SLOT_STRING, p, l->p);
    return l->p;
}

/* The value of a key at p. After it, or NULL: an error, see s->l. */
static ALWAYS_INLINE const char *value(struct scan *s, const struct key_use *use,
                                       uint32_t depth, const char *p, bool guesses)
{
    struct slot *x = &s->slots[use->slot];

    if (LIKELY(*p == '"')) {
        const char *to = p + 1;
        uint32_t special = vector_special_16(to);

        if (special == 0) {
            special = vector_special_16(to += 16);
            if (UNLIKELY(special == 0)) {
                return any_value(s, *use, depth, p);
            }
        }
        to += (unsigned)__builtin_ctz(special);
        if (LIKELY(*to == '"' && to < s->l.end)) {
            x->off = (uint32_t)(p + 1 - s->b->body);
            x->tag = (uint32_t)(to - p - 1) << 4 | SLOT_STRING;
            return to + 1;
        }
    } else if ((unsigned)(*p - '0') < 10) {
        const char *to = lex_decimal(p, s->l.end, guesses, &x->num);

        if (LIKELY(to != NULL)) {
            x->off = (uint32_t)(p - s->b->body);
            x->tag = (uint32_t)(to - p) << 4 | SLOT_NUMBER;
            return to;
        }
    }
    return any_value(s, *use, depth, p);
}

static void give_twice(struct scan *s, const struct shape_key *k, const char *p)
{
    if (s->twice.p == NULL) {
        s->twice_at = p;
        s->twice = (struct str){k->text + 1, k->len - 3u};
    }
}

/* The event has key k, whose name begins at p. */
static ALWAYS_INLINE void give(struct scan *s, struct shape_key *k, const char *p)
{
    if (UNLIKELY(k->given == s->event)) {
        give_twice(s, k, p);
    }
    k->given = s->event;
}

/* Whether k stands at p. */
static ALWAYS_INLINE bool stands_at(const struct shape_key *k, uint16_t node,
                                    const char *p, const char *end)
{
    return k->node == node && vector_equal_in(p, k->text, k->text_head) &&
           p + k->len <= end &&
           (LIKELY(k->len <= 16) || vector_equal(p + 16, k->text + 16, k->len - 16u));
}

/* One of the keys after the next that is expected; NULL: none stands at p. */
static struct shape_key *guess_behind(struct scan *s, uint16_t node, const char *p)
{
    for (uint32_t i = s->expected + 1; i < s->expected + SHAPE_AHEAD; i++) {
        struct shape_key *k = s->shape->order[i];

        if (stands_at(k, node, p, s->l.end)) {
            s->expected = i + 1;
            return k;
        }
    }
    return NULL;
}

/* One of the keys that are expected next; NULL: none stands at p. */
static ALWAYS_INLINE struct shape_key *guess(struct scan *s, uint16_t node,
                                             const char *p)
{
    struct shape_key *k = s->shape->order[s->expected];

    if (LIKELY(stands_at(k, node, p, s->l.end))) {
        s->expected++;
        return k;
    }
    return guess_behind(s, node, p);
}

/* A key that the shape lacks, or one with escapes. */
static bool note(struct scan *s, uint16_t node, struct str raw, bool escaped,
                 const struct key_use **use)
{
    struct shape_key *known;

    *use = shape_see(s->shape, s->b->arena, raw, escaped, node, s->expected, &known);
    if (*use == NULL) {
        s->l.wide = true;
        return lex_fail(&s->l, raw.p, "the event has too many keys");
    }
    if (known != NULL) {
        give(s, known, raw.p);
    }
    return true;
}

/* The known key k, whose name begins at p, stood where it was not guessed. */
static ALWAYS_INLINE void stray(struct scan *s, struct shape_key *k, const char *p,
                                bool guesses)
{
    if (UNLIKELY(k->given == s->event)) {
        give_twice(s, k, p);
    } else if (UNLIKELY(s->sorts)) {
        s->shape->ids[s->n_ids++] = k->id;
    }
    k->given = s->event;
    if (guesses) {
        s->strays++;
        s->expected = k->place + 1u;
    }
}

/* The key raw, whichever it is, that is not where it is looked for first. */
static bool other_key(struct scan *s, uint16_t node, struct str raw, bool escaped,
                      const struct key_use **use)
{
    struct shape_key *k = escaped ? NULL : shape_find(s->shape, raw.p, raw.n, node);

    if (k == NULL) {
        return note(s, node, raw, escaped, use);
    }
    stray(s, k, raw.p, s->guesses);
    *use = &k->use;
    return true;
}

/* A key at p that is no short text of plain ASCII. After its quote; NULL: an error, see
 * s->l. */
static const char *long_key(struct scan *s, uint16_t node, const char *p,
                            const struct key_use **use)
{
    struct lex *l = &s->l;
    struct str raw = {p + 1, 0};
    bool escaped;

    if (p >= l->end || *p != '"') {
        (void)lex_fail(l, p, "expected a key in quotes");
        return NULL;
    }
    l->p = p + 1;
    if (!lex_string(l, &escaped)) {
        return NULL;
    }
    raw.n = (size_t)(l->p - 1 - raw.p);
    return other_key(s, node, raw, escaped, use) ? l->p : NULL;
}

static ALWAYS_INLINE const char *key(struct scan *s, uint16_t node, const char *p,
                                     const struct key_use **use, bool guesses)
{
    uint32_t special = vector_special_16(p + 1);
    struct str raw = {p + 1, 0};
    struct shape_key *k;
    const char *to;

    if (UNLIKELY(*p != '"' || special == 0)) {
        return long_key(s, node, p, use);
    }
    raw.n = (unsigned)__builtin_ctz(special);
    to = raw.p + raw.n;
    if (UNLIKELY(*to != '"' || to >= s->l.end)) {
        return long_key(s, node, p, use);
    }
    k = shape_find_first(s->shape, raw.p, raw.n, node);
    if (LIKELY(k != NULL)) {
        stray(s, k, raw.p, guesses);
        *use = &k->use;
        return to + 1;
    }
    return other_key(s, node, raw, false, use) ? to + 1 : NULL;
}

/* A key at p with its colon, by its name. After that, or NULL: an error, see s->l. */
static ALWAYS_INLINE const char *named(struct scan *s, uint16_t node, const char *p,
                                       const struct key_use **use, bool guesses)
{
    p = key(s, node, p, use, guesses);
    if (UNLIKELY(p == NULL)) {
        return NULL;
    }
    if (UNLIKELY(*p != ':')) {
        p = space(s, p);
    }
    if (UNLIKELY(p >= s->l.end || *p != ':')) {
        (void)lex_fail(&s->l, p, "expected ':'");
        return NULL;
    }
    return p + 1;
}

/* p is at the key. */
static ALWAYS_INLINE const char *member_start(struct scan *s, uint16_t node,
                                              const char *p, const struct key_use **use,
                                              bool guesses)
{
    if (guesses) {
        struct shape_key *k = guess(s, node, p);

        if (LIKELY(k != NULL)) {
            give(s, k, p + 1);
            *use = &k->use;
            return p + k->len;
        }
    }
    return named(s, node, p, use, guesses);
}

/* l->p is at '{'. Two of it: where keys are guessed, each byte is known sooner. */
static ALWAYS_INLINE bool members(struct scan *s, uint16_t node, uint32_t depth,
                                  bool guesses)
{
    const char *const end = s->l.end;
    const char *p = maybe_space(s, s->l.p + 1);

    if (p < end && *p == '}') {
        s->l.p = p + 1;
        return true;
    }
    for (;;) {
        const struct key_use *use;

        p = member_start(s, node, p, &use, guesses);
        if (UNLIKELY(p == NULL)) {
            return false;
        }
        p = value(s, use, depth, maybe_space(s, p), guesses);
        if (UNLIKELY(p == NULL)) {
            return false;
        }
        if (UNLIKELY((unsigned char)*p <= ' ')) {
            p = space(s, p);
        }
        if (*p != ',' || p >= end) {
            break;
        }
        p = maybe_space(s, p + 1);
    }
    if (UNLIKELY(p >= end || *p != '}')) {
        return lex_fail(&s->l, p, "expected ',' or '}'");
    }
    s->l.p = p + 1;
    return true;
}

static bool guessed(struct scan *s, uint16_t node, uint32_t depth)
{
    return members(s, node, depth, true);
}

static bool found(struct scan *s, uint16_t node, uint32_t depth)
{
    return members(s, node, depth, false);
}

static void reject_twice(const struct scan *s, struct event *ev, struct str name)
{
    struct str copy = arena_copy(s->b->arena, name);

    /* Without room for it, field is NULL: the event's error says less. */
    event_reject(ev, "duplicate_key", copy.p, "the event has this key twice");
}

/* Looks for a key given twice, and learns those that the shape lacks. */
static void settle(struct scan *s, struct event *ev)
{
    struct shape *shape = s->shape;
    const struct seen_key *twice = shape_twice(shape);
    uint32_t restarts = shape->restarts;

    if (twice != NULL && (s->twice.p == NULL || twice->raw.p < s->twice_at)) {
        s->twice = twice->name;
    }
    if (s->twice.p != NULL) {
        reject_twice(s, ev, s->twice);
    }
    if (shape_learn(shape)) {
        ev->flags |= EVENT_PREDICTED;
    }
    if (shape->restarts != restarts) {
        s->b->shaped_from = ev->index;
    }
    shape_trim(shape);
}

/* Orders that change by event are not guessed for a while. */
static void follow(struct scan *s)
{
    struct shape *shape = s->shape;
    uint32_t n = 0;

    if (!s->guesses) {
        shape->rest--;
        if (shape->rest == 0) {
            shape_order(shape, s->n_ids);
        }
        return;
    }
    for (uint32_t i = 0; i < shape->n; i++) {
        n += shape->list[i].given == s->event;
    }
    if (s->strays * 3 <= n) {
        shape->strays = 0;
    } else {
        shape->strays++;
        shape->rest = shape->strays < PATIENCE ? 1 : REST;
    }
}

bool object_read(struct scan *s, struct event *ev)
{
    struct shape *shape = s->shape;
    struct lex *l = &s->l;
    const char *from = l->p;

    l->newline = false;
    ev->off = (uint32_t)(from - s->b->body);
    shape->n_seen = 0;
    s->guesses = shape->rest == 0;
    s->sorts = shape->rest == 1;
    s->expected = s->n_ids = s->strays = 0;
    s->twice.p = NULL;
    s->event = ++shape->event;
    if (!(s->guesses ? guessed : found)(s, 0, 1)) {
        return false;
    }
    if (UNLIKELY(s->strays > 0 || !s->guesses)) {
        follow(s);
    }
    ev->flags = l->newline ? EVENT_NEWLINE : 0;
    if (LIKELY(shape->n_seen == 0 && s->twice.p == NULL)) {
        ev->flags |= EVENT_PREDICTED;
    } else {
        settle(s, ev);
    }
    ev->len = (uint32_t)(l->p - from);
    return true;
}
