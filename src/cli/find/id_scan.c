#include "cli/find/id_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "index/ids.h"
#include "spool/spool.h"

struct id_scan {
    struct str id;
    struct ids **by; /* a reader of each path */
    uint32_t n;
    bool plain; /* only \u can hide a character of the id, or of the path to it */
    /* The first lines of blocks: was one read, had one an id, also by the first path. */
    bool asked, met, met_first;
    /* in the block */
    const struct spool_block *b;
    bool all; /* every line may have it */
    uint32_t line;
    size_t at;
};

/* Characters with an escape of two bytes. */
static bool has_short_escape(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\' || text.p[i] == '/' ||
            (unsigned char)text.p[i] < ' ') {
            return true;
        }
    }
    return false;
}

struct id_scan *id_scan_new(struct str id, const char (*paths)[512], uint32_t n,
                            struct err *e)
{
    struct id_scan *s = mem_zalloc(sizeof *s);

    s->id = id;
    s->plain = id.n > 0 && !has_short_escape(id);
    s->by = mem_zalloc((n + 1) * sizeof(struct ids *));
    for (; s->n < n; s->n++) {
        s->by[s->n] = ids_new(paths[s->n], e);
        s->plain = s->plain && !has_short_escape(str_of(paths[s->n]));
        if (s->by[s->n] == NULL) {
            id_scan_free(s);
            return NULL;
        }
    }
    return s;
}

void id_scan_free(struct id_scan *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        ids_free(s->by[i]);
    }
    free(s->by);
    free(s);
}

/* Whether an escape in the text may hide the id. */
static bool may_hide(const struct id_scan *s, const char *p, size_t n)
{
    const char *end = p + n;

    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        if (!s->plain || (end - p > 1 && p[1] == 'u')) {
            return true;
        }
        p += end - p > 1 ? 2 : 1; /* what follows belongs to it */
    }
    return false;
}

/* The line that has the byte. */
static uint32_t line_of(const struct spool_block *b, size_t at)
{
    uint32_t from = 0, to = b->n;

    while (to - from > 1) {
        const uint32_t mid = from + (to - from) / 2;

        if (b->entries[mid].off <= at) {
            from = mid;
        } else {
            to = mid;
        }
    }
    return from;
}

/* The next line that may have the id. */
static bool next_of(struct id_scan *s, uint32_t *line)
{
    const struct spool_block *b = s->b;
    const char *hit = NULL;

    if (s->all) {
        *line = s->line++;
        return *line < b->n;
    }
    if (s->at < b->payload_bytes) {
        hit = memmem(b->payload + s->at, b->payload_bytes - s->at, s->id.p, s->id.n);
    }
    if (hit == NULL) {
        return false;
    }
    *line = line_of(b, (size_t)(hit - b->payload));
    s->at = (size_t)b->entries[*line].off + b->entries[*line].len + 1;
    return true;
}

/* What the line has at the path; p NULL: nothing that is an id. */
static struct str id_at(const struct id_scan *s, uint32_t line, uint32_t path)
{
    const struct spool_entry *e = &s->b->entries[line];

    ids_read_stored(s->by[path],
                    (struct str){s->b->payload + e->off, (size_t)e->len + 1}, 1);
    return ids_get(s->by[path], 0);
}

static bool has_id(const struct id_scan *s, uint32_t line)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct str id = id_at(s, line, i);

        if (id.p != NULL && str_eq(id, s->id)) {
            return true;
        }
    }
    return false;
}

void id_scan_begin(struct id_scan *s, const struct spool_block *b)
{
    s->b = b;
    s->all = s->id.n == 0 || may_hide(s, b->payload, b->payload_bytes);
    s->line = 0;
    s->at = 0;
    if (b->n > 0) {
        s->asked = true;
        s->met_first = s->met_first || id_at(s, 0, 0).p != NULL;
        s->met |= s->met_first;
    }
    for (uint32_t i = 1; i < s->n && b->n > 0 && !s->met; i++) {
        s->met = id_at(s, 0, i).p != NULL;
    }
}

bool id_scan_asked(const struct id_scan *s)
{
    return s != NULL && s->asked;
}

bool id_scan_met(const struct id_scan *s)
{
    return s != NULL && s->met;
}

bool id_scan_met_first(const struct id_scan *s)
{
    return s != NULL && s->met_first;
}

bool id_scan_next(struct id_scan *s, uint32_t *line)
{
    while (next_of(s, line)) {
        if (has_id(s, *line)) {
            return true;
        }
    }
    return false;
}
