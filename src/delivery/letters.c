#include "delivery/letters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/scan.h"

enum {
    EVENT,
    SINK,
    STREAM,
    REASON,
    WHY,
    POSITION,
    CODE,
    TIME,
    ROUTE,
    ENCODING,
    N_PATHS
};

/* Its event may be as deep as server.max_depth allows at most, and is one deeper here. */
enum { LETTER_DEPTH_MAX = SCAN_DEPTH_MAX + 1 };

struct letters {
    FILE *file;
    struct arena arena;
    struct event_batch batch;
    struct scan_keys *keys;
    char *line;
    size_t room;
    uint64_t bad, refused, at;
};

/* How a record of a refusal begins (conf/REFUSED.md). */
static const char REFUSED[] = "{\"refused\":{\"code\":\"";

struct letters *letters_new(struct err *e)
{
    static const struct str paths[N_PATHS] = {
        [EVENT] = STR("event"),      [SINK] = STR("sink"), [STREAM] = STR("stream"),
        [REASON] = STR("reason"),    [WHY] = STR("why"),   [POSITION] = STR("position"),
        [CODE] = STR("code"),        [TIME] = STR("time"), [ROUTE] = STR("route"),
        [ENCODING] = STR("encoding")};
    struct scan_keys *keys = scan_keys_new(paths, N_PATHS, e);
    struct letters *l;

    if (keys == NULL) {
        return NULL;
    }
    l = mem_zalloc(sizeof *l);
    l->keys = keys;
    arena_init(&l->arena, 8 << 20);
    event_batch_init(&l->batch, &l->arena);
    return l;
}

struct letters *letters_open(const char *path, struct err *e)
{
    FILE *file = fopen(path, "re");
    struct letters *l;
    struct stat st;

    if (file == NULL || fstat(fileno(file), &st) != 0) {
        (void)err_errno(e, errno, "%s", path);
        if (file != NULL) {
            (void)fclose(file);
        }
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        (void)err_set(e, "%s is a folder: name a file in it", path);
        (void)fclose(file);
        return NULL;
    }
    l = letters_new(e);
    if (l == NULL) {
        (void)fclose(file);
        return NULL;
    }
    l->file = file;
    return l;
}

bool letters_lock(struct letters *l, struct err *e)
{
    if (flock(fileno(l->file), LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    return errno == EWOULDBLOCK
               ? err_set(e, "another \"sluice dead replay\" or \"purge\" has the "
                            "letters in hand: wait for its end")
               : err_errno(e, errno, "flock");
}

void letters_close(struct letters *l)
{
    if (l == NULL) {
        return;
    }
    if (l->file != NULL) {
        (void)fclose(l->file);
    }
    scan_keys_free(l->keys);
    event_batch_fini(&l->batch);
    arena_fini(&l->arena);
    free(l->line);
    free(l);
}

static struct str text(const struct event_batch *b, uint32_t i, int slot)
{
    const struct slot *s = &b->events[i].slots[slot];

    return (s->tag & 15) < SLOT_STRING ? (struct str){NULL, 0}
                                       : (struct str){b->body + s->off, s->tag >> 4};
}

/* An event is any value of JSON. */
static struct str event(const struct event_batch *b, uint32_t i)
{
    const struct slot *s = &b->events[i].slots[EVENT];

    switch (s->tag & 15) {
    case SLOT_ABSENT:
        return (struct str){NULL, 0};
    case SLOT_STRING:
    case SLOT_ESCAPED: /* with its quotes */
        return (struct str){b->body + s->off - 1, (s->tag >> 4) + 2};
    default:
        return (struct str){b->body + s->off, s->tag >> 4};
    }
}

/* Whether the text stands for bytes that are not JSON: by the codes of these. */
static bool is_raw(struct str reason)
{
    return str_eq(reason, STR("invalid_json")) || str_eq(reason, STR("too_deep")) ||
           str_eq(reason, STR("too_many_keys"));
}

bool letters_get(const struct letters *l, uint32_t i, struct letter *out)
{
    const struct event_batch *b = &l->batch;
    const struct slot *s;

    if (i >= b->n || b->events[i].fate != EVENT_ACCEPT) {
        return false;
    }
    s = b->events[i].slots;
    *out = (struct letter){.event = event(b, i),
                           .sink = text(b, i, SINK),
                           .stream = text(b, i, STREAM),
                           .reason = text(b, i, REASON),
                           .why = text(b, i, WHY),
                           .position = text(b, i, POSITION),
                           .code = s[CODE].num,
                           .time_ms = s[TIME].num,
                           .base64 = str_eq(text(b, i, ENCODING), STR("base64"))};
    out->quoted = out->event.p != NULL && out->event.p[0] == '"' &&
                  (out->base64 || is_raw(out->reason));
    if (out->quoted) {
        out->event = (struct str){out->event.p + 1, out->event.n - 2};
    }
    if (out->sink.p == NULL) {
        out->sink = text(b, i, ROUTE); /* of a hook that raised */
    }
    return out->event.p != NULL;
}

struct str letter_sent(const struct letter *x, char *room)
{
    size_t n;

    if (!x->quoted) {
        return x->event;
    }
    if (!x->base64) {
        return (struct str){room, scan_unescape(x->event.p, x->event.n, room)};
    }
    return base64_read(x->event, room, &n) ? (struct str){room, n} : x->event;
}

struct str letters_line(const struct letters *l, uint32_t i)
{
    const struct event *ev = &l->batch.events[i];

    return (struct str){l->batch.body + ev->off, ev->len};
}

uint32_t letters_scan(struct letters *l, struct str lines)
{
    static const struct scan_limits limits = {EVENTS_MAX, LETTER_DEPTH_MAX};
    struct scan_error se;

    return scan_body(&l->batch, l->keys, SCAN_NDJSON, &limits, lines.p, lines.n, &se) ==
                   SCAN_OK
               ? l->batch.n
               : 0;
}

bool letters_next(struct letters *l, struct letter *out)
{
    static const struct scan_limits limits = {1, LETTER_DEPTH_MAX};
    struct scan_error se;
    ssize_t n;

    while ((n = getline(&l->line, &l->room, l->file)) > 0) {
        if (l->room < (size_t)n + SCAN_PAD) {
            l->room = (size_t)n + SCAN_PAD;
            l->line = mem_realloc(l->line, l->room);
        }
        if (scan_body(&l->batch, l->keys, SCAN_EVENT, &limits, l->line, (size_t)n,
                      &se) == SCAN_OK &&
            letters_get(l, 0, out)) {
            l->at += (uint64_t)n; /* people may have left out the last line's end */
            return true;
        }
        if (l->line[n - 1] != '\n') {
            break; /* it is being written, or was cut */
        }
        l->at += (uint64_t)n;
        l->bad += n > 1; /* not the end of a line that was read without it */
        l->refused += strncmp(l->line, REFUSED, sizeof REFUSED - 1) == 0;
    }
    return false;
}

bool letters_ended(const struct letters *l, struct err *e)
{
    return !ferror(l->file) || err_set(e, "the letters can't be read to their end");
}

uint64_t letters_bad(const struct letters *l)
{
    return l->bad;
}

uint64_t letters_refused(const struct letters *l)
{
    return l->refused;
}

uint64_t letters_at(const struct letters *l)
{
    return l->at;
}

bool letters_go_to(struct letters *l, uint64_t at, struct err *e)
{
    if (fseeko(l->file, (off_t)at, SEEK_SET) != 0) {
        return err_errno(e, errno, "the letters can't be read from byte %lu",
                         (unsigned long)at);
    }
    l->at = at;
    return true;
}

uint64_t letters_bytes(const struct letters *l)
{
    struct stat st;

    return fstat(fileno(l->file), &st) == 0 ? (uint64_t)st.st_size : 0;
}

bool letters_cut(const struct letters *l)
{
    return letters_bytes(l) > l->at;
}

bool letters_are(const struct letters *l, const char *path)
{
    struct stat named, open;

    return stat(path, &named) == 0 && fstat(fileno(l->file), &open) == 0 &&
           named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}
