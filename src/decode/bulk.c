/*
 * Lines in pairs, as Elasticsearch's _bulk takes them: an action such as {"index":{}},
 * and the event. A delete has no line of its own after it.
 *
 * Which line is an action is known by counting alone. So a line that is no action refuses
 * the body, and one that is no event refuses that event.
 */
#include "decode/envelope.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "decode/list.h"

enum action_kind { ACTION_TAKEN, ACTION_UPDATE, ACTION_DELETE, ACTION_NONE };

static const char expected[] =
    "expected an action on this line, such as {\"index\":{}}";

struct envelope *envelope_bulk_new(const struct str *fields, unsigned n, struct err *e)
{
    struct str paths[ENVELOPE_FIELDS_MAX];
    struct envelope *v;

    if (n > ENVELOPE_FIELDS_MAX) {
        (void)err_set(e, "more than %d values of an action", ENVELOPE_FIELDS_MAX);
        return NULL;
    }
    v = mem_zalloc(sizeof *v);
    v->bulk = true;
    v->n_all = n;
    for (unsigned i = 0; i < n; i++) {
        if (str_eq(fields[i], STR("$action"))) {
            v->wants_action = true;
            v->action_place = (uint8_t)i;
        } else {
            v->places[v->n_fields] = (uint8_t)i;
            paths[v->n_fields++] = fields[i];
        }
    }
    v->keys = scan_keys_new(paths, v->n_fields, e);
    if (v->keys == NULL) {
        envelope_free(v);
        return NULL;
    }
    return v;
}

bool envelope_is_bulk(const struct envelope *v)
{
    return v->bulk;
}

/* The next line that is not empty, between p and end. False: there is none. */
static bool next_line(struct scan *s, const char *end, const char **line)
{
    struct lex *l = &s->l;

    for (*line = l->p; *line < end; *line = l->p) {
        const char *nl = memchr(l->p, '\n', (size_t)(end - l->p));

        l->end = nl == NULL ? end : nl;
        lex_space(l);
        if (l->p < l->end) {
            return true;
        }
        l->p = nl == NULL ? end : nl + 1;
    }
    return false;
}

static enum action_kind kind_of(struct str word)
{
    return str_eq(word, STR("\"index\"")) || str_eq(word, STR("\"create\""))
               ? ACTION_TAKEN
           : str_eq(word, STR("\"update\"")) ? ACTION_UPDATE
           : str_eq(word, STR("\"delete\"")) ? ACTION_DELETE
                                             : ACTION_NONE;
}

static bool is_next(struct lex *l, char c)
{
    lex_maybe_space(l);
    if (l->p >= l->end || *l->p != c) {
        return lex_fail(l, l->p, expected);
    }
    return true;
}

/* {"word": up to the object after it. */
static bool read_word(struct lex *l, struct str *word)
{
    bool escaped;

    if (!is_next(l, '{')) {
        return false;
    }
    l->p++;
    if (!is_next(l, '"')) {
        return false;
    }
    word->p = l->p++;
    if (!lex_string(l, &escaped)) {
        return false;
    }
    word->n = (size_t)(l->p - word->p);
    if (kind_of(*word) == ACTION_NONE) {
        return lex_fail(l, word->p,
                        "expected \"index\", \"create\", \"update\" or \"delete\"");
    }
    if (!is_next(l, ':')) {
        return false;
    }
    l->p++;
    return is_next(l, '{');
}

/* More members of the action's line, which some clients keep there for themselves, as
 * {"index":{},"attempts":1}: passed over, unless they are another action. */
static bool pass_more(struct lex *l)
{
    enum slot_kind kind;

    while (lex_maybe_space(l), l->p < l->end && *l->p == ',') {
        struct str word;
        bool escaped;

        l->p++;
        if (!is_next(l, '"')) {
            return false;
        }
        word.p = l->p++;
        if (!lex_string(l, &escaped)) {
            return false;
        }
        word.n = (size_t)(l->p - word.p);
        if (kind_of(word) != ACTION_NONE) {
            return lex_fail(l, word.p, "expected one action on a line");
        }
        if (!is_next(l, ':')) {
            return false;
        }
        l->p++;
        lex_maybe_space(l);
        if (!lex_value(l, 1, &kind)) {
            return false;
        }
    }
    return is_next(l, '}');
}

static enum scan_result read_action(struct scan *s, const struct envelope *v,
                                    struct slot *values, enum action_kind *kind,
                                    struct scan_error *se)
{
    struct lex *l = &s->l;
    enum scan_result r;
    struct str word;

    l->deep = l->wide = false;
    if (!read_word(l, &word)) {
        return scan_failed(s, se);
    }
    *kind = kind_of(word);
    r = envelope_one(s, v, word, values, se);
    if (r != SCAN_OK) {
        return r;
    }
    if (!pass_more(l)) {
        return scan_failed(s, se);
    }
    l->p++;
    lex_space(l);
    if (l->p != l->end) {
        (void)lex_fail(l, l->p, "expected the end of the line after the action");
        return scan_failed(s, se);
    }
    return SCAN_OK;
}

/* The line after the action, which stood at action. */
static void read_document(struct scan *s, struct event *ev, enum action_kind kind,
                          const char *action, const char *end)
{
    struct lex *l = &s->l;
    const char *line = l->end < end ? l->end + 1 : end, *nl;

    if (kind == ACTION_DELETE) {
        event_slice(s, ev, action, l->end);
        event_reject(ev, "unsupported_action", NULL,
                     "this route takes index and create, not delete");
        return;
    }
    nl = memchr(line, '\n', (size_t)(end - line));
    l->p = line;
    l->end = nl == NULL ? end : nl;
    l->deep = l->wide = false;
    lex_space(l);
    if (l->p == l->end) {
        event_slice(s, ev, action, line);
        event_reject(ev, "missing_event", NULL,
                     "expected the event on the line after its action");
    } else if (kind == ACTION_UPDATE) {
        event_slice(s, ev, line, l->end);
        event_reject(ev, "unsupported_action", NULL,
                     "this route takes index and create, not update");
    } else {
        line_read(s, ev, line);
    }
}

/* To the last event. */
static void give(struct scan *s, const struct envelope *v, const struct slot *values)
{
    uint32_t last = s->b->n - 1;

    for (unsigned i = 0; i < v->n_fields; i++) {
        envelope_keep(s->b, last, v->places[i], &values[i]);
    }
    if (v->wants_action) {
        envelope_keep(s->b, last, v->action_place, &values[v->n_fields]);
    }
}

enum scan_result bulk_read(struct scan *s, const struct envelope *v,
                           struct scan_error *se)
{
    struct slot values[ENVELOPE_FIELDS_MAX];
    const char *end = s->l.end, *line;
    enum action_kind kind = ACTION_NONE;
    enum scan_result r;
    struct event *ev;

    while (next_line(s, end, &line)) {
        r = read_action(s, v, values, &kind, se);
        if (r != SCAN_OK) {
            return r;
        }
        ev = event_next(s);
        if (ev == NULL) {
            return event_too_many(s, se);
        }
        read_document(s, ev, kind, line, end);
        give(s, v, values);
        s->l.p = s->l.end < end ? s->l.end + 1 : end;
    }
    return SCAN_OK;
}
