/*
 * envelope - where in a JSON object the events of a batch lie, and which of the
 * object's other values are wanted; or those of the actions in a bulk body.
 *
 *   envelope_new (at load) -> scan_enveloped* -> envelope_free
 *
 * Immutable after creation, shared by all threads.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "decode/scan.h"

struct envelope;
struct err;

/* events: dotted path of the array; or with lists on the way, whose items are objects:
 * "resourceLogs[].scopeLogs[].logRecords[]". fields[i]: dotted path of the value that
 * event_batch.envelope[i] is to have, or in a list on the way
 * ("resourceLogs[].resource.name") the value of field i in event_batch.runs. n <=
 * ENVELOPE_FIELDS_MAX. Copies the paths. No path may be given twice, nor lie on the way
 * to the events: such a value would hold them all. NULL and *e on error. */
struct envelope *envelope_new(struct str events, const struct str *fields, unsigned n,
                              struct err *e) MUST_USE;
void envelope_free(struct envelope *v); /* NULL is fine */

/* ---- bulk.c ---- */

/* Of the actions of a bulk body (SCAN_BULK): fields[i] is a path in the action's object,
 * or "$action", its word. The values become runs of one event. */
struct envelope *envelope_bulk_new(const struct str *fields, unsigned n,
                                   struct err *e) MUST_USE;
bool envelope_is_bulk(const struct envelope *v);

/* ---- scan.c ---- */

/* scan_body for a batch in an envelope: the body is lines in pairs, or one object, whose array at the
 * path holds the events; b->envelope and b->runs have the wanted values, SLOT_ABSENT
 * where there is none. An item of a list on the way that lacks the next list, or has
 * null for it, has no events. */
enum scan_result scan_enveloped(struct event_batch *b, const struct scan_keys *k,
                                const struct envelope *v,
                                const struct scan_limits *limits, const char *body,
                                size_t n, struct scan_error *se) MUST_USE;

/* The same, but an object without anything at the path, an array and several values
 * are read as by scan_body with SCAN_VALUES. */
enum scan_result scan_maybe_enveloped(struct event_batch *b, const struct scan_keys *k,
                                      const struct envelope *v,
                                      const struct scan_limits *limits,
                                      const char *body, size_t n,
                                      struct scan_error *se) MUST_USE;
