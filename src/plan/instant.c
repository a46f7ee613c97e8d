#include "plan/instant.h"

#include <stddef.h>
#include <string.h>

#include "plan/moment.h"

static const struct {
    const char *word;
    unsigned format;
} formats_of[INSTANT_FORMATS] = {
    {"rfc3339", INSTANT_RFC3339}, {"iso8601", INSTANT_ISO8601},
    {"no_zone", INSTANT_NO_ZONE}, {"date", INSTANT_DATE},
    {"http", INSTANT_HTTP},       {"number", INSTANT_NUMBER}};

unsigned instant_format(struct str word)
{
    for (size_t i = 0; i < N_ELEMS(formats_of); i++) {
        if (str_eq(word, str_of(formats_of[i].word))) {
            return formats_of[i].format;
        }
    }
    return 0;
}

enum instant_unit instant_unit(struct str word)
{
    static const char *const words[] = {
        [INSTANT_S] = "s",   [INSTANT_MS] = "ms",     [INSTANT_US] = "us",
        [INSTANT_NS] = "ns", [INSTANT_AUTO] = "auto",
    };

    for (size_t i = INSTANT_S; i < N_ELEMS(words); i++) {
        if (str_eq(word, str_of(words[i]))) {
            return (enum instant_unit)i;
        }
    }
    return INSTANT_SENT;
}

/* ---- numbers ---- */

enum {
    LEAST_DIGITS = 9, /* 10^8 seconds after 1970 is in 1973 */
    DIGITS_MAX = 21,  /* more are finer than any unit, or larger */
    EXPONENT_MAX = 400
};

/* A number as digits with a point: digits[0..n) hold the mantissa without leading
 * zeros, whole of them (which may be more than n, or negative) stand before the point. */
struct decimal {
    char digits[DIGITS_MAX];
    long n, whole;
};

static bool is_digit(char c)
{
    return (unsigned)(c - '0') <= 9;
}

/* "e+3" and the like, the rest of the text. */
static bool read_exponent(const char *p, const char *end, long *out)
{
    bool minus = p < end && *p == '-';
    long v = 0;

    p += p < end && (*p == '-' || *p == '+');
    if (p == end) {
        return false;
    }
    for (; p < end; p++) {
        if (!is_digit(*p)) {
            return false;
        }
        v = v < EXPONENT_MAX ? v * 10 + (*p - '0') : v;
    }
    *out = minus ? -v : v;
    return true;
}

/* False: s is no number that is positive. */
static bool read_decimal(struct str s, struct decimal *d)
{
    const char *p = s.p, *end = s.p + s.n;
    bool point = false, any = false;
    long exponent = 0;

    d->n = d->whole = 0;
    for (; p < end && (is_digit(*p) || (*p == '.' && !point && any)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        any = true;
        if (d->n == 0 && *p == '0') {
            d->whole -= point;
            continue;
        }
        if (d->n < DIGITS_MAX) {
            d->digits[d->n++] = *p;
        }
        d->whole += !point;
    }
    if (!any || p[-1] == '.' ||
        (p < end && ((*p | 0x20) != 'e' || !read_exponent(p + 1, end, &exponent)))) {
        return false;
    }
    d->whole += exponent;
    return d->n > 0;
}

enum instant_result instant_number(struct str digits, enum instant_unit unit,
                                   int64_t *ms)
{
    /* Digits of a unit before the point: from least on, and three more. */
    static const long power[] = {
        [INSTANT_SENT] = 0, [INSTANT_S] = 0,  [INSTANT_MS] = 3,
        [INSTANT_US] = 6,   [INSTANT_NS] = 9, [INSTANT_AUTO] = 0};
    struct decimal d;
    long least;
    int64_t v = 0;

    if (!read_decimal(digits, &d)) {
        return INSTANT_NO_TIME;
    }
    if (unit == INSTANT_AUTO) {
        for (unit = INSTANT_S; unit < INSTANT_NS && d.whole > power[unit] + 11;
             unit++) {
        }
    }
    least = power[unit == INSTANT_SENT ? INSTANT_MS : unit] + LEAST_DIGITS;
    if (d.whole < least) {
        return INSTANT_TOO_SMALL;
    }
    if (d.whole > least + 2) {
        return INSTANT_TOO_LARGE;
    }
    /* Milliseconds have as many digits more as the unit is coarser. */
    for (long i = 0; i < d.whole - least + LEAST_DIGITS + 3; i++) {
        v = v * 10 + (i < d.n ? d.digits[i] - '0' : 0);
    }
    *ms = v;
    return INSTANT_OK;
}

/* ---- ISO 8601 ---- */

struct cursor {
    const char *p, *end;
};

static bool digits(struct cursor *c, int n, int *v)
{
    if (c->end - c->p < n) {
        return false;
    }
    *v = 0;
    for (int i = 0; i < n; i++) {
        if (!is_digit(c->p[i])) {
            return false;
        }
        *v = *v * 10 + (c->p[i] - '0');
    }
    c->p += n;
    return true;
}

static bool is_at(const struct cursor *c, char want)
{
    return c->p < c->end && *c->p == want;
}

static bool skip(struct cursor *c, char want)
{
    bool there = is_at(c, want);

    c->p += there;
    return there;
}

static bool skip_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0) {
        return false;
    }
    c->p += n;
    return true;
}

/* "2025-11-23" or, *basic, "20251123". */
static bool read_date(struct cursor *c, int64_t *day, bool *basic)
{
    int y, m, d;

    if (!digits(c, 4, &y)) {
        return false;
    }
    *basic = !skip(c, '-');
    return digits(c, 2, &m) && (*basic || skip(c, '-')) && digits(c, 2, &d) &&
           moment_day(y, m, d, day);
}

/* ".123" or ",123": milliseconds. */
static bool read_fraction(struct cursor *c, int64_t *part)
{
    int scale = 100;

    *part = 0;
    if (!skip(c, '.') && !skip(c, ',')) {
        return true;
    }
    if (c->p == c->end || !is_digit(*c->p)) {
        return false;
    }
    for (; c->p < c->end && is_digit(*c->p); c->p++, scale /= 10) {
        *part += (*c->p - '0') * scale;
    }
    return true;
}

/* "12:13:20.5" or, basic, "121320.5"; the seconds may lack. */
static bool read_clock(struct cursor *c, bool basic, int64_t *ms)
{
    int h, m, s = 0;
    int64_t part = 0;

    if (!digits(c, 2, &h) || (!basic && !skip(c, ':')) || !digits(c, 2, &m)) {
        return false;
    }
    if (basic ? c->p < c->end && is_digit(*c->p) : skip(c, ':')) {
        if (!digits(c, 2, &s) || !read_fraction(c, &part)) {
            return false;
        }
    }
    if (h > 23 || m > 59 || s > 60) {
        return false;
    }
    *ms = ((int64_t)h * 3600 + m * 60 + (s == 60 ? 59 : s)) * 1000 + part;
    return true;
}

/* "+01:00", "+0100", "+01", "-0530". */
static bool read_offset(struct cursor *c, int64_t *ms)
{
    bool minus = is_at(c, '-');
    int h, m = 0;

    if ((!skip(c, '+') && !skip(c, '-')) || !digits(c, 2, &h)) {
        return false;
    }
    if (skip(c, ':') || (c->p < c->end && is_digit(*c->p))) {
        if (!digits(c, 2, &m)) {
            return false;
        }
    }
    *ms = (int64_t)(h * 60 + m) * (minus ? -60000 : 60000);
    return h <= 23 && m <= 59;
}

/* The zone and what may stand after it, up to the end. *none: there is no zone. */
static bool read_zone(struct cursor *c, int64_t *offset, bool *none)
{
    *offset = 0;
    *none = c->p == c->end;
    if (*none) {
        return true;
    }
    (void)skip(c, ' ');
    if (is_at(c, '+') || is_at(c, '-')) {
        if (!read_offset(c, offset)) {
            return false;
        }
        /* As Go prints it. */
        (void)(*offset == 0 && skip_word(c, " UTC"));
    } else if (!skip(c, 'Z') && !skip(c, 'z') && !skip_word(c, "UTC") &&
               !skip_word(c, "GMT")) {
        return false;
    }
    /* RFC 9557: "[Europe/Berlin]", which the offset says already. */
    if (is_at(c, '[') && c->end[-1] == ']') {
        c->p = c->end;
    }
    return c->p == c->end;
}

static bool read_iso(struct str text, unsigned formats, int64_t *ms)
{
    struct cursor c = {text.p, text.p + text.n};
    int64_t day, clock, offset;
    bool basic, none;

    if (!read_date(&c, &day, &basic)) {
        return false;
    }
    if (c.p == c.end) {
        *ms = day * 86400000;
        return (formats & INSTANT_DATE) != 0;
    }
    if ((formats & (INSTANT_ISO8601 | INSTANT_NO_ZONE)) == 0 ||
        (!skip(&c, 'T') && !skip(&c, 't') && !skip(&c, ' ')) ||
        !read_clock(&c, basic, &clock) || !read_zone(&c, &offset, &none) ||
        (formats & (none ? INSTANT_NO_ZONE : INSTANT_ISO8601)) == 0) {
        return false;
    }
    *ms = day * 86400000 + clock - offset;
    return true;
}

/* ---- HTTP and mail ---- */

static bool read_month(struct cursor *c, int *m)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (*m = 1; *m <= 12 && c->end - c->p >= 3; (*m)++) {
        if (memcmp(c->p, names + 3 * (*m - 1), 3) == 0) {
            c->p += 3;
            return true;
        }
    }
    return false;
}

/* The name of a day, which need not be that of the date. */
static bool skip_day_name(struct cursor *c)
{
    static const char *const names[] = {"Mon, ", "Tue, ", "Wed, ", "Thu, ",
                                        "Fri, ", "Sat, ", "Sun, "};

    for (size_t i = 0; i < N_ELEMS(names); i++) {
        if (skip_word(c, names[i])) {
            return true;
        }
    }
    return c->p < c->end && is_digit(*c->p);
}

/* "Sun, 23 Nov 2025 12:13:20 GMT" (RFC 9110, RFC 5322). */
static bool read_http(struct str text, int64_t *ms)
{
    struct cursor c = {text.p, text.p + text.n};
    int64_t day, clock, offset;
    int y, m, d;
    bool none;

    if (!skip_day_name(&c) || (!digits(&c, 2, &d) && !digits(&c, 1, &d)) ||
        !skip(&c, ' ') || !read_month(&c, &m) || !skip(&c, ' ') || !digits(&c, 4, &y) ||
        !skip(&c, ' ') || !moment_day(y, m, d, &day) ||
        !read_clock(&c, false, &clock) || !read_zone(&c, &offset, &none) || none) {
        return false;
    }
    *ms = day * 86400000 + clock - offset;
    return true;
}

bool instant_text(struct str text, unsigned formats, enum instant_unit unit,
                  int64_t *ms)
{
    if ((formats & (INSTANT_RFC3339 | INSTANT_ISO8601)) != 0 && moment_ms(text, ms)) {
        return true;
    }
    return ((formats & (INSTANT_ISO8601 | INSTANT_NO_ZONE | INSTANT_DATE)) != 0 &&
            read_iso(text, formats, ms)) ||
           ((formats & INSTANT_HTTP) != 0 && read_http(text, ms)) ||
           ((formats & INSTANT_NUMBER) != 0 &&
            instant_number(text, unit, ms) == INSTANT_OK);
}
