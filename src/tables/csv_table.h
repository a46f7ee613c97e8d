/*
 * csv_table - a CSV file as a table whose rows are found by their key: an image of the
 * file's rows in the order of their keys' hashes, in memory or in a mapped file.
 *
 *   csv_table_new, table_open (tables/open.h) -> csv_table_row, csv_table_cell (any
 *   thread) -> csv_table_unref
 *
 * Immutable and counted. An image, numbers as the machine has them:
 *
 *   head     4,096 bytes, struct table_head
 *   names    of the columns: the length as uint16_t and the text, one after another
 *   data     buckets of about 8 rows, by the hash: for each row the lowest 8 bits of the
 *            hash and the row's place in the bucket (24 bits, in units of 4 bytes; the
 *            first place is also the number of rows), then the rows: the lengths of
 *            their cells as uint16_t and the cells, the key first
 *   places   of the buckets in data, in units of 4 bytes, and the end of the last
 *   tail     8 bytes, so that a file that was cut by little is known by it
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/siphash.h"
#include "base/str.h"
#include "tables/csv_reader.h"

enum {
    TABLE_HEAD_BYTES = 4096,
    TABLE_TAIL_BYTES = 8,
    TABLE_VERSION = 1,
    TABLE_ORDER = 0x01020304,
    TABLE_ROWS_MAX = 50000000,
    TABLE_ID_BYTES = 32
};

#define TABLE_DATA_BYTES_MAX (UINT64_C(8) << 30) /* a row's place is an int32_t */

struct table_head {
    char magic[8]; /* "sluicetb" */
    uint32_t version, order;
    uint64_t bytes; /* of the image */
    uint32_t n_rows, n_columns, key_column, n_buckets;
    uint64_t data_at, data_bytes, places_at;
    struct siphash_key hash_key;     /* clients choose the keys */
    uint8_t id[TABLE_ID_BYTES];      /* of the source's version and the options */
    uint8_t content[TABLE_ID_BYTES]; /* SHA-256 of the source */
    uint32_t body_crc;               /* of all after the head */
    uint32_t head_crc;               /* of the members before it */
};

struct csv_table;

/* What the rows of a table must be besides. Each function returns NULL, or why not: a
 * static text without a value of the file. */
struct csv_rules {
    /* The names of the columns. */
    const char *(*names)(void *arg, const struct str *names, uint32_t n);
    /* A row, whose cells may be changed in place, and be given fewer bytes. */
    const char *(*row)(void *arg, struct str *cells, uint32_t n);
    void *arg;
    bool secret; /* no message shows a key */
};

/* key: the column that rows are found by; {NULL, 0}: the first. NULL after problems; a
 * key that no column has is told with line 0. csv may be gone afterwards. Caller owns
 * one reference. */
struct csv_table *csv_table_new(struct str csv, struct str key, char delimiter,
                                csv_problem_fn *problem, void *arg) MUST_USE;
/* The same with rules, which may be NULL. */
struct csv_table *csv_table_new_ruled(struct str csv, struct str key, char delimiter,
                                      const struct csv_rules *rules,
                                      csv_problem_fn *problem, void *arg) MUST_USE;
struct csv_table *csv_table_ref(struct csv_table *l);
void csv_table_unref(struct csv_table *l); /* NULL is fine */

uint32_t csv_table_n_columns(const struct csv_table *l);
struct str csv_table_column(const struct csv_table *l, uint32_t column); /* its name */
uint32_t csv_table_key_column(const struct csv_table *l);
uint32_t csv_table_n_rows(const struct csv_table *l);
const struct table_head *csv_table_head(const struct csv_table *l);

/* A row's place; TABLE_NO_ROW; TABLE_DAMAGED: the mapped file was cut or can't be read any
 * more. Takes no lock, allocates nothing. */
enum { TABLE_NO_ROW = -1, TABLE_DAMAGED = -2 };
int32_t csv_table_row(const struct csv_table *l, struct str key);
/* The same of a key that is a secret's digest: keys are compared in constant time. */
int32_t csv_table_secret_row(const struct csv_table *l, struct str key);

/* {NULL, 0}: there is no such row or column. Lives with l. Whoever has read the text asks
 * csv_table_damaged. */
struct str csv_table_cell(const struct csv_table *l, int32_t row, int32_t column);
/* Of a table of csv_table_new: a row by its number in the file, from 0, and its line. */
int32_t csv_table_nth(const struct csv_table *l, uint32_t nth);
uint32_t csv_table_line(const struct csv_table *l, uint32_t nth);

bool csv_table_damaged(const struct csv_table *l);

/* The row after another in the order of the image; from TABLE_NO_ROW the first;
 * TABLE_NO_ROW: it was the last. */
int32_t csv_table_next(const struct csv_table *l, int32_t row);
