/*
 * answer_head - the lines of an answer's head besides those that http itself writes. Pure;
 * whole lines, "" mostly.
 */
#pragma once

#include <stdbool.h>

#include "ingest/cors.h"
#include "plan/outcome.h"
#include "plan/refused_body.h"
#include "plan/request.h"
#include "policy/run/decide.h"

/* The loader bounds a route's own headers to 2 KiB; a location is as long at most. */
enum { HEAD_BYTES = CORS_BYTES + 2048 + LOCATION_MAX + 512, TYPE_LINE_BYTES = 160 };

/* The lines that every answer of the route has; route NULL: none. */
void answer_head_common(const struct route *route, const struct policy_request *req,
                        char out[CORS_BYTES]);

/* The same where no route has the method, but the path has others: allow ("POST, PUT")
 * lists their methods. Nothing for OPTIONS: a preflight that is refused. */
void answer_head_other(const struct plan *plan, const char *allow,
                       const struct policy_request *req, char out[CORS_BYTES]);

/* Of a refusal: the type of the route's own body (own NULL: none), the lines that its
 * status asks for, retry_after (a line) for a 429 that does not say itself when, and
 * common. */
void answer_head_refused(const struct refused *no, const struct refused_body *own,
                         const char *retry_after, const char *common,
                         char out[HEAD_BYTES]);

/* Of an answer about events: the type of the route's own answer, retry_after for a 429,
 * the scheme for a 401, and common. May be common itself. */
const char *answer_head_outcome(const struct outcome *o, const char *retry_after,
                                const char *common, char out[HEAD_BYTES]);

/* A request with OPTIONS: of a browser before a request of another origin, of a sender
 * of web hooks before it delivers. True: out has the lines of its answer, which is a
 * 204 without a body. */
bool answer_head_preflight(const struct plan *plan, const struct policy_request *req,
                           char out[CORS_BYTES]);
