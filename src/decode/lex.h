/*
 * lex - JSON's tokens (RFC 8259) over one run of bytes, checked as they are
 * passed. Inline: these are the inner loops of scan.c, and of nothing else.
 *
 * Every function returns false after setting at and detail; p is then of no
 * use. SCAN_PAD bytes after end may be read, never believed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/utf8.h"
#include "decode/event.h"
#include "decode/vector.h"

struct lex {
    const char *p, *end;
    const char *at;     /* of the error */
    const char *detail; /* NULL: none yet */
    bool deep;          /* the error is the depth */
    bool wide;          /* the error is the number or the size of keys */
    bool newline;       /* a raw newline was passed between tokens */
    uint32_t max_depth;
};

static inline bool lex_fail(struct lex *l, const char *at, const char *detail)
{
    l->at = at < l->end ? at : l->end;
    l->detail = detail;
    return false;
}

static inline void lex_space(struct lex *l)
{
    while (l->p < l->end &&
           (*l->p == ' ' || *l->p == '\n' || *l->p == '\t' || *l->p == '\r')) {
        l->newline |= *l->p == '\n' || *l->p == '\r';
        l->p++;
    }
}

/* Most bodies have no space between tokens: one compare. */
static inline void lex_maybe_space(struct lex *l)
{
    if (UNLIKELY((unsigned char)*l->p <= ' ')) {
        lex_space(l);
    }
}

static inline int lex_hex4(const char *p)
{
    int v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        if (d < 0) {
            return -1;
        }
        v = v << 4 | d;
    }
    return v;
}

/* The escape at p (a backslash). A lone surrogate is refused: no sink could
 * store it. */
static inline bool lex_escape(struct lex *l)
{
    const char *p = l->p;
    int high, low;

    if (l->end - p < 2) {
        return lex_fail(l, l->end, "a string has no closing quote");
    }
    if (p[1] != 'u') {
        if (p[1] == '\0' || strchr("\"\\/bfnrt", p[1]) == NULL) {
            return lex_fail(l, p, "unknown escape in a string");
        }
        l->p = p + 2;
        return true;
    }
    high = l->end - p < 6 ? -1 : lex_hex4(p + 2);
    if (high < 0) {
        return lex_fail(l, p, "expected four hex digits after \\u");
    }
    l->p = p + 6;
    if (high < 0xD800 || high > 0xDFFF) {
        return true;
    }
    low = high > 0xDBFF || l->end - p < 12 || p[6] != '\\' || p[7] != 'u'
              ? -1
              : lex_hex4(p + 8);
    if (low < 0xDC00 || low > 0xDFFF) {
        return lex_fail(l, p, "lone surrogate in a string");
    }
    l->p = p + 12;
    return true;
}

/* The rest of a string whose opening quote is passed; afterwards p is behind the
 * closing one. *escaped tells whether there are backslashes. */
static inline bool lex_string(struct lex *l, bool *escaped)
{
    *escaped = false;
    for (;;) {
        uint32_t mask = vector_special_16(l->p);
        unsigned char c;
        unsigned n;

        if (mask == 0) {
            l->p += 16;
            while (l->p < l->end && (mask = vector_special_32(l->p)) == 0) {
                l->p += 32;
            }
            if (UNLIKELY(l->p >= l->end)) {
                return lex_fail(l, l->end, "a string has no closing quote");
            }
        }
        l->p += (unsigned)__builtin_ctz(mask);
        if (UNLIKELY(l->p >= l->end)) {
            return lex_fail(l, l->end, "a string has no closing quote");
        }
        c = (unsigned char)*l->p;
        if (LIKELY(c == '"')) {
            l->p++;
            return true;
        }
        if (c == '\\') {
            *escaped = true;
            if (!lex_escape(l)) {
                return false;
            }
        } else if (c < 0x20) {
            return lex_fail(l, l->p, "a string has a control character; escape it");
        } else {
            n = utf8_char(l->p, l->end);
            if (n == 0) {
                return lex_fail(l, l->p, "a string is not UTF-8");
            }
            l->p += n;
        }
    }
}

static inline bool lex_digits(struct lex *l)
{
    const char *from = l->p;
    unsigned n;
    uint64_t v;

    do {
        memcpy(&v, l->p, sizeof v);
        n = vector_count_digits(v);
        l->p += n;
    } while (UNLIKELY(n == 8) && l->p < l->end);
    if (UNLIKELY(l->p > l->end)) {
        l->p = l->end;
    }
    return l->p > from || lex_fail(l, l->p, "expected a digit");
}

static inline bool lex_number(struct lex *l)
{
    if (*l->p == '-') {
        l->p++;
    }
    if (l->p < l->end && *l->p == '0') {
        l->p++;
        if (l->p < l->end && (unsigned)(*l->p - '0') < 10) {
            return lex_fail(l, l->p, "a number may not begin with 0");
        }
    } else if (!lex_digits(l)) {
        return false;
    }
    if (l->p < l->end && *l->p == '.') {
        l->p++;
        if (!lex_digits(l)) {
            return false;
        }
    }
    if (l->p < l->end && (*l->p | 0x20) == 'e') {
        l->p++;
        if (l->p < l->end && (*l->p == '+' || *l->p == '-')) {
            l->p++;
        }
        return lex_digits(l);
    }
    return true;
}

/* The number at p, without a sign, of at most 15 digits, eight of them after the point, and without
 * exponent, whose value is exact (see number.c). NULL: it is another or none.
 * even: by branches, which are right where numbers of a length come one after the
 * other, and else would be missed. */
static ALWAYS_INLINE const char *lex_decimal(const char *p, const char *end, bool even,
                                             double *value)
{
    static const uint64_t tens[] = {1,      10,      100,      1000,     10000,
                                    100000, 1000000, 10000000, 100000000};
    static const double parts[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    bool zero = *p == '0';
    unsigned digits, more, behind = 0, point;
    uint64_t v, m;
    double d;

    memcpy(&v, p, 8);
    digits = vector_count_digits(v);
    if (UNLIKELY(digits == 0 || (zero && digits > 1))) {
        return NULL;
    }
    m = vector_some_digits(v, digits);
    p += digits;
    more = digits == 8;
    if (!even || more) {
        memcpy(&v, p, 8);
        more = vector_count_digits(v) & -more;
        m = m * tens[more] + vector_some_digits(v, more);
        p += more;
    }
    point = *p == '.';
    if (!even || point) {
        memcpy(&v, p + 1, 8);
        behind = vector_count_digits(v) & -point;
        m = m * tens[behind] + vector_some_digits(v, behind);
        p += behind + point;
    }
    if (UNLIKELY(digits + more + behind > 15 || behind < point || (*p | 0x20) == 'e' ||
                 (unsigned)(*p - '0') < 10 || p > end)) {
        return NULL;
    }
    d = (double)(int64_t)m;
    if (!even || behind > 0) {
        d /= parts[behind];
    }
    *value = d;
    return p;
}

static inline bool lex_word(struct lex *l, const char *word, size_t n)
{
    if ((size_t)(l->end - l->p) < n || memcmp(l->p, word, n) != 0) {
        return lex_fail(l, l->p, "expected a value");
    }
    l->p += n;
    return true;
}

/* One value that is not a container; *kind is its kind. */
static inline bool lex_scalar(struct lex *l, enum slot_kind *kind)
{
    bool escaped;

    if (UNLIKELY(l->p >= l->end)) {
        return lex_fail(l, l->end, "expected a value");
    }
    switch (*l->p) {
    case '"':
        l->p++;
        if (!lex_string(l, &escaped)) {
            return false;
        }
        *kind = escaped ? SLOT_ESCAPED : SLOT_STRING;
        return true;
    case 't':
        *kind = SLOT_TRUE;
        return lex_word(l, "true", 4);
    case 'f':
        *kind = SLOT_FALSE;
        return lex_word(l, "false", 5);
    case 'n':
        *kind = SLOT_NULL;
        return lex_word(l, "null", 4);
    default:
        if (*l->p != '-' && (unsigned)(*l->p - '0') >= 10) {
            return lex_fail(l, l->p, "expected a value");
        }
        *kind = SLOT_NUMBER;
        return lex_number(l);
    }
}

/* Any value, whose depth is depth (1: the event). Recursion is bounded by
 * max_depth. */
bool lex_value(struct lex *l, uint32_t depth, enum slot_kind *kind);
