/*
 * fields - a few fields of stored events as text: keys, topics.
 *
 *   fields_new -> (fields_read -> fields_text*)* -> fields_free
 *
 * One owner.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct fields;

/* NULL and *e: a path is not one. */
struct fields *fields_new(const struct str *paths, unsigned n, struct err *e) MUST_USE;
void fields_free(struct fields *f); /* NULL is fine */

/* SCAN_PAD readable bytes lie after the event (a batch's BATCH_PAD); it stays until
 * the texts are used. */
void fields_read(struct fields *f, struct str event);

/* Field i of the event read last, unescaped; {NULL, 0}: absent, null, or no text
 * and no number. Lives until the next call. */
struct str fields_text(struct fields *f, int i);

/* The same of a text whose place is known. */
struct str fields_unescape(struct fields *f, struct str text, bool escaped);
