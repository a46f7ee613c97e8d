#include "policy/library/lua_pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "base/attr.h"
#include "policy/internal.h"

enum { DEPTH_MAX = 200, SLICE = 16384 /* steps */ };

static void step(struct match *m)
{
    if (UNLIKELY(m->steps-- == 0)) {
        m->steps = m->rest < SLICE ? m->rest : SLICE;
        m->rest -= m->steps;
        if (m->steps == 0) {
            (void)luaL_error(m->L, "the pattern takes too long on this text");
        }
        state_work(m->L, (double)m->steps);
    }
}

static bool in_class(unsigned char c, unsigned char class)
{
    bool in;

    switch (tolower(class)) {
    case 'a':
        in = isalpha(c);
        break;
    case 'c':
        in = iscntrl(c);
        break;
    case 'd':
        in = isdigit(c);
        break;
    case 'g':
        in = isgraph(c);
        break;
    case 'l':
        in = islower(c);
        break;
    case 'p':
        in = ispunct(c);
        break;
    case 's':
        in = isspace(c);
        break;
    case 'u':
        in = isupper(c);
        break;
    case 'w':
        in = isalnum(c);
        break;
    case 'x':
        in = isxdigit(c);
        break;
    case 'z':
        in = c == 0;
        break;
    default:
        return c == class;
    }
    return in != (isupper(class) != 0);
}

/* After the item that begins at p: a character, %x or a set. */
static const char *item_end(struct match *m, const char *p)
{
    char c = *p++;

    if (c == '%') {
        if (p == m->pattern_end) {
            (void)luaL_error(m->L, "malformed pattern (ends with '%%')");
        }
        return p + 1;
    }
    if (c != '[') {
        return p;
    }
    p += p < m->pattern_end && *p == '^';
    do { /* a ] in the first place is one of the set */
        if (p >= m->pattern_end) {
            (void)luaL_error(m->L, "malformed pattern (missing ']')");
        }
        if (*p++ == '%' && p < m->pattern_end) {
            p++;
        }
    } while (p >= m->pattern_end || *p != ']');
    return p + 1;
}

/* The set begins at p, its ] is at last. */
static bool in_set(struct match *m, unsigned char c, const char *p, const char *last)
{
    bool yes = true;

    if (*++p == '^') {
        yes = false;
        p++;
    }
    for (; p < last; p++) {
        step(m);
        if (*p == '%') {
            if (in_class(c, (unsigned char)*++p)) {
                return yes;
            }
        } else if (p[1] == '-' && p + 2 < last) {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) {
                return yes;
            }
            p += 2;
        } else if ((unsigned char)*p == c) {
            return yes;
        }
    }
    return !yes;
}

/* The item from p to end takes the character at `at`. */
static bool takes(struct match *m, const char *at, const char *p, const char *end)
{
    unsigned char c;

    step(m);
    if (at >= m->text_end) {
        return false;
    }
    c = (unsigned char)*at;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, (unsigned char)p[1]);
    case '[':
        return in_set(m, c, p, end - 1);
    default:
        return (unsigned char)*p == c;
    }
}

static const char *as_many(struct match *m, const char *at, const char *p,
                           const char *end)
{
    ptrdiff_t n = 0;

    while (takes(m, at + n, p, end)) {
        n++;
    }
    for (; n >= 0; n--) {
        const char *to = match_at(m, at + n, end + 1);

        if (to != NULL) {
            return to;
        }
    }
    return NULL;
}

static const char *as_few(struct match *m, const char *at, const char *p,
                          const char *end)
{
    for (;; at++) {
        const char *to = match_at(m, at, end + 1);

        if (to != NULL) {
            return to;
        }
        if (!takes(m, at, p, end)) {
            return NULL;
        }
    }
}

static const char *open_capture(struct match *m, const char *at, const char *p,
                                ptrdiff_t what)
{
    const char *to;

    if (m->n_captures == MATCH_CAPTURES) {
        (void)luaL_error(m->L, "too many captures");
    }
    m->captures[m->n_captures].from = at;
    m->captures[m->n_captures].n = what;
    m->n_captures++;
    to = match_at(m, at, p);
    if (to == NULL) {
        m->n_captures--;
    }
    return to;
}

static const char *close_capture(struct match *m, const char *at, const char *p)
{
    int i = m->n_captures - 1;
    const char *to;

    while (i >= 0 && m->captures[i].n != MATCH_OPEN) {
        i--;
    }
    if (i < 0) {
        (void)luaL_error(m->L, "invalid pattern capture");
        return NULL;
    }
    m->captures[i].n = at - m->captures[i].from;
    to = match_at(m, at, p);
    if (to == NULL) {
        m->captures[i].n = MATCH_OPEN;
    }
    return to;
}

/* %bxy; p is at x. */
static const char *balanced(struct match *m, const char *at, const char *p)
{
    int open = 1;

    if (p + 1 >= m->pattern_end) {
        (void)luaL_error(m->L, "unbalanced pattern");
    }
    if (at >= m->text_end || *at != *p) {
        return NULL;
    }
    while (++at < m->text_end) {
        step(m);
        if (*at == p[1]) {
            if (--open == 0) {
                return at + 1;
            }
        } else if (*at == *p) {
            open++;
        }
    }
    return NULL;
}

/* %f[set]; p is at the set. */
static bool frontier(struct match *m, const char *at, const char *p, const char *end)
{
    unsigned char before = at == m->text ? 0 : (unsigned char)at[-1];
    unsigned char here = at == m->text_end ? 0 : (unsigned char)*at;

    return !in_set(m, before, p, end - 1) && in_set(m, here, p, end - 1);
}

/* %1 to %9. */
static const char *again(struct match *m, const char *at, char digit)
{
    int i = digit - '1';
    size_t n;

    if (i < 0 || i >= m->n_captures || m->captures[i].n == MATCH_OPEN) {
        (void)luaL_error(m->L, "invalid capture index");
        return NULL;
    }
    n = (size_t)m->captures[i].n; /* a place is found again nowhere */
    step(m);
    return m->captures[i].n >= 0 && (size_t)(m->text_end - at) >= n &&
                   memcmp(m->captures[i].from, at, n) == 0
               ? at + n
               : NULL;
}

/* An item that %b, %f, a digit or a bracket begins, and all after it; *done: it was
 * one. */
static const char *special(struct match *m, const char *at, const char *p, bool *done)
{
    const char *to, *end;

    *done = true;
    if (*p == '(') {
        return p + 1 < m->pattern_end && p[1] == ')'
                   ? open_capture(m, at, p + 2, MATCH_POSITION)
                   : open_capture(m, at, p + 1, MATCH_OPEN);
    }
    if (*p == ')') {
        return close_capture(m, at, p + 1);
    }
    if (*p == '%' && p + 1 < m->pattern_end) {
        if (p[1] == 'b') {
            to = balanced(m, at, p + 2);
            return to == NULL ? NULL : match_at(m, to, p + 4);
        }
        if (p[1] == 'f') {
            if (p + 2 >= m->pattern_end || p[2] != '[') {
                (void)luaL_error(m->L, "missing '[' after '%%f' in pattern");
            }
            end = item_end(m, p + 2);
            return frontier(m, at, p + 2, end) ? match_at(m, at, end) : NULL;
        }
        if (isdigit((unsigned char)p[1])) {
            to = again(m, at, p[1]);
            return to == NULL ? NULL : match_at(m, to, p + 2);
        }
    }
    *done = false;
    return NULL;
}

static const char *try_at(struct match *m, const char *at, const char *p)
{
    while (p < m->pattern_end) {
        const char *to, *end;
        bool done;

        step(m);
        if (*p == '$' && p + 1 == m->pattern_end) {
            return at == m->text_end ? at : NULL;
        }
        to = special(m, at, p, &done);
        if (done) {
            return to;
        }
        end = item_end(m, p);
        switch (end < m->pattern_end ? *end : '\0') {
        case '*':
            return as_many(m, at, p, end);
        case '+':
            return takes(m, at, p, end) ? as_many(m, at + 1, p, end) : NULL;
        case '-':
            return as_few(m, at, p, end);
        case '?':
            to = takes(m, at, p, end) ? match_at(m, at + 1, end + 1) : NULL;
            if (to != NULL) {
                return to;
            }
            p = end + 1;
            break;
        default:
            if (!takes(m, at, p, end)) {
                return NULL;
            }
            at++;
            p = end;
        }
    }
    return at;
}

const char *match_at(struct match *m, const char *at, const char *p)
{
    const char *to;

    if (m->depth == 0) {
        m->n_captures = 0;
    }
    if (m->depth == DEPTH_MAX) {
        (void)luaL_error(m->L, "pattern too complex");
    }
    m->depth++;
    to = try_at(m, at, p);
    m->depth--;
    return to;
}
