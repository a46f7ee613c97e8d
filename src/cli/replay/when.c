#include "cli/replay/when.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "plan/moment.h"

enum { ARENA_MAX_BYTES = 64 << 20, DEPTH_MAX = 1024 };

struct when {
    struct scan_keys *keys;
    struct arena arena;
    struct event_batch batch;
};

struct when *when_new(const char *path, struct err *e)
{
    const struct str paths[] = {str_of(path)};
    struct scan_keys *keys = scan_keys_new(paths, 1, e);
    struct when *w;

    if (keys == NULL) {
        return NULL;
    }
    w = mem_zalloc(sizeof *w);
    w->keys = keys;
    arena_init(&w->arena, ARENA_MAX_BYTES);
    event_batch_init(&w->batch, &w->arena);
    return w;
}

void when_free(struct when *w)
{
    if (w == NULL) {
        return;
    }
    event_batch_fini(&w->batch);
    arena_fini(&w->arena);
    scan_keys_free(w->keys);
    free(w);
}

void when_read(struct when *w, struct str lines, uint32_t n)
{
    const struct scan_limits limits = {n, DEPTH_MAX};
    struct scan_error se;

    if (scan_body(&w->batch, w->keys, SCAN_NDJSON, &limits, lines.p, lines.n, &se) !=
            SCAN_OK ||
        w->batch.n != n) {
        w->batch.n = 0; /* no line's time is known */
    }
}

int64_t when_of(const struct when *w, uint32_t i, int64_t otherwise)
{
    const struct slot *s;
    int64_t ms;

    if (i >= w->batch.n || w->batch.events[i].fate != EVENT_ACCEPT) {
        return otherwise;
    }
    s = &w->batch.events[i].slots[0];
    switch ((enum slot_kind)(s->tag & 15)) {
    case SLOT_NUMBER:
        return s->num >= 0 && s->num < 1e15 ? (int64_t)s->num : otherwise;
    case SLOT_STRING:
        return moment_ms((struct str){w->batch.body + s->off, s->tag >> 4}, &ms)
                   ? ms
                   : otherwise;
    default:
        return otherwise;
    }
}
