/*
 * others - what happens to members of an event that the schema does not name: they are
 * kept, they refuse the event, or they are dropped before anything else sees them. Pure
 * but for the room; the worker's thread.
 */
#pragma once

#include "decode/event.h"
#include "decode/params.h"
#include "plan/plan.h"

/* After scan_body, with the schema's keys. OTHERS_REFUSE: an event with such a member is
 * marked EVENT_REJECT, "unknown_field". OTHERS_DROP: the batch's body is then in the
 * room, until the next call with it; what was sent is b->sent. */
void others_apply(const struct schema *s, struct event_batch *b,
                  struct params_room *room);
