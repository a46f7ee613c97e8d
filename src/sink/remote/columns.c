#include "sink/remote/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/quote.h"
#include "decode/scan.h"

enum { ARENA_BYTES = 8 << 20, WHOLE = -1 };

struct columns {
    struct arena arena;
    struct event_batch batch;
    struct scan_keys *keys;
    struct scan_limits limits;
    uint32_t n;
    struct {
        char name[264];     /* "name": in quotes, with its colon */
        size_t n_name;
        int slot;           /* or WHOLE */
    } list[SCHEMA_FIELDS_MAX];
    size_t n_names;
    char *names;
};

struct columns *columns_new(const struct pair_plan *list, uint32_t n,
                            struct err *e)
{
    struct columns *c;
    struct str paths[SCHEMA_FIELDS_MAX];
    uint32_t n_paths = 0;
    size_t room = 3, at = 0;

    if (n > SCHEMA_FIELDS_MAX) {
        (void)err_set(e, "more than %d columns", SCHEMA_FIELDS_MAX);
        return NULL;
    }
    c = mem_zalloc(sizeof *c);
    c->n = n;
    c->limits = (struct scan_limits){1, 1024};
    arena_init(&c->arena, ARENA_BYTES);
    event_batch_init(&c->batch, &c->arena);
    for (uint32_t i = 0; i < n; i++) {
        bool whole = strcmp(list[i].value, "@event") == 0;

        c->list[i].n_name = (size_t)snprintf(
            c->list[i].name, sizeof c->list[i].name, "\"%s\":", list[i].name);
        c->list[i].slot = whole ? WHOLE : (int)n_paths;
        if (!whole) {
            paths[n_paths++] = str_of(list[i].value);
        }
        c->n_names += c->list[i].n_name + 1;
        room += strlen(list[i].name) + 1;
    }
    c->names = mem_zalloc(room);
    for (uint32_t i = 0; i < n; i++) {
        at += (size_t)snprintf(c->names + at, room - at, "%c%s",
                               i == 0 ? '(' : ',', list[i].name);
    }
    (void)snprintf(c->names + at, room - at, "%s", n > 0 ? ")" : "");
    c->keys = scan_keys_new(paths, n_paths, e);
    if (c->keys == NULL) {
        columns_free(c);
        return NULL;
    }
    return c;
}

void columns_free(struct columns *c)
{
    if (c == NULL) {
        return;
    }
    scan_keys_free(c->keys);
    event_batch_fini(&c->batch);
    arena_fini(&c->arena);
    free(c->names);
    free(c);
}

const char *columns_names(const struct columns *c)
{
    return c->names;
}

size_t columns_bound(const struct columns *c, size_t n)
{
    /* A value is at most the event, and "@event" may be all escapes. */
    return c->n_names + quote_bound(n) + c->n * n + 8;
}

static size_t value_of(const struct slot *s, const char *body, char *out)
{
    size_t n = s->tag >> 4;

    switch (s->tag & 15) {
    case SLOT_NULL:
        memcpy(out, "null", 4);
        return 4;
    case SLOT_FALSE:
        memcpy(out, "false", 5);
        return 5;
    case SLOT_TRUE:
        memcpy(out, "true", 4);
        return 4;
    case SLOT_STRING:
    case SLOT_ESCAPED:
        out[0] = '"';
        memcpy(out + 1, body + s->off, n);
        out[n + 1] = '"';
        return n + 2;
    default:
        memcpy(out, body + s->off, n);
        return n;
    }
}

static const struct event *scan(struct columns *c, struct str event)
{
    struct scan_error se;

    return scan_body(&c->batch, c->keys, SCAN_EVENT, &c->limits, event.p,
                     event.n, &se) == SCAN_OK
               ? &c->batch.events[0]
               : NULL;
}

size_t columns_row(struct columns *c, struct str event, char *out)
{
    const struct event *ev = scan(c, event);
    size_t n = 1;

    out[0] = '{';
    for (uint32_t i = 0; i < c->n && ev != NULL; i++) {
        const struct slot *s =
            c->list[i].slot == WHOLE ? NULL : &ev->slots[c->list[i].slot];

        if (s != NULL && (s->tag & 15) == SLOT_ABSENT) {
            continue;
        }
        if (n > 1) {
            out[n++] = ',';
        }
        memcpy(out + n, c->list[i].name, c->list[i].n_name);
        n += c->list[i].n_name;
        n += s == NULL ? quote_write(event, out + n)
                       : value_of(s, c->batch.body, out + n);
    }
    out[n++] = '}';
    out[n++] = '\n';
    return n;
}
