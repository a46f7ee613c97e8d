/*
 * limits - the limits of a route: looked at when the head of a request is there, taken
 * from when its events are counted.
 *
 *   limits_look (head) -> limits_take (body) -> stored, or limits_give
 *
 * All or none: a request that is over one of them takes from none. The state's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/request.h"
#include "policy/run/decide.h"

struct policy_state;
struct route;

/* Whether one event could come now. False: *no tells. */
bool limits_look(struct policy_state *s, const struct route *route,
                 const struct policy_request *req, struct refused *no) MUST_USE;

/* Takes n events from all of them. False: *no tells, nothing was taken. */
bool limits_take(struct policy_state *s, const struct route *route,
                 const struct policy_request *req, uint32_t n,
                 struct refused *no) MUST_USE;

/* The events of the last limits_take were not stored: in the same turn. */
void limits_give(struct policy_state *s, const struct route *route,
                 const struct policy_request *req, uint32_t n);

/* Adds what limit_headers of the route tells of the last look or take: whole lines behind
 * those in out. */
enum { LIMIT_LINES_BYTES = 1536 };
void limits_lines(const struct policy_state *s, const struct route *route, char *out,
                  size_t room);
