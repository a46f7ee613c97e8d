#include "decode/shape.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    SEEN_KEPT = 2048,
    FEW_KEYS = 20,
    TRIES = 8,
    FULL_EVENTS = 256 /* that a full shape serves before it begins anew */
};

/* Names no key: nodes have other numbers. */
static const struct shape_key nowhere = {.whose = UINT32_MAX,
                                         .node = KEY_NONE,
                                         .id = SHAPE_KEYS_MAX,
                                         .len = SHAPE_KEY_BYTES};

/* A key for the table that no client knows. */
static void reseed(struct shape *s)
{
    for (size_t i = 0; i < N_ELEMS(s->odd); i++) {
        uint64_t what[2] = {s->reseeds, i};

        s->odd[i] = siphash13(&s->hash_key, what, sizeof what) | 1;
    }
    s->reseeds++;
}

static void forget(struct shape *s)
{
    s->n = 0;
    s->full = 0;
    s->tidied = 0;
    s->untidy = false;
    s->top = 0;
    s->strays = 0;
    s->rest = 0;
    memset(s->table, SHAPE_KEYS_MAX, sizeof s->table);
    for (uint32_t i = 0; i < SHAPE_AHEAD; i++) {
        s->order[i] = &s->list[SHAPE_KEYS_MAX];
    }
}

struct shape *shape_new(void)
{
    struct shape *s = mem_zalloc(sizeof *s);

    siphash_key_random(&s->hash_key);
    reseed(s);
    s->list[SHAPE_KEYS_MAX] = nowhere;
    forget(s);
    return s;
}

void shape_free(struct shape *s)
{
    while (s != NULL) {
        struct shape *next = s->next;

        free(s->seen);
        free(s->twins);
        free(s);
        s = next;
    }
}

static bool is_of(const struct shape *s, const struct scan_keys *k)
{
    return s->keys == k && s->keys_hash == k->hash;
}

struct shape *shape_use(struct shape *s, const struct scan_keys *k)
{
    struct shape *first = s, *before = NULL;
    unsigned n = 1;

    for (; !is_of(s, k) && s->next != NULL; n++) {
        before = s;
        s = s->next;
    }
    if (!is_of(s, k)) {
        if (s->keys != NULL && n < SHAPES_MAX) {
            before = s;
            s = before->next = shape_new();
        }
        s->keys = k;
        s->keys_hash = k->hash;
        forget(s);
    }
    if (s != first) {
        before->next = s->next;
        s->next = first;
    }
    return s;
}

/* Keyed: a client that could choose keys of one hash would have each compared with
 * all others. The object is mixed in after. */
static uint32_t hash_of(const struct shape *s, struct str name, uint16_t node)
{
    uint64_t h = siphash13(&s->hash_key, name.p, name.n);

    return (uint32_t)(h >> 32) ^ (uint32_t)h ^ node * 2654435769u;
}

/* The place of a key in the table, with its head. Of a long key the middle is left out:
 * what such keys collide has a bound, SHAPE_PROBES. */
static uint8_t *place_of(struct shape *s, const char *key, size_t n, uint16_t node,
                         vector_head *head)
{
    uint64_t h = 0;

    *head = vector_head_of_short(key, n < 16 ? n : 16);
    if (n > 16) {
        memcpy(&h, key + n - 8, 8);
        h *= s->odd[2];
    }
    return &s->table[(shape_hash(s, *head, node) + (h >> (64 - SHAPE_TABLE_BITS))) %
                     (1 << SHAPE_TABLE_BITS)];
}

struct shape_key *shape_find(struct shape *s, const char *key, size_t n, uint16_t node)
{
    vector_head head;
    const uint8_t *at;

    if (n > SHAPE_KEY_BYTES) {
        return NULL;
    }
    at = place_of(s, key, n, node, &head);
    for (int i = 0; i < SHAPE_PROBES && at[i] != SHAPE_KEYS_MAX; i++) {
        struct shape_key *k = &s->list[at[i]];

        if (k->whose == shape_whose(node, n) && vector_head_is(k->head, head) &&
            memcmp(key, k->text + 1, n) == 0) {
            return k;
        }
    }
    return NULL;
}

/* shape_find reads bytes after the key, so that it has to be copied. */
static struct shape_key *find_name(struct shape *s, struct str name, uint16_t node)
{
    char padded[SHAPE_KEY_BYTES + 16] = {0};

    if (name.n > SHAPE_KEY_BYTES) {
        return NULL;
    }
    memcpy(padded, name.p, name.n);
    return shape_find(s, padded, name.n, node);
}

const struct key_use *shape_see(struct shape *s, struct arena *arena, struct str raw,
                                bool escaped, uint16_t node, uint32_t place,
                                struct shape_key **known)
{
    struct seen_key *k;
    const struct key_child *c;

    *known = NULL;
    if (s->n_seen == SCAN_KEYS_MAX) {
        return NULL;
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
            return NULL;
        }
        k->name = (struct str){name, scan_unescape(raw.p, raw.n, name)};
        *known = find_name(s, k->name, node);
        if (*known != NULL) {
            return &(*known)->use;
        }
    }
    k->node = node;
    k->place = (uint16_t)place;
    c = keys_find(s->keys, node, k->name);
    k->use.slot =
        c == NULL || c->slot == KEY_NONE ? (uint16_t)s->keys->n_slots : c->slot;
    k->use.child = c == NULL ? KEY_NONE : c->node;
    s->n_seen++;
    return &k->use;
}

static bool same(const struct seen_key *a, const struct seen_key *b)
{
    return a->hash == b->hash && a->node == b->node && str_eq(a->name, b->name);
}

/* Few keys are compared with each other: mostly their lengths differ. */
static const struct seen_key *find_among_few(const struct shape *s)
{
    for (uint32_t i = 1; i < s->n_seen; i++) {
        const struct seen_key *x = &s->seen[i];

        for (uint32_t k = 0; k < i; k++) {
            const struct seen_key *y = &s->seen[k];

            if (x->name.n == y->name.n && x->node == y->node &&
                memcmp(x->name.p, y->name.p, x->name.n) == 0) {
                return x;
            }
        }
    }
    return NULL;
}

const struct seen_key *shape_twice(struct shape *s)
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
    if (size > s->max_twins) {
        s->max_twins = size;
        s->twins = mem_realloc(s->twins, size * sizeof *s->twins);
    }
    memset(s->twins, 0, size * sizeof *s->twins);
    mask = size - 1;
    for (uint32_t i = 0; i < s->n_seen; i++) {
        uint32_t at = s->seen[i].hash & mask;

        for (; s->twins[at] != 0; at = (at + 1) & mask) {
            if (same(&s->seen[s->twins[at] - 1], &s->seen[i])) {
                return &s->seen[i];
            }
        }
        s->twins[at] = i + 1;
    }
    return NULL;
}

/* Puts a key into the table; how many others stand before it, or SHAPE_PROBES: there is
 * no room. */
static int enter(struct shape *s, struct shape_key *k)
{
    uint8_t *at = place_of(s, k->text + 1, k->len - 3u, k->node, &k->head);

    for (int i = 0; i < SHAPE_PROBES; i++) {
        if (at[i] == SHAPE_KEYS_MAX) {
            at[i] = (uint8_t)k->id;
            return i;
        }
    }
    return SHAPE_PROBES;
}

/* Puts all keys into the table, by a new hash or by that of odd. How many stand behind
 * others; SHAPE_KEYS_MAX: not all have room. */
static int arrange(struct shape *s, const uint64_t *odd)
{
    int others = 0;

    if (odd == NULL) {
        reseed(s);
    } else {
        memcpy(s->odd, odd, sizeof s->odd);
    }
    memset(s->table, SHAPE_KEYS_MAX, sizeof s->table);
    for (uint32_t i = 0; i < s->n; i++) {
        int n = enter(s, &s->list[i]);

        if (n == SHAPE_PROBES) {
            return SHAPE_KEYS_MAX;
        }
        others += n;
    }
    return others;
}

/* Looks for a hash by which each key stands where it is looked for first. */
static void tidy(struct shape *s)
{
    uint64_t odd[N_ELEMS(s->odd)];

    s->untidy = false;
    s->tidied++;
    memcpy(odd, s->odd, sizeof odd);
    for (int i = 0; i < TRIES; i++) {
        if (arrange(s, NULL) == 0) {
            return;
        }
    }
    (void)arrange(s, odd); /* as they were entered: there was room */
}

static bool insert(struct shape *s, uint32_t place, const struct seen_key *k)
{
    uint16_t id = (uint16_t)s->n;
    struct shape_key *x = &s->list[id];
    size_t n = k->raw.n;
    int others;

    *x = (struct shape_key){.whose = shape_whose(k->node, n),
                            .id = id,
                            .use = k->use,
                            .node = k->node,
                            .len = (uint16_t)(n + 3)};
    x->text_head = (uint32_t)((1ull << (x->len < 16 ? x->len : 16)) - 1);
    x->text[0] = '"';
    memcpy(x->text + 1, k->raw.p, n);
    memcpy(x->text + 1 + n, "\":", 2);
    others = enter(s, x);
    if (others == SHAPE_PROBES) {
        return false;
    }
    s->untidy |= others > 0;
    s->n++;
    s->top |= k->node == 0 ? shape_bit(k->raw) : 0;
    for (uint32_t i = s->n + SHAPE_AHEAD - 1; i > place; i--) {
        s->order[i] = s->order[i - 1];
    }
    s->order[place] = x;
    for (uint32_t i = place; i < s->n; i++) {
        s->order[i]->place = (uint16_t)i;
    }
    return true;
}

/* Each goes after the known key that stood before it. Escaped and very long keys are
 * never learned. */
static bool learn(struct shape *s)
{
    uint32_t inserted = 0;
    bool whole = true;

    for (uint32_t i = 0; i < s->n_seen; i++) {
        const struct seen_key *k = &s->seen[i];
        uint32_t place = k->place + inserted;

        if (k->raw.p != k->name.p || k->raw.n + 3 > SHAPE_KEY_BYTES) {
            whole = false;
            continue;
        }
        if (s->n == SHAPE_KEYS_MAX) {
            s->full++;
            return false;
        }
        if (shape_find(s, k->raw.p, k->raw.n, k->node) != NULL) {
            continue;
        }
        if (insert(s, place < s->n ? place : s->n, k)) {
            inserted++;
        } else {
            whole = false;
        }
    }
    return whole;
}

void shape_trim(struct shape *s)
{
    if (s->max_seen > SEEN_KEPT) {
        free(s->seen);
        free(s->twins);
        s->seen = NULL;
        s->twins = NULL;
        s->n_seen = s->max_seen = s->max_twins = 0;
    }
}

bool shape_learn(struct shape *s)
{
    bool anew = s->full == FULL_EVENTS, whole;

    if (anew) {
        forget(s);
        s->restarts++;
    }
    whole = learn(s);
    if (s->untidy && s->n <= FEW_KEYS && s->tidied < TRIES) {
        tidy(s);
    }
    return whole && !anew;
}

/* Puts a key of an event, and those of others that stood after it, to the end of the
 * order so far. */
static uint32_t put_last(struct shape *s, uint32_t n, uint16_t id,
                         struct shape_key *const *old, const bool *given)
{
    uint32_t at = s->list[id].place;

    do {
        s->order[n++] = old[at++];
    } while (at < s->n && !given[old[at]->id]);
    return n;
}

void shape_order(struct shape *s, uint32_t n)
{
    const uint16_t *ids = s->ids;
    struct shape_key *old[SHAPE_KEYS_MAX];
    bool given[SHAPE_KEYS_MAX] = {false};
    uint32_t place = 0, sorted = 1;

    while (sorted < n && s->list[ids[sorted - 1]].place < s->list[ids[sorted]].place) {
        sorted++;
    }
    if (sorted >= n) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        given[ids[i]] = true;
    }
    memcpy(old, s->order, s->n * sizeof *old);
    while (!given[old[place]->id]) {
        place++;
    }
    for (uint32_t i = 0; i < n; i++) {
        place = put_last(s, place, ids[i], old, given);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        s->order[i]->place = (uint16_t)i;
    }
}
