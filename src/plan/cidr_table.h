/*
 * cidr_table - the rows of a table by the networks that are their keys: an address finds
 * the smallest network that has it.
 *
 *   cidr_table_new (at load) -> cidr_table_find (any thread) -> cidr_table_free
 *
 * Immutable after creation. Networks become ranges that do not overlap, at most two and
 * one more a network: 8 bytes each for IPv4, 20 for IPv6.
 */
#pragma once

#include "base/address.h"
#include "base/attr.h"
#include "base/str.h"
#include "tables/csv_table.h"

struct cidr_table;

/* rows: of csv_table_new; must not be changed. NULL after problems, which are told as csv_table's are. */
struct cidr_table *cidr_table_new(const struct csv_table *rows, csv_problem_fn *problem,
                                  void *arg) MUST_USE;
void cidr_table_free(struct cidr_table *t); /* NULL is fine */

/* The row; -1: no network has the address. */
int32_t cidr_table_find(const struct cidr_table *t, const struct address *a);

/* A plain list, with a network in each line and maybe a value after it, as CSV with the
 * columns network and value. A line that begins with # or ; has no network. {NULL, 0}: text
 * is no such list, because its first line has no network. free() p. */
struct str cidr_table_list(struct str text) MUST_USE;
