/*
 * columns - a batch's events as rows of chosen columns, JSONEachRow.
 *
 *   columns_new -> columns_row* -> columns_free
 *
 * A column is a path in the event, its value as it was sent or in the form that its
 * type wants, or the whole event as a string ("@event"). A column that an event lacks
 * is left out of its row, so that the table's DEFAULT holds. One owner.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"
#include "sink/http/clickhouse/forms.h"

enum { COLUMNS_MAX = 512 };

struct columns;
struct err;

struct column_plan {
    const char *name, *path;
    struct form form;
};

/* NULL and *e: a path is not one. */
struct columns *columns_new(const struct column_plan *list, uint32_t n,
                            struct err *e) MUST_USE;
void columns_free(struct columns *c); /* NULL is fine */

/* The row with its newline; lives until the next call. SCAN_PAD readable bytes lie
 * after the event (a batch's BATCH_PAD). */
struct str columns_row(struct columns *c, struct str event);

/* "(a,b,`x y`)" for the INSERT, NUL-terminated; lives with c. */
const char *columns_names(const struct columns *c);
