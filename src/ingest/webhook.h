/*
 * webhook - the permission that a sender of web hooks asks for before it delivers
 * (CloudEvents' HTTP web hooks 1.0, 4: abuse protection). Pure.
 */
#pragma once

#include <stdbool.h>

#include "ingest/cors.h"
#include "plan/request.h"

/* True: the request is such a question and the sender is welcome; out has the lines
 * that say so. */
bool webhook_grant(const struct webhook_plan *w, const struct policy_request *req,
                   char out[CORS_BYTES]);
