/* Values of an event by their path: read, with the edits that were made before, and
 * changed. A change below the top becomes a change of the top-level key: its value is
 * written again with that one part replaced, so that every other edit and the store
 * only know top-level keys. */
#include "decode/edit_path.h"

#include "base/arena.h"
#include "decode/quote.h"
#include "policy/internal.h"
#include "policy/library/internal.h"
#include "policy/library/library.h"

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
        edit_top_value(c->batch, ev, path.parts, &m);
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
    x = edit_find(c->batch, ev, key);
    return x != NULL && x->how != EDIT_DEFAULT;
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
        edit_top_value(c->batch, ev, path.parts, &m);
        value = edit_rewritten(c->batch, &m, &path, json, &r);
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
