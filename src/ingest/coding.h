/*
 * coding - how a body is compressed, where its route has another say than
 * Content-Encoding. Pure; shared by the worker and the testing kit.
 */
#pragma once

#include "base/attr.h"
#include "http/http.h"
#include "plan/plan.h"
#include "plan/request.h"
#include "policy/run/decide.h"

/* shape: as decide_head has it; sent: what Content-Encoding says; *how: what holds. A
 * query is read from the URL, whatever its body is. False: *no tells, 415. */
bool coding_of(const struct route *route, enum scan_shape shape,
               const struct policy_request *q, enum http_encoding sent,
               enum http_encoding *how, struct refused *no) MUST_USE;
