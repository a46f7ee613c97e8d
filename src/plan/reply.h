/*
 * reply - values of the event in a route's own answer: where it redirects, and its body.
 * Pure; the worker's thread.
 */
#pragma once

#include "decode/event.h"
#include "plan/plan.h"

/* Sets b->location and b->filled, for a route with an answer of its own and one event,
 * after on_event. given: the url that the route's function returned; p NULL: none. An event
 * whose answer would redirect and has no good url is refused (bad_location), unless the
 * route has a fallback. */
void reply_prepare(const struct route *r, struct event_batch *b, struct str given);
