/*
 * instant - times as clients write them, to milliseconds since 1970: the forms of
 * text that a field names, and numbers in the unit that it names. moment.h has the
 * one strict form. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

/* Bits of field.formats. */
enum instant_format {
    INSTANT_RFC3339 = 1, /* as moment_ms */
    INSTANT_ISO8601 = 2, /* also: +0100, +01, " +01:00", " UTC"; without seconds; a
                            comma; 20251123T121320Z; a [Zone/Name] after it */
    INSTANT_NO_ZONE = 4, /* ISO 8601 without a zone: it is UTC */
    INSTANT_DATE = 8,    /* 2025-11-23: that day's first moment, UTC */
    INSTANT_HTTP = 16,  /* "Sun, 23 Nov 2025 12:13:20 GMT", as HTTP and mails have it */
    INSTANT_NUMBER = 32 /* a number in quotes, by the unit */
};

enum { INSTANT_FORMATS = 6 };

/* Of field.unit. INSTANT_SENT: none was named, so a number is milliseconds. */
enum instant_unit {
    INSTANT_SENT = 0,
    INSTANT_S,
    INSTANT_MS,
    INSTANT_US,
    INSTANT_NS,
    INSTANT_AUTO
};

/* The policy's words for both; 0: there is no such word. */
unsigned instant_format(struct str word);
enum instant_unit instant_unit(struct str word);

/* What a number is. */
enum instant_result {
    INSTANT_OK = 0,
    INSTANT_NO_TIME,   /* negative, or no number at all */
    INSTANT_TOO_SMALL, /* it looks like a coarser unit, or lies before 1973-03-03 */
    INSTANT_TOO_LARGE  /* it looks like a finer unit, or lies after 5138-11-16 */
};

/* A JSON number, or digits that a text has. A unit takes from 1973-03-03T09:46:40Z to
 * 5138-11-16T09:46:40Z, so that no number is a time in two units; INSTANT_AUTO takes
 * the one unit that fits. What is finer than a millisecond is cut. */
enum instant_result instant_number(struct str digits, enum instant_unit unit,
                                   int64_t *ms) MUST_USE;

/* A text (without its quotes and escapes) in one of the forms. Years are 0 to 9999;
 * second 60 is taken as 59; what is finer than a millisecond is cut. */
bool instant_text(struct str text, unsigned formats, enum instant_unit unit,
                  int64_t *ms) MUST_USE;
