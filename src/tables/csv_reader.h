/*
 * csv_reader - the rows of a CSV file (RFC 4180), one after another, in bounded memory.
 *
 *   csv_reader_init -> csv_reader_header -> csv_reader_row* -> csv_reader_fini
 *
 * One thread. Blocks while the source does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/str.h"

enum {
    CSV_COLUMNS_MAX = 64,
    CSV_CELL_BYTES_MAX = 65535,
    CSV_ROW_BYTES_MAX = 1 << 20, /* as it stands in the file */
    CSV_PROBLEMS_MAX = 20        /* that are told */
};

/* A mistake in the file: line from 1 (0: none), text valid during the call. */
typedef void csv_problem_fn(void *arg, uint32_t line, const char *text);

/* Up to n bytes more of the file; 0: it ends; -1 and errno. */
typedef ssize_t csv_more_fn(void *arg, char *p, size_t n);

struct csv_reader {
    csv_more_fn *more;
    csv_problem_fn *problem;
    void *more_arg, *problem_arg;
    char *buf;
    char *p, *end; /* what is not read yet */
    bool ended;    /* the source has no more */
    int error;     /* errno of a read that failed */
    char delimiter;
    bool carriage_returns;             /* the header has CR inside */
    uint32_t n_columns, n_problems;    /* n_problems: also those that are not told */
    uint32_t line;                     /* the next one's */
    uint32_t row_line;                 /* where the row begins */
    struct str cells[CSV_COLUMNS_MAX]; /* of the row; until the next one is read */
};

void csv_reader_init(struct csv_reader *r, char delimiter, csv_more_fn *more,
                     void *more_arg, csv_problem_fn *problem, void *problem_arg);
void csv_reader_fini(struct csv_reader *r);

/* The first line: n_columns names in cells. False: told, or error is set. */
bool csv_reader_header(struct csv_reader *r) MUST_USE;

/* The next row that has n_columns cells; those that have not are told and left out.
 * False: there is none any more, or error is set. */
bool csv_reader_row(struct csv_reader *r) MUST_USE;

/* A mistake that the caller has found. */
void csv_reader_tell(struct csv_reader *r, uint32_t line, const char *text);
