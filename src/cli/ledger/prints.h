/*
 * prints - a set of fingerprints with small counts: 8 bytes for each, and a third more
 * for free places. For comparing what was accepted with what a destination has.
 *
 *   prints_new -> prints_expect* -> prints_meet* -> prints_each -> prints_free
 *
 * Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct prints;

struct prints *prints_new(uint64_t max) MUST_USE; /* so many at most */
void prints_free(struct prints *p);               /* NULL is fine */

/* An event with that stored fingerprint was accepted; confirmed: the destination must
 * have it. False: max are there. */
bool prints_expect(struct prints *p, uint64_t print, bool confirmed) MUST_USE;
/* The destination has one. False: it is not one of these. */
bool prints_meet(struct prints *p, uint64_t print) MUST_USE;

/* Calls fn with those whose counts differ, and those accepted or met too often to be
 * counted in a few bits. */
typedef void prints_fn(void *arg, uint64_t print);
void prints_each_suspect(const struct prints *p, prints_fn *fn, void *arg);
