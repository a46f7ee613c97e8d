/*
 * open - tables of large CSV files: built once for each version of the file, mapped, and
 * shared by all policies of the process that name it.
 *
 *   table_open (a loader) -> csv_table_unref (any thread) ... tables_forget (a loader)
 *
 *   DIR/ID.table    a built one; ID is of the source's inode, size and times, and of the
 *                   key, delimiter and rules
 *   DIR/build-…     one under way, locked by its builder
 *
 * A file that is cut, altered or of another version is built again. Calls block while the
 * disk does, and a build takes about a second a million rows.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "tables/csv_table.h"

struct err;

struct table_source {
    const char *path; /* for messages */
    struct str key;   /* {NULL, 0}: the first column */
    char delimiter;
    const struct csv_rules *rules; /* NULL: none */
    struct str rules_id;           /* which they are, for DIR/ID */
    const char *dir; /* of built tables; NULL: this one gets no name, and is built */
};

/* A table with one reference. *st: the version of the source that it has. NULL: problems
 * were told, or *e has another reason. */
struct csv_table *table_open(const struct table_source *source, csv_problem_fn *problem,
                             void *arg, struct stat *st, struct err *e) MUST_USE;

/* A built one by its id, whose source may be gone. NULL and *e. */
struct csv_table *table_open_built(const char *dir, const uint8_t id[TABLE_ID_BYTES],
                                   struct err *e) MUST_USE;

/* ---- built.c ---- */

/* Removes the built tables that no process has mapped and keep does not want, and what
 * builders that ended have left behind. */
typedef bool table_keep_fn(void *arg, const char *id_hex);
void tables_forget(const char *dir, table_keep_fn *keep, void *arg);

enum { TABLE_ID_HEX = 2 * TABLE_ID_BYTES };
void table_id_hex(const uint8_t id[TABLE_ID_BYTES], char hex[TABLE_ID_HEX + 1]);
