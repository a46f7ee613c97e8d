/*
 * proxy_header - what a proxy sends before a connection's first byte: whose connection it
 * passes on (PROXY protocol, versions 1 and 2).
 *
 *   proxy_header_init -> proxy_header_feed* -> its fields
 *
 * Pure. No byte after the header is taken, so that TLS or HTTP can follow.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/attr.h"

enum {
    PROXY_V1_MAX = 107,      /* with its line end */
    PROXY_V2_MAX = 16 + 4096 /* its head; addresses and TLVs */
};

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_BAD };

struct proxy_header {
    unsigned char bytes[PROXY_V1_MAX + 1]; /* of v2 the first ones */
    size_t n;     /* bytes taken so far; of v2 also those that are not kept */
    size_t whole; /* of v2, once it is known; else 0 */
    /* When it is done: */
    bool has_address;       /* false: LOCAL, UNKNOWN or a family without addresses; the
                               connection's own address holds */
    struct address address; /* of the client */
    const char *why;        /* PROXY_BAD: what is wrong */
};

void proxy_header_init(struct proxy_header *h);

/* Takes *used of the n bytes. After PROXY_BAD nothing more is fed. */
enum proxy_result proxy_header_feed(struct proxy_header *h, const unsigned char *p,
                                    size_t n, size_t *used) MUST_USE;
