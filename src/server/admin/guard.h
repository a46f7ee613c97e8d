/*
 * guard - who may ask the admin listener for what.
 *
 * The supervisor's thread. A web page must not reach it through an operator's browser, also
 * not by a name that leads here (DNS rebinding): a foreign Host or Origin is refused. From
 * another machine, a change needs the token. /healthz and /readyz answer anybody.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "http/http.h"

struct admin_plan;

/* False: refused, and answered. */
bool guard_passes(const struct admin_plan *a, struct http_request *r,
                  const struct http_view *v) MUST_USE;

/* Whether a request that passes may also see what clients sent, and the policy's text: it
 * has the token or comes from this machine, and no other page sent it. */
bool guard_trusts(const struct admin_plan *a, const struct http_request *r,
                  const struct http_view *v) MUST_USE;
