/*
 * member - a member of a JSON object, found without reading all of it. Only for objects
 * that were checked before, such as stored events: what is not JSON is not noticed as a
 * rule, but never read past its end. Pure; any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "decode/event.h"

enum member_found {
    MEMBER_TEXT = 0, /* value: between the quotes, nothing to unescape */
    MEMBER_ESCAPED,  /* the same, with escapes */
    MEMBER_NUMBER,   /* value: the digits */
    MEMBER_OTHER,    /* it is another kind of value */
    MEMBER_ABSENT,
    MEMBER_UNSURE /* a key with escapes, or no JSON: read all of it */
};

/* The same for a slot that the scanner filled. */
static inline enum member_found member_of_kind(enum slot_kind kind)
{
    return kind == SLOT_STRING    ? MEMBER_TEXT
           : kind == SLOT_ESCAPED ? MEMBER_ESCAPED
           : kind == SLOT_NUMBER  ? MEMBER_NUMBER
           : kind == SLOT_ABSENT  ? MEMBER_ABSENT
                                  : MEMBER_OTHER;
}

/* The first member of that name, of the object itself; 16 bytes after the object can be
 * read. name: as it stands between the quotes of a key without escapes. */
enum member_found member_find(struct str object, struct str name, struct str *value);
