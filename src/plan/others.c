#include "plan/others.h"

#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/named.h"

static void refuse(const struct schema *s, struct event_batch *b)
{
    char path[NAMED_PATH_BYTES];

    for (uint32_t i = 0; i < b->n; i++) {
        struct event *ev = &b->events[i];

        if (ev->fate == EVENT_ACCEPT && named_find_other(s->keys, b, ev, path)) {
            ev->fate = EVENT_REJECT;
            ev->code = "unknown_field";
            ev->message = "the schema names no such field";
            ev->field = arena_copy(b->arena, str_of(path)).p;
        }
    }
}

static void drop(const struct schema *s, struct event_batch *b,
                 struct params_room *room)
{
    size_t bound = SCAN_PAD + b->n * sizeof(struct sent_place);
    struct sent_place *places;
    uint32_t at = 0;
    char *out;

    for (uint32_t i = 0; i < b->n; i++) {
        bound += b->events[i].len;
    }
    if (bound > room->n) {
        room->p = mem_realloc(room->p, bound);
        room->n = bound;
    }
    places = (struct sent_place *)(void *)room->p;
    out = room->p + b->n * sizeof *places;
    for (uint32_t i = 0; i < b->n; i++) {
        struct event *ev = &b->events[i];

        places[i] = (struct sent_place){ev->off, ev->len};
        if (ev->fate == EVENT_ACCEPT) {
            at += named_write(s->keys, b, ev, out + at, at);
        } else {
            memcpy(out + at, b->body + ev->off, ev->len);
            ev->off = at;
            at += ev->len;
        }
    }
    memset(out + at, 0, SCAN_PAD);
    b->sent = b->body;
    b->places = places;
    b->body = out;
    b->body_len = at;
}

void others_apply(const struct schema *s, struct event_batch *b,
                  struct params_room *room)
{
    switch (s->others) {
    case OTHERS_DROP:
        drop(s, b, room);
        break;
    case OTHERS_REFUSE:
        refuse(s, b);
        break;
    case OTHERS_KEEP:
        break;
    }
}
