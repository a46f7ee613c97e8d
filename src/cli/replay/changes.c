#include "cli/replay/changes.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "cli/show.h"
#include "decode/quote.h"

enum { ROWS_MAX = 64, WHAT_BYTES = 200, SAMPLE_BYTES = 4096, SHOWN_BYTES = 400 };

struct sample {
    char *before, *after; /* cut to SAMPLE_BYTES; after NULL: there is none */
};

/* A kind with one cause. */
struct row {
    enum change kind;
    char what[WHAT_BYTES];
    uint64_t n;
    struct sample *samples;
    uint32_t n_samples;
};

struct changes {
    uint32_t samples;
    uint64_t events, changed;
    uint64_t by_kind[N_CHANGES];
    struct row rows[ROWS_MAX]; /* the last takes the changes without a place of their
                                  own */
    uint32_t n;
};

static const char *const names[N_CHANGES] = {
    [CHANGE_REFUSED] = "refused", [CHANGE_ACCEPTED] = "accepted",
    [CHANGE_EDITED] = "edited",   [CHANGE_DROPPED] = "dropped",
    [CHANGE_FAILED] = "failed",   [CHANGE_ROUTED] = "routed"};

struct changes *changes_new(uint32_t samples)
{
    struct changes *c = mem_zalloc(sizeof *c);

    c->samples = samples;
    return c;
}

void changes_free(struct changes *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        for (uint32_t k = 0; k < c->rows[i].n_samples; k++) {
            free(c->rows[i].samples[k].before);
            free(c->rows[i].samples[k].after);
        }
        free(c->rows[i].samples);
    }
    free(c);
}

/* A refused event can be any bytes: terminals and readers of JSON get only text. */
static char *clean(char *p, size_t n)
{
    bool text = quote_is_utf8((struct str){p, n});

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c < ' ' || c == 0x7F) {
            p[i] = ' ';
        } else if (c >= 0x80 && !text) {
            p[i] = '?';
        }
    }
    return p;
}

static struct row *row_of(struct changes *c, enum change kind, const char *cause)
{
    char what[WHAT_BYTES];

    (void)snprintf(what, sizeof what, "%s", cause);
    (void)clean(what, strlen(what));
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->rows[i].kind == kind && strcmp(c->rows[i].what, what) == 0) {
            return &c->rows[i];
        }
    }
    if (c->n == ROWS_MAX) {
        return &c->rows[ROWS_MAX - 1];
    }
    c->rows[c->n] = (struct row){.kind = kind};
    (void)snprintf(c->rows[c->n].what, WHAT_BYTES, "%s",
                   c->n == ROWS_MAX - 1 ? "and others" : what);
    return &c->rows[c->n++];
}

static char *cut(struct str s)
{
    size_t n = s.n < SAMPLE_BYTES ? s.n : SAMPLE_BYTES;

    /* Between two characters. */
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80) {
        n--;
    }
    return s.p == NULL ? NULL : clean(mem_strndup(s.p, n), n);
}

void changes_add(struct changes *c, enum change kind, const char *what,
                 struct str before, struct str after, bool fresh)
{
    struct row *r = row_of(c, kind, what);

    c->changed += fresh;
    c->by_kind[kind]++;
    r->n++;
    if (r->n_samples < c->samples) {
        r->samples = mem_realloc(r->samples, (r->n_samples + 1) * sizeof *r->samples);
        r->samples[r->n_samples++] = (struct sample){cut(before), cut(after)};
    }
}

void changes_seen(struct changes *c, uint64_t n)
{
    c->events += n;
}

uint64_t changes_events(const struct changes *c)
{
    return c->events;
}

uint64_t changes_changed(const struct changes *c)
{
    return c->changed;
}

/* The next byte at or after p that means something; end: there is none. */
static const char *skip_blanks(const char *p, const char *end, bool quoted)
{
    while (!quoted && p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    return p;
}

bool changes_same_line(struct str a, struct str b)
{
    const char *p = a.p, *q = b.p, *p_end = a.p + a.n, *q_end = b.p + b.n;
    bool quoted = false;

    if (str_eq(a, b)) {
        return true;
    }
    for (;;) {
        p = skip_blanks(p, p_end, quoted);
        q = skip_blanks(q, q_end, quoted);
        if (p >= p_end || q >= q_end || *p != *q) {
            return p >= p_end && q >= q_end;
        }
        if (quoted && *p == '\\') {
            p++; /* an escaped character ends no string; compared next */
            q++;
            if (*p != *q) {
                return false;
            }
        } else if (*p == '"') {
            quoted = !quoted;
        }
        p++;
        q++;
    }
}

/* ---- for people ---- */

static void print_line(FILE *to, const char *mark, const char *z)
{
    show_line(to, "    %s %.*s%s", mark, SHOWN_BYTES, z,
              strlen(z) > SHOWN_BYTES ? "..." : "");
}

static void print_row(const struct row *r, FILE *to)
{
    show_line(to, "  %10lu  %s%s%s", (unsigned long)r->n, names[r->kind],
              r->what[0] != '\0' ? ": " : "", r->what);
    for (uint32_t i = 0; i < r->n_samples; i++) {
        bool both = r->samples[i].after != NULL;

        print_line(to, both ? "-" : " ", r->samples[i].before);
        if (both) {
            print_line(to, "+", r->samples[i].after);
        }
    }
}

void changes_print(const struct changes *c, FILE *to)
{
    (void)fprintf(to, "  %10lu  unchanged\n", (unsigned long)(c->events - c->changed));
    for (int kind = 0; kind < N_CHANGES; kind++) {
        for (uint32_t i = 0; i < c->n; i++) {
            if ((int)c->rows[i].kind == kind) {
                print_row(&c->rows[i], to);
            }
        }
    }
}

/* ---- for programs ---- */

static cJSON *row_json(const struct row *r)
{
    cJSON *o = cJSON_CreateObject(), *list;

    (void)cJSON_AddStringToObject(o, "kind", names[r->kind]);
    (void)cJSON_AddStringToObject(o, "what", r->what);
    (void)cJSON_AddNumberToObject(o, "events", (double)r->n);
    list = cJSON_AddArrayToObject(o, "samples");
    for (uint32_t i = 0; i < r->n_samples; i++) {
        cJSON *s = cJSON_CreateObject();

        (void)cJSON_AddStringToObject(s, "before", r->samples[i].before);
        if (r->samples[i].after != NULL) {
            (void)cJSON_AddStringToObject(s, "after", r->samples[i].after);
        }
        (void)cJSON_AddItemToArray(list, s);
    }
    return o;
}

void changes_print_json(const struct changes *c, const char *head, FILE *to)
{
    cJSON *o = head == NULL ? cJSON_CreateObject() : cJSON_Parse(head);
    cJSON *list;
    char *text;

    (void)cJSON_AddNumberToObject(o, "events", (double)c->events);
    (void)cJSON_AddNumberToObject(o, "unchanged", (double)(c->events - c->changed));
    (void)cJSON_AddNumberToObject(o, "changed", (double)c->changed);
    for (int kind = 0; kind < N_CHANGES; kind++) {
        (void)cJSON_AddNumberToObject(o, names[kind], (double)c->by_kind[kind]);
    }
    list = cJSON_AddArrayToObject(o, "changes");
    for (uint32_t i = 0; i < c->n; i++) {
        (void)cJSON_AddItemToArray(list, row_json(&c->rows[i]));
    }
    text = cJSON_PrintUnformatted(o);
    show_json(to, str_of(text));
    cJSON_free(text);
    cJSON_Delete(o);
}
