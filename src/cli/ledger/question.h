/*
 * question - a query to a ClickHouse server over HTTP, and the rows of its answer. One
 * thread.
 *
 *   question_new -> (question_ask -> question_row*)* -> question_free
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;
struct question;

/* url: of the server; user NULL: none; password: may be "". NULL and *e. */
struct question *question_new(const char *url, const char *user, const char *password,
                              struct err *e) MUST_USE;
void question_free(struct question *q); /* NULL is fine */

/* sql without FORMAT; of rows with n_columns. False and *e: no answer, the server's words,
 * or the answer has lines that are no such rows. */
bool question_ask(struct question *q, const char *sql, size_t n_columns,
                  struct err *e) MUST_USE;

/* The next row: n columns as texts, NUL-terminated; valid until the next question. False:
 * there is no further row. */
bool question_row(struct question *q, char **columns, size_t n);
