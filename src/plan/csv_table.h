/*
 * csv_table - a CSV file (RFC 4180) as a table: rows found by their key.
 *
 *   lookup_new (at load) -> lookup_row, lookup_cell (any thread) -> lookup_free
 *
 * Immutable after creation; owns all its memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum { LOOKUP_COLUMNS_MAX = 64, LOOKUP_ROWS_MAX = 5000000 };

struct lookup;

/* A mistake in the file: line from 1, text valid during the call. */
typedef void lookup_problem_fn(void *arg, uint32_t line, const char *text);

/* The first line names the columns. key: the one that rows are found by; {NULL, 0}:
 * the first. NULL after problems; a key that no column has is told with line 0.
 * csv may be gone afterwards. */
struct lookup *lookup_new(struct str csv, struct str key, char delimiter,
                          lookup_problem_fn *problem, void *arg) MUST_USE;
void lookup_free(struct lookup *l); /* NULL is fine */

uint32_t lookup_n_columns(const struct lookup *l);
struct str lookup_column(const struct lookup *l, uint32_t column); /* its name */
uint32_t lookup_key_column(const struct lookup *l);
uint32_t lookup_n_rows(const struct lookup *l);

/* -1: there is none. */
int32_t lookup_row(const struct lookup *l, struct str key);
/* {NULL, 0}: there is no such row or column. Lives with l. */
struct str lookup_cell(const struct lookup *l, int32_t row, int32_t column);
