#include "http/framing.h"

#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "http/chars.h"

static bool is(struct str name, const char *z, size_t n)
{
    return name.n == n && strncasecmp(name.p, z, n) == 0;
}

/* Decimal digits below 2^63. */
static bool number(struct str text, uint64_t *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (!char_is(text.p[i], CHAR_DIGIT) || v > (INT64_MAX - 9) / 10) {
            return false;
        }
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    *out = v;
    return text.n > 0;
}

static void take_length(struct framing *f, struct str value)
{
    uint64_t length;

    if (!number(value, &length)) {
        f->why = "Content-Length is not a number of bytes";
    } else if (f->has_length && length != f->length) {
        f->why = "the request has two Content-Length headers that differ";
    } else {
        f->has_length = true;
        f->length = length;
    }
}

/* "gzip, chunked" is chunked too, but its chunks hold gzip, not a plain body. */
static void take_coding(struct framing *f, struct str value)
{
    if (f->chunked || !is(value, "chunked", 7)) {
        f->why = "expected no Transfer-Encoding other than chunked";
    }
    f->chunked = true;
}

/* close, once said, holds. */
static void take_connection(struct str value, bool *keep, bool *close)
{
    while (value.n > 0) {
        const char *comma = memchr(value.p, ',', value.n);
        size_t n = comma == NULL ? value.n : (size_t)(comma - value.p);
        struct str word = {value.p, n};

        while (word.n > 0 && (word.p[0] == ' ' || word.p[0] == '\t')) {
            word.p++;
            word.n--;
        }
        while (word.n > 0 &&
               (word.p[word.n - 1] == ' ' || word.p[word.n - 1] == '\t')) {
            word.n--;
        }
        *keep |= is(word, "keep-alive", 10);
        *close |= is(word, "close", 5);
        n += comma != NULL;
        value = (struct str){value.p + n, value.n - n};
    }
}

struct framing framing_of(const struct str_pair *headers, uint32_t n, bool old)
{
    struct framing f = {0};
    bool keep = !old, close = false;

    for (uint32_t i = 0; i < n && f.why == NULL; i++) {
        struct str name = headers[i].name;

        if (is(name, "content-length", 14)) {
            take_length(&f, headers[i].value);
        } else if (is(name, "transfer-encoding", 17)) {
            take_coding(&f, headers[i].value);
        } else if (is(name, "host", 4)) {
            f.host = headers[i].value;
            f.n_hosts++;
        } else if (is(name, "connection", 10)) {
            take_connection(headers[i].value, &keep, &close);
        }
    }
    f.keep_alive = keep && !close;
    if (f.why == NULL && f.chunked && old) {
        f.why = "Transfer-Encoding needs HTTP/1.1";
    } else if (f.why == NULL && f.chunked && f.has_length) {
        f.why = "the request has both Content-Length and Transfer-Encoding";
    }
    return f;
}
