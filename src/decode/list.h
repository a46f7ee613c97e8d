/*
 * list - an array of events or lines of them, and the object that may stand around or
 * before it. Shared by the files of the scanner; no other file includes it.
 */
#pragma once

#include "decode/object.h"

enum { EVENTS = 0, ENVELOPE_TEXT_MAX = 256 };

/* Of one object: the body's, or an item's of a list on the way to the events. */
struct envelope {
    const struct scan_keys *keys; /* slot EVENTS unless bulk, then the fields */
    bool bulk;                    /* of an action, see bulk.c */
    bool wants_action;
    uint8_t action_place;
    unsigned n_fields;
    unsigned n_all;         /* of all levels */
    struct envelope *inner; /* of the items at slot EVENTS; NULL: they are events */
    uint8_t places[ENVELOPE_FIELDS_MAX]; /* of the fields, among those of all levels */
    char missing[ENVELOPE_TEXT_MAX], no_array[ENVELOPE_TEXT_MAX],
        twice[ENVELOPE_TEXT_MAX];
    char no_object[ENVELOPE_TEXT_MAX];
    char astray[ENVELOPE_TEXT_MAX];
};

struct rows;

extern const struct envelope envelope_usual; /* {"events":[...]} */

/* ---- astray.c ---- */

/* Of events that are whole values of the body: those that have a list where the envelope
 * has its events are refused, because it would be stored as a part of one event. */
void envelope_refuse_astray(struct event_batch *b, const struct envelope *v);

/* ---- scan.c ---- */

/* p is at '['. */
enum scan_result list_read(struct scan *s, struct scan_error *se);

/* The lexer's error as scan_body's. */
enum scan_result scan_failed(const struct scan *s, struct scan_error *se);

/* Room for one more event; NULL: the limit is reached, see event_too_many. */
struct event *event_next(struct scan *s);
enum scan_result event_too_many(struct scan *s, struct scan_error *se);

/* Where it stands, also when it is refused: its bytes may be kept (ingest/refusals.h). */
void event_slice(const struct scan *s, struct event *ev, const char *from,
                 const char *end);

/* The line from..to as event ev, which it refuses if it is none. p is behind the space at
 * its begin, end at its end. */
void line_read(struct scan *s, struct event *ev, const char *line);

/* ---- reading.c: the object around a batch ---- */

/* No value is there. */
void envelope_clear(struct event_batch *b, const struct envelope *v);

/* p is at the body's first byte that is no space. found: whether anything is at the
 * events' path; NULL: nothing there is SCAN_INVALID. */
enum scan_result envelope_read(struct scan *s, const struct envelope *v, bool *found,
                               struct scan_error *se);

/* p is at the '{' of an object that has values for one event. values[i] is that of v's
 * field i, and after them action (with its quotes), if v asks for it. */
enum scan_result envelope_one(struct scan *s, const struct envelope *v,
                              struct str action, struct slot *values,
                              struct scan_error *se);

/* The value at place of the fields becomes a run: of the events from first on. */
void envelope_keep(struct event_batch *b, uint32_t first, uint32_t place,
                   const struct slot *value);

/* ---- rows.c ---- */

/* As list_read. */
enum scan_result rows_read(struct scan *s, struct scan_error *se);

/* ---- scan.c ---- */

/* One pass over body, of which no events come: rows_read has its lists. */
enum scan_result scan_rows(struct event_batch *b, struct rows *rows,
                           const struct envelope *v, const struct scan_limits *limits,
                           struct str body, struct scan_error *se);

/* ---- bulk.c ---- */

enum scan_result bulk_read(struct scan *s, const struct envelope *v,
                           struct scan_error *se);
