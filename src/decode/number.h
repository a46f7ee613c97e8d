/*
 * number - the value of a JSON number's digits, correctly rounded. Pure.
 */
#pragma once

#include <stddef.h>

/* p[0..n) was checked by lex_number. Beyond double's range: +-infinity or 0. */
double number_value(const char *p, size_t n);
