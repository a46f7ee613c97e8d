/*
 * cors - the header lines for a browser of another origin (Fetch standard, 3.3). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "plan/plan.h"

/* The loader bounds an origin to 1 KiB and the list of headers to 4 KiB. */
enum { CORS_BYTES = 8192 };

/* The headers of an answer to origin, whole lines; "" when it may not send. origin.p
 * NULL: the request is no browser's. */
void cors_answer(const struct cors_plan *c, struct str origin, char out[CORS_BYTES]);

/* Those of the answer to OPTIONS before a request by method. False: refused. */
bool cors_preflight(const struct cors_plan *c, struct str origin, struct str method,
                    char out[CORS_BYTES]);
