/* A batch that stands where an event is expected: [{"events":[...]}]. */
#include <string.h>

#include "decode/list.h"
#include "decode/walk.h"

enum { QUOTED_BYTES = 64 };

static bool leads(const struct scan_keys *k, const struct key_child *c)
{
    if (c->slot == EVENTS) {
        return true;
    }
    for (uint16_t i = c->node == KEY_NONE ? KEY_NONE : k->first[c->node]; i != KEY_NONE;
         i = k->children[i].next) {
        if (leads(k, &k->children[i])) {
            return true;
        }
    }
    return false;
}

/* The key of the node on the way to the events. */
static const struct key_child *way(const struct scan_keys *k, uint16_t node)
{
    uint16_t i = k->first[node];

    while (i != KEY_NONE && !leads(k, &k->children[i])) {
        i = k->children[i].next;
    }
    return i == KEY_NONE ? NULL : &k->children[i];
}

static bool has_list(const struct scan_keys *k, struct str object)
{
    const struct key_child *c = way(k, 0);
    struct member m;
    struct walk w;

    walk_start(&w, object);
    while (c != NULL && walk_next(&w, &m)) {
        if (!walk_is(&m, c->key)) {
            continue;
        }
        if (c->slot == EVENTS) {
            return m.kind == SLOT_ARRAY;
        }
        if (m.kind != SLOT_OBJECT) {
            return false;
        }
        c = way(k, c->node);
        walk_start(&w, m.value);
    }
    return false;
}

/* Most events do not have the key: a look at their bytes tells. */
static struct str quoted_way(const struct scan_keys *k, char out[QUOTED_BYTES])
{
    const struct key_child *c = way(k, 0);

    if (c == NULL || c->key.n + 2 > QUOTED_BYTES) {
        return (struct str){"", 0};
    }
    out[0] = out[c->key.n + 1] = '"';
    memcpy(out + 1, c->key.p, c->key.n);
    return (struct str){out, c->key.n + 2};
}

void envelope_refuse_astray(struct event_batch *b, const struct envelope *v)
{
    char room[QUOTED_BYTES];
    struct str key = quoted_way(v->keys, room);

    for (uint32_t i = 0; i < b->n; i++) {
        struct event *ev = &b->events[i];
        struct str s = {b->body + ev->off, ev->len};

        if (ev->fate == EVENT_ACCEPT &&
            (memmem(s.p, s.n, key.p, key.n) != NULL ||
             memchr(s.p, '\\', s.n) != NULL) &&
            has_list(v->keys, s)) {
            event_reject(ev, "batch_as_event", NULL, v->astray);
        }
    }
}
