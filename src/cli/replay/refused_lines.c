#include "cli/replay/refused_lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/scan.h"

enum { ARENA_MAX_BYTES = 8 << 20, DEPTH_MAX = 1024 };
enum {
    CODE,
    ROUTE,
    PATH,
    QUERY,
    TYPE,
    PEER,
    TIME,
    INDEX,
    RAW,
    RAW_BASE64,
    CUT,
    N_PATHS
};

struct refused_lines {
    struct scan_keys *keys;
    struct arena arena;
    struct event_batch batch;
    char *text; /* the values, unescaped */
    size_t room, used;
};

bool refused_lines_is(struct str line)
{
    const struct str begin = STR("{\"refused\":{\"code\":\"");

    return line.n > begin.n && memcmp(line.p, begin.p, begin.n) == 0;
}

struct refused_lines *refused_lines_new(struct err *e)
{
    static const struct str paths[N_PATHS] = {[CODE] = STR("refused.code"),
                                              [ROUTE] = STR("route"),
                                              [PATH] = STR("path"),
                                              [QUERY] = STR("query"),
                                              [TYPE] = STR("type"),
                                              [PEER] = STR("peer"),
                                              [TIME] = STR("time"),
                                              [INDEX] = STR("index"),
                                              [RAW] = STR("raw"),
                                              [RAW_BASE64] = STR("raw_base64"),
                                              [CUT] = STR("cut")};
    struct scan_keys *keys = scan_keys_new(paths, N_PATHS, e);
    struct refused_lines *l;

    if (keys == NULL) {
        return NULL;
    }
    l = mem_zalloc(sizeof *l);
    l->keys = keys;
    arena_init(&l->arena, ARENA_MAX_BYTES);
    event_batch_init(&l->batch, &l->arena);
    return l;
}

void refused_lines_free(struct refused_lines *l)
{
    if (l == NULL) {
        return;
    }
    event_batch_fini(&l->batch);
    arena_fini(&l->arena);
    scan_keys_free(l->keys);
    free(l->text);
    free(l);
}

static bool has(const struct refused_lines *l, int i)
{
    return (l->batch.events[0].slots[i].tag & 15) != SLOT_ABSENT;
}

/* A text without its escapes, with a NUL after it; "" where there is none. */
static struct str text(struct refused_lines *l, int i)
{
    const struct slot *s = &l->batch.events[0].slots[i];
    struct str out = {l->text + l->used, 0};
    unsigned kind = s->tag & 15;

    if (kind == SLOT_STRING || kind == SLOT_ESCAPED) {
        out.n = scan_unescape(l->batch.body + s->off, s->tag >> 4, l->text + l->used);
    }
    l->text[l->used + out.n] = '\0';
    l->used += out.n + 1;
    return out;
}

/* At the end of l->text, so that there is a pad after it. */
static bool raw(struct refused_lines *l, struct str *out)
{
    struct str letters;

    if (has(l, RAW) == has(l, RAW_BASE64)) {
        return false;
    }
    if (has(l, RAW)) {
        *out = text(l, RAW);
        return true;
    }
    letters = text(l, RAW_BASE64);
    *out = (struct str){l->text + l->used, 0};
    return base64_read(letters, l->text + l->used, &out->n);
}

bool refused_lines_read(struct refused_lines *l, struct str line,
                        struct refused_line *out)
{
    const struct scan_limits limits = {1, DEPTH_MAX};
    size_t room = 2 * (line.n + SCAN_PAD) + N_PATHS;
    struct scan_error se;
    const struct slot *time;

    if (scan_body(&l->batch, l->keys, SCAN_EVENT, &limits, line.p, line.n, &se) !=
            SCAN_OK ||
        l->batch.events[0].fate != EVENT_ACCEPT) {
        return false;
    }
    if (room > l->room) {
        l->room = 2 * room;
        l->text = mem_realloc(l->text, l->room);
    }
    l->used = 0;
    time = &l->batch.events[0].slots[TIME];
    *out = (struct refused_line){
        .code = text(l, CODE).p,
        .route = text(l, ROUTE),
        .path = text(l, PATH),
        .query = text(l, QUERY),
        .type = text(l, TYPE),
        .peer = text(l, PEER),
        .time_ms = (time->tag & 15) == SLOT_NUMBER ? (int64_t)time->num : -1,
        .one = has(l, INDEX),
        .cut = has(l, CUT)};
    return memchr(out->route.p, ' ', out->route.n) != NULL && raw(l, &out->raw);
}
