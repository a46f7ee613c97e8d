/*
 * table_check - a stream's ledger against a ClickHouse table: minutes whose count or
 * checksum differs, in these the parts of the fingerprints that differ, in these the ids.
 * An id that stands in the table under a neighbouring minute is no difference.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/ledger/read.h"
#include "cli/ledger/suspects.h"

struct err;
struct question;

struct table_check {
    struct question *q;
    const char *spool, *table;
    const char *id;   /* SQL: the id as a text */
    const char *time; /* SQL: seconds since 1970 of the acceptance */
    int64_t
        first_ms; /* the index does not have all events from before that; 0: it has */
};

/* Writes a line for each id to stdout. False and *e: it could not be compared. */
bool table_check(const struct table_check *c, const struct ledger_stream *l,
                 struct check_result *out, struct err *e) MUST_USE;
