/*
 * units - "64MiB", "200ms", "10%" to numbers and back. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

/* Bytes: B KB MB GB KiB MiB GiB TiB, decimals allowed ("1.5GiB"). */
bool units_bytes(struct str s, uint64_t *bytes) MUST_USE;

/* Milliseconds: ms s m h d, decimals allowed; "0" needs no unit. */
bool units_ms(struct str s, int64_t *ms) MUST_USE;

/* "64.0 MiB" for a human; returns out. */
const char *units_show_bytes(char *out, size_t out_bytes, uint64_t bytes);
