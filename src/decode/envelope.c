/* The object around a batch: read key by key along the wanted paths; the rest is
 * checked and passed over. */
#include "decode/envelope.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/list.h"

enum { EVENTS = 0, NAME_BYTES_MAX = 1024, TEXT_BYTES = 256 };

struct envelope {
    const struct scan_keys *keys; /* slot EVENTS, then the fields */
    unsigned n_fields;
    char missing[TEXT_BYTES], no_array[TEXT_BYTES], twice[TEXT_BYTES];
};

/* {"events":[...]}, where no route says otherwise. */
static const struct scan_keys usual_keys = {
    .n_slots = 1,
    .n_children = 1,
    .n_nodes = 1,
    .children = {
        {.key = {"events", 6}, .slot = EVENTS, .node = KEY_NONE, .next = KEY_NONE}}};

const struct envelope envelope_usual = {.keys = &usual_keys,
                                        .missing =
                                            "expected {\"events\":[...]} or an array",
                                        .no_array = "\"events\" must be an array",
                                        .twice = "\"events\" is given twice"};

/* Whether a value at path would hold the value at inner. */
static bool holds(struct str path, struct str inner)
{
    return str_eq(path, inner) ||
           (path.n < inner.n && memcmp(path.p, inner.p, path.n) == 0 &&
            inner.p[path.n] == '.');
}

struct envelope *envelope_new(struct str events, const struct str *fields, unsigned n,
                              struct err *e)
{
    struct str paths[ENVELOPE_FIELDS_MAX + 1] = {events};
    struct envelope *v;
    struct scan_keys *k;

    if (n > ENVELOPE_FIELDS_MAX) {
        (void)err_set(e, "more than %d values of an envelope", ENVELOPE_FIELDS_MAX);
        return NULL;
    }
    for (unsigned i = 0; i < n; i++) {
        if (holds(fields[i], events) || holds(events, fields[i])) {
            (void)err_set(e, "%.*s holds the events or lies in them", (int)fields[i].n,
                          fields[i].p);
            return NULL;
        }
        paths[i + 1] = fields[i];
    }
    k = scan_keys_new(paths, n + 1, e);
    if (k == NULL) {
        return NULL;
    }
    v = mem_zalloc(sizeof *v);
    v->keys = k;
    v->n_fields = n;
    (void)snprintf(v->missing, TEXT_BYTES,
                   "expected an object with the events at \"%.*s\"",
                   (int)(events.n < 64 ? events.n : 64), events.p);
    (void)snprintf(v->no_array, TEXT_BYTES, "expected an array at \"%.*s\"",
                   (int)(events.n < 64 ? events.n : 64), events.p);
    (void)snprintf(v->twice, TEXT_BYTES, "\"%.*s\" is given twice",
                   (int)(events.n < 64 ? events.n : 64), events.p);
    return v;
}

void envelope_free(struct envelope *v)
{
    if (v != NULL) {
        scan_keys_free((struct scan_keys *)(uintptr_t)v->keys);
        free(v);
    }
}

struct reading {
    struct scan *s;
    const struct envelope *v;
    struct scan_error *se;
    bool found;                       /* the events were read */
    bool seen[SCHEMA_FIELDS_MAX * 4]; /* by the tree's children */
};

static enum scan_result wrong(struct reading *r, const char *at, const char *detail)
{
    (void)lex_fail(&r->s->l, at, detail);
    return scan_failed(r->s, r->se);
}

static enum scan_result object(struct reading *r, uint16_t node);

/* A key with its colon; *found: its node in the tree, NULL: it has none. */
static bool key(struct reading *r, uint16_t node, const struct key_child **found)
{
    struct lex *l = &r->s->l;
    const char *from = l->p + 1;
    char plain[NAME_BYTES_MAX];
    struct str name;
    bool escaped;

    if (l->p >= l->end || *l->p != '"') {
        return lex_fail(l, l->p, "expected a key in quotes");
    }
    l->p++;
    if (!lex_string(l, &escaped)) {
        return false;
    }
    name = (struct str){from, (size_t)(l->p - 1 - from)};
    if (escaped) {
        /* Six bytes of source give at most three of text: longer ones are no key
         * of the tree, whose paths are shorter. */
        name = name.n > sizeof plain
                   ? (struct str){NULL, 0}
                   : (struct str){plain, scan_unescape(name.p, name.n, plain)};
    }
    *found = name.p == NULL ? NULL : keys_find(r->v->keys, node, name);
    lex_maybe_space(l);
    if (l->p >= l->end || *l->p != ':') {
        return lex_fail(l, l->p, "expected ':'");
    }
    l->p++;
    lex_maybe_space(l);
    return true;
}

static enum scan_result events(struct reading *r)
{
    if (r->s->l.p >= r->s->l.end || *r->s->l.p != '[') {
        return wrong(r, r->s->l.p, r->v->no_array);
    }
    r->found = true;
    return list_read(r->s, r->se);
}

static enum scan_result member(struct reading *r, uint16_t node)
{
    struct lex *l = &r->s->l;
    const struct key_child *c;
    enum slot_kind kind = SLOT_OBJECT;
    const char *from;

    if (!key(r, node, &c)) {
        return scan_failed(r->s, r->se);
    }
    if (c != NULL) {
        bool *seen = &r->seen[c - r->v->keys->children];

        if (*seen) {
            return wrong(r, l->p,
                         c->slot == EVENTS ? r->v->twice
                                           : "a key of the envelope is given twice");
        }
        *seen = true;
    }
    if (c != NULL && c->slot == EVENTS) {
        return events(r);
    }
    from = l->p;
    if (c != NULL && c->node != KEY_NONE && from < l->end && *from == '{') {
        enum scan_result result = object(r, c->node);

        if (result != SCAN_OK) {
            return result;
        }
    } else if (!lex_value(l, 1, &kind)) {
        return scan_failed(r->s, r->se);
    }
    if (c != NULL && c->slot != KEY_NONE) {
        slot_fill(&r->s->b->envelope[c->slot - 1], r->s->b->body, kind, from, l->p);
    }
    return SCAN_OK;
}

/* p is at '{'; as deep as the tree at most. */
static enum scan_result object(struct reading *r, uint16_t node)
{
    struct lex *l = &r->s->l;
    bool more;

    l->p++;
    lex_maybe_space(l);
    more = l->p >= l->end || *l->p != '}';
    l->p += !more;
    while (more) {
        enum scan_result result = member(r, node);

        if (result != SCAN_OK) {
            return result;
        }
        if (!member_end(l, &more)) {
            return scan_failed(r->s, r->se);
        }
    }
    return SCAN_OK;
}

enum scan_result envelope_read(struct scan *s, const struct envelope *v,
                               struct scan_error *se)
{
    struct reading r = {.s = s, .v = v, .se = se};
    enum scan_result result;

    memset(s->b->envelope, 0, v->n_fields * sizeof *s->b->envelope);
    if (*s->l.p != '{') {
        enum slot_kind kind;

        /* Text that is no JSON is told first. */
        return lex_value(&s->l, 1, &kind) ? wrong(&r, s->b->body, v->missing)
                                          : scan_failed(s, se);
    }
    result = object(&r, 0);
    return result == SCAN_OK && !r.found ? wrong(&r, s->b->body, v->missing) : result;
}
