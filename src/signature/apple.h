/*
 * apple - the public keys that Apple documents for its postbacks. Static.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "signature/postback.h"

struct apple_key {
    const char *name; /* the kid; SKAdNetwork has none */
    const char *text; /* as pin_read takes it */
    bool development;
};

/* The keys of the kind; *n: how many. */
const struct apple_key *apple_keys(enum postback_kind kind, unsigned *n);
