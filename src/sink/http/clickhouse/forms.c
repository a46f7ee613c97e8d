#include "sink/http/clickhouse/forms.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plan/moment.h"

enum { DIGITS_MAX = 40 };

/* The end of 2299 and, with nanoseconds, the range of 63 bits; DateTime: 32 bits; Date:
 * 16 bits of days. */
static const int64_t DECIMAL_LEAST_MS = -2208988800000,
                     DECIMAL_MOST_MS = 10413791999999, NANO_MOST_MS = 9223372036854,
                     SECONDS_MOST_MS = 4294967295999, DAY_MOST_MS = 5662310399999;

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);

    return s.n >= n && memcmp(s.p, with, n) == 0;
}

/* Of "DateTime64(9, 'UTC')". */
static uint8_t number_in(struct str type, size_t from)
{
    unsigned v = 0;

    for (size_t i = from; i < type.n && type.p[i] >= '0' && type.p[i] <= '9' && v < 100;
         i++) {
        v = v * 10 + (unsigned)(type.p[i] - '0');
    }
    return (uint8_t)v;
}

static struct form integer_of(struct str type, bool time)
{
    bool is_unsigned = type.p[0] == 'U';
    uint8_t bits = number_in(type, is_unsigned ? 4 : 3);

    return bits > 0 && bits <= 64 ? (struct form){time ? FORM_MILLIS : FORM_INTEGER,
                                                  bits, is_unsigned, false}
                                  : (struct form){0};
}

struct form form_of(struct str type, bool time)
{
    if (begins(type, "String") || begins(type, "FixedString")) {
        return (struct form){.kind = FORM_TEXT};
    }
    if ((begins(type, "Int") || begins(type, "UInt")) && !begins(type, "Interval")) {
        return integer_of(type, time);
    }
    if (!time) {
        return (struct form){0};
    }
    if (begins(type, "Float") || begins(type, "Decimal")) {
        return (struct form){.kind = FORM_MILLIS, .bits = 64};
    }
    if (begins(type, "DateTime64")) {
        return (struct form){.kind = FORM_DECIMAL, .bits = number_in(type, 11)};
    }
    if (begins(type, "DateTime")) {
        return (struct form){.kind = FORM_SECONDS};
    }
    if (begins(type, "Date")) {
        return (struct form){.kind = FORM_DAY,
                             .bits = begins(type, "Date32") ? 32 : 16};
    }
    return (struct form){0};
}

/* ---- as words ---- */

static const char *const words[] = {
    [FORM_AS_IS] = "",      [FORM_TEXT] = "text", [FORM_SECONDS] = "sec",
    [FORM_DECIMAL] = "dec", [FORM_DAY] = "day",   [FORM_INTEGER] = "int",
    [FORM_MILLIS] = "ms"};

void form_name(struct form f, char out[FORM_NAME_BYTES])
{
    const char *end = f.no_null ? "!" : "", *word = words[f.kind];

    if (f.kind == FORM_INTEGER || f.kind == FORM_MILLIS) {
        (void)snprintf(out, FORM_NAME_BYTES, "%s%s%u%s", f.is_unsigned ? "u" : "", word,
                       f.bits, end);
    } else if (f.kind == FORM_DECIMAL || f.kind == FORM_DAY) {
        (void)snprintf(out, FORM_NAME_BYTES, "%s%u%s", word, f.bits, end);
    } else {
        (void)snprintf(out, FORM_NAME_BYTES, "%s%s", word, end);
    }
}

bool form_read(const char *word, struct form *f)
{
    bool is_unsigned = word[0] == 'u';
    bool no_null = strchr(word, '!') != NULL;

    word += is_unsigned;
    for (size_t i = sizeof words / sizeof *words; i-- > 0;) {
        size_t n = strlen(words[i]);

        if (strncmp(word, words[i], n) == 0) {
            *f = (struct form){(enum form_kind)i, (uint8_t)atoi(word + n), is_unsigned,
                               no_null};
            return i != FORM_AS_IS || word[0] == '\0' || word[0] == '!';
        }
    }
    return false;
}

/* ---- values ---- */

static size_t refuse(struct str text, const char *what, char *out)
{
    return (size_t)snprintf(out, FORM_BOUND, "\"out of range of %s: %.*s\"", what,
                            (int)(text.n < DIGITS_MAX ? text.n : DIGITS_MAX), text.p);
}

/* The whole number in text, also as 1e3 or 5.0; false: it is not a whole number, or has
 * more than 64 bits. */
static bool whole(struct str text, bool *minus, uint64_t *v)
{
    char copy[DIGITS_MAX + 1];
    size_t i = 0;
    double x;

    *minus = text.n > 0 && text.p[0] == '-';
    *v = 0;
    for (i = *minus; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        if (__builtin_mul_overflow(*v, 10u, v) ||
            __builtin_add_overflow(*v, (unsigned)(text.p[i] - '0'), v)) {
            return false;
        }
    }
    if (i == text.n) {
        return true;
    }
    if (text.n > DIGITS_MAX) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    x = fabs(strtod(copy, NULL));
    *v = x < 9007199254740992. ? (uint64_t)x : 0;
    return x < 9007199254740992. && (double)*v == x;
}

static size_t integer(struct form f, struct str text, char *out)
{
    uint64_t v, most;
    bool minus;
    char what[16];

    most = f.is_unsigned ? UINT64_MAX >> (64 - f.bits) : (UINT64_MAX >> (65 - f.bits));
    if (!whole(text, &minus, &v) || v > most + (minus && !f.is_unsigned) ||
        (minus && f.is_unsigned && v > 0)) {
        (void)snprintf(what, sizeof what, "%s%u", f.is_unsigned ? "UInt" : "Int",
                       f.bits);
        return refuse(text, what, out);
    }
    return (size_t)snprintf(out, FORM_BOUND, "%s%lu", minus && v > 0 ? "-" : "",
                            (unsigned long)v);
}

/* Fractions of one are cut. */
static bool milliseconds(struct str text, int64_t *ms)
{
    char copy[DIGITS_MAX + 1];
    double x;

    if (text.n > DIGITS_MAX) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    x = strtod(copy, NULL);
    *ms = x > -1e15 && x < 1e15 ? (int64_t)x : 0;
    return x > -1e15 && x < 1e15;
}

static size_t decimal(int64_t ms, char *out)
{
    uint64_t v = (uint64_t)(ms < 0 ? -ms : ms);

    return (size_t)snprintf(out, FORM_BOUND, "%s%lu.%03lu", ms < 0 ? "-" : "",
                            (unsigned long)(v / 1000), (unsigned long)(v % 1000));
}

static size_t day(int64_t ms, char *out)
{
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm tm;

    (void)gmtime_r(&seconds, &tm);
    return (size_t)snprintf(out, FORM_BOUND, "\"%04d-%02d-%02d\"", tm.tm_year + 1900,
                            tm.tm_mon + 1, tm.tm_mday);
}

size_t form_number(struct form f, struct str text, char *out)
{
    int64_t ms, most;
    char digits[24];

    switch (f.kind) {
    case FORM_TEXT:
        out[0] = '"';
        memcpy(out + 1, text.p, text.n);
        out[text.n + 1] = '"';
        return text.n + 2;
    case FORM_INTEGER:
        return integer(f, text, out);
    case FORM_MILLIS:
        if (!milliseconds(text, &ms)) {
            return refuse(text, "a time", out);
        }
        (void)snprintf(digits, sizeof digits, "%ld", (long)ms);
        return integer(f, str_of(digits), out);
    case FORM_SECONDS:
        if (!milliseconds(text, &ms) || ms < 0 || ms > SECONDS_MOST_MS) {
            return refuse(text, "DateTime", out);
        }
        return (size_t)snprintf(out, FORM_BOUND, "%ld", (long)(ms / 1000));
    case FORM_DECIMAL:
        most = f.bits > 8 ? NANO_MOST_MS : DECIMAL_MOST_MS;
        if (!milliseconds(text, &ms) || ms < DECIMAL_LEAST_MS || ms > most) {
            return refuse(text, "DateTime64", out);
        }
        return decimal(ms, out);
    case FORM_DAY:
        if (!milliseconds(text, &ms) ||
            ms > (f.bits > 16 ? DECIMAL_MOST_MS : DAY_MOST_MS) ||
            ms < (f.bits > 16 ? DECIMAL_LEAST_MS : 0)) {
            return refuse(text, "Date", out);
        }
        return day(ms, out);
    default:
        memcpy(out, text.p, text.n);
        return text.n;
    }
}

size_t form_moment(struct form f, struct str text, char *out)
{
    char digits[24];
    int64_t ms;

    if ((f.kind != FORM_MILLIS && f.kind != FORM_SECONDS && f.kind != FORM_DECIMAL &&
         f.kind != FORM_DAY) ||
        !moment_ms(text, &ms)) {
        return 0;
    }
    (void)snprintf(digits, sizeof digits, "%ld", (long)ms);
    return form_number(f, str_of(digits), out);
}
