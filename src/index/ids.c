#include "index/ids.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "index/member.h"

enum { ARENA_MAX_BYTES = 64 << 20, DEPTH_MAX = 1024 };

struct member {
    struct str value;
    enum member_found found;
};

struct ids {
    struct scan_keys *keys;
    struct arena arena;
    struct event_batch batch;
    char *plain; /* of an id with escapes */
    size_t plain_room;
    char *name; /* the path, if it is a plain key of the event itself; else NULL */
    struct member *members; /* of the lines, if has_members; else they are in batch */
    uint32_t members_room, n_members;
    bool has_members;
};

bool ids_is_plain(const char *path)
{
    return strpbrk(path, ".\\\"") == NULL;
}

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
    ids->name = ids_is_plain(path) ? mem_strdup(path) : NULL;
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
    free(ids->name);
    free(ids->members);
    free(ids);
}

void ids_read(struct ids *ids, struct str lines, uint32_t n)
{
    const struct scan_limits limits = {n, DEPTH_MAX};
    struct scan_error se;

    ids->has_members = false;
    if (scan_body(&ids->batch, ids->keys, SCAN_NDJSON, &limits, lines.p, lines.n,
                  &se) != SCAN_OK ||
        ids->batch.n != n) {
        ids->batch.n = 0;
    }
}

/* The same by reading all of one line. */
static struct member scan_member(struct ids *ids, struct str line)
{
    const struct slot *s;

    ids_read(ids, line, 1);
    if (ids->batch.n == 0 || ids->batch.events[0].fate != EVENT_ACCEPT) {
        return (struct member){.found = MEMBER_OTHER};
    }
    s = &ids->batch.events[0].slots[0];
    return (struct member){
        .value = {ids->batch.body + s->off, s->tag >> 4},
        .found = member_of_kind((enum slot_kind)(s->tag & 15)),
    };
}

/* What is found in a line must not hang on those beside it: the fingerprint of its id is
 * taken before they are known (ingest/event_id.h). */
static bool find_members(struct ids *ids, struct str lines, uint32_t n)
{
    const struct str name = str_of(ids->name);
    const char *p = lines.p, *end = p + lines.n;

    for (uint32_t i = 0; i < n; i++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        struct member *m = &ids->members[i];

        if (newline == NULL) {
            return false;
        }
        m->found = member_find((struct str){p, (size_t)(newline - p)}, name, &m->value);
        if (m->found == MEMBER_UNSURE) {
            *m = scan_member(ids, (struct str){p, (size_t)(newline - p)});
        }
        p = newline + 1;
    }
    return p == end;
}

void ids_read_stored(struct ids *ids, struct str lines, uint32_t n)
{
    if (n > ids->members_room) {
        ids->members_room = 2 * n;
        free(ids->members);
        ids->members = mem_alloc(ids->members_room * sizeof *ids->members);
    }
    if (ids->name == NULL || !find_members(ids, lines, n)) {
        ids_read(ids, lines, n);
        return;
    }
    ids->n_members = n;
    ids->has_members = true;
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

static struct str get_member(struct ids *ids, uint32_t i)
{
    const struct member *m = &ids->members[i];

    if (i >= ids->n_members || m->found > MEMBER_NUMBER) {
        return (struct str){NULL, 0};
    }
    return m->found == MEMBER_ESCAPED ? unescape(ids, m->value) : m->value;
}

struct str ids_get(struct ids *ids, uint32_t i)
{
    const struct slot *s;
    struct str text;

    if (ids->has_members) {
        return get_member(ids, i);
    }
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
