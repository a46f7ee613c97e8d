#include "http/chunked.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "http/chars.h"

/* chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) */
enum {
    SIZE_FIRST,
    SIZE,
    EXT_SEMICOLON,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_NAME_END,
    EXT_VALUE_FIRST,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_END,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    ENDED,
    N_STATES
};

static const char *const why[N_STATES] = {
    [SIZE_FIRST] = "expected the size of a chunk in hexadecimal digits",
    [SIZE] = "expected a chunk size below 2^63, and CR and LF after it",
    [EXT_SEMICOLON] = "expected ; or the end of the line after the size of a chunk",
    [EXT_NAME_FIRST] = "expected the name of a chunk extension",
    [EXT_NAME] = "a chunk extension has a byte that is not allowed",
    [EXT_NAME_END] = "a chunk extension has a byte that is not allowed",
    [EXT_VALUE_FIRST] = "expected the value of a chunk extension",
    [EXT_VALUE] = "a chunk extension has a byte that is not allowed",
    [EXT_QUOTED] = "a chunk extension has a byte that is not allowed",
    [EXT_ESCAPED] = "a chunk extension has a byte that is not allowed",
    [EXT_END] = "a chunk extension has a byte that is not allowed",
    [SIZE_LF] = "expected a line end of CR and LF",
    [DATA_CR] = "expected CR and LF after the bytes of a chunk",
    [DATA_LF] = "expected CR and LF after the bytes of a chunk",
    [TRAILER_FIRST] = "expected the name of a trailer or the end of the body",
    [TRAILER_NAME] = "expected a colon directly after the name of a trailer",
    [TRAILER_VALUE] = "a trailer has a byte that is not allowed",
    [TRAILER_LF] = "expected a line end of CR and LF",
    [END_LF] = "expected a line end of CR and LF"};

void chunked_reset(struct chunked *d)
{
    *d = (struct chunked){.state = SIZE_FIRST};
}

const char *chunked_why(const struct chunked *d)
{
    return why[d->state] == NULL ? "bytes follow the end of the body" : why[d->state];
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static uint64_t digit(char c)
{
    return (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* False: it is larger than a size may be. */
static bool add_digit(struct chunked *d, char c)
{
    if (++d->n_digits > CHUNKED_SIZE_DIGITS || d->left > INT64_MAX >> 4) {
        return false;
    }
    d->left = d->left << 4 | digit(c);
    return true;
}

/* After a size: its line's end, or an extension; otherwise -1. */
static int behind_size(char c)
{
    return c == '\r'     ? SIZE_LF
           : c == ';'    ? EXT_NAME_FIRST
           : is_blank(c) ? EXT_SEMICOLON
                         : -1;
}

static int step_extension(int state, char c)
{
    switch (state) {
    case EXT_SEMICOLON:
        return c == ';' ? EXT_NAME_FIRST : is_blank(c) ? state : -1;
    case EXT_NAME_FIRST:
        return is_blank(c) ? state : char_is(c, CHAR_TOKEN) ? EXT_NAME : -1;
    case EXT_NAME:
    case EXT_NAME_END:
        return c == '='                                      ? EXT_VALUE_FIRST
               : state == EXT_NAME && char_is(c, CHAR_TOKEN) ? EXT_NAME
               : is_blank(c)                                 ? EXT_NAME_END
               : c == '\r' && state == EXT_NAME_END          ? -1
                                                             : behind_size(c);
    case EXT_VALUE_FIRST:
        return c == '"'                 ? EXT_QUOTED
               : is_blank(c)            ? state
               : char_is(c, CHAR_TOKEN) ? EXT_VALUE
                                        : -1;
    case EXT_VALUE:
        return char_is(c, CHAR_TOKEN) ? state : behind_size(c);
    case EXT_QUOTED:
        return c == '"'                 ? EXT_END
               : c == '\\'              ? EXT_ESCAPED
               : char_is(c, CHAR_VALUE) ? state
                                        : -1;
    case EXT_ESCAPED:
        return char_is(c, CHAR_VALUE) ? EXT_QUOTED : -1;
    default:
        return behind_size(c);
    }
}

static int step_trailer(int state, char c)
{
    switch (state) {
    case TRAILER_FIRST:
        return c == '\r' ? END_LF : char_is(c, CHAR_TOKEN) ? TRAILER_NAME : -1;
    case TRAILER_NAME:
        return c == ':' ? TRAILER_VALUE : char_is(c, CHAR_TOKEN) ? state : -1;
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : char_is(c, CHAR_VALUE) ? state : -1;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_FIRST : -1;
    default:
        return c == '\n' ? ENDED : -1;
    }
}

/* The state after c; -1: it can't be there. */
static int step(struct chunked *d, char c)
{
    switch (d->state) {
    case SIZE_FIRST:
    case SIZE:
        if (char_is(c, CHAR_HEX)) {
            return add_digit(d, c) ? SIZE : -1;
        }
        return d->state == SIZE ? behind_size(c) : -1;
    case SIZE_LF:
        return c != '\n' ? -1 : d->left > 0 ? DATA : TRAILER_FIRST;
    case DATA_CR:
        return c == '\r' ? DATA_LF : -1;
    case DATA_LF:
        d->left = 0;
        d->n_digits = 0;
        return c == '\n' ? SIZE_FIRST : -1;
    case ENDED:
        return -1;
    default:
        return d->state < SIZE_LF ? step_extension(d->state, c)
                                  : step_trailer(d->state, c);
    }
}

/* False: too many bytes were dropped. */
static bool count(struct chunked *d, int next)
{
    bool extension = next > SIZE && next < SIZE_LF;
    bool trailer = next > TRAILER_FIRST && next < END_LF;

    if (next == TRAILER_FIRST && d->state == SIZE_LF) {
        d->n_extra = 0;
    }
    d->n_extra += extension || trailer;
    return d->n_extra <=
           (d->state >= TRAILER_FIRST ? CHUNKED_TRAILERS_MAX : CHUNKED_EXTENSIONS_MAX);
}

size_t chunked_feed(struct chunked *d, const char *p, size_t n, struct str *part,
                    enum chunked_result *r)
{
    size_t i = 0;

    if (d->state == DATA && n > 0) {
        i = n < d->left ? n : (size_t)d->left;
        *part = (struct str){p, i};
        *r = CHUNKED_PART;
        d->left -= i;
        d->state = d->left > 0 ? DATA : DATA_CR;
        return i;
    }
    for (; i < n; i++) {
        int next = step(d, p[i]);

        if (next < 0 || !count(d, next)) {
            *r = next < 0 ? CHUNKED_BAD : CHUNKED_LARGE;
            return i;
        }
        d->state = next;
        if (next == DATA || next == ENDED) {
            *r = next == DATA ? CHUNKED_SIZE : CHUNKED_END;
            return i + 1;
        }
    }
    *r = CHUNKED_MORE;
    return i;
}

/* What follows the digits of a size, or the end of the last chunk: extensions and trailers
 * are dropped anyway, and any others do. */
static const char *const again[N_STATES] = {
    [EXT_SEMICOLON] = " ",     [EXT_NAME_FIRST] = ";",
    [EXT_NAME] = ";x",         [EXT_NAME_END] = ";x ",
    [EXT_VALUE_FIRST] = ";x=", [EXT_VALUE] = ";x=x",
    [EXT_QUOTED] = ";x=\"",    [EXT_ESCAPED] = ";x=\"\\",
    [EXT_END] = ";x=\"\"",     [SIZE_LF] = "\r",
    [TRAILER_NAME] = "x",      [TRAILER_VALUE] = "x:",
    [TRAILER_LF] = "x:\r",     [END_LF] = "\r"};

void chunked_again(const struct chunked *d, uint64_t taken, char before[CHUNKED_AGAIN],
                   char after[CHUNKED_AGAIN])
{
    uint64_t size = taken + (d->state == DATA ? d->left : 0);
    const char *end = d->state == DATA || d->state == DATA_CR ? ""
                      : d->state == DATA_LF                   ? "\r"
                      : size > 0                              ? "\r\n"
                                                              : "";
    const char *rest = again[d->state] == NULL ? "" : again[d->state];

    before[0] = '\0';
    if (size > 0) {
        (void)snprintf(before, CHUNKED_AGAIN, "%" PRIx64 "\r\n", size);
    }
    if (d->state >= SIZE && d->state <= SIZE_LF) {
        (void)snprintf(after, CHUNKED_AGAIN, "%s%0*" PRIx64 "%s", end, (int)d->n_digits,
                       d->left, rest);
    } else {
        (void)snprintf(after, CHUNKED_AGAIN, "%s%s%s", end,
                       d->state >= TRAILER_FIRST ? "0\r\n" : "", rest);
    }
}
