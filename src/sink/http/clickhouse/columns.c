#include "sink/http/clickhouse/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/quote.h"
#include "decode/scan.h"
#include "sink/http/clickhouse/names.h"

enum { ARENA_BYTES = 8 << 20, WHOLE = -1, GROUP = SCHEMA_FIELDS_MAX };

struct column {
    char *name; /* "name": in quotes, with its colon */
    size_t n_name;
    int slot; /* or WHOLE */
    struct form form;
};

struct columns {
    struct arena arena;
    struct event_batch batch;
    /* An event is scanned once for each GROUP of columns. */
    struct scan_keys *keys[COLUMNS_MAX / GROUP];
    struct scan_limits limits;
    uint32_t n;
    struct column list[COLUMNS_MAX];
    char *names;
    char *out;
    size_t n_out, room;
};

static char *json_name(const char *name, size_t *n)
{
    size_t k = strlen(name);
    char *out = mem_alloc(quote_bound(k) + 2);

    *n = quote_mended((struct str){name, k}, out);
    out[(*n)++] = ':';
    return out;
}

static void write_names(struct columns *c, const struct column_plan *list)
{
    size_t room = 3, at = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        room += names_bound(strlen(list[i].name)) + 1;
    }
    c->names = mem_zalloc(room);
    for (uint32_t i = 0; i < c->n; i++) {
        c->names[at++] = i == 0 ? '(' : ',';
        at += names_quote(str_of(list[i].name), c->names + at);
    }
    if (c->n > 0) {
        c->names[at++] = ')';
    }
    c->names[at] = '\0';
}

static int find_path(const struct str *paths, uint32_t n, const char *path)
{
    for (uint32_t i = 0; i < n; i++) {
        if (str_eq(paths[i], str_of(path))) {
            return (int)i;
        }
    }
    return -1;
}

/* Columns of one path share its slot. */
static bool make_keys(struct columns *c, const struct column_plan *list, uint32_t first,
                      struct err *e)
{
    struct str paths[GROUP];
    uint32_t n = 0;

    for (uint32_t i = first; i < c->n && i < first + GROUP; i++) {
        if (c->list[i].slot == WHOLE) {
            continue;
        }
        c->list[i].slot = find_path(paths, n, list[i].path);
        if (c->list[i].slot < 0) {
            c->list[i].slot = (int)n;
            paths[n++] = str_of(list[i].path);
        }
    }
    c->keys[first / GROUP] = scan_keys_new(paths, n, e);
    return c->keys[first / GROUP] != NULL;
}

struct columns *columns_new(const struct column_plan *list, uint32_t n, struct err *e)
{
    struct columns *c;

    if (n > COLUMNS_MAX) {
        (void)err_set(e, "more than %d columns", COLUMNS_MAX);
        return NULL;
    }
    c = mem_zalloc(sizeof *c);
    c->n = n;
    c->limits = (struct scan_limits){1, 1024};
    arena_init(&c->arena, ARENA_BYTES);
    event_batch_init(&c->batch, &c->arena);
    for (uint32_t i = 0; i < n; i++) {
        c->list[i] =
            (struct column){.slot = strcmp(list[i].path, "@event") == 0 ? WHOLE : 0,
                            .form = list[i].form};
        c->list[i].name = json_name(list[i].name, &c->list[i].n_name);
    }
    write_names(c, list);
    for (uint32_t i = 0; i < n; i += GROUP) {
        if (!make_keys(c, list, i, e)) {
            columns_free(c);
            return NULL;
        }
    }
    return c;
}

void columns_free(struct columns *c)
{
    if (c == NULL) {
        return;
    }
    for (uint32_t i = 0; i < N_ELEMS(c->keys); i++) {
        scan_keys_free(c->keys[i]);
    }
    for (uint32_t i = 0; i < c->n; i++) {
        free(c->list[i].name);
    }
    event_batch_fini(&c->batch);
    arena_fini(&c->arena);
    free(c->names);
    free(c->out);
    free(c);
}

const char *columns_names(const struct columns *c)
{
    return c->names;
}

/* ---- a row ---- */

static char *room_for(struct columns *c, size_t n)
{
    if (c->n_out + n > c->room) {
        c->room = 2 * (c->n_out + n);
        c->out = mem_realloc(c->out, c->room);
    }
    return c->out + c->n_out;
}

static void put(struct columns *c, const char *p, size_t n)
{
    memcpy(room_for(c, n), p, n);
    c->n_out += n;
}

static void put_quoted(struct columns *c, struct str text)
{
    char *out = room_for(c, quote_bound(text.n));

    c->n_out += quote_write(text, out);
}

static void put_truth(struct columns *c, struct form f, bool truth)
{
    const char *word = truth ? "true" : "false";

    if (f.kind == FORM_TEXT) {
        put_quoted(c, str_of(word));
    } else if (f.kind == FORM_INTEGER) {
        put(c, truth ? "1" : "0", 1);
    } else {
        put(c, word, strlen(word));
    }
}

enum { MOMENT_MOST = 256 };

static void put_text(struct columns *c, struct form f, struct str text, bool escaped)
{
    char *out = room_for(c, text.n + FORM_BOUND);
    char plain[MOMENT_MOST];
    size_t n;

    if (!escaped) {
        n = form_moment(f, text, out);
    } else if (text.n > sizeof plain) {
        n = 0;
    } else {
        n = form_moment(f, (struct str){plain, scan_unescape(text.p, text.n, plain)},
                        out);
    }

    if (n > 0) {
        c->n_out += n;
        return;
    }
    put(c, "\"", 1);
    put(c, text.p, text.n);
    put(c, "\"", 1);
}

static void put_value(struct columns *c, struct form f, const struct slot *s)
{
    struct str text = {c->batch.body + s->off, s->tag >> 4};

    switch (s->tag & 15) {
    case SLOT_NULL:
        put(c, "null", 4);
        break;
    case SLOT_FALSE:
    case SLOT_TRUE:
        put_truth(c, f, (s->tag & 15) == SLOT_TRUE);
        break;
    case SLOT_STRING:
    case SLOT_ESCAPED:
        put_text(c, f, text, (s->tag & 15) == SLOT_ESCAPED);
        break;
    case SLOT_NUMBER:
        c->n_out += form_number(f, text, room_for(c, text.n + FORM_BOUND));
        break;
    default:
        if (f.kind == FORM_TEXT) {
            put_quoted(c, text);
        } else {
            put(c, text.p, text.n);
        }
    }
}

static const struct event *scan(struct columns *c, uint32_t group, struct str event)
{
    struct scan_error se;

    return scan_body(&c->batch, c->keys[group], SCAN_EVENT, &c->limits, event.p,
                     event.n, &se) == SCAN_OK
               ? &c->batch.events[0]
               : NULL;
}

static void put_column(struct columns *c, const struct column *col,
                       const struct event *ev, struct str event)
{
    const struct slot *s = col->slot == WHOLE ? NULL : &ev->slots[col->slot];

    if (s != NULL && ((s->tag & 15) == SLOT_ABSENT ||
                      ((s->tag & 15) == SLOT_NULL && col->form.no_null))) {
        return;
    }
    if (c->n_out > 1) {
        put(c, ",", 1);
    }
    put(c, col->name, col->n_name);
    if (s == NULL) {
        put_quoted(c, event);
    } else {
        put_value(c, col->form, s);
    }
}

struct str columns_row(struct columns *c, struct str event)
{
    c->n_out = 0;
    put(c, "{", 1);
    for (uint32_t first = 0; first < c->n; first += GROUP) {
        const struct event *ev = scan(c, first / GROUP, event);

        for (uint32_t i = first; i < c->n && i < first + GROUP && ev != NULL; i++) {
            put_column(c, &c->list[i], ev, event);
        }
    }
    put(c, "}\n", 2);
    return (struct str){c->out, c->n_out};
}
