#include "decode/number.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decode/vector.h"

/* Up to 2^53 and 10^22 all are exact, so that one operation rounds once
 * (Clinger, "How to read floating point numbers accurately", 1990). */
static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

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

static uint64_t eight(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return vector_eight_digits(v);
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

/* The digits of a number from its first one that is not 0. */
struct digits {
    const char *p, *end;
    bool negative;
    long exponent; /* of the first */
};

static struct digits digits_of(const char *p, size_t n)
{
    const char *end = p + n, *stop = p;
    struct digits d = {.negative = *p == '-'};

    while (stop < end && *stop != 'e' && *stop != 'E') {
        stop++;
    }
    d.p = p + d.negative;
    d.end = stop;
    /* Of more digits than long has all are the same exponent: nothing is so large. */
    d.exponent = stop < end ? strtol(stop + 1, NULL, 10) : 0;
    d.exponent = d.exponent > LONG_MAX / 2   ? LONG_MAX / 2
                 : d.exponent < LONG_MIN / 2 ? LONG_MIN / 2
                                             : d.exponent;
    for (p = d.p; p < stop && *p != '.'; p++) {
        d.exponent++;
    }
    for (; d.p < stop && (*d.p == '0' || *d.p == '.'); d.p++) {
        d.exponent -= *d.p == '0';
    }
    return d;
}

/* 0 after the last. */
static char next_digit(struct digits *d)
{
    if (d->p < d->end && *d->p == '.') {
        d->p++;
    }
    return d->p < d->end ? *d->p++ : '0';
}

bool number_same(const char *a, size_t n, const char *b, size_t k)
{
    struct digits x = digits_of(a, n), y = digits_of(b, k);

    if (x.negative != y.negative) {
        return false;
    }
    if (x.p == x.end || y.p == y.end) {
        return x.p == x.end && y.p == y.end;
    }
    if (x.exponent != y.exponent) {
        return false;
    }
    while (x.p < x.end || y.p < y.end) {
        if (next_digit(&x) != next_digit(&y)) {
            return false;
        }
    }
    return true;
}

/* Whole numbers that are exact. */
static size_t whole(double v, char *out)
{
    uint64_t u = (uint64_t)fabs(v);
    char digits[NUMBER_BYTES];
    size_t k = sizeof digits, n = 0;

    do {
        digits[--k] = (char)('0' + u % 10);
        u /= 10;
    } while (u != 0);
    if (v < 0) {
        out[n++] = '-';
    }
    memcpy(out + n, digits + k, sizeof digits - k);
    return n + sizeof digits - k;
}

/* The least digits of |v| that give it back, without the point; *exponent is that of
 * the first. Where 15 digits give a normal number back, they are the least but for
 * zeros at their end: no other number of 15 digits or fewer is so near. */
static int least_digits(double v, char *digits, int *exponent)
{
    char text[40];
    int n = 0;

    for (int k = v < 2.3e-308 ? 0 : 14; k < 17; k++) {
        (void)snprintf(text, sizeof text, "%.*e", k, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    for (const char *p = text; *p != 'e'; p++) {
        if (*p != '.') {
            digits[n++] = *p;
        }
    }
    *exponent = atoi(strchr(text, 'e') + 1);
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    return n;
}

static size_t fill(char *out, size_t n, const char *p, int count)
{
    for (int i = 0; i < count; i++) {
        out[n++] = p == NULL ? '0' : p[i];
    }
    return n;
}

size_t number_write(double v, char out[NUMBER_BYTES])
{
    char digits[24];
    int exponent, n_digits;
    size_t n = 0;

    if (v == floor(v) && fabs(v) < 9007199254740992.) {
        return whole(v, out);
    }
    n_digits = least_digits(fabs(v), digits, &exponent);
    if (v < 0) {
        out[n++] = '-';
    }
    if (exponent >= n_digits - 1 && exponent < 21) {
        n = fill(out, n, digits, n_digits);
        return fill(out, n, NULL, exponent + 1 - n_digits);
    }
    if (exponent >= 0 && exponent < 21) {
        n = fill(out, n, digits, exponent + 1);
        out[n++] = '.';
        return fill(out, n, digits + exponent + 1, n_digits - exponent - 1);
    }
    if (exponent < 0 && exponent >= -7) {
        out[n++] = '0';
        out[n++] = '.';
        n = fill(out, n, NULL, -exponent - 1);
        return fill(out, n, digits, n_digits);
    }
    out[n++] = digits[0];
    if (n_digits > 1) {
        out[n++] = '.';
        n = fill(out, n, digits + 1, n_digits - 1);
    }
    return n + (size_t)snprintf(out + n, 8, "e%d", exponent);
}
