#include "decode/walk.h"

#include <string.h>

#include "decode/scan.h"

enum { NAME_BYTES_MAX = 1024 };

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ') {
        p++;
    }
    return p;
}

/* p is behind the opening quote; returns after the closing one. */
static const char *skip_string(const char *p, const char *end, bool *escaped)
{
    while (p < end && *p != '"') {
        if (*p == '\\') {
            *escaped = true;
            p++;
        }
        p++;
    }
    return p < end ? p + 1 : end;
}

static const char *skip_container(const char *p, const char *end)
{
    unsigned depth = 0;
    bool escaped;

    while (p < end) {
        char c = *p++;

        if (c == '"') {
            p = skip_string(p, end, &escaped);
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            break;
        }
    }
    return p;
}

static const char *skip_bare(const char *p, const char *end)
{
    while (p < end && *p != ',' && *p != '}' && *p != ']' && (unsigned char)*p > ' ') {
        p++;
    }
    return p;
}

static const char *skip_value(const char *p, const char *end, enum slot_kind *kind)
{
    bool escaped = false;

    switch (*p) {
    case '"':
        p = skip_string(p + 1, end, &escaped);
        *kind = escaped ? SLOT_ESCAPED : SLOT_STRING;
        return p;
    case '{':
        *kind = SLOT_OBJECT;
        return skip_container(p, end);
    case '[':
        *kind = SLOT_ARRAY;
        return skip_container(p, end);
    case 't':
        *kind = SLOT_TRUE;
        break;
    case 'f':
        *kind = SLOT_FALSE;
        break;
    case 'n':
        *kind = SLOT_NULL;
        break;
    default:
        *kind = SLOT_NUMBER;
    }
    return skip_bare(p, end);
}

void walk_start(struct walk *w, struct str object)
{
    w->end = object.p + object.n;
    w->p = object.n == 0 ? w->end : object.p + 1;
}

bool walk_next(struct walk *w, struct member *m)
{
    const char *p = skip_space(w->p, w->end);
    const char *from;

    if (p < w->end && *p == ',') {
        p = skip_space(p + 1, w->end);
    }
    if (p >= w->end || *p != '"') {
        return false;
    }
    from = p + 1;
    m->key_escaped = false;
    p = skip_string(from, w->end, &m->key_escaped);
    m->key = (struct str){from, (size_t)(p - 1 - from)};
    p = skip_space(p, w->end) + 1; /* the colon */
    p = skip_space(p, w->end);
    if (p >= w->end) {
        return false;
    }
    from = p;
    p = skip_value(p, w->end, &m->kind);
    m->value = (struct str){from, (size_t)(p - from)};
    w->p = p;
    return true;
}

struct str walk_value(const char *p, const char *end, enum slot_kind *kind)
{
    p = skip_space(p, end);
    *kind = SLOT_NULL;
    return (struct str){p, p < end ? (size_t)(skip_value(p, end, kind) - p) : 0};
}

bool walk_is(const struct member *m, struct str name)
{
    char text[6 * NAME_BYTES_MAX];

    if (!m->key_escaped) {
        return str_eq(m->key, name);
    }
    /* Six bytes of source give at least one of text. */
    if (m->key.n > sizeof text || m->key.n > 6 * name.n) {
        return false;
    }
    return str_eq((struct str){text, scan_unescape(m->key.p, m->key.n, text)}, name);
}
