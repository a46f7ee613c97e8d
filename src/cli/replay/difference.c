#include "cli/replay/difference.h"

#include <stdio.h>
#include <string.h>

#include "cli/replay/changes.h"

/* Names of the streams in mask, sorted by the plan; "nowhere". */
static const char *names_of(const struct plan *p, uint64_t mask, char *out, size_t n)
{
    size_t k = 0;

    (void)snprintf(out, n, "nowhere");
    for (; mask != 0 && k < n; mask &= mask - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(mask);
        int some = snprintf(out + k, n - k, "%s%s", k > 0 ? ", " : "",
                            i == p->n_streams ? "dead letters" : p->streams[i].name);

        k += some > 0 ? (size_t)some : 0;
    }
    return out;
}

static void add_refused(const struct difference *d, const struct verdict *v,
                        struct str before)
{
    char what[200];

    (void)snprintf(what, sizeof what, "%s%s%s", v->code == NULL ? "?" : v->code,
                   v->field != NULL ? " " : "", v->field != NULL ? v->field : "");
    changes_add(d->changes, CHANGE_REFUSED, what, before, (struct str){NULL, 0}, true);
}

static bool has_stream(const struct plan *p, uint64_t mask, const char *name)
{
    for (uint32_t i = 0; i < p->n_streams; i++) {
        if ((mask & 1ull << i) != 0 && strcmp(p->streams[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Where the new policy sends the event, when that is elsewhere. Without an old policy,
 * copies in further streams are not known. */
static bool is_routed(const struct difference *d, const struct verdict *was,
                      const struct verdict *v, char *what, size_t n)
{
    const struct plan *p = d->fresh;
    char from[160], to[160];

    (void)snprintf(from, sizeof from, "%s", d->stream);
    (void)names_of(p, v->streams, to, sizeof to);
    if (d->old != NULL) {
        (void)names_of(d->old, was->streams, from, sizeof from);
    }
    (void)snprintf(what, n, "%s -> %s", from, to);
    return d->old != NULL
               ? strcmp(from, to) != 0
               : d->stream[0] != '\0' && !has_stream(p, v->streams, d->stream);
}

/* Accepted by both: the same line in the same streams? */
static void compare_stored(const struct difference *d, const struct verdict *was,
                           const struct verdict *v)
{
    char what[400];
    bool edited = v->streams != 0 && !changes_same_line(was->line, v->line);

    if (edited) {
        changes_add(d->changes, CHANGE_EDITED, "", was->line, v->line, true);
    }
    if (is_routed(d, was, v, what, sizeof what)) {
        changes_add(d->changes, CHANGE_ROUTED, what, was->line, (struct str){NULL, 0},
                    !edited);
    }
}

static bool same_code(const struct verdict *a, const struct verdict *b)
{
    return a->code == b->code ||
           (a->code != NULL && b->code != NULL && strcmp(a->code, b->code) == 0);
}

void difference_add(const struct difference *d, struct str stored,
                    const struct verdict *was, const struct verdict *v)
{
    const struct str none = {NULL, 0};

    if (v->fate == was->fate && v->fate != EVENT_ACCEPT) {
        if (v->fate == EVENT_REJECT && !same_code(v, was)) {
            add_refused(d, v, stored);
        }
        return;
    }
    switch (v->fate) {
    case EVENT_REJECT:
        add_refused(d, v, stored);
        break;
    case EVENT_DROP:
        changes_add(d->changes, CHANGE_DROPPED, "", stored, none, true);
        break;
    case EVENT_DEAD:
        changes_add(d->changes, CHANGE_FAILED, v->message, stored, none, true);
        break;
    case EVENT_ACCEPT:
        if (was->fate == EVENT_ACCEPT) {
            compare_stored(d, was, v);
        } else {
            changes_add(d->changes, CHANGE_ACCEPTED, was->code == NULL ? "" : was->code,
                        stored, v->line, true);
        }
    }
}
