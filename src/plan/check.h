/*
 * check - a schema's declared rules on the slots of decoded events, in C:
 * required, type, enum, length, range, timestamp window.
 *
 * Pure; any thread; runs once per request over all events.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/event.h"
#include "plan/plan.h"

/* Marks each event of b that breaks a rule EVENT_REJECT with code
 * ("missing_field", "wrong_type", "not_in_enum", "too_short", "too_long",
 * "too_small", "too_large", "too_old", "in_future", "bad_time"), field and message;
 * checks run in schema order, all of required first; the first error of an event
 * counts. Fills num of enum slots (index of the value) and time slots (ms).
 * A null counts as absent. Events not EVENT_ACCEPT are left alone. */
void check_events(const struct schema *s, struct event_batch *b, int64_t now_ms);

/* The same for one field and the value x of b, whose event is ev: false when ev was
 * marked. */
bool check_value(const struct field *f, struct event_batch *b, struct event *ev,
                 struct slot *x, int64_t now_ms);
