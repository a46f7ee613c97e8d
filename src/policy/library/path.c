/* Values of an event by their path: read, with the edits that were made before, and
 * changed. A change below the top becomes a change of the top-level key: its value is
 * written again with that one part replaced, so that every other edit and the store
 * only know top-level keys. */
#include "decode/path.h"

#include <string.h>

#include "base/arena.h"
#include "decode/edit.h"
#include "decode/quote.h"
#include "policy/internal.h"
#include "policy/library/internal.h"
#include "policy/library/library.h"

/* The edit of a top-level key, given unescaped; NULL: none. */
static const struct edit *edit_of(const struct sluice_context *c,
                                  const struct event *ev, struct str key)
{
    char quoted[6 * PATH_BYTES_MAX + 2];
    size_t k;

    if (ev->n_edits == 0 || key.n > PATH_BYTES_MAX) {
        return NULL;
    }
    k = quote_write(key, quoted);
    for (uint32_t i = ev->edit_first; i != 0; i = c->batch->edits[i - 1].next) {
        const struct edit *x = &c->batch->edits[i - 1];

        if (x->key_len == k && memcmp(x->key, quoted, k) == 0) {
            return x;
        }
    }
    return NULL;
}

/* The value of a top-level key, edits included; SLOT_ABSENT and value.n 0: none. */
static void top_value(const struct sluice_context *c, const struct event *ev,
                      const struct path_part *key, struct member *m)
{
    const struct edit *x = edit_of(c, ev, key->key);

    if (x == NULL || x->how == EDIT_DEFAULT) {
        m->kind = SLOT_OBJECT;
        m->value = (struct str){c->body + ev->off, ev->len};
        if (path_find(m, key, 1)) {
            return;
        }
    }
    *m = (struct member){.kind = SLOT_ABSENT};
    if (x != NULL && x->how != EDIT_REMOVE) {
        m->value = (struct str){x->value, x->value_len};
        m->kind = ffi_kind(m->value);
    }
}

int sluice_get(struct sluice_context *c, struct sluice_event *view, const char *text,
               size_t n, struct sluice_value *out)
{
    const struct event *ev = (const struct event *)(const void *)view;
    struct path path;
    struct member m;

    if (!path_parse((struct str){text, n}, &path)) {
        return -1;
    }
    if (!sluice_spend(c, ev->len)) {
        return -2;
    }
    if (ev->n_edits == 0) {
        m = (struct member){.kind = SLOT_OBJECT, .value = {c->body + ev->off, ev->len}};
        if (!path_find(&m, path.parts, path.n)) {
            return 0;
        }
    } else {
        top_value(c, ev, path.parts, &m);
        if (m.kind == SLOT_ABSENT || !path_find(&m, path.parts + 1, path.n - 1)) {
            return 0;
        }
    }
    ffi_give(c, m.kind, m.value, out);
    return 1;
}

int sluice_find(struct sluice_context *c, struct sluice_event *view, const char *path,
                size_t n, struct sluice_value *out)
{
    int found = sluice_get(c, view, path, n, out);

    return found == -1 ? 0 : found;
}

int sluice_edited(struct sluice_context *c, struct sluice_event *view, const char *text,
                  size_t n)
{
    const struct event *ev = (const struct event *)(const void *)view;
    const struct edit *x;
    struct str key = {text, n};
    struct path path;

    if (!path_is_plain(key)) {
        if (!path_parse(key, &path)) {
            return 1;
        }
        key = path.parts[0].key;
    }
    x = edit_of(c, ev, key);
    return x != NULL && x->how != EDIT_DEFAULT;
}

/* The new value of the top-level key; {NULL, 0}: no room. */
static struct str changed(struct sluice_context *c, const struct member *m,
                          const struct path *path, struct str json, enum path_result *r)
{
    struct path_out out = {NULL, 0};

    *r = path_write(&out, m, path->parts + 1, path->n - 1, json);
    if (*r != PATH_OK) {
        return (struct str){NULL, 0};
    }
    out.p = arena_alloc(c->batch->arena, out.n);
    if (out.p == NULL) {
        return (struct str){NULL, 0};
    }
    out.n = 0;
    (void)path_write(&out, m, path->parts + 1, path->n - 1, json);
    return (struct str){out.p, out.n};
}

int ffi_set_path(struct sluice_context *c, struct event *ev, struct str text,
                 struct str json)
{
    struct path path;
    struct member m;
    enum path_result r;
    struct str key, value = json;
    enum edit_how how = json.p == NULL ? EDIT_REMOVE : EDIT_SET;
    char *quoted;

    if (!path_parse(text, &path)) {
        return FFI_NO_PATH;
    }
    if (path.n > 1) {
        top_value(c, ev, path.parts, &m);
        value = changed(c, &m, &path, json, &r);
        if (r == PATH_ABSENT) {
            return 0;
        }
        if (value.p == NULL) {
            return r == PATH_BLOCKED ? FFI_BLOCKED : FFI_NO_ROOM;
        }
        how = EDIT_SET;
    }
    key.p = quoted = arena_alloc(c->batch->arena, quote_bound(path.parts->key.n));
    if (quoted == NULL) {
        return FFI_NO_ROOM;
    }
    key.n = quote_write(path.parts->key, quoted);
    if (key.n == 0) {
        return FFI_NOT_UTF8;
    }
    return edit_put(c->batch, ev, key, value, how) ? 0 : FFI_TOO_MANY;
}
