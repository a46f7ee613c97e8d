/*
 * make - a request that is not JSON, as the JSON event that it stands for: a CloudEvent
 * in binary mode, a query, a form. And the words for what is refused as a whole. The
 * state's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "decode/scan.h"
#include "plan/request.h"
#include "policy/run/decide.h"

/* What may be added to a request's events: as much again as a body, so that its
 * block fits into a segment, which has room for four. */
uint64_t make_added_max(const struct policy_state *s);

/* *body to the event, which the state has room for until the next call; with form_body
 * to the JSON that the field holds. Only for shapes
 * from SCAN_DATA on. False: *no tells. */
bool make_event(struct policy_state *s, const struct route *route,
                enum scan_shape shape, const struct policy_request *req,
                const struct scan_limits *limits, struct str *body,
                struct refused *no) MUST_USE;

/* *body to one whose events are objects, for a route with columns; the same room. False:
 * *no tells. */
bool make_rows(struct policy_state *s, const struct route *route,
               const struct scan_limits *limits, struct event_batch *b,
               struct str *body, struct refused *no) MUST_USE;

/* Both always false. Texts are borrowed. */
bool make_refuse(struct refused *no, int status, const char *error, const char *code,
                 const char *detail);
bool make_refuse_scan(struct refused *no, enum scan_result r,
                      const struct scan_error *se, const struct scan_limits *limits);
