/*
 * target - a request's target and its Host header (RFC 9112, 3.2). Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* Path and query (without '?'; p NULL: none) of a target: a path, an address with http
 * or https, or "*" of OPTIONS. Views of target. False: none of these. */
bool target_split(struct str method, struct str target, struct str *path,
                  struct str *query);

/* A name or address with an optional port, or nothing at all. */
bool target_host(struct str host);
