/*
 * rewrite - what is stored of a value that clients write in many forms: a time as
 * whole milliseconds, an integer as its digits, a number or a truth out of its quotes, a
 * text up to its bound. A value that
 * has that form already is stored as it was sent. Pure; the worker's thread.
 */
#pragma once

#include "base/attr.h"
#include "base/str.h"
#include "decode/event.h"
#include "plan/plan.h"

/* *out: the JSON text that is stored in place of x, a value of b that passed the check
 * of f; p is NULL: what was sent is stored. False: the arena has no room. */
bool rewrite_value(const struct field *f, struct event_batch *b, const struct slot *x,
                   struct str *out) MUST_USE;

/* The same for the fields of an event that passed all checks, as edits of it. Without
 * room for them it is marked EVENT_REJECT, "too_many_edits". */
void rewrite_event(const struct schema *s, struct event_batch *b, struct event *ev);
