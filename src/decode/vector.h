/*
 * vector - the few bytes-at-once tests of the scanner, with a portable twin.
 */
#pragma once

#include <stdint.h>
#include <string.h>

/* Whether the eight bytes at p are all digits. */
static inline int vector_digits(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return ((v & 0xF0F0F0F0F0F0F0F0) |
            (((v + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0) >> 4)) ==
           0x3333333333333333;
}

#if defined(__SSE2__) && !defined(SLUICE_PORTABLE)
#include <emmintrin.h>

enum { VECTOR_BYTES = 16 };

/* Bit i: p[i] is '"', '\\', a control character, or not ASCII. Reads
 * VECTOR_BYTES bytes. */
static inline unsigned vector_special(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    /* Signed: bytes from 0x80 on are below 0x20 too. */
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i back = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, back)));
}

/* Bit i: p[i] means something in a query (& = + %), or in a string of JSON, as above.
 * Reads VECTOR_BYTES bytes. */
static inline unsigned vector_form(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
    __m128i and = _mm_cmpeq_epi8(v, _mm_set1_epi8('&'));
    __m128i equals = _mm_cmpeq_epi8(v, _mm_set1_epi8('='));
    __m128i plus = _mm_cmpeq_epi8(v, _mm_set1_epi8('+'));
    __m128i percent = _mm_cmpeq_epi8(v, _mm_set1_epi8('%'));
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i back = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i query =
        _mm_or_si128(_mm_or_si128(and, equals), _mm_or_si128(plus, percent));
    __m128i json = _mm_or_si128(low, _mm_or_si128(quote, back));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(query, json));
}

/* Whether the first n bytes are equal; up to VECTOR_BYTES behind them may be
 * read on both sides. */
static inline int vector_equal(const char *a, const char *b, unsigned n)
{
    for (;; a += 16, b += 16, n -= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
        __m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);
        unsigned same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y));

        if (n <= 16) {
            return (~same & ((1u << n) - 1)) == 0;
        }
        if (same != 0xFFFF) {
            return 0;
        }
    }
}
#else
enum { VECTOR_BYTES = 8 };

static inline unsigned vector_special(const char *p)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < VECTOR_BYTES; i++) {
        unsigned char c = (unsigned char)p[i];

        mask |= (unsigned)(c == '"' || c == '\\' || c < 0x20 || c >= 0x80) << i;
    }
    return mask;
}

static inline unsigned vector_form(const char *p)
{
    unsigned mask = vector_special(p);

    for (unsigned i = 0; i < VECTOR_BYTES; i++) {
        mask |= (unsigned)(p[i] == '&' || p[i] == '=' || p[i] == '+' || p[i] == '%')
                << i;
    }
    return mask;
}

static inline int vector_equal(const char *a, const char *b, unsigned n)
{
    return memcmp(a, b, n) == 0;
}
#endif
