/*
 * table - whether a ClickHouse table can hold a policy's rows: found out before the
 * first row, because a server may take milliseconds into a DateTime without a word.
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "plan/plan.h"
#include "sink/http/clickhouse/forms.h"

/* The query for the version (a line "version V") and the table's columns ("column
 * NAME\tTYPE\tKIND"); "" when plan->table is no plain name. */
void table_query(const struct clickhouse_plan *plan, char *sql, size_t max);

/* answer: the columns' lines; a table without any is not judged, because the server's
 * own error is better. version: 18016 is 18.16. False: why names the column, the field
 * and the remedy. */
bool table_fits(struct str answer, const struct clickhouse_plan *plan, uint32_t version,
                char *why, size_t max);

/* How the chosen columns are written, by the same answer. */
void table_forms(struct str answer, const struct clickhouse_plan *plan,
                 struct form *forms);
