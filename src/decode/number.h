/*
 * number - the value of a JSON number's digits, correctly rounded, and back. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { NUMBER_BYTES = 32 };

/* p[0..n) was checked by lex_number. Beyond double's range: +-infinity or 0. */
double number_value(const char *p, size_t n);

/* Whether two numbers that were checked by lex_number are one to the last digit, such as
 * 1.50 and 15e-1. */
bool number_same(const char *a, size_t n, const char *b, size_t k);

/* The shortest digits that give v (finite) back, not NUL-terminated; their length.
 * The one formatter of numbers in JSON: whole numbers below 10^21 have no exponent. */
size_t number_write(double v, char out[NUMBER_BYTES]);
