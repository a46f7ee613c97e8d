/*
 * mmdb_json - a value of a checked MaxMind database as the value of an event. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/mmdb.h"

/* The value at a place of the data; room as for mmdb_find. False: it has no such value, or
 * room is too small. */
bool mmdb_give(struct str data, uint32_t at, char *room, size_t n,
               struct mmdb_value *out) MUST_USE;
