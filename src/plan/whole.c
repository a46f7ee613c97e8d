#include "plan/whole.h"

#include <stddef.h>

enum { EXPONENT_MAX = 1 << 28 };

static bool is_digit(char c)
{
    return (unsigned)(c - '0') <= 9;
}

/* "e+3", the rest of the text; false: it is none. */
static bool read_exponent(struct str s, int64_t *out)
{
    size_t i = 1;
    bool minus;

    *out = 0;
    if (s.n == 0) {
        return true;
    }
    minus = s.n > 1 && s.p[1] == '-';
    i += s.n > 1 && (s.p[1] == '-' || s.p[1] == '+');
    if ((s.p[0] | 0x20) != 'e' || i == s.n) {
        return false;
    }
    for (; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
        *out = *out < EXPONENT_MAX ? *out * 10 + (s.p[i] - '0') : *out;
    }
    *out = minus ? -*out : *out;
    return true;
}

/* The mantissa digits[0..n), a point among them, times ten to the exponent. */
static enum whole_result scale(struct str digits, int64_t exponent, struct whole *out)
{
    bool large = false;
    size_t n = digits.n;

    for (size_t i = 0; i < n; i++) {
        exponent -= digits.p[i] == '.' ? (int64_t)(n - i - 1) : 0;
    }
    /* Zeros at the end are worth ten each. */
    while (n > 0 && (digits.p[n - 1] == '0' || digits.p[n - 1] == '.')) {
        exponent += digits.p[--n] == '0';
    }
    for (size_t i = 0; i < n; i++) {
        if (digits.p[i] != '.') {
            large |=
                __builtin_mul_overflow(out->v, 10u, &out->v) ||
                __builtin_add_overflow(out->v, (unsigned)(digits.p[i] - '0'), &out->v);
        }
    }
    if (exponent < 0 && (out->v > 0 || large)) {
        return WHOLE_NONE;
    }
    for (; exponent > 0 && out->v > 0 && !large; exponent--) {
        large = __builtin_mul_overflow(out->v, 10u, &out->v);
    }
    return !large ? WHOLE_OK : out->minus ? WHOLE_SMALL : WHOLE_LARGE;
}

enum whole_result whole_read(struct str s, struct whole *out)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'), from = i;
    bool point = false;
    int64_t exponent;

    *out = (struct whole){.minus = i > 0 && s.p[0] == '-', .v = 0};
    for (; i < s.n && (is_digit(s.p[i]) || (s.p[i] == '.' && !point)); i++) {
        point |= s.p[i] == '.';
    }
    if (i == from || s.p[from] == '.' || s.p[i - 1] == '.' ||
        !read_exponent((struct str){s.p + i, s.n - i}, &exponent)) {
        return WHOLE_NONE;
    }
    return scale((struct str){s.p + from, i - from}, exponent, out);
}

enum whole_result whole_in(const struct whole *w, struct whole_range range)
{
    uint64_t most = UINT64_MAX >> (64 - range.bits + !range.is_unsigned);

    if (w->minus) {
        return w->v > (range.is_unsigned ? 0 : most + 1) ? WHOLE_SMALL : WHOLE_OK;
    }
    return w->v > most ? WHOLE_LARGE : WHOLE_OK;
}

size_t whole_write(const struct whole *w, char out[WHOLE_BYTES])
{
    char digits[WHOLE_BYTES];
    size_t k = sizeof digits, n = 0;
    uint64_t v = w->v;

    do {
        digits[--k] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (w->minus && w->v > 0) {
        out[n++] = '-';
    }
    while (k < sizeof digits) {
        out[n++] = digits[k++];
    }
    return n;
}
