/*
 * moment - RFC 3339 text to milliseconds since 1970, and back. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

/* "2025-11-23T12:13:20Z", "2025-11-23 12:13:20.123456+01:00": a zone is needed; digits
 * below a millisecond are cut; second 60 is taken as 59. */
bool moment_ms(struct str text, int64_t *ms) MUST_USE;

/* Days from 1970-01-01 to a date of the Gregorian calendar. False: there is no such
 * date. */
bool moment_day(int year, int month, int day, int64_t *days) MUST_USE;

enum { MOMENT_BYTES = 24 };

/* "2025-11-23T12:13:20.000Z", MOMENT_BYTES long, not NUL-terminated. False: ms is
 * no time of the years 0 to 9999. */
bool moment_text(double ms, char out[MOMENT_BYTES]) MUST_USE;
