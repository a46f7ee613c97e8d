/* Values of an event by a path with array places, "a.b[1].c": for what no schema
 * names. Walks the raw text, which the scanner has checked. */
#include <string.h>

#include "decode/walk.h"
#include "policy/library.h"
#include "policy/state.h"

/* "[12]" at the start of path; *at from 1. The length, 0: no place. */
static size_t place_of(struct str path, uint64_t *at)
{
    size_t i = 1;

    *at = 0;
    while (i < path.n && i < 10 && (unsigned)(path.p[i] - '0') < 10) {
        *at = *at * 10 + (uint64_t)(path.p[i++] - '0');
    }
    return i < path.n && path.p[i] == ']' && *at > 0 ? i + 1 : 0;
}

static bool element(struct str array, uint64_t at, struct member *m)
{
    const char *p = array.p + 1, *end = array.p + array.n - 1;

    while (p < end) {
        if ((unsigned char)*p <= ' ' || *p == ',') {
            p++;
            continue;
        }
        m->value = walk_value(p, end, &m->kind);
        if (--at == 0) {
            return true;
        }
        p = m->value.p + m->value.n;
    }
    return false;
}

/* The keys at the front of path, up to the first place. */
static struct str keys_of(struct str path)
{
    const char *open = memchr(path.p, '[', path.n);

    return (struct str){path.p, open == NULL ? path.n : (size_t)(open - path.p)};
}

/* Down from *m along path: 1, 0 not there, -1 no path. */
static int descend(struct member *m, struct str path)
{
    while (path.n > 0) {
        uint64_t at;
        size_t n;

        if (path.p[0] == '[') {
            n = place_of(path, &at);
            if (n == 0) {
                return -1;
            }
            if (m->kind != SLOT_ARRAY || !element(m->value, at, m)) {
                return 0;
            }
        } else {
            n = path.p[0] == '.' ? 1 : 0;
            path = (struct str){path.p + n, path.n - n};
            n = keys_of(path).n;
            if (n == 0) {
                return -1;
            }
            if (m->kind != SLOT_OBJECT ||
                !walk_find(m->value, (struct str){path.p, n}, m)) {
                return 0;
            }
        }
        path = (struct str){path.p + n, path.n - n};
    }
    return 1;
}

/* The edited key that path begins with; *n its length. NULL: none. */
static const struct edit *edited_front(const struct sluice_context *c,
                                       const struct event *ev, struct str path,
                                       size_t *n)
{
    const struct edit *x = NULL;

    for (*n = path.n; ev->n_edits > 0 && *n > 0; --*n) {
        if (*n == path.n || path.p[*n] == '.' || path.p[*n] == '[') {
            x = ffi_edited(c, ev, path.p, *n);
        }
        if (x != NULL) {
            break;
        }
    }
    return x;
}

int sluice_get(struct sluice_context *c, struct sluice_event *view,
               const char *path, size_t n, struct sluice_value *out)
{
    const struct event *ev = &view->sluice_;
    struct str raw = {c->body + ev->off, ev->len}, rest = {path, n};
    struct member m = {.kind = SLOT_OBJECT, .value = raw}, literal;
    size_t front;
    const struct edit *x = edited_front(c, ev, rest, &front);
    int found;

    if (n == 0) {
        return -1;
    }
    if (x != NULL) {
        if (!ffi_under(raw, (struct str){path, front}, x, &m)) {
            return 0;
        }
        rest = (struct str){path + front, n - front};
    } else if (memchr(path, '[', n) != NULL && walk_find(raw, rest, &literal)) {
        /* A client's key may itself have a bracket. */
        m = literal;
        rest.n = 0;
    }
    found = descend(&m, rest);
    if (found == 1) {
        ffi_give(c, m.kind, m.value, out);
    }
    return found;
}
