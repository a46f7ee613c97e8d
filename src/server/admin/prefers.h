/*
 * prefers - which form of an answer a client asks for (RFC 9110, 12.5.1). Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct http_view;

/* Whether Accept names application/vnd.google.protobuf with the messages of Prometheus, each
 * after its length, and gives it no less weight than the two others. */
bool prefers_protobuf(const struct http_view *v) MUST_USE;

/* Whether Accept names application/openmetrics-text of version 1.0.0, or of none, and gives
 * it no less weight than text/plain, or than what stands for it: text and any type. */
bool prefers_openmetrics(const struct http_view *v) MUST_USE;

/* The coding of an answer, by Accept-Encoding; gzip if a client gives it no less weight than
 * identity. NONE: it excludes both. */
enum prefers_coding { PREFERS_IDENTITY, PREFERS_GZIP, PREFERS_NONE };
enum prefers_coding prefers_coding(const struct http_view *v) MUST_USE;
