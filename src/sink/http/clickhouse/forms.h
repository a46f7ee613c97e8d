/*
 * forms - how a value of an event is written for a column of a ClickHouse table: a
 * server takes milliseconds for seconds, and changes a value that a type can't hold,
 * without a word. A value that its column can't hold is written so that the server
 * refuses the row. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum form_kind {
    FORM_AS_IS = 0,
    FORM_TEXT,    /* String: a value that is not a text becomes its JSON */
    FORM_SECONDS, /* DateTime, of milliseconds */
    FORM_DECIMAL, /* DateTime64, of milliseconds */
    FORM_DAY,     /* Date, of milliseconds; Date32: bits 32 */
    FORM_INTEGER, /* UInt8 .. Int64; truths are 1 and 0 */
    FORM_MILLIS   /* the same of a time, which may be text */
};

struct form {
    enum form_kind kind;
    uint8_t bits; /* INTEGER: of the column; DECIMAL: digits of the fraction */
    bool is_unsigned;
    bool no_null; /* a null is left out, so that the DEFAULT holds */
};

/* type: without Nullable and LowCardinality; no_null is not set. time: the schema has a time there. */
struct form form_of(struct str type, bool time);

enum { FORM_NAME_BYTES = 12 }; /* with its NUL */

/* A short word for it, "" for FORM_AS_IS, and back; false: it is not such a word. */
void form_name(struct form f, char out[FORM_NAME_BYTES]);
bool form_read(const char *word, struct form *f);

/* A number, as sent; out: text.n + FORM_BOUND bytes. Returns the length. */
size_t form_number(struct form f, struct str text, char *out);
enum { FORM_BOUND = 96 };

/* The same of a text that is a time; 0: it stays as it is. */
size_t form_moment(struct form f, struct str text, char *out);
