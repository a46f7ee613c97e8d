/*
 * columns - a batch's events as rows of chosen columns, JSONEachRow.
 *
 *   columns_new -> columns_row* -> columns_free
 *
 * A column is a path in the event, its value as it was sent, or the whole event as
 * a string ("@event"). What an event lacks is left out of its row, so that the
 * table's DEFAULT holds. One owner.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"
#include "plan/plan.h"

struct columns;
struct err;

/* NULL and *e: a path is not one. */
struct columns *columns_new(const struct pair_plan *list, uint32_t n,
                            struct err *e) MUST_USE;
void columns_free(struct columns *c); /* NULL is fine */

/* The most bytes of the row of an event of n bytes, its newline included. */
size_t columns_bound(const struct columns *c, size_t n);

/* Writes the row and its newline to out; returns the length. SCAN_PAD readable
 * bytes lie behind the event (a batch's BATCH_PAD). */
size_t columns_row(struct columns *c, struct str event, char *out);

/* "(a,b,c)" for the INSERT, NUL-terminated; lives with c. */
const char *columns_names(const struct columns *c);
