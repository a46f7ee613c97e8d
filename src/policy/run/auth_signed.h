/*
 * auth_signed - the methods of a route's auth whose credential is a signature: of the
 * body (hmac), or a token (jwt). The state's thread; no I/O.
 */
#pragma once

#include "plan/auth.h"
#include "policy/internal.h"
#include "signature/fault.h"

/* AUTH_OK: req has the token. Otherwise *why. */
enum auth_reason auth_by_token(struct policy_state *s, const struct auth_method *m,
                               struct str token, struct policy_request *req,
                               struct signature_fault *why) MUST_USE;

/* What a body tells when it has come. */
enum auth_reason auth_by_hmac(const struct auth_method *m,
                              const struct policy_request *req, struct str body,
                              struct signature_fault *why) MUST_USE;

/* The verifier of the method; NULL: OpenSSL has no memory for it. */
struct jwt_verifier *auth_verifier(struct policy_state *s, const struct auth_method *m);

void auth_signed_fini(struct policy_state *s); /* what was made for tokens */
