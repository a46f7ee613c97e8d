/* Any bytes as a chunked body: whole and cut at any place the result is the same, and
 * the accepted body, written by the plainest of decoders, is the same. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct result {
    enum chunked_result last;
    size_t used, n;
    char *body;
};

static struct result decode(const char *p, size_t n, size_t step)
{
    struct result x = {CHUNKED_MORE, 0, 0, malloc(n + 1)};
    struct chunked d;

    chunked_reset(&d);
    while (x.used < n && x.last != CHUNKED_END && x.last != CHUNKED_BAD &&
           x.last != CHUNKED_LARGE) {
        struct str part = {NULL, 0};
        size_t k = n - x.used < step ? n - x.used : step;

        x.used += chunked_feed(&d, p + x.used, k, &part, &x.last);
        if (x.last == CHUNKED_PART) {
            if (part.n == 0 || part.p < p || part.p + part.n > p + n) {
                abort();
            }
            memcpy(x.body + x.n, part.p, part.n);
            x.n += part.n;
        }
    }
    return x;
}

/* An accepted body, decoded once more by its bytes: sizes and line ends. */
static bool agrees(const char *p, const struct result *x)
{
    const char *end = p + x->used;
    size_t at = 0;

    for (;;) {
        const char *line = memmem(p, (size_t)(end - p), "\r\n", 2);
        size_t size = strtoul(p, NULL, 16);

        if (line == NULL) {
            return false;
        }
        p = line + 2;
        if (size == 0) {
            return at == x->n && end[-1] == '\n' && end[-2] == '\r';
        }
        if (size > (size_t)(end - p) || size > x->n - at ||
            memcmp(p, x->body + at, size) != 0 || memcmp(p + size, "\r\n", 2) != 0) {
            return false;
        }
        at += size;
        p += size + 2;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct result whole, cut;
    char *text;
    size_t step;

    if (n < 2) {
        return 0;
    }
    step = data[0] % 16 + 1u;
    n--;
    text = malloc(n + 1);
    memcpy(text, data + 1, n);
    text[n] = '\0';
    whole = decode(text, n, n);
    cut = decode(text, n, step);
    if (whole.used != cut.used || whole.n != cut.n ||
        (whole.last == CHUNKED_END) != (cut.last == CHUNKED_END) ||
        (whole.last == CHUNKED_BAD) != (cut.last == CHUNKED_BAD) ||
        memcmp(whole.body, cut.body, whole.n) != 0 ||
        (whole.last == CHUNKED_END && !agrees(text, &whole))) {
        abort();
    }
    free(whole.body);
    free(cut.body);
    free(text);
    return 0;
}
