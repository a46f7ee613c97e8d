/*
 * str - a borrowed run of bytes: pointer and length, by value, never owned,
 * not NUL-terminated unless its source says so. {NULL, 0} is the empty one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

/* A header, a label: a name and its value. */
struct str_pair {
    struct str name, value;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_of(const char *z)
{
    return (struct str){z, z == NULL ? 0 : strlen(z)};
}

/* FNV-1a, 64 bits, of the text of h and then s; STR_HASH is that of an empty text. */
#define STR_HASH 14695981039346656037u

static inline uint64_t str_hash(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    }
    return h;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
