/*
 * extent - where an element of a list, or a value among others, ends that is no JSON.
 * Pure.
 */
#pragma once

#include "decode/lex.h"

/* Deeper elements have no end that is looked for. */
enum { EXTENT_DEPTH_MAX = 8192 };

/* from: the first byte of an element of a list, which lex could not read. The ',' or
 * ']' of the list after it, or NULL: the end is not certain.
 *
 * Certain means: brackets match, each string stands where one may and ends where one
 * may, and between them is nothing but words, numbers and space. So an error inside a
 * token (NaN, a lone surrogate, bytes that are no UTF-8), a comma too many or too much
 * depth leaves the neighbours alone; a quote, a bracket or a comma between elements that
 * is missing does not. */
const char *extent_end(const char *from, const char *end);

/* The same of an object among values that stand one behind the other: from is its '{',
 * and what is after it is the end, or a '{' or '[' behind space. A bracket that opens
 * right behind another value may be the next object's, so that nothing is certain. */
const char *extent_object_end(const char *from, const char *end);
