#include "index/ids.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/scan.h"

enum { ARENA_MAX_BYTES = 64 << 20, DEPTH_MAX = 1024 };

struct ids {
    struct scan_keys *keys;
    struct arena arena;
    struct event_batch batch;
    char *plain; /* of an id with escapes */
    size_t plain_room;
};

struct ids *ids_new(const char *path, struct err *e)
{
    const struct str paths[] = {str_of(path)};
    struct scan_keys *keys = scan_keys_new(paths, 1, e);
    struct ids *ids;

    if (keys == NULL) {
        return NULL;
    }
    ids = mem_zalloc(sizeof *ids);
    ids->keys = keys;
    arena_init(&ids->arena, ARENA_MAX_BYTES);
    event_batch_init(&ids->batch, &ids->arena);
    return ids;
}

void ids_free(struct ids *ids)
{
    if (ids == NULL) {
        return;
    }
    event_batch_fini(&ids->batch);
    arena_fini(&ids->arena);
    scan_keys_free(ids->keys);
    free(ids->plain);
    free(ids);
}

void ids_read(struct ids *ids, struct str lines, uint32_t n)
{
    const struct scan_limits limits = {n, DEPTH_MAX};
    struct scan_error se;

    if (scan_body(&ids->batch, ids->keys, SCAN_NDJSON, &limits, lines.p, lines.n,
                  &se) != SCAN_OK ||
        ids->batch.n != n) {
        ids->batch.n = 0;
    }
}

static struct str unescape(struct ids *ids, struct str text)
{
    if (text.n > ids->plain_room) {
        ids->plain_room = 2 * text.n;
        free(ids->plain);
        ids->plain = mem_alloc(ids->plain_room);
    }
    return (struct str){ids->plain, scan_unescape(text.p, text.n, ids->plain)};
}

struct str ids_get(struct ids *ids, uint32_t i)
{
    const struct slot *s;
    struct str text;

    if (i >= ids->batch.n || ids->batch.events[i].fate != EVENT_ACCEPT) {
        return (struct str){NULL, 0};
    }
    s = &ids->batch.events[i].slots[0];
    text = (struct str){ids->batch.body + s->off, s->tag >> 4};
    switch ((enum slot_kind)(s->tag & 15)) {
    case SLOT_STRING:
    case SLOT_NUMBER:
        return text;
    case SLOT_ESCAPED:
        return unescape(ids, text);
    default:
        return (struct str){NULL, 0};
    }
}
