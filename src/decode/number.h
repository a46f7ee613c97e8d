/*
 * number - the value of a JSON number's digits, correctly rounded, and back; and texts
 * that stand for a number or a truth. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

enum { NUMBER_BYTES = 32 };

/* p[0..n) was checked by lex_number. Beyond double's range: +-infinity or 0. */
double number_value(const char *p, size_t n);

/* Whether two numbers that were checked by lex_number are one to the last digit, such as
 * 1.50 and 15e-1. */
bool number_same(const char *a, size_t n, const char *b, size_t k);

/* The shortest digits that give v (finite) back, not NUL-terminated; their length.
 * The one formatter of numbers in JSON: whole numbers below 10^21 have no exponent. */
size_t number_write(double v, char out[NUMBER_BYTES]);

/* ---- number_text.c ---- */

/* text as JSON writes that number, to out, which may begin a byte before it and takes a
 * byte more than it; returns its end. NULL: it is none. JSON has no +5, 007 and .5, which
 * people send. */
char *number_of_text(struct str text, char *out) MUST_USE;

/* true and false in any case, 1 and 0. False: the text is none of them. */
bool bool_of_text(struct str text, bool *out) MUST_USE;
