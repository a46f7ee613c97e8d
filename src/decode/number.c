#include "decode/number.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decode/vector.h"

/* Up to 2^53 and 10^22 all are exact, so that one operation rounds once
 * (Clinger, "How to read floating point numbers accurately", 1990). */
static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,
                              1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
                              1e18, 1e19, 1e20, 1e21, 1e22};

static double slow(const char *p, size_t n)
{
    char small[128];
    char *z = n < sizeof small ? small : mem_alloc(n + 1);
    double v;

    memcpy(z, p, n);
    z[n] = '\0';
    v = strtod(z, NULL);
    if (z != small) {
        free(z);
    }
    return v;
}

/* The value of eight digits, of which the first is worth most: pairs, then fours,
 * then all, each with one multiplication (Lemire, "Quickly parsing eight digits",
 * 2018). */
static uint64_t eight(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    v = (v & 0x0F0F0F0F0F0F0F0F) * 2561 >> 8;
    v = (v & 0x00FF00FF00FF00FF) * 6553601 >> 16;
    return (v & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
}

double number_value(const char *p, size_t n)
{
    size_t i = p[0] == '-';
    bool negative = p[0] == '-';
    uint64_t m = 0;
    int digits = 0, exponent = 0;
    double v;

    while (i + 8 <= n && digits < 9 && vector_digits(p + i)) {
        m = m * 100000000 + eight(p + i);
        digits += 8;
        i += 8;
    }
    for (; i < n && (unsigned)(p[i] - '0') < 10; i++) {
        m = m * 10 + (uint64_t)(p[i] - '0');
        digits += m != 0;
    }
    if (i < n && p[i] == '.') {
        for (i++; i < n && (unsigned)(p[i] - '0') < 10; i++) {
            m = m * 10 + (uint64_t)(p[i] - '0');
            digits += m != 0;
            exponent--;
        }
    }
    if (i < n || digits > 19 || m > 1ull << 53 || exponent < -22) {
        return slow(p, n);
    }
    v = exponent == 0 ? (double)m : (double)m / tens[-exponent];
    return negative ? -v : v;
}
