/*
 * path - where a value stands in an event: "properties.page", "items[1].id". Keys
 * are separated by dots, [n] is a place in an array, from 1. A backslash makes the
 * character after it part of a key: "user\.ip" is the one key "user.ip". The schema,
 * hooks and the sinks all read paths by these rules. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"
#include "decode/event.h"
#include "decode/walk.h"

enum { PATH_BYTES_MAX = 1024, PATH_PARTS_MAX = 64 };

struct path_part {
    struct str key; /* unescaped; at is 0 */
    uint64_t at;    /* place in an array, from 1; 0: key */
};

struct path {
    uint32_t n;
    uint32_t from; /* bytes of the first key in the text, with its backslashes */
    struct path_part parts[PATH_PARTS_MAX];
    char text[PATH_BYTES_MAX]; /* keys that had a backslash */
};

/* False: text is not a path: a "[" without a place and "]", a lone backslash at the
 * end, more than PATH_BYTES_MAX bytes or PATH_PARTS_MAX parts. Keys point into text
 * or into *out. */
bool path_parse(struct str text, struct path *out) MUST_USE;

/* Whether text is one key of the event itself, as it stands. */
bool path_is_plain(struct str text);

/* In: *m is a value (kind and value). Out: the value below it at n parts; with a key
 * that stands twice in an object, the first copy that has the whole path. False: it
 * has none; *m is undefined then. */
bool path_find(struct member *m, const struct path_part *parts, uint32_t n);

enum path_result {
    PATH_OK = 0,
    PATH_BLOCKED, /* a value on the way is no object, or no array with that place */
    PATH_ABSENT   /* nothing to remove */
};

/* Bytes written to p; p is NULL: counted only. */
struct path_out {
    char *p;
    size_t n;
};

/* Writes *m (value.n is 0: it is absent) with the value at n >= 1 parts set to json,
 * or removed (json.p is NULL). All copies of a key that stands twice are changed.
 * Missing objects on the way, and null, become objects. Everything else stays as it
 * is. Nothing useful is in *out unless the result is PATH_OK. */
enum path_result path_write(struct path_out *out, const struct member *m,
                            const struct path_part *parts, uint32_t n, struct str json);
