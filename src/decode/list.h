/*
 * list - an array of events, and the object that may stand around it. Shared by the
 * files of the scanner; no other file includes it.
 */
#pragma once

#include "decode/object.h"

struct envelope;

extern const struct envelope envelope_usual; /* {"events":[...]} */

/* ---- scan.c ---- */

/* p is at '['. */
enum scan_result list_read(struct scan *s, struct scan_error *se);

/* The lexer's error as scan_body's. */
enum scan_result scan_failed(const struct scan *s, struct scan_error *se);

/* ---- envelope.c ---- */

/* No value is there. */
void envelope_clear(struct event_batch *b, const struct envelope *v);

/* p is at the body's first byte that is no space. found: whether anything is at the
 * events' path; NULL: nothing there is SCAN_INVALID. */
enum scan_result envelope_read(struct scan *s, const struct envelope *v, bool *found,
                               struct scan_error *se);
