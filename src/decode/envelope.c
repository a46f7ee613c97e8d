/* The path of a batch's events, cut at its lists, and those of the wanted values: one
 * tree of keys for each level. */
#include "decode/envelope.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "decode/list.h"

enum { LEVELS_MAX = 8 };

/* {"events":[...]}, where no route says otherwise. */
static const struct scan_keys usual_keys = {
    .n_slots = 1,
    .n_children = 1,
    .n_nodes = 1,
    .children = {
        {.key = {"events", 6}, .slot = EVENTS, .node = KEY_NONE, .next = KEY_NONE}}};

const struct envelope envelope_usual = {.keys = &usual_keys,
                                        .missing =
                                            "expected {\"events\":[...]} or an array; "
                                            "NDJSON has Content-Type: "
                                            "application/x-ndjson",
                                        .no_array = "\"events\" must be an array",
                                        .twice = "\"events\" is given twice"};

/* Whether a value at path would hold the value at inner. */
static bool holds(struct str path, struct str inner)
{
    return str_eq(path, inner) ||
           (path.n < inner.n && memcmp(path.p, inner.p, path.n) == 0 &&
            inner.p[path.n] == '.');
}

/* The path of the events cut at its lists: level i is the text from starts[i], and its
 * list ends at ends[i], before "[]". */
struct levels {
    struct str events;
    unsigned n;
    size_t starts[LEVELS_MAX], ends[LEVELS_MAX];
};

/* The next "[]" of text at or after i; text.n: there is none. */
static size_t next_list(struct str text, size_t i)
{
    for (; i + 1 < text.n; i += text.p[i] == '\\' ? 2 : 1) {
        if (text.p[i] == '[' && text.p[i + 1] == ']') {
            return i;
        }
    }
    return text.n;
}

static bool find_levels(struct str events, struct levels *out, struct err *e)
{
    size_t at = 0, end;

    *out = (struct levels){.events = events, .n = 0};
    do {
        if (out->n == LEVELS_MAX) {
            return err_set(e, "more than %d lists on the way to the events",
                           LEVELS_MAX);
        }
        end = next_list(events, at);
        out->starts[out->n] = at;
        out->ends[out->n++] = end;
        at = end + 3;
    } while (at < events.n && events.p[at - 1] == '.');
    return (end == events.n ? out->n == 1 : end + 2 == events.n) ||
           err_set(e,
                   "%.*s: the last list holds the events, and a dot follows the others",
                   (int)events.n, events.p);
}

static struct str level_path(const struct levels *x, unsigned level)
{
    return (struct str){x->events.p + x->starts[level],
                        x->ends[level] - x->starts[level]};
}

/* The level that a field lies in, and its path there. False: its lists are others. */
static bool find_level(const struct levels *x, struct str field, unsigned *level,
                       struct str *path)
{
    *level = 0;
    *path = field;
    while (*level + 1 < x->n) {
        size_t n = x->starts[*level + 1];

        if (field.n <= n || memcmp(field.p, x->events.p, n) != 0) {
            break;
        }
        (*level)++;
        *path = (struct str){field.p + n, field.n - n};
    }
    return next_list(*path, 0) == path->n;
}

/* The fields of one level, as paths after that of its list. */
static bool level_fields(const struct levels *x, unsigned level,
                         const struct str *fields, unsigned n, struct envelope *v,
                         struct str *paths, struct err *e)
{
    paths[0] = level_path(x, level);
    for (unsigned i = 0; i < n; i++) {
        struct str path;
        unsigned of;

        if (!find_level(x, fields[i], &of, &path)) {
            return err_set(e, "%.*s: its lists are not those of the events",
                           (int)fields[i].n, fields[i].p);
        }
        if (of != level) {
            continue;
        }
        if (holds(path, paths[0]) || holds(paths[0], path)) {
            return err_set(e, "%.*s holds the events or lies in them", (int)fields[i].n,
                           fields[i].p);
        }
        v->places[v->n_fields] = (uint8_t)i;
        paths[++v->n_fields] = path;
    }
    return true;
}

static void say(struct envelope *v, const struct levels *x, unsigned level)
{
    struct str all = x->events, list = {all.p, x->ends[level]};
    int n = (int)(list.n < 64 ? list.n : 64);

    (void)snprintf(v->missing, ENVELOPE_TEXT_MAX,
                   "expected an object with the events at \"%.*s\"",
                   (int)(all.n < 64 ? all.n : 64), all.p);
    (void)snprintf(
        v->astray, ENVELOPE_TEXT_MAX,
        "is a batch, with its events at \"%.*s\": send it alone as the body, "
        "not in an array or after another value",
        n, list.p);
    (void)snprintf(v->no_array, ENVELOPE_TEXT_MAX, "expected an array at \"%.*s\"", n,
                   list.p);
    (void)snprintf(v->twice, ENVELOPE_TEXT_MAX, "\"%.*s\" is given twice", n, list.p);
    (void)snprintf(v->no_object, ENVELOPE_TEXT_MAX,
                   "expected objects in the array at \"%.*s\"", n, list.p);
}

static struct envelope *level_new(const struct levels *x, unsigned level,
                                  const struct str *fields, unsigned n, struct err *e)
{
    struct str paths[ENVELOPE_FIELDS_MAX + 1];
    struct envelope *v = mem_zalloc(sizeof *v);

    v->n_all = n;
    if (level_fields(x, level, fields, n, v, paths, e)) {
        v->keys = scan_keys_new(paths, v->n_fields + 1, e);
    }
    if (v->keys != NULL && level + 1 < x->n) {
        v->inner = level_new(x, level + 1, fields, n, e);
    }
    if (v->keys == NULL || (level + 1 < x->n && v->inner == NULL)) {
        envelope_free(v);
        return NULL;
    }
    say(v, x, level);
    return v;
}

struct envelope *envelope_new(struct str events, const struct str *fields, unsigned n,
                              struct err *e)
{
    struct levels x;

    if (n > ENVELOPE_FIELDS_MAX) {
        (void)err_set(e, "more than %d values of an envelope", ENVELOPE_FIELDS_MAX);
        return NULL;
    }
    return find_levels(events, &x, e) ? level_new(&x, 0, fields, n, e) : NULL;
}

void envelope_free(struct envelope *v)
{
    if (v != NULL) {
        envelope_free(v->inner);
        scan_keys_free((struct scan_keys *)(uintptr_t)v->keys);
        free(v);
    }
}
