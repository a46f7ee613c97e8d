/*
 * stored_event - the text that is stored of an event, and its streams. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/event.h"
#include "plan/plan.h"

/* Streams that ev is stored in: bit i is plan->streams[i], bit `dead` the dead
 * letters' (-1: there are none). 0: it is not stored. */
uint64_t stored_event_streams(const struct route *route, const struct event *ev,
                              int dead);

/* The most bytes that stored_event_write may write for ev. */
size_t stored_event_bound(const struct event_batch *b, const struct event *ev);

/* Writes ev's line without its newline to out: the event with its edits, or the
 * dead letter of one whose hook failed. Returns the length. *kept: the places of
 * ev's slots hold in out. */
size_t stored_event_write(const struct plan *plan, const struct route *route,
                          const struct event_batch *b, const struct event *ev,
                          double now_ms, char *out, bool *kept);
