/* Texts that stand for a number or a truth, as people send them in forms and in quotes. */
#include <string.h>
#include <strings.h>

#include "decode/number.h"

static const char *digits(const char *p, const char *end)
{
    while (p < end && (unsigned)(*p - '0') <= 9) {
        p++;
    }
    return p;
}

/* Whether p up to end is what may stand after the whole part of a number. */
static bool is_rest(const char *p, const char *end)
{
    const char *from;

    if (p < end && *p == '.') {
        from = p + 1;
        p = digits(from, end);
        if (p == from) {
            return false;
        }
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '-' || *p == '+');
        from = p;
        p = digits(from, end);
        if (p == from) {
            return false;
        }
    }
    return p == end;
}

char *number_of_text(struct str text, char *out)
{
    const char *p = text.p, *end = text.p + text.n, *whole;
    bool negative;

    if (text.n == 0) {
        return NULL;
    }
    negative = *p == '-';
    p += negative || *p == '+';
    whole = digits(p, end);
    if ((whole == p && (p == end || *p != '.')) || !is_rest(whole, end)) {
        return NULL;
    }
    while (whole - p > 1 && *p == '0') {
        p++;
    }
    if (negative) {
        *out++ = '-';
    }
    if (whole == p) {
        *out++ = '0';
    }
    memmove(out, p, (size_t)(end - p));
    return out + (end - p);
}

bool bool_of_text(struct str text, bool *out)
{
    *out = (text.n == 1 && *text.p == '1') ||
           (text.n == 4 && strncasecmp(text.p, "true", 4) == 0);
    return *out || (text.n == 1 && *text.p == '0') ||
           (text.n == 5 && strncasecmp(text.p, "false", 5) == 0);
}
