#include "decode/extent.h"

#include <string.h>

struct extent {
    const char *p, *end;
    unsigned depth;
    char last;  /* the last byte that is no space */
    bool ended; /* outside of brackets: the element is whole */
    uint64_t square[EXTENT_DEPTH_MAX / 64]; /* bit i: level i + 1 is a '[' */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_word(char c)
{
    return (unsigned)(c - '0') < 10 || (unsigned)((c | 0x20) - 'a') < 26 || c == '+' ||
           c == '-' || c == '.' || c == '_';
}

/* p is at a backslash; afterwards it is at the last byte of the escape. Readers differ
 * in whether \u takes its next four bytes unseen: a quote among them could end the
 * string, or not. */
static bool pass_escape(struct extent *x)
{
    if (++x->p < x->end && *x->p == 'u') {
        for (int i = 1; i <= 4; i++) {
            if (x->end - x->p <= i || x->p[i] == '"' || x->p[i] == '\\') {
                return false;
            }
        }
    }
    return true; /* p may be at the end: the caller looks */
}

/* p is at the opening quote; afterwards it is after the closing one. */
static bool pass_string(struct extent *x)
{
    if (x->last != '\0' && strchr("{[,:", x->last) == NULL) {
        return false;
    }
    for (x->p++;; x->p++) {
        if (x->p >= x->end) {
            return false;
        }
        if (*x->p == '"') {
            break;
        }
        if (*x->p == '\\' && !pass_escape(x)) {
            return false;
        }
    }
    for (x->p++; x->p < x->end && is_space(*x->p); x->p++) {
    }
    x->last = '"';
    return x->p < x->end && *x->p != '\0' && strchr(":,}]", *x->p) != NULL;
}

static bool open_level(struct extent *x, char c)
{
    uint64_t bit = 1ull << (x->depth & 63);

    if (x->depth == EXTENT_DEPTH_MAX) {
        return false;
    }
    x->square[x->depth / 64] &= ~bit;
    x->square[x->depth / 64] |= c == '[' ? bit : 0;
    x->depth++;
    return true;
}

static bool close_level(struct extent *x, char c)
{
    if (x->depth == 0) {
        return false;
    }
    x->depth--;
    return (x->square[x->depth / 64] >> (x->depth & 63) & 1) == (c == ']');
}

/* One byte outside of strings; false: the end is not certain. */
static bool pass(struct extent *x, char c)
{
    switch (c) {
    case '{':
    case '[':
        return open_level(x, c);
    case '}':
    case ']':
        return close_level(x, c);
    case ':':
        return x->depth > 0;
    case ',':
        return true;
    default:
        return is_word(c);
    }
}

const char *extent_end(const char *from, const char *end)
{
    struct extent x = {.p = from, .end = end};

    while (x.p < end) {
        char c = *x.p;

        if (x.depth == 0 && (c == ',' || c == ']')) {
            return x.last == '\0' ? NULL : x.p;
        }
        if (is_space(c)) {
            x.ended |= x.depth == 0 && x.last != '\0';
            x.p++;
        } else if (x.ended || (x.depth == 0 && x.last != '\0' && strchr("{[", c))) {
            return NULL; /* a comma is missing: two elements would be one */
        } else if (c == '"') {
            if (!pass_string(&x)) {
                return NULL;
            }
            x.ended = x.depth == 0;
        } else {
            if (!pass(&x, c)) {
                return NULL;
            }
            x.last = c;
            x.p++;
            x.ended = x.depth == 0 && !is_word(c);
        }
    }
    return NULL;
}

/* Whether nothing but space comes before the end or the next value. */
static bool begins_value(const char *p, const char *end)
{
    while (p < end && is_space(*p)) {
        p++;
    }
    return p == end || *p == '{' || *p == '[';
}

const char *extent_object_end(const char *from, const char *end)
{
    struct extent x = {.p = from, .end = end};

    while (x.p < end) {
        char c = *x.p;

        if (c == '"') {
            if (!pass_string(&x)) {
                return NULL;
            }
        } else if (is_space(c)) {
            x.p++;
        } else {
            bool opens = c == '{' || c == '[';

            if ((opens && x.last != '\0' && strchr("{[,:", x.last) == NULL) ||
                !pass(&x, c)) {
                return NULL;
            }
            x.last = c;
            x.p++;
            if (x.depth == 0) {
                return begins_value(x.p, end) ? x.p : NULL;
            }
        }
    }
    return NULL;
}
