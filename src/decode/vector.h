/*
 * vector - the few bytes-at-once tests of the scanner, with a portable twin.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* How many of the eight bytes of v (the first is the lowest) are digits, up to the
 * first that is none. */
static inline unsigned vector_count_digits(uint64_t v)
{
    uint64_t x = v ^ 0x3030303030303030;
    /* A carry out of a byte from 0x80 on spoils only bytes after it. */
    uint64_t other = ((x + 0x7676767676767676) | x) & 0x8080808080808080;

    return (unsigned)(__builtin_ctzll(other >> 1 | 1ull << 63) + 1) >> 3;
}

/* The value of eight digits, of which the first is worth most: pairs, then fours,
 * then all, each with one multiplication (Lemire, "Quickly parsing eight digits",
 * 2018). Bytes of 0 count as the digit 0. */
static inline uint64_t vector_eight_digits(uint64_t v)
{
    v = (v & 0x0F0F0F0F0F0F0F0F) * 2561 >> 8;
    v = (v & 0x00FF00FF00FF00FF) * 6553601 >> 16;
    return (v & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
}

/* The value of the first n digits of v. */
static inline uint64_t vector_some_digits(uint64_t v, unsigned n)
{
    /* In two steps: a shift by 64 is none. */
    return vector_eight_digits(v << (32 - 4 * n) << (32 - 4 * n));
}

/* Whether the eight bytes at p are all digits. */
static inline int vector_digits(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return ((v & 0xF0F0F0F0F0F0F0F0) |
            (((v + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0) >> 4)) ==
           0x3333333333333333;
}

enum { VECTOR_BYTES = 16 };

#if defined(__SSE2__) && !defined(SLUICE_PORTABLE)
#include <emmintrin.h>

/* Bit i: p[i] is '"', '\\', a control character, or not ASCII. Reads 16 bytes. */
static inline uint32_t vector_special_16(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    /* With bit 1 turned, '"' is 0x20, and control characters stay below. Signed: bytes
     * from 0x80 on are below too. What is below 0x21 becomes negative. */
    __m128i low =
        _mm_subs_epi8(_mm_xor_si128(v, _mm_set1_epi8(2)), _mm_set1_epi8(0x21));
    __m128i back = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));

    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(low, back));
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

/* The same of 32 bytes. */
static inline uint32_t vector_special_32(const char *p)
{
    return vector_special_16(p) | vector_special_16(p + 16) << 16;
}

/* The first 16 bytes of a text: zeros after its end. */
typedef __m128i vector_head;

/* Of a text at p of n bytes, 16 at most; 16 are read. */
static inline vector_head vector_head_of_short(const char *p, size_t n)
{
    static const unsigned char kept[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                           255, 255, 255, 255, 255, 255, 255, 255};

    return _mm_and_si128(
        _mm_loadu_si128((const __m128i *)(const void *)p),
        _mm_loadu_si128((const __m128i *)(const void *)(kept + 16 - n)));
}

static inline bool vector_head_is(vector_head a, vector_head b)
{
    return _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) == 0xFFFF;
}

/* A hash whose upper bits are good, by two odd numbers that clients do not know. */
static inline uint64_t vector_head_hash(vector_head v, uint64_t odd1, uint64_t odd2)
{
    return (uint64_t)_mm_cvtsi128_si64(v) * odd1 +
           (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v)) * odd2;
}

/* Whether the bytes of the first 16 are equal whose bits are in which. */
static inline bool vector_equal_in(const char *a, const char *b, uint32_t which)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
    __m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);

    return (~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) & which) == 0;
}

/* Whether the first n bytes are equal; up to 16 after them may be read on both
 * sides. */
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
static inline uint32_t vector_special_16(const char *p)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < 16; i++) {
        unsigned char c = (unsigned char)p[i];

        mask |= (uint32_t)(c == '"' || c == '\\' || c < 0x20 || c >= 0x80) << i;
    }
    return mask;
}

static inline unsigned vector_form(const char *p)
{
    uint32_t mask = vector_special_16(p);

    for (unsigned i = 0; i < VECTOR_BYTES; i++) {
        mask |= (uint32_t)(p[i] == '&' || p[i] == '=' || p[i] == '+' || p[i] == '%')
                << i;
    }
    return mask;
}

static inline uint32_t vector_special_32(const char *p)
{
    return vector_special_16(p) | vector_special_16(p + 16) << 16;
}

typedef struct {
    uint64_t a, b;
} vector_head;

static inline vector_head vector_head_of_short(const char *p, size_t n)
{
    vector_head v = {0, 0};

    memcpy(&v, p, n);
    return v;
}

static inline bool vector_head_is(vector_head x, vector_head y)
{
    return x.a == y.a && x.b == y.b;
}

static inline uint64_t vector_head_hash(vector_head v, uint64_t odd1, uint64_t odd2)
{
    return v.a * odd1 + v.b * odd2;
}

/* which: as many bits from the lowest on as bytes are compared. */
static inline bool vector_equal_in(const char *a, const char *b, uint32_t which)
{
    return memcmp(a, b, (size_t)__builtin_ctz(~which)) == 0;
}

static inline int vector_equal(const char *a, const char *b, unsigned n)
{
    return memcmp(a, b, n) == 0;
}
#endif
