/*
 * jwks_file - a JWK set from its file. It is read at each load of a policy and is part of
 * neither its hash nor the copies that are kept: so no older policy brings a revoked key
 * back, and no secret of HS256 lies in a second place.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "signature/jwk.h"

struct err;

/* A caller that owns *out frees it with jwks_fini. False: *e. May block on the disk. */
bool jwks_file_read(const char *path, struct jwks *out, struct err *e) MUST_USE;
