/*
 * scan - reads a request's body once: whole JSON grammar (RFC 8259), UTF-8,
 * depth, and a slot for every field that the schema names.
 *
 *   scan_keys_new (at load) ; event_batch_init -> scan_body* -> event_batch_fini
 *
 * scan_keys is immutable after creation, shared by all threads. A batch
 * belongs to one thread. Nothing allocates after the batch has grown to the
 * traffic's largest request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "decode/event.h"

struct err;

enum {
    SCHEMA_FIELDS_MAX = 64,
    SCAN_DEPTH_DEFAULT = 64,
    SCAN_DEPTH_MAX = 1024, /* of server.max_depth */
    SCAN_PAD = 64,
    SCAN_BODY_MAX = 1 << 28, /* a slot has 28 bits for a length */
    SCAN_KEYS_MAX = 1 << 20, /* of an event whose keys are not predicted */
    EVENTS_MAX = 1000000     /* of one body, at the highest max_events */
};

enum scan_shape {
    SCAN_EVENT, /* one object */
    /* Several events, see scan_takes_many: */
    SCAN_BATCH,  /* {"events":[...]} or [...] of objects */
    SCAN_NDJSON, /* an object a line; a bad line is that event's error */
    SCAN_ARRAY,  /* [...] of objects, and nothing else */
    SCAN_VALUES, /* objects and [...] of objects, one after the other */
    SCAN_BULK,   /* lines in pairs: {"index":{...}}, what to do, and the event; only
                     with an envelope for it, see bulk.c */
    /* Never scanned as they are: */
    SCAN_DATA,     /* any bytes, the data of one event, see plan/cloudevent.h */
    SCAN_QUERY,    /* the parameters of the request's query, see decode/query.h */
    SCAN_FORM,     /* application/x-www-form-urlencoded, the same */
    SCAN_MULTIPART /* multipart/form-data, see decode/multipart.h */
};

static inline bool scan_takes_many(enum scan_shape shape)
{
    return shape >= SCAN_BATCH && shape <= SCAN_VALUES;
}

enum scan_result {
    SCAN_OK = 0,
    SCAN_INVALID,  /* not JSON, or JSON of another shape: at, detail */
    SCAN_TOO_MANY, /* more than max_events events */
    SCAN_TOO_DEEP, /* nested deeper than max_depth */
    SCAN_TOO_WIDE, /* more keys in an event than SCAN_KEYS_MAX, or more escaped
                        ones than the arena takes */
    SCAN_TOO_LONG  /* SCAN_BODY_MAX bytes or more */
};

struct scan_limits {
    uint32_t max_events; /* 1..1000000 */
    uint32_t max_depth; /* 1..SCAN_DEPTH_MAX, or one more; an event itself is depth 1 */
};

struct scan_error {
    size_t at;          /* byte offset in the body */
    const char *detail; /* static text: "expected ',' or '}'" */
};

/* ---- keys.c ---- */

/* The fields to find, as dotted paths of unescaped keys ("properties.page");
 * slot i is paths[i]. n <= SCHEMA_FIELDS_MAX. Copies the paths. A path may not
 * be given twice; one may be the prefix of another. NULL and *e on error. */
struct scan_keys *scan_keys_new(const struct str *paths, unsigned n,
                                struct err *e) MUST_USE;
void scan_keys_free(struct scan_keys *k); /* NULL is fine */

/* ---- batch.c ---- */

/* arena outlives the batch and is reset by scan_body. */
void event_batch_init(struct event_batch *b, struct arena *arena);
void event_batch_fini(struct event_batch *b);

/* ---- scan.c ---- */

/* Reads body[0..n), after which SCAN_PAD readable bytes lie (any content). Afterwards
 * b->events[0..b->n) are in the client's order, with fate EVENT_ACCEPT, or EVENT_REJECT
 * for one event's own fault: a bad NDJSON line, or an element of a list whose end is
 * certain (extent.h): "invalid_json", "too_deep", "too_many_keys", with error_at; an
 * element that is no object ("not_an_object"), a key given twice ("duplicate_key",
 * field = the key). Borrowed views: body must stay until the batch is done with. Unless
 * SCAN_OK, b->n is 0 and *se is filled. */
enum scan_result scan_body(struct event_batch *b, const struct scan_keys *k,
                           enum scan_shape shape, const struct scan_limits *limits,
                           const char *body, size_t n, struct scan_error *se) MUST_USE;

/* Checks that body[0..n) (as for scan_body) is one JSON value, of any kind. */
enum scan_result scan_value(const struct scan_limits *limits, const char *body,
                            size_t n, struct scan_error *se) MUST_USE;

/* ---- unescape.c ---- */

/* Unescapes the string slice src[0..n) (between the quotes) to out, which has
 * n bytes; returns the length. src was checked by scan_body. */
size_t scan_unescape(const char *src, size_t n, char *out);
