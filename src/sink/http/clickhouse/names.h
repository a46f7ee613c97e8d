/*
 * names - the names of ClickHouse tables and columns: "database.table", each part
 * plain or in backticks, to their parts and back. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum { NAME_BYTES = 512 }; /* of a part, with its escapes */

/* base: "" when table has none. False: it is no name, but an expression such as
 * FUNCTION remote(...), or too long. */
bool names_split(const char *table, char *base, char *name);

/* In backticks unless it is an identifier, or several with dots between; to out, of
 * names_bound bytes. Returns the length. */
size_t names_quote(struct str name, char *out);
size_t names_bound(size_t n);

/* "database.table" as a statement has it; an expression stays as it is. */
void names_quote_table(const char *table, char *out); /* names_bound(strlen) + 16 */

/* 'text'; names_bound bytes. */
size_t names_literal(struct str text, char *out);
