/* A pattern without captures is a row of items, each a set of bytes with a number of
 * times: the states of an automaton are the bits of one word (Navarro and Raffinot,
 * "Flexible Pattern Matching in Strings", extended Shift-And). */
#include "plan/text_pattern.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

static bool in_class(unsigned char c, char class)
{
    bool in;

    switch (class | 0x20) {
    case 'a':
        in = isalpha(c) != 0 && c < 128;
        break;
    case 'c':
        in = c < 32 || c == 127;
        break;
    case 'd':
        in = c >= '0' && c <= '9';
        break;
    case 'l':
        in = c >= 'a' && c <= 'z';
        break;
    case 'p':
        in = c < 128 && ispunct(c) != 0;
        break;
    case 's':
        in = c == ' ' || (c >= 9 && c <= 13);
        break;
    case 'u':
        in = c >= 'A' && c <= 'Z';
        break;
    case 'w':
        in = c < 128 && isalnum(c) != 0;
        break;
    case 'x':
        in = c < 128 && isxdigit(c) != 0;
        break;
    default:
        return c == (unsigned char)class;
    }
    return in != (class >= 'A' && class <= 'Z');
}

/* The set of one item, without its ?, *, + or -. */
struct set {
    bool has[256];
};

/* p is behind the '['; NULL: *why tells. */
static const char *read_set(const char *p, const char *end, struct set *set,
                            const char **why)
{
    bool not = p < end && *p == '^', first = true;

    p += not ;
    while (p < end && (*p != ']' || first)) {
        first = false;
        if (*p == '%' && p + 1 < end) {
            for (int c = 0; c < 256; c++) {
                set->has[c] |= in_class((unsigned char)c, p[1]);
            }
            p += 2;
        } else if (end - p > 2 && p[1] == '-' && p[2] != ']') {
            for (int c = (unsigned char)p[0]; c <= (unsigned char)p[2]; c++) {
                set->has[c] = true;
            }
            p += 3;
        } else {
            set->has[(unsigned char)*p++] = true;
        }
    }
    if (p >= end) {
        *why = "has a [ without its ]";
        return NULL;
    }
    for (int c = 0; not &&c < 256; c++) {
        set->has[c] = !set->has[c];
    }
    return p + 1;
}

/* One item; NULL: *why tells. */
static const char *read_item(const char *p, const char *end, struct set *set,
                             const char **why)
{
    *set = (struct set){{false}};
    if (*p == '(' || *p == ')') {
        *why = "has a capture: write %( for the character";
        return NULL;
    }
    if (*p == '[') {
        return read_set(p + 1, end, set, why);
    }
    if (*p == '%') {
        if (p + 1 == end) {
            *why = "ends with %";
            return NULL;
        }
        if (p[1] == 'b' || p[1] == 'f' || p[1] == 'z' || isdigit((unsigned char)p[1])) {
            *why = "has %b, %f, %z or %1, which are not known here";
            return NULL;
        }
    }
    for (int c = 0; c < 256; c++) {
        set->has[c] = *p == '.'   ? true
                      : *p == '%' ? in_class((unsigned char)c, p[1])
                                  : c == (unsigned char)*p;
    }
    return p + (*p == '%' ? 2 : 1);
}

const char *text_pattern_read(struct str text, struct text_pattern *out)
{
    const char *p = text.p, *end = text.p + text.n, *why = NULL;
    struct set set;
    unsigned n = 0;

    *out = (struct text_pattern){.from_start = text.n > 0 && *p == '^'};
    p += out->from_start;
    for (; p < end; n++) {
        uint64_t bit = 1ull << n;

        if (*p == '$' && p + 1 == end) {
            out->to_end = true;
            break;
        }
        if (n == TEXT_PATTERN_ITEMS) {
            return "has more than 63 items";
        }
        p = read_item(p, end, &set, &why);
        if (p == NULL) {
            return why;
        }
        for (int c = 0; c < 256; c++) {
            out->takes[c] |= set.has[c] ? bit : 0;
        }
        if (p < end && strchr("?*+-", *p) != NULL) {
            out->skips |= *p == '+' ? 0 : bit;
            out->repeats |= *p == '?' ? 0 : bit;
            p++;
        }
    }
    out->end = 1ull << n;
    return n == 0 && !out->from_start && !out->to_end ? "is empty" : NULL;
}

/* The states that are reached without a byte. */
static uint64_t closed(const struct text_pattern *p, uint64_t at)
{
    uint64_t more;

    while ((more = at | (at & p->skips) << 1) != at) {
        at = more;
    }
    return at;
}

bool text_pattern_fits(const struct text_pattern *p, struct str text)
{
    uint64_t at = closed(p, 1);

    for (size_t i = 0; i < text.n; i++) {
        uint64_t took = at & p->takes[(unsigned char)text.p[i]];

        if (!p->to_end && (at & p->end) != 0) {
            return true;
        }
        at = closed(p, took << 1 | (took & p->repeats) | (p->from_start ? 0 : 1));
        if (at == 0) {
            return false;
        }
    }
    return (at & p->end) != 0;
}
