#include "decode/edit_path.h"

#include <string.h>

#include "base/arena.h"
#include "decode/quote.h"

enum slot_kind edit_kind(struct str json)
{
    switch (json.p[0]) {
    case '"':
        return memchr(json.p, '\\', json.n) != NULL ? SLOT_ESCAPED : SLOT_STRING;
    case '{':
        return SLOT_OBJECT;
    case '[':
        return SLOT_ARRAY;
    case 't':
        return SLOT_TRUE;
    case 'f':
        return SLOT_FALSE;
    case 'n':
        return SLOT_NULL;
    default:
        return SLOT_NUMBER;
    }
}

const struct edit *edit_find(const struct event_batch *b, const struct event *ev,
                             struct str key)
{
    char quoted[6 * PATH_BYTES_MAX + 2];
    size_t k;

    if (ev->n_edits == 0 || key.n > PATH_BYTES_MAX) {
        return NULL;
    }
    k = quote_write(key, quoted);
    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next) {
        const struct edit *x = &b->edits[i - 1];

        if (x->key_len == k && memcmp(x->key, quoted, k) == 0) {
            return x;
        }
    }
    return NULL;
}

void edit_top_value(const struct event_batch *b, const struct event *ev,
                    const struct path_part *key, struct member *m)
{
    const struct edit *x = edit_find(b, ev, key->key);

    if (x == NULL || x->how == EDIT_DEFAULT) {
        m->kind = SLOT_OBJECT;
        m->value = (struct str){b->body + ev->off, ev->len};
        if (path_find(m, key, 1)) {
            return;
        }
    }
    *m = (struct member){.kind = SLOT_ABSENT};
    if (x != NULL && x->how != EDIT_REMOVE) {
        m->value = (struct str){x->value, x->value_len};
        m->kind = edit_kind(m->value);
    }
}

struct str edit_rewritten(struct event_batch *b, const struct member *m,
                          const struct path *path, struct str json, enum path_result *r)
{
    struct path_out out = {NULL, 0};

    *r = path_write(&out, m, path->parts + 1, path->n - 1, json);
    if (*r != PATH_OK) {
        return (struct str){NULL, 0};
    }
    out.p = arena_alloc(b->arena, out.n);
    if (out.p == NULL) {
        return (struct str){NULL, 0};
    }
    out.n = 0;
    (void)path_write(&out, m, path->parts + 1, path->n - 1, json);
    return (struct str){out.p, out.n};
}

/* The changes of one top-level key; p is NULL: the bytes are counted only. */
struct rewriting {
    const struct edit_change *list;
    char *p;
    size_t n;
};

static void put(struct rewriting *r, const char *p, size_t n)
{
    if (r->p != NULL) {
        memcpy(r->p + r->n, p, n);
    }
    r->n += n;
}

/* Those of the changes in mask that go through, or end at, member m at that depth. */
static uint64_t through(const struct rewriting *r, uint64_t mask, uint32_t depth,
                        const struct member *m, const struct edit_change **ends)
{
    uint64_t some = 0;

    *ends = NULL;
    for (uint64_t left = mask; left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);
        const struct path *path = r->list[i].path;

        if (walk_is(m, path->parts[depth].key)) {
            some |= 1ull << i;
            *ends = path->n == depth + 1 ? &r->list[i] : *ends;
        }
    }
    return some;
}

/* object with the changes in mask, whose first parts lead to it; as deep as a path. */
static void write_object(struct rewriting *r, struct str object, uint64_t mask,
                         uint32_t depth)
{
    const struct edit_change *ends;
    struct walk w;
    struct member m;
    bool first = true;

    put(r, "{", 1);
    walk_start(&w, object);
    while (walk_next(&w, &m)) {
        uint64_t some = through(r, mask, depth, &m, &ends);

        put(r, ",", !first);
        first = false;
        put(r, m.key.p - 1, m.key.n + 2);
        put(r, ":", 1);
        if (ends != NULL) {
            put(r, ends->json.p, ends->json.n);
        } else if (some != 0 && m.kind == SLOT_OBJECT) {
            write_object(r, m.value, some, depth + 1);
        } else {
            put(r, m.value.p, m.value.n);
        }
    }
    put(r, "}", 1);
}

/* The value of the top-level key of the changes in mask; {NULL, 0}: no room. */
static struct str rewritten(struct event_batch *b, const struct event *ev,
                            const struct edit_change *list, uint64_t mask)
{
    const struct path *path = list[__builtin_ctzll(mask)].path;
    struct rewriting r = {.list = list};
    struct member m;

    edit_top_value(b, ev, path->parts, &m);
    if (m.kind != SLOT_OBJECT) {
        return m.value;
    }
    write_object(&r, m.value, mask, 1);
    r.p = arena_alloc(b->arena, r.n);
    if (r.p == NULL) {
        return (struct str){NULL, 0};
    }
    r.n = 0;
    write_object(&r, m.value, mask, 1);
    return (struct str){r.p, r.n};
}

bool edit_put_paths(struct event_batch *b, struct event *ev,
                    const struct edit_change *list, uint32_t n)
{
    uint64_t done = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t mask = 1ull << i;
        struct str json = list[i].json;

        if ((done & mask) != 0) {
            continue;
        }
        if (list[i].path->n > 1) {
            for (uint32_t k = i + 1; k < n; k++) {
                mask |= str_eq(list[k].key, list[i].key) ? 1ull << k : 0;
            }
            json = rewritten(b, ev, list, mask);
        }
        done |= mask;
        if (json.p == NULL || !edit_put(b, ev, list[i].key, json, EDIT_SET)) {
            return false;
        }
    }
    return true;
}
