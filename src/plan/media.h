/*
 * media - which shape a body has, by the route and the request's content type.
 * Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "decode/scan.h"
#include "plan/plan.h"

/* application/json, text/json, application/anything+json, or none at all: JSON;
 * application/x-ndjson, application/ndjson, application/jsonl: NDJSON, for
 * batch routes. Parameters and case do not matter. False: 415. */
bool media_shape(const struct route *r, struct str content_type,
                 enum scan_shape *shape);
