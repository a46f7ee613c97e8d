/*
 * postback - the event of a route that accepts signed postbacks only, verified between
 * its scan and its checks. The state's thread.
 */
#pragma once

#include "decode/scan.h"

struct policy_state;
struct route;

/* b has the one event that scan_body made of a body; it is marked EVENT_REJECT and
 * EVENT_UNVERIFIED unless its signature is good. An event with a signed payload becomes
 * one with that payload under the route's key: b is scanned anew. */
void postback_verify(struct policy_state *s, const struct route *route,
                     const struct scan_limits *limits, struct event_batch *b);
