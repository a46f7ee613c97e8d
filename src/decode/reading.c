/* The object around a batch: read key by key along the wanted paths; the rest is
 * checked and passed over. */
#include <string.h>

#include "base/mem.h"
#include "decode/list.h"

enum { NAME_BYTES_MAX = 1024 };

struct reading {
    struct scan *s;
    const struct envelope *v;
    struct scan_error *se;
    bool found;                       /* the list was read, or is null */
    bool empty;                       /* the object is "{}" */
    struct slot *values;              /* an item's, by field; NULL: the batch's */
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

void envelope_keep(struct event_batch *b, uint32_t first, uint32_t place,
                   const struct slot *value)
{
    if (b->n_runs == b->max_runs) {
        b->max_runs = b->max_runs == 0 ? 64 : 2 * b->max_runs;
        b->runs = mem_realloc(b->runs, b->max_runs * sizeof *b->runs);
    }
    b->runs[b->n_runs++] = (struct envelope_run){
        .first = first, .end = b->n, .place = place, .value = *value};
}

/* The values of an item that has the events from first on. */
static void keep(const struct reading *r, uint32_t first)
{
    struct event_batch *b = r->s->b;

    for (unsigned i = 0; i < r->v->n_fields && b->n > first; i++) {
        if ((r->values[i].tag & 15) != SLOT_ABSENT) {
            envelope_keep(b, first, r->v->places[i], &r->values[i]);
        }
    }
}

static enum scan_result item(struct reading *outer)
{
    struct slot values[ENVELOPE_FIELDS_MAX] = {{0}};
    struct reading r = {
        .s = outer->s, .v = outer->v->inner, .se = outer->se, .values = values};
    uint32_t first = outer->s->b->n;
    struct lex *l = &outer->s->l;
    enum scan_result result;
    enum slot_kind kind;
    const char *from = l->p;

    if (l->p >= l->end || *l->p != '{') {
        return lex_value(l, 1, &kind) ? wrong(&r, from, outer->v->no_object)
                                      : scan_failed(r.s, r.se);
    }
    result = object(&r, 0);
    if (result == SCAN_OK) {
        keep(&r, first);
    }
    return result;
}

/* p is at the '[' of a list on the way. */
static enum scan_result items(struct reading *r)
{
    struct lex *l = &r->s->l;
    enum scan_result result;

    l->p++;
    lex_maybe_space(l);
    if (l->p < l->end && *l->p == ']') {
        l->p++;
        return SCAN_OK;
    }
    for (;;) {
        result = item(r);
        if (result != SCAN_OK) {
            return result;
        }
        lex_maybe_space(l);
        if (l->p >= l->end || (*l->p != ',' && *l->p != ']')) {
            return wrong(r, l->p, "expected ',' or ']'");
        }
        if (*l->p++ == ']') {
            return SCAN_OK;
        }
        lex_maybe_space(l);
    }
}

/* A list of several levels may be null: encoders write one that is empty so. */
static enum scan_result events(struct reading *r)
{
    bool nested = r->values != NULL || r->v->inner != NULL;
    struct lex *l = &r->s->l;
    const char *from = l->p;
    enum slot_kind kind;

    if (l->p >= l->end || *l->p != '[') {
        if (!lex_value(l, 1, &kind)) {
            return scan_failed(r->s, r->se);
        }
        r->found = kind == SLOT_NULL && nested;
        return r->found ? SCAN_OK : wrong(r, from, r->v->no_array);
    }
    r->found = true;
    return r->v->inner != NULL ? items(r) : list_read(r->s, r->se);
}

static bool is_events(const struct reading *r, const struct key_child *c)
{
    return c->slot == EVENTS && !r->v->bulk;
}

static struct slot *value_of(struct reading *r, unsigned field)
{
    return r->values != NULL ? &r->values[field]
                             : &r->s->b->envelope[r->v->places[field]];
}

/* Whether the list lies below node. */
static bool leads(const struct scan_keys *k, uint16_t node)
{
    for (uint16_t i = k->first[node]; i != KEY_NONE; i = k->children[i].next) {
        const struct key_child *c = &k->children[i];

        if (c->slot == EVENTS || (c->node != KEY_NONE && leads(k, c->node))) {
            return true;
        }
    }
    return false;
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
                         is_events(r, c) ? r->v->twice
                                         : "a key of the envelope is given twice");
        }
        *seen = true;
    }
    if (c != NULL && is_events(r, c)) {
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
    } else if (c != NULL && c->node != KEY_NONE && kind != SLOT_NULL &&
               r->values != NULL && leads(r->v->keys, c->node)) {
        return wrong(r, from, r->v->no_array); /* with all that may lie there */
    }
    if (c != NULL && c->slot != KEY_NONE) {
        slot_fill(value_of(r, c->slot - !r->v->bulk), r->s->b->body, kind, from, l->p);
    }
    return SCAN_OK;
}

/* p is at '{'; as deep as the trees at most. */
static enum scan_result object(struct reading *r, uint16_t node)
{
    struct lex *l = &r->s->l;
    bool more;

    l->p++;
    lex_maybe_space(l);
    more = l->p >= l->end || *l->p != '}';
    l->p += !more;
    r->empty = !more && node == 0;
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

void envelope_clear(struct event_batch *b, const struct envelope *v)
{
    memset(b->envelope, 0, v->n_all * sizeof *b->envelope);
}

enum scan_result envelope_read(struct scan *s, const struct envelope *v, bool *found,
                               struct scan_error *se)
{
    struct reading r = {.s = s, .v = v, .se = se};
    enum scan_result result;

    envelope_clear(s->b, v);
    if (*s->l.p != '{') {
        enum slot_kind kind;

        /* Text that is no JSON is told first. */
        return lex_value(&s->l, 1, &kind) ? wrong(&r, s->b->body, v->missing)
                                          : scan_failed(s, se);
    }
    result = object(&r, 0);
    if (found != NULL) {
        *found = r.found;
        return result;
    }
    /* Encoders of Protobuf leave empty lists out: nothing of "{}" is lost. */
    return result == SCAN_OK && !r.found && !(r.empty && v->inner != NULL)
               ? wrong(&r, s->b->body, v->missing)
               : result;
}

enum scan_result envelope_one(struct scan *s, const struct envelope *v,
                              struct str action, struct slot *values,
                              struct scan_error *se)
{
    struct reading r = {.s = s, .v = v, .se = se, .values = values};

    memset(values, 0, v->n_all * sizeof *values);
    if (v->wants_action) {
        slot_fill(&values[v->n_fields], s->b->body, SLOT_STRING, action.p,
                  action.p + action.n);
    }
    return object(&r, 0);
}
