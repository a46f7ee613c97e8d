#include "plan/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/text.h"
#include "base/word.h"
#include "decode/vector.h"
#include "plan/check_parts.h"
#include "plan/moment.h"
#include "plan/rewrite.h"

enum { MESSAGE_BYTES = 512 };

/* 9999-12-31T23:59:59.999Z */
static const double LAST_MS = 253402300799999.;
/* 1973-03-03 in milliseconds; a smaller number is most likely seconds. */
static const double LEAST_MS = 1e11;

static const char *const kind_names[] = {
    [SLOT_ABSENT] = "nothing",   [SLOT_NULL] = "null",
    [SLOT_FALSE] = "false",      [SLOT_TRUE] = "true",
    [SLOT_NUMBER] = "a number",  [SLOT_STRING] = "a string",
    [SLOT_ESCAPED] = "a string", [SLOT_OBJECT] = "an object",
    [SLOT_ARRAY] = "an array"};

static bool absent(const struct slot *x)
{
    return (x->tag & 15) <= SLOT_NULL;
}

bool check_refuse(struct event_batch *b, struct event *ev, const struct field *f,
                  const char *code, const char *fmt, ...)
{
    char *text = arena_alloc(b->arena, MESSAGE_BYTES);
    va_list args;
    int n;

    ev->fate = EVENT_REJECT;
    ev->code = code;
    ev->field = f->path.p;
    ev->message = code;
    if (text != NULL) {
        n = snprintf(text, MESSAGE_BYTES / 2, "%s: ", f->path.p);
        n = n < MESSAGE_BYTES / 2 ? n : MESSAGE_BYTES / 2 - 1;
        va_start(args, fmt);
        (void)vsnprintf(text + n, (size_t)(MESSAGE_BYTES - n), fmt, args);
        va_end(args);
        text[text_cut(str_of(text), MESSAGE_BYTES - 4)] = '\0';
        ev->message = text;
    }
    return false;
}

bool check_wrong_type(struct event_batch *b, struct event *ev, const struct field *f,
                      const struct slot *x, const char *expected)
{
    return check_refuse(b, ev, f, "wrong_type", "expected %s, got %s", expected,
                        kind_names[kind_of(x)]);
}

/* Code points: every byte that is not a continuation, an escape as one, a
 * surrogate pair as one. */
static size_t code_points(struct str s, bool escaped)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (escaped && s.p[i] == '\\') {
            bool high = s.p[i + 1] == 'u' && (s.p[i + 2] | 0x20) == 'd' &&
                        strchr("89abAB", s.p[i + 3]) != NULL;

            i += s.p[i + 1] != 'u' ? 1 : high ? 11 : 5;
            n++;
        } else {
            n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
        }
    }
    return n;
}

/* Whether no byte is above 0x7F; false: not known, if the text is short. */
static bool is_ascii(struct str s)
{
    uint64_t all;

    if (s.n < WORD_BYTES) {
        return false;
    }
    all = word_at(s.p + s.n - WORD_BYTES);
    for (size_t i = 0; i + WORD_BYTES < s.n; i += WORD_BYTES) {
        all |= word_at(s.p + i);
    }
    return !word_has_high(all);
}

static NOINLINE bool check_length(struct event_batch *b, struct event *ev,
                                  const struct field *f, const struct slot *x)
{
    struct str s = text_of(b, x);
    bool escaped = kind_of(x) == SLOT_ESCAPED;
    double n;

    if (!is_string(x)) {
        return check_wrong_type(b, ev, f, x, "a string");
    }
    n = (double)(!escaped && is_ascii(s) ? s.n : code_points(s, escaped));
    if (f->has_min && n < f->min) {
        return check_refuse(b, ev, f, "too_short", "shorter than %.0f character%s",
                            f->min, f->min == 1 ? "" : "s");
    }
    if (f->has_max && n > f->max) {
        return check_refuse(b, ev, f, "too_long", "longer than %.0f character%s",
                            f->max, f->max == 1 ? "" : "s");
    }
    return true;
}

static bool check_str(struct event_batch *b, struct event *ev, const struct field *f,
                      struct slot *x)
{
    double n = (double)(int32_t)(x->tag >> 4);

    /* Bytes bound the characters from both sides; mostly that decides. */
    if (!(LIKELY(kind_of(x) == SLOT_STRING) && (!f->has_max || n <= f->max) &&
          (!f->has_min || n / 4 >= f->min)) &&
        !check_length(b, ev, f, x)) {
        return false;
    }
    return LIKELY(!f->has_form) || check_form(b, ev, f, x);
}

/* The integer of a number's text. */
enum written {
    WRITTEN_WHOLE = 0,
    WRITTEN_FRACTION, /* 1.5, 1.00000000000000000001, 1e-400 */
    WRITTEN_POINT,    /* 1.0, 1e3: whole, but no integer column reads it */
    WRITTEN_LARGE,    /* beyond 64 bits */
    WRITTEN_ZERO      /* -0 */
};

/* Digits that count for nothing behind the point. */
static bool has_fraction(struct str s, double value)
{
    const char *dot = memchr(s.p, '.', s.n);

    if (value != floor(value)) {
        return true;
    }
    for (size_t i = 0; i < s.n; i++) {
        if ((s.p[i] | 0x20) == 'e') {
            return value == 0; /* so small that a double has no place for it, or 0 */
        }
    }
    for (const char *p = dot + 1; dot != NULL && p < s.p + s.n; p++) {
        if (*p != '0') {
            return true;
        }
    }
    return false;
}

/* By its digits: a double has 53 bits of them. */
static enum written whole_of(struct str s, double value)
{
    size_t i, digits;
    uint64_t v = 0;

    /* Most times: not negative, far below 2^63. */
    if (LIKELY(s.n >= 8 && s.n <= 16) && vector_digits(s.p) &&
        vector_digits(s.p + s.n - 8)) {
        return WRITTEN_WHOLE;
    }
    i = s.n > 0 && s.p[0] == '-';
    digits = s.n - i;
    for (size_t k = i; k < s.n; k++) {
        unsigned d = (unsigned)(s.p[k] - '0');

        if (d > 9) {
            return has_fraction(s, value) ? WRITTEN_FRACTION : WRITTEN_POINT;
        }
        v = v * 10 + d;
    }
    if (UNLIKELY(v == 0 && i == 1 && digits == 1)) {
        return WRITTEN_ZERO;
    }
    /* 19 digits do not wrap: JSON has no leading zeros. */
    return digits > 19 || v > (uint64_t)INT64_MAX + i ? WRITTEN_LARGE : WRITTEN_WHOLE;
}

static bool check_whole(struct event_batch *b, struct event *ev, const struct field *f,
                        const struct slot *x)
{
    switch (whole_of(text_of(b, x), x->num)) {
    case WRITTEN_FRACTION:
        return check_refuse(b, ev, f, "wrong_type",
                            "expected an integer, got a fraction");
    case WRITTEN_POINT:
        return check_refuse(b, ev, f, "wrong_type",
                            "expected an integer without a decimal point and without "
                            "an exponent");
    case WRITTEN_LARGE:
        return check_refuse(b, ev, f, x->num < 0 ? "too_small" : "too_large",
                            "the integer is beyond 64 bits");
    case WRITTEN_ZERO:
        ev->flags |= EVENT_MINUS_ZERO;
        break;
    case WRITTEN_WHOLE:
        break;
    }
    return true;
}

static bool check_bounds(struct event_batch *b, struct event *ev, const struct field *f,
                         const struct slot *x)
{
    if (f->has_min && x->num < f->min) {
        return check_refuse(b, ev, f, "too_small", "less than %.15g", f->min);
    }
    if (f->has_max && x->num > f->max) {
        return check_refuse(b, ev, f, "too_large", "more than %.15g", f->max);
    }
    return true;
}

static bool check_num(struct event_batch *b, struct event *ev, const struct field *f,
                      struct slot *x)
{
    bool whole = f->type == FIELD_INT;

    if (UNLIKELY(f->range.bits != 0)) {
        return check_range(b, ev, f, x) && check_bounds(b, ev, f, x);
    }
    if (kind_of(x) != SLOT_NUMBER) {
        if (!(f->converts && is_string(x))) {
            return check_wrong_type(b, ev, f, x, whole ? "an integer" : "a number");
        }
        if (!check_number_text(b, ev, f, x)) {
            return false;
        }
    }
    if (!isfinite(x->num)) {
        return check_refuse(b, ev, f, "too_large",
                            "the number is beyond the range of a double");
    }
    if (whole && !check_whole(b, ev, f, x)) {
        return false;
    }
    return check_bounds(b, ev, f, x);
}

static bool not_in_enum(struct event_batch *b, struct event *ev, const struct field *f,
                        struct str s)
{
    char list[MESSAGE_BYTES / 2];
    size_t n = 0;

    list[0] = '\0';
    for (uint32_t i = 0; i < f->n_values && n < sizeof list - 1; i++) {
        int k = snprintf(list + n, sizeof list - n, "%s%.*s", i > 0 ? ", " : "",
                         (int)f->values[i].n, f->values[i].p);

        n += k > 0 ? (size_t)k : 0;
    }
    list[text_cut(str_of(list), sizeof list - 4)] = '\0';
    /* The client's text is shown only as far as it has no escape. */
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') {
            s.n = i;
        }
    }
    return check_refuse(b, ev, f, "not_in_enum", "\"%.*s\" is none of %s",
                        (int)text_cut(s, SHOWN_BYTES), s.p, list);
}

/* A text that may be one of the field's without its escapes, however long these are. */
static struct str plain_value(struct event_batch *b, const struct field *f,
                              const struct slot *x, struct str s,
                              char out[CHECK_PLAIN_BYTES])
{
    size_t longest = 0;
    char *more;

    if (LIKELY(kind_of(x) != SLOT_ESCAPED || s.n <= CHECK_PLAIN_BYTES)) {
        return check_plain(x, s, out);
    }
    for (uint32_t i = 0; i < f->n_values; i++) {
        longest = f->values[i].n > longest ? f->values[i].n : longest;
    }
    /* A byte of text is six of source at most. */
    more = s.n > 6 * longest ? NULL : arena_alloc(b->arena, s.n);
    return more == NULL ? s : (struct str){more, scan_unescape(s.p, s.n, more)};
}

static bool is_value(const struct field *f, struct slot *x, struct str s)
{
    for (uint32_t i = 0; i < f->n_values; i++) {
        if (str_eq(f->values[i], s)) {
            x->num = i;
            return true;
        }
    }
    return false;
}

static NOINLINE bool check_other_enum(struct event_batch *b, struct event *ev,
                                      const struct field *f, struct slot *x)
{
    struct str s = text_of(b, x);
    char plain[CHECK_PLAIN_BYTES];

    if (!is_string(x)) {
        return check_wrong_type(b, ev, f, x, "a string");
    }
    s = plain_value(b, f, x, s, plain);
    return is_value(f, x, s) || not_in_enum(b, ev, f, s);
}

static bool check_enum(struct event_batch *b, struct event *ev, const struct field *f,
                       struct slot *x)
{
    return (LIKELY(kind_of(x) == SLOT_STRING) && is_value(f, x, text_of(b, x))) ||
           check_other_enum(b, ev, f, x);
}

static NOINLINE bool read_written_time(struct event_batch *b, struct event *ev,
                                       const struct field *f, struct slot *x)
{
    struct str s = text_of(b, x);
    char plain[CHECK_PLAIN_BYTES];
    int64_t ms;

    if (!is_string(x)) {
        return check_wrong_type(b, ev, f, x, "a time");
    }
    /* Some senders write + as \u002B. */
    if (!moment_ms(check_plain(x, s, plain), &ms)) {
        return check_refuse(b, ev, f, "bad_time",
                            "expected milliseconds since 1970, or a time such as "
                            "\"2025-11-23T12:13:20Z\"");
    }
    x->num = (double)ms;
    return true;
}

static bool read_time(struct event_batch *b, struct event *ev, const struct field *f,
                      struct slot *x)
{
    struct str s = text_of(b, x);

    if (UNLIKELY(f->unit != INSTANT_SENT)) {
        return check_instant(b, ev, f, x);
    }
    if (kind_of(x) != SLOT_NUMBER) {
        return read_written_time(b, ev, f, x);
    }
    if (!(x->num >= 0 && x->num <= LAST_MS) || whole_of(s, x->num) != WRITTEN_WHOLE) {
        return check_refuse(b, ev, f, "bad_time",
                            "%.*s is not whole milliseconds since 1970",
                            (int)(s.n < SHOWN_BYTES ? s.n : SHOWN_BYTES), s.p);
    }
    /* With max_age such a time is too old, which is told there. */
    if (x->num < LEAST_MS && f->max_age_ms < 0) {
        return check_refuse(b, ev, f, "bad_time",
                            "%.*s looks like seconds since 1970, expected "
                            "milliseconds; give a time before 1973-03-03 as text",
                            (int)(s.n < SHOWN_BYTES ? s.n : SHOWN_BYTES), s.p);
    }
    return true;
}

static bool check_time(struct event_batch *b, struct event *ev, const struct field *f,
                       struct slot *x, int64_t now_ms)
{
    double age;

    if (!read_time(b, ev, f, x)) {
        return false;
    }
    age = (double)now_ms - x->num;
    if (f->max_age_ms >= 0 && age > (double)f->max_age_ms) {
        return check_refuse(
            b, ev, f, "too_old",
            x->num < LEAST_MS ? "older than the allowed %.0f s; the number looks like "
                                "seconds, expected milliseconds"
                              : "older than the allowed %.0f s",
            (double)f->max_age_ms / 1000);
    }
    if (f->max_skew_ms >= 0 && -age > (double)f->max_skew_ms) {
        return check_refuse(b, ev, f, "in_future",
                            "more than the allowed %.0f s in the future",
                            (double)f->max_skew_ms / 1000);
    }
    return true;
}

bool check_field(struct event_batch *b, struct event *ev, const struct field *f,
                 struct slot *x, int64_t now_ms)
{
    switch (f->type) {
    case FIELD_STR:
        return check_str(b, ev, f, x);
    case FIELD_NUM:
    case FIELD_INT:
        return check_num(b, ev, f, x);
    case FIELD_ENUM:
        return check_enum(b, ev, f, x);
    case FIELD_TIME:
        return check_time(b, ev, f, x, now_ms);
    case FIELD_BOOL:
        if (UNLIKELY(f->converts)) {
            return check_truth(b, ev, f, x);
        }
        return kind_of(x) == SLOT_TRUE || kind_of(x) == SLOT_FALSE ||
               check_wrong_type(b, ev, f, x, "true or false");
    case FIELD_LIST:
        return check_list(b, ev, f, x, now_ms);
    case FIELD_ANY:
        break;
    }
    return true;
}

static bool missing(struct event_batch *b, struct event *ev, const struct field *f)
{
    return check_refuse(b, ev, f, "missing_field", "the event needs this field");
}

static bool has_required(const struct schema *s, struct event_batch *b,
                         struct event *ev)
{
    for (uint32_t i = 0; i < s->n_fields; i++) {
        if (s->fields[i].required && absent(&ev->slots[i])) {
            return missing(b, ev, &s->fields[i]);
        }
    }
    return true;
}

void check_events(const struct schema *s, struct event_batch *b, int64_t now_ms)
{
    for (uint32_t k = 0; k < b->n; k++) {
        struct event *ev = &b->events[k];

        if (ev->fate != EVENT_ACCEPT || !has_required(s, b, ev)) {
            continue;
        }
        for (uint32_t i = 0; i < s->n_fields; i++) {
            struct slot *x = &ev->slots[i];

            if (!absent(x) && !check_field(b, ev, &s->fields[i], x, now_ms)) {
                break;
            }
        }
        if (UNLIKELY(s->rewrites || (ev->flags & EVENT_MINUS_ZERO) != 0) &&
            ev->fate == EVENT_ACCEPT) {
            rewrite_event(s, b, ev);
        }
    }
}

bool check_value(const struct field *f, struct event_batch *b, struct event *ev,
                 struct slot *x, int64_t now_ms)
{
    if (absent(x)) {
        return !f->required || missing(b, ev, f);
    }
    return check_field(b, ev, f, x, now_ms);
}
