#include "index/member.h"

#include <stdint.h>
#include <string.h>

static inline bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p)) {
        p++;
    }
    return p;
}

/* Bytes of w that are c: their highest bits. */
static inline uint64_t bytes_that_are(uint64_t w, unsigned char c)
{
    const uint64_t ones = 0x0101010101010101u, x = w ^ (ones * c);

    return (x - ones) & ~x & (ones << 7);
}

/* The quote that ends the text which begins at p; NULL: none. */
static const char *end_of_text(const char *p, const char *end, bool *escaped)
{
    while (p < end) {
        uint64_t w, hit;

        memcpy(&w, p, sizeof w); /* little endian, as all machines that we build on */
        hit = bytes_that_are(w, '"') | bytes_that_are(w, '\\');
        if (hit == 0) {
            p += sizeof w;
            continue;
        }
        p += __builtin_ctzll(hit) / 8; /* the first one is exact */
        if (p >= end) {
            return NULL;
        }
        if (*p == '"') {
            return p;
        }
        *escaped = true;
        p += 2;
    }
    return NULL;
}

/* Behind the object or list that begins at p; NULL: it has no end. */
static const char *skip_nested(const char *p, const char *end)
{
    unsigned depth = 0;
    bool escaped;

    for (; p != NULL && p < end; p++) {
        switch (*p) {
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0) {
                return p + 1;
            }
            break;
        case '"':
            p = end_of_text(p + 1, end, &escaped);
            if (p == NULL) {
                return NULL;
            }
            break;
        default:
            break;
        }
    }
    return NULL;
}

static const char *end_of_scalar(const char *p, const char *end)
{
    while (p < end && *p != ',' && *p != '}' && !is_space(*p)) {
        p++;
    }
    return p;
}

/* Behind the value at p; NULL: it has no end. */
static const char *skip_value(const char *p, const char *end)
{
    bool escaped;

    if (*p == '"') {
        p = end_of_text(p + 1, end, &escaped);
        return p == NULL ? NULL : p + 1;
    }
    return *p == '{' || *p == '[' ? skip_nested(p, end) : end_of_scalar(p, end);
}

static enum member_found take(const char *p, const char *end, struct str *value)
{
    bool escaped = false;
    const char *stop;

    if (*p == '"') {
        stop = end_of_text(p + 1, end, &escaped);
        if (stop == NULL) {
            return MEMBER_UNSURE;
        }
        *value = (struct str){p + 1, (size_t)(stop - p - 1)};
        return escaped ? MEMBER_ESCAPED : MEMBER_TEXT;
    }
    if (*p == '-' || (*p >= '0' && *p <= '9')) {
        *value = (struct str){p, (size_t)(end_of_scalar(p, end) - p)};
        return MEMBER_NUMBER;
    }
    return MEMBER_OTHER;
}

/* The next member of the object, whose key begins at *at with its quote: its value is
 * taken if it has the name, else *at moves on. */
static enum member_found next(const char **at, const char *end, struct str name,
                              struct str *value)
{
    const char *key = *at + 1, *p = key;
    bool escaped = false;
    bool is = (size_t)(end - key) > name.n && key[name.n] == '"' &&
              memcmp(key, name.p, name.n) == 0;

    p = is ? key + name.n : end_of_text(key, end, &escaped);
    if (p == NULL || escaped) {
        return MEMBER_UNSURE;
    }
    p = skip_space(p + 1, end);
    if (p >= end || *p != ':') {
        return MEMBER_UNSURE;
    }
    p = skip_space(p + 1, end);
    if (p >= end) {
        return MEMBER_UNSURE;
    }
    if (is) {
        return take(p, end, value);
    }
    p = skip_value(p, end);
    *at = p;
    return p == NULL ? MEMBER_UNSURE : MEMBER_ABSENT;
}

enum member_found member_find(struct str object, struct str name, struct str *value)
{
    const char *end = object.p + object.n, *p = skip_space(object.p, end);

    if (p >= end || *p != '{') {
        return MEMBER_UNSURE;
    }
    p = skip_space(p + 1, end);
    if (p < end && *p == '}') {
        return MEMBER_ABSENT;
    }
    while (p < end && *p == '"') {
        const enum member_found f = next(&p, end, name, value);

        if (f != MEMBER_ABSENT) {
            return f;
        }
        p = skip_space(p, end);
        if (p < end && *p == '}') {
            return MEMBER_ABSENT;
        }
        if (p >= end || *p != ',') {
            return MEMBER_UNSURE;
        }
        p = skip_space(p + 1, end);
    }
    return MEMBER_UNSURE;
}
