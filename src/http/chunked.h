/*
 * chunked - the framing of a chunked body (RFC 9112, 7.1), held to the letter.
 *
 *   chunked_reset -> chunked_feed* -> CHUNKED_END
 *
 * Pure; byte by byte or whole, the result is the same. Extensions and trailers are
 * checked and dropped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    CHUNKED_SIZE_DIGITS = 16,      /* leading zeros included */
    CHUNKED_EXTENSIONS_MAX = 4096, /* bytes of a body's extensions together */
    CHUNKED_TRAILERS_MAX = 8192    /* bytes of its trailers */
};

struct chunked {
    int state;
    uint64_t left; /* of the chunk in hand */
    uint32_t n_digits;
    uint32_t n_extra; /* bytes of extensions, then of trailers */
};

enum chunked_result {
    CHUNKED_MORE = 0, /* all was taken */
    CHUNKED_SIZE,     /* a chunk of left bytes begins; feed on */
    CHUNKED_PART,     /* *part lies in the bytes that were fed; feed on */
    CHUNKED_END,      /* the body is whole */
    CHUNKED_BAD,      /* the byte after those taken can't be there: chunked_why */
    CHUNKED_LARGE     /* too many extensions or trailers */
};

void chunked_reset(struct chunked *d);

/* Returns how many bytes were taken. A size is at most INT64_MAX. After
 * CHUNKED_BAD and CHUNKED_LARGE nothing more can be fed. */
size_t chunked_feed(struct chunked *d, const char *p, size_t n, struct str *part,
                    enum chunked_result *r);

enum { CHUNKED_AGAIN = 40 };

/* What another one must be fed to come to where d is: before, then the taken bytes of all
 * chunks so far, as one chunk, then after. */
void chunked_again(const struct chunked *d, uint64_t taken, char before[CHUNKED_AGAIN],
                   char after[CHUNKED_AGAIN]);

/* After CHUNKED_BAD: the text that was expected; static. */
const char *chunked_why(const struct chunked *d);
