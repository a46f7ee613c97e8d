#include "decode/named.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/text.h"
#include "decode/keys.h"
#include "decode/walk.h"

struct writer {
    const struct scan_keys *keys;
    const char *body; /* of the batch */
    struct slot *slots;
    char *out, *p; /* the event begins at out */
    uint32_t at;   /* of out in the next body */
};

/* The child of node that the member is; NULL: none. */
static const struct key_child *child_of(const struct scan_keys *k, uint16_t node,
                                        const struct member *m)
{
    if (LIKELY(!m->key_escaped)) {
        return keys_find(k, node, m->key);
    }
    for (uint16_t i = k->first[node]; i != KEY_NONE; i = k->children[i].next) {
        if (walk_is(m, k->children[i].key)) {
            return &k->children[i];
        }
    }
    return NULL;
}

static bool is_named(const struct key_child *c, const struct member *m)
{
    return c != NULL && (c->slot != KEY_NONE || m->kind == SLOT_OBJECT);
}

static bool is_step(const struct key_child *c)
{
    return c->slot == KEY_NONE;
}

/* The slots of a value that is kept whole, and of what lies in it. */
static void shift(struct writer *w, const struct key_child *c, uint32_t by)
{
    if (c->slot != KEY_NONE && (w->slots[c->slot].tag & 15) != SLOT_ABSENT) {
        w->slots[c->slot].off += by;
    }
    if (UNLIKELY(c->node != KEY_NONE)) {
        for (uint16_t i = w->keys->first[c->node]; i != KEY_NONE;
             i = w->keys->children[i].next) {
            shift(w, &w->keys->children[i], by);
        }
    }
}

static void put(struct writer *w, struct str s)
{
    memcpy(w->p, s.p, s.n);
    w->p += s.n;
}

static void put_object(struct writer *w, uint16_t node, struct str object)
{
    const struct key_child *c;
    struct member m;
    struct walk in;
    bool first = true;

    *w->p++ = '{';
    walk_start(&in, object);
    while (walk_next(&in, &m)) {
        c = child_of(w->keys, node, &m);
        if (!is_named(c, &m)) {
            continue;
        }
        if (!first) {
            *w->p++ = ',';
        }
        first = false;
        put(w, (struct str){m.key.p - 1, m.key.n + 2});
        *w->p++ = ':';
        if (is_step(c)) {
            put_object(w, c->node, m.value);
        } else {
            /* Offsets wrap as unsigned numbers do. */
            shift(w, c,
                  w->at + (uint32_t)(w->p - w->out) - (uint32_t)(m.value.p - w->body));
            put(w, m.value);
        }
    }
    *w->p++ = '}';
}

uint32_t named_write(const struct scan_keys *k, const struct event_batch *b,
                     struct event *ev, char *out, uint32_t at)
{
    struct writer w = {k, b->body, ev->slots, out, out, at};

    put_object(&w, 0, (struct str){b->body + ev->off, ev->len});
    ev->off = at;
    ev->len = (uint32_t)(w.p - out);
    ev->flags &= ~(uint32_t)EVENT_PREDICTED;
    return ev->len;
}

static bool find_other(const struct scan_keys *k, uint16_t node, struct str object,
                       char *path, size_t room)
{
    const struct key_child *c;
    struct member m;
    struct walk in;
    int n;

    walk_start(&in, object);
    while (walk_next(&in, &m)) {
        c = child_of(k, node, &m);
        if (is_named(c, &m) && !is_step(c)) {
            continue;
        }
        n = snprintf(path, room, "%.*s", (int)text_cut(m.key, room - 1), m.key.p);
        if (!is_named(c, &m)) {
            return true;
        }
        if ((size_t)n + 2 < room) {
            path[n++] = '.';
            path[n] = '\0';
        } else {
            n = 0;
        }
        if (find_other(k, c->node, m.value, path + n, room - (size_t)n)) {
            return true;
        }
    }
    return false;
}

bool named_find_other(const struct scan_keys *k, const struct event_batch *b,
                      const struct event *ev, char path[NAMED_PATH_BYTES])
{
    return find_other(k, 0, (struct str){b->body + ev->off, ev->len}, path,
                      NAMED_PATH_BYTES);
}
