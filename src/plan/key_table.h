/*
 * key_table - API keys as rows of a CSV file that has the SHA-256 of each, in hex.
 *
 *   key_rules (while the file is read) -> key_table_find (any thread)
 *
 * The table has the 32 bytes of a digest in the place of its 64 digits. A key itself is
 * kept nowhere. Pure but for the rows, which may be mapped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "tables/csv_table.h"

enum { KEY_DIGEST_BYTES = 32, KEY_TEXT_MAX = 2048 };

enum { KEY_HEX_BYTES = 2 * KEY_DIGEST_BYTES + 1 };

/* The digits of a key's SHA-256, as a file has them. */
void key_hex(struct str text, char out[KEY_HEX_BYTES]);

/* The rules of a file. Each name is a column's; n 0: there is none. */
struct key_rules {
    struct str key, expires, disabled;
    uint32_t at_key, at_expires, at_disabled; /* found by the first line */
};

/* The rules as the table wants them; r outlives them. */
struct csv_rules key_rules(struct key_rules *r);

/* A file of keys as a policy has named it. Immutable; in the plan's arena. */
struct key_plan {
    const char *name;
    uint32_t table;            /* its place among the policy's tables */
    int32_t expires, disabled; /* columns; -1: none */
    int32_t label;             /* the column that metrics tell keys apart by; -1 */
    uint32_t metric;           /* label: its place among the plan's metrics */
};

enum key_state {
    KEY_GOOD,
    KEY_UNKNOWN,
    KEY_EXPIRED,
    KEY_DISABLED,
    KEY_UNREADABLE /* the mapped file was cut, or its disk returned an error */
};

/* The same of the key whose SHA-256 has these 64 digits in lower case, which the client
 * has shown otherwise. */
enum key_state key_table_find_hex(const struct key_plan *k,
                                  const struct csv_table *rows, struct str digits,
                                  int64_t now_ms, int32_t *row) MUST_USE;

/* text: the key as a client sent it. *row: its place in rows, when it is there. */
enum key_state key_table_find(const struct key_plan *k, const struct csv_table *rows,
                              struct str text, int64_t now_ms, int32_t *row) MUST_USE;
