#include "decode/edit.h"

#include "base/arena.h"
#include "base/mem.h"
#include "decode/quote.h"
#include "decode/scan.h"
#include "decode/shape.h"
#include "decode/walk.h"

static struct edit *find(struct event_batch *b, const struct event *ev, struct str key)
{
    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next) {
        struct edit *x = &b->edits[i - 1];

        if (str_eq((struct str){x->key, x->key_len}, key)) {
            return x;
        }
    }
    return NULL;
}

static struct edit *add(struct event_batch *b, struct event *ev)
{
    if (ev->n_edits == EVENT_EDITS_MAX) {
        return NULL;
    }
    if (b->n_edits == b->max_edits) {
        b->max_edits = b->max_edits == 0 ? 256 : 2 * b->max_edits;
        b->edits = mem_realloc(b->edits, b->max_edits * sizeof *b->edits);
    }
    b->n_edits++;
    if (ev->edit_first == 0) {
        ev->edit_first = b->n_edits;
    } else {
        b->edits[ev->edit_last - 1].next = b->n_edits;
    }
    ev->edit_last = b->n_edits;
    ev->n_edits++;
    ev->flags |= EVENT_EDITED;
    b->edits[b->n_edits - 1] = (struct edit){0};
    return &b->edits[b->n_edits - 1];
}

bool edit_put(struct event_batch *b, struct event *ev, struct str key, struct str value,
              enum edit_how how)
{
    struct edit *x = find(b, ev, key);

    if (x == NULL) {
        x = add(b, ev);
    } else if (x - b->edits < b->n_base && x->base_how == 0) {
        x->base = x->value;
        x->base_len = x->value_len;
        x->base_how = 1 + x->how;
    }
    if (x == NULL) {
        return false;
    }
    x->key = key.p;
    x->key_len = (uint32_t)key.n;
    x->value = value.p;
    x->value_len = (uint32_t)value.n;
    x->how = (uint32_t)how;
    return true;
}

bool edit_set(struct event_batch *b, struct event *ev, struct str key, struct str value,
              enum edit_how how)
{
    char *text = arena_alloc(b->arena, quote_bound(key.n));
    struct str quoted, copy = {NULL, 0};

    if (text == NULL) {
        return false;
    }
    quoted = (struct str){text, quote_write(key, text)};
    if (how != EDIT_REMOVE) {
        copy = arena_copy(b->arena, value);
    }
    if (quoted.n == 0 || (how != EDIT_REMOVE && copy.p == NULL)) {
        return false;
    }
    return edit_put(b, ev, quoted, copy, how);
}

void edits_revert(struct event_batch *b, struct event *ev)
{
    uint32_t n = 0, last = 0;

    for (uint32_t i = ev->edit_first; i != 0 && i <= b->n_base;
         i = b->edits[i - 1].next) {
        struct edit *x = &b->edits[i - 1];

        if (x->base_how != 0) {
            x->value = x->base;
            x->value_len = x->base_len;
            x->how = x->base_how - 1;
            x->base_how = 0;
        }
        last = i;
        n++;
    }
    ev->n_edits = n;
    ev->edit_last = last;
    if (n == 0) {
        ev->edit_first = 0;
        ev->flags &= ~(uint32_t)EVENT_EDITED;
    } else {
        b->edits[last - 1].next = 0;
    }
}

size_t edit_bound(const struct event_batch *b, const struct event *ev)
{
    size_t n = ev->len;

    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next) {
        n += b->edits[i - 1].key_len + b->edits[i - 1].value_len + 2;
    }
    return n;
}

/* Raw newlines stand between tokens only: in strings they are refused. */
static void flatten(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' || p[i] == '\r') {
            p[i] = ' ';
        }
    }
}

/* The keys of a predicted event are all in the shape, so that its bits tell in no
 * time that a key (with its quotes) is not among them. */
static bool new_to_shape(const struct event_batch *b, const struct event *ev,
                         struct str key)
{
    key = (struct str){key.p + 1, key.n - 2};
    return (ev->flags & EVENT_PREDICTED) != 0 && ev->index >= b->shaped_from &&
           (b->shape->top & shape_bit(key)) == 0;
}

/* An event that surely lacks all edited keys needs no walk. A key with escapes
 * could be any, so a backslash decides nothing. */
static bool surely_new(const struct event_batch *b, const struct event *ev)
{
    const char *raw = b->body + ev->off;
    bool searched = false;

    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next) {
        const struct edit *x = &b->edits[i - 1];

        if (new_to_shape(b, ev, (struct str){x->key, x->key_len})) {
            continue;
        }
        searched = true;
        if (memmem(raw, ev->len, x->key, x->key_len) != NULL) {
            return false;
        }
    }
    return !searched || memchr(raw, '\\', ev->len) == NULL;
}

bool edit_has_key(const struct event_batch *b, const struct event *ev, struct str key)
{
    struct str raw = {b->body + ev->off, ev->len};
    char name[6 * 1024];
    struct walk w;
    struct member m;

    if (new_to_shape(b, ev, key) || (memmem(raw.p, raw.n, key.p, key.n) == NULL &&
                                     memchr(raw.p, '\\', raw.n) == NULL)) {
        return false;
    }
    key = (struct str){key.p + 1, key.n - 2};
    if (key.n <= sizeof name) {
        key = (struct str){name, scan_unescape(key.p, key.n, name)};
    }
    walk_start(&w, raw);
    while (walk_next(&w, &m)) {
        if (walk_is(&m, key)) {
            return true;
        }
    }
    return false;
}

static size_t put(char *out, const char *p, size_t n)
{
    memcpy(out, p, n);
    return n;
}

static size_t put_edit(char *out, const struct edit *x)
{
    size_t n = put(out, x->key, x->key_len);

    out[n++] = ':';
    return n + put(out + n, x->value, x->value_len);
}

/* The edits whose bit in done is not set, after the text in out. */
static size_t put_rest(const struct event_batch *b, const struct event *ev,
                       uint32_t done, bool empty, char *out, size_t n)
{
    uint32_t bit = 1;

    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next, bit <<= 1) {
        if ((done & bit) == 0 && b->edits[i - 1].how != EDIT_REMOVE) {
            if (!empty) {
                out[n++] = ',';
            }
            empty = false;
            n += put_edit(out + n, &b->edits[i - 1]);
        }
    }
    out[n++] = '}';
    return n;
}

static size_t splice_new(const struct event_batch *b, const struct event *ev, char *out)
{
    size_t n = put(out, b->body + ev->off, ev->len - 1);
    size_t last = n;

    while ((unsigned char)out[last - 1] <= ' ') {
        last--;
    }
    return put_rest(b, ev, 0, out[last - 1] == '{', out, n);
}

/* The edit that m's key has, and its bit. */
static const struct edit *edit_of(const struct event_batch *b, const struct event *ev,
                                  const struct member *m, uint32_t *bit)
{
    *bit = 1;
    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next, *bit <<= 1) {
        const struct edit *x = &b->edits[i - 1];
        char name[6 * 1024];
        struct str inner = {x->key + 1, x->key_len - 2};

        if (inner.n <= sizeof name) {
            inner = (struct str){name, scan_unescape(inner.p, inner.n, name)};
        }
        if (walk_is(m, inner)) {
            return x;
        }
    }
    return NULL;
}

static size_t splice_members(const struct event_batch *b, const struct event *ev,
                             char *out)
{
    struct walk w;
    struct member m;
    uint32_t done = 0, bit;
    size_t n = 1;

    out[0] = '{';
    walk_start(&w, (struct str){b->body + ev->off, ev->len});
    while (walk_next(&w, &m)) {
        const struct edit *x = edit_of(b, ev, &m, &bit);

        if (x != NULL) {
            done |= bit;
        }
        if (x != NULL && x->how == EDIT_REMOVE) {
            continue;
        }
        if (n > 1) {
            out[n++] = ',';
        }
        if (x != NULL && x->how != EDIT_DEFAULT) {
            n += put_edit(out + n, x);
        } else {
            n += put(out + n, m.key.p - 1, m.key.n + 2);
            out[n++] = ':';
            n += put(out + n, m.value.p, m.value.n);
        }
    }
    return put_rest(b, ev, done, n == 1, out, n);
}

size_t edit_splice(const struct event_batch *b, const struct event *ev, char *out)
{
    bool kept;

    return edit_splice_kept(b, ev, out, &kept);
}

size_t edit_splice_kept(const struct event_batch *b, const struct event *ev, char *out,
                        bool *kept)
{
    size_t n;

    *kept = true;
    if (ev->n_edits == 0) {
        n = put(out, b->body + ev->off, ev->len);
    } else if (surely_new(b, ev)) {
        n = splice_new(b, ev, out);
    } else {
        n = splice_members(b, ev, out);
        *kept = false;
    }
    if (UNLIKELY(ev->flags & EVENT_NEWLINE)) {
        flatten(out, n);
    }
    return n;
}
