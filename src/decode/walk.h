/*
 * walk - the members of an object that scan_body has checked, one by one, for values
 * that no slot holds. Pure; the text is trusted, so nothing is checked again.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "decode/event.h"

struct walk {
    const char *p, *end;
};

struct member {
    struct str key; /* between the quotes, as sent */
    bool key_escaped;
    enum slot_kind kind;
    struct str value; /* as sent; strings with their quotes */
};

/* object: from '{' to '}'. */
void walk_start(struct walk *w, struct str object);

/* False: no more members. */
bool walk_next(struct walk *w, struct member *m);

/* Whether the member's key is name (unescaped, at most 1024 bytes). */
bool walk_is(const struct member *m, struct str name);

/* The value at p, which may have space before it. */
struct str walk_value(const char *p, const char *end, enum slot_kind *kind);

/* ---- path.c ---- */

/* The value at a path (decode/path.h) in object. False: there is none. */
bool walk_find(struct str object, struct str path, struct member *m);
