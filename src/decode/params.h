/*
 * params - the parameters of a query or the fields of a form, written one after the other
 * as the JSON object that they stand for.
 *
 *   params_start -> (name -> params_value -> value -> params_next)* -> params_end
 *
 * Pure but for the room, which grows with the largest request. One thread. The caller
 * writes names and values at p as JSON text between its quotes (params_put), and the
 * values of PARAM_JSON and PARAM_BASE64 as they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/siphash.h"
#include "base/str.h"
#include "decode/scan.h"

/* PARAMS_OVERHEAD: bytes around the name and the value of one. */
enum { PARAMS_MAX = 1024, PARAMS_OVERHEAD = 8 };

/* What a text becomes. One that is no number or truth stays a text, and the schema
 * refuses it. One without a byte becomes null, unless it is a PARAM_TEXT. */
enum param_kind {
    PARAM_TEXT,
    PARAM_NUMBER,
    PARAM_BOOL,  /* true, false in any case, 1, 0 */
    PARAM_JSON,  /* a JSON value */
    PARAM_BASE64 /* a JSON value in base64, of both alphabets */
};

/* What becomes of a name that comes more than once. PARAMS_REFUSE leaves all in the
 * object, which the scanner refuses. */
enum params_repeated { PARAMS_REFUSE, PARAMS_FIRST, PARAMS_LAST, PARAMS_ARRAY };

struct param_rule {
    struct str name; /* as JSON text, without quotes */
    enum param_kind kind;
    bool list; /* PARAMS_ARRAY: an array also of one; kind is that of its items */
};

/* Immutable, of a route. */
struct params_rules {
    const struct param_rule *rules; /* of the names that are not PARAM_TEXT */
    uint32_t n_rules;
    enum params_repeated repeated;
    struct siphash_key key; /* of the table of names */
};

/* Grown by mem_realloc, kept for the next request; the owner frees p. */
struct params_room {
    char *p;
    size_t n;
};

enum params_result {
    PARAMS_OK = 0,
    PARAMS_INVALID,  /* at, name and detail */
    PARAMS_FILE,     /* multipart: a file, at and name */
    PARAMS_TOO_MANY, /* more than PARAMS_MAX */
    PARAMS_TOO_LARGE /* the object would pass max_bytes */
};

struct params_error {
    size_t at;       /* where the parameter begins in the text */
    struct str name; /* as sent; p is NULL: it has none */
    const char *detail;
    char text[128]; /* what detail may point to */
};

struct params_member;

struct params {
    const struct params_rules *rules;
    const struct scan_limits *limits;
    struct params_room *room;
    struct params_error *error;
    char *p;          /* where the next byte goes */
    size_t at, value; /* of the member in hand, in the room */
    const char *name; /* as sent, of the member in hand */
    size_t name_n, name_at;
    uint32_t n; /* members */
    enum param_kind kind;
    bool list; /* of the member in hand */
    bool high; /* the text in hand has bytes that are not ASCII */
    struct repeats *repeats;
};

/* bound: what the members may take at most, without PARAMS_OVERHEAD for the braces. */
enum params_result params_start(struct params *x, const struct params_rules *rules,
                                const struct scan_limits *limits,
                                struct params_room *room, size_t bound,
                                size_t max_bytes, struct params_error *e) MUST_USE;

/* A member whose name was sent as raw, at byte `at`; writing goes on with its name. */
enum params_result params_name(struct params *x, struct str raw, size_t at) MUST_USE;

/* Its name is written; writing goes on with its value, whose kind is x->kind. */
enum params_result params_value(struct params *x) MUST_USE;

/* Its value is written. */
enum params_result params_next(struct params *x) MUST_USE;

/* The object, with SCAN_PAD bytes after it, in the room. */
struct str params_end(struct params *x);

/* Marks *x->error for the member in hand. */
enum params_result params_fail(struct params *x, const char *detail);

/* What a text takes at most, when it is not known how much of it is escaped. */
static inline size_t params_bound(size_t n)
{
    return 6 * n;
}

/* One byte of a text between quotes; returns where the next goes. */
static inline char *params_put(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    if (LIKELY(c >= 0x20 && c != '"' && c != '\\')) {
        *out = (char)c;
        return out + 1;
    }
    *out++ = '\\';
    if (c >= 0x20) {
        *out = (char)c;
        return out + 1;
    }
    switch (c) {
    case '\n':
        *out = 'n';
        return out + 1;
    case '\r':
        *out = 'r';
        return out + 1;
    case '\t':
        *out = 't';
        return out + 1;
    default:
        memcpy(out, "u00", 3);
        out[3] = hex[c >> 4];
        out[4] = hex[c & 15];
        return out + 5;
    }
}
