/*
 * forwarded - the client of a request that trusted proxies passed on, by the one header
 * that they write: X-Forwarded-For, or Forwarded (RFC 7239).
 *
 * Pure. Read from the right: the last entry is the nearest proxy's, and what stands left
 * of an entry is worth as much as the proxy that the entry names.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/str.h"

/* The address that one entry names: "192.0.2.7", "192.0.2.7:80", "[2001:db8::7]:80",
 * "2001:db8::7". False: it names none ("unknown", "_hidden", anything else). */
bool forwarded_address(struct str node, struct address *out) MUST_USE;

/* The first address from the right that is in none of the trusted networks; if all are,
 * the leftmost. It ends at an entry without an address: the one right of it holds. list:
 * Forwarded, and not X-Forwarded-For. False: the last entry has none. */
bool forwarded_client(bool list, struct str value, const struct subnet *trusted,
                      uint32_t n_trusted, struct address *out) MUST_USE;
