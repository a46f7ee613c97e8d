/*
 * csv_table - a CSV file (RFC 4180) as a table: rows found by their key.
 *
 *   csv_table_new (at load) -> csv_table_row, csv_table_cell (any thread) -> csv_table_free
 *
 * Immutable after creation; owns all its memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum { LOOKUP_COLUMNS_MAX = 64, LOOKUP_ROWS_MAX = 5000000 };

struct csv_table;

/* A mistake in the file: line from 1, text valid during the call. */
typedef void csv_table_problem_fn(void *arg, uint32_t line, const char *text);

/* The first line names the columns. key: the one that rows are found by; {NULL, 0}:
 * the first. NULL after problems; a key that no column has is told with line 0.
 * csv may be gone afterwards. */
struct csv_table *csv_table_new(struct str csv, struct str key, char delimiter,
                                csv_table_problem_fn *problem, void *arg) MUST_USE;
void csv_table_free(struct csv_table *l); /* NULL is fine */

uint32_t csv_table_n_columns(const struct csv_table *l);
struct str csv_table_column(const struct csv_table *l, uint32_t column); /* its name */
uint32_t csv_table_key_column(const struct csv_table *l);
uint32_t csv_table_n_rows(const struct csv_table *l);
uint32_t csv_table_line(const struct csv_table *l, int32_t row); /* of the file */

/* -1: there is no such row. */
int32_t csv_table_row(const struct csv_table *l, struct str key);
/* {NULL, 0}: there is no such row or column. Lives with l. */
struct str csv_table_cell(const struct csv_table *l, int32_t row, int32_t column);
