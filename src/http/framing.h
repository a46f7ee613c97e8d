/*
 * framing - where a request's body ends, and whether another may follow, by its
 * headers (RFC 9112, 6 and 9.3). A request
 * whose end two servers could see in different places is refused. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct framing {
    bool chunked, has_length;
    uint64_t length; /* of the body; has_length */
    uint32_t n_hosts;
    struct str host; /* the last one */
    bool keep_alive; /* by Connection, else by the version */
    const char *why; /* NULL: sound; static text */
};

/* old: HTTP/1.0, which has no chunks. */
struct framing framing_of(const struct str_pair *headers, uint32_t n, bool old);
