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

bool edit_put_path(struct event_batch *b, struct event *ev, const struct path *path,
                   struct str key, struct str json)
{
    enum path_result r;
    struct member m;

    if (path->n > 1) {
        edit_top_value(b, ev, path->parts, &m);
        json = edit_rewritten(b, &m, path, json, &r);
    }
    return json.p != NULL && edit_put(b, ev, key, json, EDIT_SET);
}
