#include "http/head.h"

#include <string.h>

#include "base/attr.h"
#include "http/chars.h"

enum {
    BLANK_MAX = 2, /* RFC 9112, 2.2: a CRLF too many after the last body */
    METHOD_MAX = 64
};

enum {
    START,
    START_LF,
    METHOD,
    TARGET_FIRST,
    TARGET,
    VERSION,
    LINE_CR,
    LINE_LF,
    NAME_FIRST,
    NAME,
    VALUE,
    END_LF,
    N_STATES
};

static const char *const why[N_STATES] = {
    [START] = "expected a method such as POST",
    [START_LF] = "expected a line end of CR and LF",
    [METHOD] = "expected one space after the method",
    [TARGET_FIRST] = "expected a path after the method and one space",
    [TARGET] = "the path has a byte that is not allowed; percent-encode it",
    [VERSION] = "expected HTTP/1.1 and the end of the line",
    [LINE_CR] = "expected HTTP/1.1 and the end of the line",
    [LINE_LF] = "expected a line end of CR and LF",
    [NAME_FIRST] = "expected the name of a header; a header has one line only",
    [NAME] = "expected a colon directly after the name of a header",
    [VALUE] = "a header has a byte that is not allowed",
    [END_LF] = "expected a line end of CR and LF"};

void head_reset(struct head *h)
{
    h->state = START;
    h->n = 0;
}

const char *head_why(const struct head *h)
{
    return why[h->state];
}

bool head_has_method(const struct head *h)
{
    return h->state >= TARGET_FIRST;
}

static ALWAYS_INLINE size_t skip(const char *p, size_t i, size_t n, unsigned classes)
{
    while (i < n && char_is(p[i], classes)) {
        i++;
    }
    return i;
}

static size_t skip_value(const char *p, size_t i, size_t n)
{
    while (n - i >= WORD_BYTES && chars_are_value(p + i)) {
        i += WORD_BYTES;
    }
    return skip(p, i, n, CHAR_VALUE);
}

/* After the headers that are there as a whole, which are most. The line at which this
 * ends is read state by state. */
static size_t skip_lines(const char *p, size_t i, size_t n)
{
    for (;;) {
        size_t at = skip(p, i, n, CHAR_TOKEN);

        if (at == i || at == n || p[at] != ':') {
            return i;
        }
        at = skip_value(p, at + 1, n);
        if (n - at < 2 || p[at] != '\r' || p[at + 1] != '\n') {
            return i;
        }
        i = at + 2;
    }
}

/* A version's byte: "HTTP/1.1". */
static bool version_has(unsigned at, char c)
{
    static const char pattern[] = "HTTP/0.0";

    return pattern[at] == '0' ? char_is(c, CHAR_DIGIT) : c == pattern[at];
}

/* The state after c; -1: it can't be there. */
static int step(struct head *h, char c)
{
    switch (h->state) {
    case START:
        if (c == '\r') {
            return h->n++ < BLANK_MAX ? START_LF : -1;
        }
        h->n = 0;
        return char_is(c, CHAR_TOKEN) ? METHOD : -1;
    case START_LF:
        return c == '\n' ? START : -1;
    case METHOD:
        return c == ' ' ? TARGET_FIRST : -1;
    case TARGET_FIRST:
        return char_is(c, CHAR_TARGET) ? TARGET : -1;
    case TARGET:
        h->n = 0;
        /* Without a version it is HTTP/0.9, which is answered as such. */
        return c == ' ' ? VERSION : c == '\r' ? LINE_LF : -1;
    case VERSION:
        return !version_has(h->n, c) ? -1 : ++h->n == 8 ? LINE_CR : VERSION;
    case LINE_CR:
        return c == '\r' ? LINE_LF : -1;
    case LINE_LF:
        return c == '\n' ? NAME_FIRST : -1;
    case NAME_FIRST:
        return c == '\r' ? END_LF : char_is(c, CHAR_TOKEN) ? NAME : -1;
    case NAME:
        return c == ':' ? VALUE : -1;
    case VALUE:
        return c == '\r' ? LINE_LF : -1;
    default:
        return c == '\n' ? N_STATES : -1;
    }
}

size_t head_feed(struct head *h, const char *p, size_t n, enum head_result *r)
{
    size_t i = 0;

    *r = HEAD_MORE;
    while (i < n) {
        size_t from = i;
        int next;

        if (h->state == METHOD) {
            i = skip(p, i, n, CHAR_TOKEN);
            h->n += (unsigned)(i - from);
            if (h->n >= METHOD_MAX) {
                *r = HEAD_BAD;
                return i;
            }
        } else if (h->state == NAME) {
            i = skip(p, i, n, CHAR_TOKEN);
        } else if (h->state == TARGET) {
            i = skip(p, i, n, CHAR_TARGET);
        } else if (h->state == VALUE) {
            i = skip_value(p, i, n);
        } else if (h->state == NAME_FIRST) {
            i = skip_lines(p, i, n);
        } else if (h->state == VERSION && h->n == 0 && n - i >= 8 &&
                   memcmp(p + i, "HTTP/1.1", 8) == 0) {
            i += 8;
            h->state = LINE_CR;
        }
        if (i == n) {
            break;
        }
        next = step(h, p[i]);
        if (next < 0) {
            *r = HEAD_BAD;
            return i;
        }
        i++;
        if (next == N_STATES) {
            *r = HEAD_DONE;
            return i;
        }
        h->state = next;
    }
    return i;
}
