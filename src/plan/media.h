/*
 * media - which shape a body has, by the route and the request's content type.
 * Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "decode/scan.h"
#include "plan/plan.h"

/* By the route's own list of types, or: application/json, text/json,
 * application/anything+json, or none at all: JSON; application/x-ndjson,
 * application/ndjson, application/jsonl: NDJSON, for batch routes without an envelope.
 * CloudEvents: by the prefix; another type is SCAN_DATA. The route of a query takes
 * any type, that of a form both types of forms, or none. Parameters and case do not
 * matter. A form that holds the body (route->form_body) has the shape of a form. False:
 * 415. */
bool media_shape(const struct route *r, struct str content_type,
                 enum scan_shape *shape);

/* The shape of the JSON that a route takes, in a form's field or as the body. */
enum scan_shape media_json_shape(const struct route *r);

/* The error's text for a type that is not taken; lives with the route. */
const char *media_expected(const struct route *r);

/* Any type whose subtype is json or ends in +json (CloudEvents' JSON format, 3.1.1). */
bool media_is_json(struct str content_type);
