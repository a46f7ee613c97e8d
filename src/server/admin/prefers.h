/*
 * prefers - which form of an answer a client asks for (RFC 9110, 12.5.1). Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct http_view;

/* Whether Accept names application/openmetrics-text of version 1.0.0, or of none, and gives
 * it no less weight than text/plain. */
bool prefers_openmetrics(const struct http_view *v) MUST_USE;
