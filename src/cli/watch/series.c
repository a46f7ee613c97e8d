#include "cli/watch/series.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { LABELS = 64, BUCKETS_MAX = 512 };

/* The end of a line's labels: a '}' outside of quotes. NULL: it has none. */
static char *labels_end(char *p)
{
    bool quoted = false;

    for (; *p != '\0' && *p != '\n'; p++) {
        if (quoted && *p == '\\' && p[1] != '\0') {
            p++;
        } else if (*p == '"') {
            quoted = !quoted;
        } else if (*p == '}' && !quoted) {
            return p;
        }
    }
    return NULL;
}

/* One line, which is cut into its parts. False: it is none of a series. */
static bool read_line(char *line, struct series *x)
{
    size_t n = strcspn(line, "{ ");
    char *value = line + n, *end;

    if (line[0] == '#' || n == 0 || *value == '\0') {
        return false;
    }
    x->name = line;
    x->labels = "";
    if (*value == '{') {
        end = labels_end(value);
        if (end == NULL) {
            return false;
        }
        x->labels = value + 1;
        *end = '\0';
        *value = '\0';
        value = end;
    }
    *value++ = '\0';
    x->value = strtod(value, NULL);
    if (!isfinite(x->value)) {
        x->value = 0;
    }
    return true;
}

static size_t place_of(const struct series_list *s, const char *name, struct str labels)
{
    const uint64_t hash = str_hash(str_hash(STR_HASH, str_of(name)), labels);

    return (size_t)(hash ^ hash >> 32) & (s->n_places - 1);
}

/* At least half of the places stay free. */
static void place_all(struct series_list *s)
{
    for (s->n_places = s->n == 0 ? 0 : 64; s->n_places < 2 * s->n;) {
        s->n_places *= 2;
    }
    s->places = mem_zalloc((s->n_places + 1) * sizeof *s->places);
    for (size_t i = 0; i < s->n; i++) {
        size_t at = place_of(s, s->list[i].name, str_of(s->list[i].labels));

        while (s->places[at] != 0) {
            at = (at + 1) & (s->n_places - 1);
        }
        s->places[at] = (uint32_t)(i + 1);
    }
}

const struct series *series_find(const struct series_list *s, const char *name,
                                 const char *labels, size_t n)
{
    const struct str wanted = {labels, n};

    if (s->n_places == 0) {
        return NULL;
    }
    for (size_t at = place_of(s, name, wanted); s->places[at] != 0;
         at = (at + 1) & (s->n_places - 1)) {
        const struct series *x = &s->list[s->places[at] - 1];

        if (strcmp(x->name, name) == 0 && str_eq(str_of(x->labels), wanted)) {
            return x;
        }
    }
    return NULL;
}

void series_read(struct series_list *s, const char *exposition)
{
    size_t room = 256;
    char *line, *next;

    *s = (struct series_list){.text = mem_strdup(exposition)};
    s->list = mem_alloc(room * sizeof *s->list);
    for (line = s->text; *line != '\0'; line = next) {
        size_t n = strcspn(line, "\n");

        next = line + n + (line[n] == '\n');
        line[n] = '\0';
        if (s->n == room) {
            room *= 2;
            s->list = mem_realloc(s->list, room * sizeof *s->list);
        }
        s->n += read_line(line, &s->list[s->n]);
    }
    place_all(s);
}

void series_free(struct series_list *s)
{
    free(s->text);
    free(s->list);
    free(s->places);
    *s = (struct series_list){0};
}

/* The value of a label in its quotes, escaped still; NULL: it has none. */
static const char *find(const char *labels, const char *name)
{
    size_t n = strlen(name);

    while (*labels != '\0') {
        bool is = strncmp(labels, name, n) == 0 && strncmp(labels + n, "=\"", 2) == 0;

        labels += strcspn(labels, "\"");
        if (*labels == '\0') {
            return NULL;
        }
        labels++;
        if (is) {
            return labels;
        }
        while (*labels != '\0' && *labels != '"') {
            labels += labels[0] == '\\' && labels[1] != '\0' ? 2 : 1;
        }
        labels += *labels == '"';
        labels += *labels == ',';
    }
    return NULL;
}

const char *series_label(const struct series *x, const char *name, char *out, size_t n)
{
    const char *p = find(x->labels, name);
    size_t k = 0;

    while (p != NULL && *p != '\0' && *p != '"' && k + 1 < n) {
        char c = *p++;

        if (c == '\\' && *p != '\0') {
            c = *p == 'n' ? '\n' : *p;
            p++;
        }
        out[k++] = c;
    }
    out[k] = '\0';
    return out;
}

double series_sum(const struct series_list *s, const char *name, const char *pair)
{
    double sum = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->list[i].name, name) == 0 &&
            (pair == NULL || strstr(s->list[i].labels, pair) != NULL)) {
            sum += s->list[i].value;
        }
    }
    return sum;
}

/* ---- histograms ---- */

struct bucket {
    double le, n; /* n: of this bucket and those below */
};

static int by_bound(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;

    return x->le < y->le ? -1 : x->le > y->le;
}

/* Adds sign times the buckets of s to those in list; returns how many there are. */
static size_t add_buckets(const struct series_list *s, const char *name, double sign,
                          struct bucket *list, size_t n)
{
    char bucket[128], text[LABELS];

    (void)snprintf(bucket, sizeof bucket, "%s_bucket", name);
    for (size_t i = 0; i < s->n; i++) {
        double le;
        size_t k = 0;

        if (strcmp(s->list[i].name, bucket) != 0) {
            continue;
        }
        (void)series_label(&s->list[i], "le", text, sizeof text);
        le = strcmp(text, "+Inf") == 0 ? HUGE_VAL : strtod(text, NULL);
        while (k < n && list[k].le != le) {
            k++;
        }
        if (k == n && n == BUCKETS_MAX) {
            continue;
        }
        if (k == n) {
            list[n++] = (struct bucket){le, 0};
        }
        list[k].n += sign * s->list[i].value;
    }
    return n;
}

double series_quantile(const struct series_list *before, const struct series_list *now,
                       const char *name, double q)
{
    struct bucket list[BUCKETS_MAX];
    size_t n = add_buckets(now, name, 1, list, 0);
    double last = 0;

    n = add_buckets(before, name, -1, list, n);
    if (n == 0) {
        return -1;
    }
    qsort(list, n, sizeof *list, by_bound);
    if (list[n - 1].n <= 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (isfinite(list[i].le)) {
            last = list[i].le;
        }
        if (list[i].n >= q * list[n - 1].n) {
            break;
        }
    }
    return last;
}
