#include "decode/path.h"

#include <string.h>

#include "base/mem.h"
#include "decode/quote.h"

/* "[12]" at the start of path; its length, 0: there is no such text. */
static size_t place_of(struct str path, uint64_t *at)
{
    size_t i = 1;

    *at = 0;
    while (i < path.n && i < 10 && (unsigned)(path.p[i] - '0') < 10) {
        *at = *at * 10 + (uint64_t)(path.p[i++] - '0');
    }
    return path.p[0] == '[' && i < path.n && path.p[i] == ']' && *at > 0 ? i + 1 : 0;
}

/* The key at the start of rest; its length there, -1: a lone backslash. Text with
 * backslashes goes to *text, which moves on. */
static long key_of(struct str rest, char **text, struct str *key)
{
    char *out = *text;
    size_t i = 0;

    while (i < rest.n && rest.p[i] != '.' && rest.p[i] != '[') {
        i += rest.p[i] == '\\';
        if (i >= rest.n) {
            return -1;
        }
        *out++ = rest.p[i++];
    }
    *key = (struct str){*text, (size_t)(out - *text)};
    if (key->n == i) {
        key->p = rest.p;
    } else {
        *text = out;
    }
    return (long)i;
}

bool path_parse(struct str rest, struct path *out)
{
    char *text = out->text;
    bool key = true;

    out->n = 0;
    out->from = 0;
    if (rest.n > PATH_BYTES_MAX) {
        return false;
    }
    while (key || rest.n > 0) {
        struct path_part *part = &out->parts[out->n];
        long n;

        if (out->n == PATH_PARTS_MAX) {
            return false;
        }
        *part = (struct path_part){{NULL, 0}, 0};
        if (key) {
            n = key_of(rest, &text, &part->key);
            out->from = out->n == 0 && n > 0 ? (uint32_t)n : out->from;
        } else {
            n = (long)place_of(rest, &part->at);
            n = n == 0 ? -1 : n;
        }
        if (n < 0) {
            return false;
        }
        out->n++;
        rest = (struct str){rest.p + n, rest.n - (size_t)n};
        key = rest.n > 0 && rest.p[0] == '.';
        rest.p += key;
        rest.n -= key;
    }
    return true;
}

bool path_is_plain(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '.' || text.p[i] == '[' || text.p[i] == '\\') {
            return false;
        }
    }
    return true;
}

/* The value at a place of an array; false: it has not so many. */
static bool element(struct str array, uint64_t at, struct member *m)
{
    const char *p = array.p + 1, *end = array.p + array.n - 1;

    while (p < end) {
        if ((unsigned char)*p <= ' ' || *p == ',') {
            p++;
            continue;
        }
        m->value = walk_value(p, end, &m->kind);
        if (--at == 0) {
            return true;
        }
        p = m->value.p + m->value.n;
    }
    return false;
}

bool path_find(struct member *m, const struct path_part *parts, uint32_t n)
{
    struct walk w;

    if (n == 0) {
        return true;
    }
    if (parts->at > 0) {
        return m->kind == SLOT_ARRAY && element(m->value, parts->at, m) &&
               path_find(m, parts + 1, n - 1);
    }
    if (m->kind != SLOT_OBJECT) {
        return false;
    }
    walk_start(&w, m->value);
    while (walk_next(&w, m)) {
        if (walk_is(m, parts->key) && path_find(m, parts + 1, n - 1)) {
            return true;
        }
    }
    return false;
}

bool walk_find(struct str object, struct str path, struct member *m)
{
    struct path p;

    *m = (struct member){.kind = SLOT_OBJECT, .value = object};
    return path_parse(path, &p) && path_find(m, p.parts, p.n);
}

static void put(struct path_out *o, struct str s)
{
    if (o->p != NULL && s.n > 0) {
        memcpy(o->p + o->n, s.p, s.n);
    }
    o->n += s.n;
}

static void put_key(struct path_out *o, struct str key, bool first)
{
    char quoted[6 * PATH_BYTES_MAX + 2];

    if (!first) {
        put(o, STR(","));
    }
    put(o, (struct str){quoted, quote_write(key, quoted)});
    put(o, STR(":"));
}

static enum path_result write_object(struct path_out *out, struct str object,
                                     const struct path_part *parts, uint32_t n,
                                     struct str json)
{
    enum path_result changed = PATH_ABSENT;
    bool first = true, seen = false;
    struct walk w;
    struct member m;

    put(out, STR("{"));
    walk_start(&w, object);
    while (walk_next(&w, &m)) {
        bool it = walk_is(&m, parts->key);
        enum path_result r;

        /* A second copy of a key that was set or is removed. */
        if (it && n == 1 && (json.p == NULL || seen)) {
            seen = true;
            changed = PATH_OK;
            continue;
        }
        if (!first) {
            put(out, STR(","));
        }
        put(out, (struct str){m.key.p - 1, m.key.n + 2});
        put(out, STR(":"));
        first = false;
        if (!it) {
            put(out, m.value);
            continue;
        }
        seen = true;
        r = path_write(out, &m, parts + 1, n - 1, json);
        if (r == PATH_BLOCKED) {
            return r;
        }
        changed = r == PATH_OK ? r : changed;
    }
    if (!seen && json.p != NULL) {
        const struct member none = {.kind = SLOT_ABSENT};

        put_key(out, parts->key, first);
        changed = path_write(out, &none, parts + 1, n - 1, json);
    }
    put(out, STR("}"));
    return changed;
}

static enum path_result write_array(struct path_out *out, struct str array,
                                    const struct path_part *parts, uint32_t n,
                                    struct str json)
{
    enum path_result r = json.p == NULL ? PATH_ABSENT : PATH_BLOCKED;
    const char *p = array.p + 1, *end = array.p + array.n - 1;
    bool first = true;
    struct member m;

    put(out, STR("["));
    for (uint64_t at = 1; p < end;) {
        if ((unsigned char)*p <= ' ' || *p == ',') {
            p++;
            continue;
        }
        m.value = walk_value(p, end, &m.kind);
        p = m.value.p + m.value.n;
        if (at++ == parts->at && n == 1 && json.p == NULL) {
            r = PATH_OK;
            continue;
        }
        if (!first) {
            put(out, STR(","));
        }
        first = false;
        if (at - 1 != parts->at) {
            put(out, m.value);
            continue;
        }
        r = path_write(out, &m, parts + 1, n - 1, json);
        if (r == PATH_BLOCKED) {
            return r;
        }
    }
    put(out, STR("]"));
    return r;
}

enum path_result path_write(struct path_out *out, const struct member *m,
                            const struct path_part *parts, uint32_t n, struct str json)
{
    if (n == 0) {
        put(out, json);
        return PATH_OK;
    }
    if (parts->at > 0 && m->kind == SLOT_ARRAY) {
        return write_array(out, m->value, parts, n, json);
    }
    if (parts->at == 0 && m->kind == SLOT_OBJECT) {
        return write_object(out, m->value, parts, n, json);
    }
    if (json.p == NULL) {
        put(out, m->value);
        return PATH_ABSENT;
    }
    if (parts->at == 0 && (m->kind == SLOT_ABSENT || m->kind == SLOT_NULL)) {
        return write_object(out, STR("{}"), parts, n, json);
    }
    return PATH_BLOCKED;
}
