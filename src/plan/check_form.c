/* Values that clients write in many forms: times in a unit, integers of a size, texts
 * of a format. */
#include "base/arena.h"
#include "decode/number.h"
#include "plan/check_parts.h"
#include "plan/text_pattern.h"

/* 9999-12-31T23:59:59.999Z */
static const int64_t LAST_MS = 253402300799999;
/* The least number of seconds that instant_number takes. */
static const double FIRST_SECONDS = 1e8;

static int shown(struct str s)
{
    return (int)(s.n < SHOWN_BYTES ? s.n : SHOWN_BYTES);
}

/* ---- texts ---- */

bool check_form(struct event_batch *b, struct event *ev, const struct field *f,
                const struct slot *x)
{
    struct str s = text_of(b, x);

    if (kind_of(x) == SLOT_ESCAPED) {
        char *plain = arena_alloc(b->arena, s.n);

        if (plain == NULL) {
            return check_refuse(b, ev, f, "too_long", "no room to read it");
        }
        s = (struct str){plain, scan_unescape(s.p, s.n, plain)};
    }
    if (f->format != TEXT_ANY && !text_has_format(f->format, s)) {
        return check_refuse(b, ev, f, "bad_format", "expected %s",
                            text_format_expected(f->format));
    }
    if (f->pattern != NULL && !text_pattern_fits(f->pattern, s)) {
        return check_refuse(b, ev, f, "bad_format",
                            "the text does not fit the field's pattern");
    }
    return true;
}

/* ---- integers ---- */

static bool out_of_range(struct event_batch *b, struct event *ev, const struct field *f,
                         enum whole_result r)
{
    if (r == WHOLE_SMALL && f->range.is_unsigned) {
        return check_refuse(b, ev, f, "too_small",
                            "less than 0, and the field is unsigned");
    }
    return check_refuse(b, ev, f, r == WHOLE_SMALL ? "too_small" : "too_large",
                        "the integer is beyond %s%d bits",
                        f->range.is_unsigned ? "unsigned " : "", f->range.bits);
}

/* Digits alone, as an integer column reads them, but for -0. */
static bool is_plain(struct str s)
{
    bool minus = s.n > 0 && s.p[0] == '-';

    return is_digits((struct str){s.p + minus, s.n - minus});
}

bool check_range(struct event_batch *b, struct event *ev, const struct field *f,
                 struct slot *x)
{
    char plain[CHECK_PLAIN_BYTES];
    struct str s = text_of(b, x);
    enum whole_result r;
    struct whole w;

    if (kind_of(x) != SLOT_NUMBER && !(f->converts && is_string(x))) {
        return check_wrong_type(b, ev, f, x, "an integer");
    }
    if (kind_of(x) == SLOT_NUMBER && s.n <= EXACT_DIGITS && is_digits(s)) {
        w = (struct whole){false, (uint64_t)x->num};
        r = whole_in(&w, f->range);
        return r == WHOLE_OK || out_of_range(b, ev, f, r);
    }
    s = check_plain(x, s, plain);
    r = whole_read(s, &w);
    if (r == WHOLE_NONE) {
        return check_refuse(b, ev, f, "wrong_type",
                            is_string(x) ? "expected an integer, got another text"
                                         : "expected an integer, got a fraction");
    }
    if (r == WHOLE_OK && !f->converts && !is_plain(s)) {
        return check_refuse(b, ev, f, "wrong_type",
                            "expected an integer without a decimal point and without "
                            "an exponent");
    }
    r = r == WHOLE_OK ? whole_in(&w, f->range) : r;
    x->num = w.minus ? -(double)w.v : (double)w.v;
    return r == WHOLE_OK || out_of_range(b, ev, f, r);
}

/* ---- numbers and truths in quotes ---- */

bool check_number_text(struct event_batch *b, struct event *ev, const struct field *f,
                       struct slot *x)
{
    char plain[CHECK_PLAIN_BYTES], json[CHECK_PLAIN_BYTES + 1];
    struct str s = check_plain(x, text_of(b, x), plain);
    const char *end = s.n > CHECK_PLAIN_BYTES ? NULL : number_of_text(s, json);

    if (end == NULL) {
        return check_refuse(b, ev, f, "wrong_type",
                            "expected a number, got another text");
    }
    x->num = number_value(json, (size_t)(end - json));
    return true;
}

bool check_truth(struct event_batch *b, struct event *ev, const struct field *f,
                 struct slot *x)
{
    char plain[CHECK_PLAIN_BYTES];
    bool value = kind_of(x) == SLOT_TRUE;

    if (!value && kind_of(x) != SLOT_FALSE &&
        !((is_string(x) || kind_of(x) == SLOT_NUMBER) &&
          bool_of_text(check_plain(x, text_of(b, x), plain), &value))) {
        return check_wrong_type(b, ev, f, x, "true, false, 1 or 0");
    }
    x->num = value;
    return true;
}

/* ---- times ---- */

static const char *const unit_names[] = {
    [INSTANT_S] = "seconds",       [INSTANT_MS] = "milliseconds",
    [INSTANT_US] = "microseconds", [INSTANT_NS] = "nanoseconds",
    [INSTANT_AUTO] = "a time",
};

/* Why a number is none in the field's unit, which another one fits better. */
static bool other_unit(struct event_batch *b, struct event *ev, const struct field *f,
                       struct str s, enum instant_result r)
{
    int64_t ms;

    for (enum instant_unit u = INSTANT_S; f->unit != INSTANT_AUTO && u < INSTANT_AUTO;
         u++) {
        if (instant_number(s, u, &ms) == INSTANT_OK) {
            return check_refuse(b, ev, f, "bad_time",
                                "%.*s looks like %s since 1970, expected %s", shown(s),
                                s.p, unit_names[u], unit_names[f->unit]);
        }
    }
    return check_refuse(
        b, ev, f, "bad_time", "%.*s lies %s as %s since 1970", shown(s), s.p,
        r == INSTANT_TOO_LARGE ? "after 5138-11-16" : "before 1973-03-03",
        unit_names[f->unit]);
}

/* Milliseconds that a text was stored as, in 1970 or in the years that only "never" has.
 * As another unit's time, which may come from before the field had a unit, they would
 * lie before 1973 or, in microseconds, before 1978. */
static bool is_stored_text(const struct slot *x, struct str s)
{
    return is_digits(s) && (x->num < FIRST_SECONDS ||
                            (s.n > MS_DIGITS_MOST && x->num <= (double)LAST_MS));
}

static bool number_of_time(struct event_batch *b, struct event *ev,
                           const struct field *f, struct slot *x)
{
    struct str s = text_of(b, x);
    /* What was stored before is milliseconds already. */
    enum instant_unit unit = b->stored ? INSTANT_AUTO : f->unit;
    enum instant_result r;
    int64_t ms;

    if (((unit == INSTANT_MS || unit == INSTANT_AUTO) && is_milliseconds(x, s)) ||
        (b->stored && is_stored_text(x, s))) {
        return true;
    }
    r = instant_number(s, unit, &ms);
    if (r == INSTANT_OK) {
        x->num = (double)ms;
        return true;
    }
    if (r == INSTANT_NO_TIME) {
        return check_refuse(b, ev, f, "bad_time", "%.*s is no time since 1970",
                            shown(s), s.p);
    }
    return other_unit(b, ev, f, s, r);
}

static bool text_of_time(struct event_batch *b, struct event *ev, const struct field *f,
                         struct slot *x)
{
    char plain[CHECK_PLAIN_BYTES];
    int64_t ms;

    if (!instant_text(check_plain(x, text_of(b, x), plain), f->formats, f->unit, &ms)) {
        return check_refuse(b, ev, f, "bad_time",
                            "the text is no time in one of the field's formats");
    }
    /* What is stored is for a column without a sign. */
    if (ms < 0 || ms > LAST_MS) {
        return check_refuse(b, ev, f, "bad_time", "the time lies %s",
                            ms < 0 ? "before 1970" : "after the year 9999");
    }
    x->num = (double)ms;
    return true;
}

bool check_instant(struct event_batch *b, struct event *ev, const struct field *f,
                   struct slot *x)
{
    if (kind_of(x) == SLOT_NUMBER) {
        return number_of_time(b, ev, f, x);
    }
    if (!is_string(x)) {
        return check_wrong_type(b, ev, f, x, "a time");
    }
    return text_of_time(b, ev, f, x);
}
