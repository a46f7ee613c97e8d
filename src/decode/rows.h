/*
 * rows - a body whose events are arrays, [1, "x"], written with objects in their place:
 * {"a": 1, "b": "x"}.
 *
 * Pure but for the room, which grows with the largest body. One thread.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "decode/params.h"
#include "decode/scan.h"

enum { ROW_COLUMNS_MAX = 64 };

struct envelope;

/* The keys of a row's values, in their order. Immutable, of a route. */
struct row_columns {
    struct str *keys; /* as JSON text: "a" */
    uint32_t n;
};

/* Reads body as scan_body does for SCAN_BATCH, or scan_enveloped where v is not NULL. *out
 * is the same body with an object for each array among its events, SCAN_PAD bytes
 * after; a null is left out. What is no such array stays as it is: an object, an array
 * of more values than n, text that is no JSON. SCAN_TOO_LONG: it would be longer than
 * max_bytes. b lends its envelope. */
enum scan_result rows_write(const struct row_columns *columns, const struct envelope *v,
                            const struct scan_limits *limits, struct str body,
                            size_t max_bytes, struct params_room *room,
                            struct event_batch *b, struct str *out,
                            struct scan_error *se) MUST_USE;
