#include "cli/letters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/scan.h"

enum { EVENT, SINK, STREAM, REASON, WHY, POSITION, CODE, TIME, ROUTE, N_PATHS };

struct letters {
    FILE *file;
    struct arena arena;
    struct event_batch batch;
    struct scan_keys *keys;
    char *line;
    size_t room;
    uint64_t bad;
};

struct letters *letters_open(const char *path, struct err *e)
{
    static const struct str paths[N_PATHS] = {
        [EVENT] = STR("event"),   [SINK] = STR("sink"),
        [STREAM] = STR("stream"), [REASON] = STR("reason"),
        [WHY] = STR("why"),       [POSITION] = STR("position"),
        [CODE] = STR("code"),     [TIME] = STR("time"),
        [ROUTE] = STR("route")};
    FILE *file = fopen(path, "r");
    struct letters *l;

    if (file == NULL) {
        (void)err_errno(e, errno, "%s", path);
        return NULL;
    }
    l = mem_zalloc(sizeof *l);
    l->file = file;
    arena_init(&l->arena, 8 << 20);
    event_batch_init(&l->batch, &l->arena);
    l->keys = scan_keys_new(paths, N_PATHS, e);
    return l;
}

void letters_close(struct letters *l)
{
    if (l == NULL) {
        return;
    }
    (void)fclose(l->file);
    scan_keys_free(l->keys);
    event_batch_fini(&l->batch);
    arena_fini(&l->arena);
    free(l->line);
    free(l);
}

static struct str text(const struct letters *l, int slot)
{
    const struct slot *s = &l->batch.events[0].slots[slot];

    return (s->tag & 15) < SLOT_STRING
               ? (struct str){NULL, 0}
               : (struct str){l->line + s->off, s->tag >> 4};
}

bool letters_next(struct letters *l, struct letter *out)
{
    static const struct scan_limits limits = {1, 1024};
    struct scan_error se;
    ssize_t n;

    while ((n = getline(&l->line, &l->room, l->file)) > 0) {
        const struct slot *s;

        if (l->room < (size_t)n + SCAN_PAD) {
            l->room = (size_t)n + SCAN_PAD;
            l->line = mem_realloc(l->line, l->room);
        }
        if (scan_body(&l->batch, l->keys, SCAN_EVENT, &limits, l->line, (size_t)n,
                      &se) != SCAN_OK) {
            l->bad++;
            continue;
        }
        s = l->batch.events[0].slots;
        *out = (struct letter){.event = text(l, EVENT),
                               .sink = text(l, SINK),
                               .stream = text(l, STREAM),
                               .reason = text(l, REASON),
                               .why = text(l, WHY),
                               .position = text(l, POSITION),
                               .code = s[CODE].num,
                               .time_ms = s[TIME].num};
        if (out->event.p == NULL) {
            l->bad++;
            continue;
        }
        if (out->sink.p == NULL) {
            out->sink = text(l, ROUTE); /* of a hook that raised */
        }
        return true;
    }
    return false;
}

uint64_t letters_bad(const struct letters *l)
{
    return l->bad;
}
