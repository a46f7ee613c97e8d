/*
 * word - eight bytes looked at at once, in plain C: the tests of the loops over bytes
 * that most times find nothing. Pure; inline. Each tells of all eight, not of which.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WORD_ONES 0x0101010101010101u

enum { WORD_BYTES = 8 };

/* Reads WORD_BYTES bytes; they need not be aligned. */
static inline uint64_t word_at(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* Whether one is not ASCII. */
static inline bool word_has_high(uint64_t v)
{
    return (v & 0x80 * WORD_ONES) != 0;
}

/* Whether one is less than n, which is at most 128. */
static inline bool word_has_less(uint64_t v, unsigned n)
{
    return ((v - n * WORD_ONES) & ~v & 0x80 * WORD_ONES) != 0;
}

static inline bool word_has(uint64_t v, unsigned char c)
{
    return word_has_less(v ^ c * WORD_ONES, 1);
}
