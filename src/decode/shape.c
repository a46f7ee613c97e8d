#include "decode/shape.h"

#include <stdlib.h>

#include "base/mem.h"

enum { SEEN_KEPT = 16384, FEW_KEYS = 20 };

struct shape *shape_new(void)
{
    struct shape *s = mem_zalloc(sizeof *s);

    siphash_key_random(&s->hash_key);
    return s;
}

void shape_free(struct shape *s)
{
    if (s != NULL) {
        free(s->seen);
        free(s->table);
        free(s);
    }
}

void shape_use(struct shape *s, const struct scan_keys *k)
{
    if (s->keys != k || s->keys_hash != k->hash) {
        s->keys = k;
        s->keys_hash = k->hash;
        s->n = 0;
        s->top = 0;
        s->misses = 0;
    }
}

/* Keyed: a client that could choose keys of one hash would have each compared with
 * all others. The object is mixed in behind. */
static uint32_t hash_of(const struct shape *s, struct str name, uint16_t node)
{
    uint64_t h = siphash13(&s->hash_key, name.p, name.n);

    return (uint32_t)(h >> 32) ^ (uint32_t)h ^ node * 2654435769u;
}

bool shape_see(struct shape *s, struct arena *arena, struct str raw, bool escaped,
               uint16_t node)
{
    struct seen_key *k;
    const struct key_child *c;

    if (s->n_seen == SCAN_KEYS_MAX) {
        return false;
    }
    if (s->n_seen == s->max_seen) {
        s->max_seen = s->max_seen == 0 ? 64 : 2 * s->max_seen;
        s->seen = mem_realloc(s->seen, s->max_seen * sizeof *s->seen);
    }
    k = &s->seen[s->n_seen];
    k->raw = raw;
    k->name = raw;
    if (escaped) {
        char *name = arena_alloc(arena, raw.n);

        if (name == NULL) {
            return false;
        }
        k->name = (struct str){name, scan_unescape(raw.p, raw.n, name)};
    }
    k->node = node;
    c = keys_find(s->keys, node, k->name);
    k->slot = c == NULL ? KEY_NONE : c->slot;
    k->child = c == NULL ? KEY_NONE : c->node;
    s->n_seen++;
    return true;
}

static bool same(const struct seen_key *a, const struct seen_key *b)
{
    return a->hash == b->hash && a->node == b->node && str_eq(a->name, b->name);
}

/* Few keys are compared with each other: mostly their lengths differ. */
static struct str find_among_few(const struct shape *s)
{
    for (uint32_t i = 1; i < s->n_seen; i++) {
        const struct seen_key *x = &s->seen[i];

        for (uint32_t k = 0; k < i; k++) {
            const struct seen_key *y = &s->seen[k];

            if (x->name.n == y->name.n && x->node == y->node &&
                memcmp(x->name.p, y->name.p, x->name.n) == 0) {
                return x->name;
            }
        }
    }
    return (struct str){NULL, 0};
}

static struct str find_twice(struct shape *s)
{
    uint32_t size = 16, mask;

    if (s->n_seen <= FEW_KEYS) {
        return find_among_few(s);
    }
    for (uint32_t i = 0; i < s->n_seen; i++) {
        s->seen[i].hash = hash_of(s, s->seen[i].name, s->seen[i].node);
    }

    while (size < 2 * s->n_seen) {
        size *= 2;
    }
    if (size > s->max_table) {
        s->max_table = size;
        s->table = mem_realloc(s->table, size * sizeof *s->table);
    }
    memset(s->table, 0, size * sizeof *s->table);
    mask = size - 1;
    for (uint32_t i = 0; i < s->n_seen; i++) {
        uint32_t at = s->seen[i].hash & mask;

        for (; s->table[at] != 0; at = (at + 1) & mask) {
            if (same(&s->seen[s->table[at] - 1], &s->seen[i])) {
                return s->seen[i].name;
            }
        }
        s->table[at] = i + 1;
    }
    return (struct str){NULL, 0};
}

static int find(const struct shape *s, const struct seen_key *k)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct shape_key *x = &s->list[i];

        if (x->node == k->node && x->len == k->raw.n + 3 &&
            memcmp(x->text + 1, k->raw.p, k->raw.n) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void insert(struct shape *s, uint32_t at, const struct seen_key *k)
{
    struct shape_key *x = &s->list[at];
    size_t n = k->raw.n;

    memmove(x + 1, x, (s->n - at) * sizeof *x);
    s->n++;
    s->top |= k->node == 0 ? shape_bit(k->raw) : 0;
    x->node = k->node;
    x->slot = k->slot;
    x->child = k->child;
    x->len = (uint16_t)(n + 3);
    x->text[0] = '"';
    memcpy(x->text + 1, k->raw.p, n);
    memcpy(x->text + 1 + n, "\":", 2);
}

/* Puts the event's keys into the sequence. An optional key goes where it stood; an
 * event in another order begins the sequence again. Escaped and very long keys are
 * never predicted. */
static bool merge(struct shape *s)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < s->n_seen; i++) {
        const struct seen_key *k = &s->seen[i];
        int found;

        if (k->raw.p != k->name.p || k->raw.n + 3 > SHAPE_KEY_BYTES) {
            continue;
        }
        found = find(s, k);
        if (found >= 0 && (uint32_t)found < at) {
            return false;
        }
        if (found >= 0) {
            at = (uint32_t)found + 1;
        } else if (s->n == SHAPE_KEYS_MAX) {
            return false;
        } else {
            insert(s, at++, k);
        }
    }
    return true;
}

/* The memory that one wide event needed is not kept for ever. */
static void trim(struct shape *s)
{
    if (s->max_seen > SEEN_KEPT) {
        free(s->seen);
        free(s->table);
        s->seen = NULL;
        s->table = NULL;
        s->n_seen = s->max_seen = s->max_table = 0;
    }
}

struct str shape_learn(struct shape *s)
{
    struct str twice = find_twice(s);

    s->misses++;
    if (twice.p == NULL && !merge(s)) {
        s->n = 0;
        s->top = 0;
        s->restarts++;
        (void)merge(s);
    }
    trim(s);
    return twice;
}
