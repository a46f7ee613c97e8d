/* A folder for a store, and keys that are spread as hashes are. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "keys/key.h"

static char folder[64];

static inline int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-keys-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static inline int remove_folder(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Key number i, as murmur3 finishes a hash. */
static inline struct key nth(uint64_t i, uint32_t time_s)
{
    uint64_t x = i + 1;

    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    x ^= x >> 33;
    return (struct key){x, (uint32_t)(x * 0x9E3779B97F4A7C15u >> 32), time_s};
}

static inline int key_order(const void *x, const void *y)
{
    return key_before(x, y) ? -1 : key_before(y, x);
}
