/*
 * auth - whether a request may enter its route (plan/auth.h). The state's thread; no
 * I/O but for the pages of a mapped file of keys.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "policy/run/decide.h"

/* What was accepted before, for the same request's body. table 0: nothing. */
void policy_set_key(const struct policy_state *s, uint16_t table, int32_t row,
                    struct policy_request *req);

/* The same of its method, which may have accepted a token. auth: as in the request. */
void policy_set_auth(struct policy_state *s, const struct route *route, uint8_t auth,
                     struct policy_request *req);

/* By the head alone; route->auth is not NULL. req gets the row of the key, or the token;
 * its auth is REQUEST_UNSIGNED if a signature of the body has to be looked at. False: *no
 * tells. */
bool policy_authenticate(struct policy_state *s, const struct route *route,
                         struct policy_request *req, struct refused *no) MUST_USE;

/* Of such a request, by its body: req->sent, or body if that is what was sent. */
bool policy_authenticate_body(struct policy_state *s, const struct route *route,
                              const struct policy_request *req, struct str body,
                              struct refused *no) MUST_USE;
