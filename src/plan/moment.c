#include "plan/moment.h"

#include <math.h>

static bool digits(const char *p, int n, int *v)
{
    *v = 0;
    for (int i = 0; i < n; i++) {
        if ((unsigned)(p[i] - '0') > 9) {
            return false;
        }
        *v = *v * 10 + (p[i] - '0');
    }
    return true;
}

/* Days since 1970 of a proleptic Gregorian date (Howard Hinnant,
 * "chrono-compatible low-level date algorithms", days_from_civil). */
static int64_t days(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}

static bool leap(int y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

bool moment_day(int y, int m, int d, int64_t *day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (m < 1 || m > 12 || d < 1 || d > lengths[m - 1] + (m == 2 && leap(y))) {
        return false;
    }
    *day = days(y, m, d);
    return true;
}

static bool date(const char *p, int64_t *day)
{
    int y, m, d;

    return digits(p, 4, &y) && p[4] == '-' && digits(p + 5, 2, &m) && p[7] == '-' &&
           digits(p + 8, 2, &d) && moment_day(y, m, d, day);
}

/* "Z" or "+01:00", the rest of the text. */
static bool zone(const char *p, size_t n, int64_t *offset_ms)
{
    int h, m;

    *offset_ms = 0;
    if (n == 1) {
        return *p == 'Z' || *p == 'z';
    }
    if (n != 6 || (*p != '+' && *p != '-') || !digits(p + 1, 2, &h) || p[3] != ':' ||
        !digits(p + 4, 2, &m) || h > 23 || m > 59) {
        return false;
    }
    *offset_ms = (int64_t)(h * 60 + m) * (*p == '+' ? 60000 : -60000);
    return true;
}

bool moment_ms(struct str text, int64_t *ms)
{
    const char *p = text.p, *end = text.p + text.n;
    int h, m, s, scale = 100;
    int64_t day, offset, part = 0;

    if (text.n < 20 || !date(p, &day) ||
        (p[10] != 'T' && p[10] != 't' && p[10] != ' ') || !digits(p + 11, 2, &h) ||
        p[13] != ':' || !digits(p + 14, 2, &m) || p[16] != ':' ||
        !digits(p + 17, 2, &s) || h > 23 || m > 59 || s > 60) {
        return false;
    }
    p += 19;
    if (*p == '.') {
        p++;
        if (p == end || (unsigned)(*p - '0') > 9) {
            return false;
        }
        for (; p < end && (unsigned)(*p - '0') <= 9; p++, scale /= 10) {
            part += (*p - '0') * scale;
        }
    }
    if (p == end || !zone(p, (size_t)(end - p), &offset)) {
        return false;
    }
    s = s == 60 ? 59 : s;
    *ms = day * 86400000 + ((int64_t)h * 3600 + m * 60 + s) * 1000 + part - offset;
    return true;
}

static void put_digits(char *out, int n, int64_t v)
{
    while (n-- > 0) {
        out[n] = (char)('0' + v % 10);
        v /= 10;
    }
}

/* The inverse of days(); the same author's civil_from_days. */
static void put_date(char *out, int64_t day)
{
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;

    put_digits(out, 4, yoe + era * 400 + (month <= 2));
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, doy - (153 * mp + 2) / 5 + 1);
}

bool moment_text(double ms, char out[MOMENT_BYTES])
{
    static const char frame[] = "0000-00-00T00:00:00.000Z";
    int64_t t, day;

    /* The first and the last millisecond of four-digit years. */
    if (!(ms >= -62167219200000.0 && ms <= 253402300799999.0)) {
        return false;
    }
    t = (int64_t)floor(ms);
    day = t / 86400000 - (t % 86400000 < 0);
    t -= day * 86400000;
    for (int i = 0; i < MOMENT_BYTES; i++) {
        out[i] = frame[i];
    }
    put_date(out, day);
    put_digits(out + 11, 2, t / 3600000);
    put_digits(out + 14, 2, t / 60000 % 60);
    put_digits(out + 17, 2, t / 1000 % 60);
    put_digits(out + 20, 3, t % 1000);
    return true;
}
