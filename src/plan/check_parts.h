/*
 * check_parts - what the files of a schema's check share: check.c has the types that
 * cost least, check_form.c and check_list.c the others. Nobody else includes it, but
 * rewrite.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "decode/event.h"
#include "decode/scan.h"
#include "plan/plan.h"

enum { SHOWN_BYTES = 40, CHECK_PLAIN_BYTES = 256 };

static inline enum slot_kind kind_of(const struct slot *x)
{
    return (enum slot_kind)(x->tag & 15);
}

static inline struct str text_of(const struct event_batch *b, const struct slot *x)
{
    return (struct str){b->body + x->off, x->tag >> 4};
}

static inline bool is_string(const struct slot *x)
{
    return kind_of(x) == SLOT_STRING || kind_of(x) == SLOT_ESCAPED;
}

/* A text without its escapes, in out where it has some; longer ones stay as they are. */
static inline struct str check_plain(const struct slot *x, struct str s,
                                     char out[CHECK_PLAIN_BYTES])
{
    return kind_of(x) == SLOT_ESCAPED && s.n <= CHECK_PLAIN_BYTES
               ? (struct str){out, scan_unescape(s.p, s.n, out)}
               : s;
}

/* The digits of a positive whole number alone. JSON has no leading zeros, so that is
 * how an integer column reads it; a double has the value of 15 of them. */
static inline bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned)(s.p[i] - '0') > 9) {
            return false;
        }
    }
    return s.n > 0;
}

enum {
    EXACT_DIGITS = 15,
    /* Of a number of milliseconds that instant_number takes. */
    MS_DIGITS_LEAST = 12,
    MS_DIGITS_MOST = 14
};

/* Whether a number is stored as it was sent in a time with a unit: the milliseconds
 * that it is, which no other unit has so many digits for. */
static inline bool is_milliseconds(const struct slot *x, struct str s)
{
    return kind_of(x) == SLOT_NUMBER && s.n >= MS_DIGITS_LEAST &&
           s.n <= MS_DIGITS_MOST && is_digits(s);
}

/* ---- check.c ---- */

/* Marks the event; always false. The text begins with the field's path. */
bool check_refuse(struct event_batch *b, struct event *ev, const struct field *f,
                  const char *code, const char *fmt, ...) PRINTF(5, 6);
bool check_wrong_type(struct event_batch *b, struct event *ev, const struct field *f,
                      const struct slot *x, const char *expected);

/* The rules of f on x, which is there. */
bool check_field(struct event_batch *b, struct event *ev, const struct field *f,
                 struct slot *x, int64_t now_ms);

/* ---- check_form.c ---- */

/* A str with a format or pattern. */
bool check_form(struct event_batch *b, struct event *ev, const struct field *f,
                const struct slot *x);

/* An int with a range; x->num becomes its value. */
bool check_range(struct event_batch *b, struct event *ev, const struct field *f,
                 struct slot *x);

/* A num that converts, whose value is a text; x->num becomes its value. */
bool check_number_text(struct event_batch *b, struct event *ev, const struct field *f,
                       struct slot *x);

/* A bool that converts; x->num becomes 1 or 0. */
bool check_truth(struct event_batch *b, struct event *ev, const struct field *f,
                 struct slot *x);

/* A time with a unit; x->num becomes its milliseconds. */
bool check_instant(struct event_batch *b, struct event *ev, const struct field *f,
                   struct slot *x);

/* ---- check_list.c ---- */

bool check_list(struct event_batch *b, struct event *ev, const struct field *f,
                const struct slot *x, int64_t now_ms);
