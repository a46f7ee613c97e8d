#include "sink/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/scan.h"

enum { ARENA_BYTES = 8 << 20 };

struct fields {
    struct arena arena;
    struct event_batch batch;
    struct scan_keys *keys;
    bool read; /* the event was one */
    char *text;
    size_t text_room;
};

struct fields *fields_new(const struct str *paths, unsigned n, struct err *e)
{
    struct scan_keys *keys = scan_keys_new(paths, n, e);
    struct fields *f;

    if (keys == NULL) {
        return NULL;
    }
    f = mem_zalloc(sizeof *f);
    f->keys = keys;
    arena_init(&f->arena, ARENA_BYTES);
    event_batch_init(&f->batch, &f->arena);
    return f;
}

void fields_free(struct fields *f)
{
    if (f == NULL) {
        return;
    }
    scan_keys_free(f->keys);
    event_batch_fini(&f->batch);
    arena_fini(&f->arena);
    free(f->text);
    free(f);
}

void fields_read(struct fields *f, struct str event)
{
    static const struct scan_limits limits = {1, 1024};
    struct scan_error se;

    f->read = scan_body(&f->batch, f->keys, SCAN_EVENT, &limits, event.p, event.n,
                        &se) == SCAN_OK;
}

struct str fields_unescape(struct fields *f, struct str text, bool escaped)
{
    if (!escaped) {
        return text;
    }
    if (text.n > f->text_room) {
        f->text_room = 2 * text.n;
        f->text = mem_realloc(f->text, f->text_room);
    }
    return (struct str){f->text, scan_unescape(text.p, text.n, f->text)};
}

struct str fields_text(struct fields *f, int i)
{
    const struct slot *s;
    struct str text;

    if (!f->read) {
        return (struct str){NULL, 0};
    }
    s = &f->batch.events[0].slots[i];
    text = (struct str){f->batch.body + s->off, s->tag >> 4};
    switch (s->tag & 15) {
    case SLOT_STRING:
    case SLOT_NUMBER:
    case SLOT_ESCAPED:
        return fields_unescape(f, text, (s->tag & 15) == SLOT_ESCAPED);
    default:
        return (struct str){NULL, 0};
    }
}
