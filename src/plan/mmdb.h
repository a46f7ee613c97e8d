/*
 * mmdb - a MaxMind database (GeoLite2-City.mmdb and the like): values by an IP address.
 *
 *   mmdb_new (at load) -> mmdb_find (any thread) -> mmdb_free
 *
 * Immutable. Its bytes are a copy that nothing can change or cut: a file that
 * is mapped ends the process when another cuts it. Every value was checked at load.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attr.h"
#include "base/str.h"
#include "decode/event.h"
#include "decode/path.h"

struct err;
struct mmdb;

enum { MMDB_JSON_MAX = 65536 };

/* NULL and *e: it is no whole database. file may be gone afterwards. */
struct mmdb *mmdb_new(struct str file, struct err *e) MUST_USE;
void mmdb_free(struct mmdb *m); /* NULL is fine */

struct str mmdb_bytes(const struct mmdb *m); /* of the file; lives with m */
struct str mmdb_type(const struct mmdb *m);  /* "GeoLite2-City"; lives with m */

/* A value: SLOT_STRING, SLOT_NUMBER (num), SLOT_TRUE, SLOT_FALSE. A text lies in m, or,
 * when it is a number that num would round, or a map or an array as JSON (SLOT_OBJECT,
 * SLOT_ARRAY), in room. */
struct mmdb_value {
    enum slot_kind kind;
    struct str text;
    double num;
};

/* The entry of the network that has the address. False: there is none. */
bool mmdb_entry(const struct mmdb *m, const struct address *a,
                uint32_t *entry) MUST_USE;

/* The value at path (a path of no part: all) of an entry. False: there is none. room has MMDB_JSON_MAX bytes; a map that needs more is none. */
bool mmdb_value(const struct mmdb *m, uint32_t entry, const struct path *path,
                char *room, struct mmdb_value *out) MUST_USE;

/* Both. */
bool mmdb_find(const struct mmdb *m, const struct address *a, const struct path *path,
               char *room, struct mmdb_value *out) MUST_USE;
