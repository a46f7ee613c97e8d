#include "signature/jwt_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { WAYS = 4 };

struct entry {
    unsigned char digest[JWT_CACHE_DIGEST];
    int64_t from, until; /* until 0: empty, or the first to go */
};

struct jwt_cache {
    uint32_t mask; /* of groups */
    uint64_t hits;
    struct entry entries[];
};

struct jwt_cache *jwt_cache_new(uint32_t tokens)
{
    struct jwt_cache *c;

    assert(tokens >= WAYS && (tokens & (tokens - 1)) == 0);
    c = mem_zalloc(sizeof *c + tokens * sizeof c->entries[0]);
    c->mask = tokens / WAYS - 1;
    return c;
}

void jwt_cache_free(struct jwt_cache *c)
{
    free(c);
}

static struct entry *group_of(struct jwt_cache *c,
                              const unsigned char digest[JWT_CACHE_DIGEST])
{
    uint32_t h;

    memcpy(&h, digest, sizeof h);
    return &c->entries[(size_t)(h & c->mask) * WAYS];
}

bool jwt_cache_find(struct jwt_cache *c, const unsigned char digest[JWT_CACHE_DIGEST],
                    int64_t *from, int64_t *until)
{
    const struct entry *g = group_of(c, digest);

    for (unsigned i = 0; i < WAYS; i++) {
        if (g[i].until != 0 && memcmp(g[i].digest, digest, JWT_CACHE_DIGEST) == 0) {
            *from = g[i].from;
            *until = g[i].until;
            c->hits++;
            return true;
        }
    }
    return false;
}

void jwt_cache_add(struct jwt_cache *c, const unsigned char digest[JWT_CACHE_DIGEST],
                   int64_t from, int64_t until)
{
    struct entry *g = group_of(c, digest), *first = g;

    for (unsigned i = 1; i < WAYS; i++) {
        first = g[i].until < first->until ? &g[i] : first;
    }
    memcpy(first->digest, digest, JWT_CACHE_DIGEST);
    first->from = from;
    first->until = until;
}

uint64_t jwt_cache_hits(const struct jwt_cache *c)
{
    return c->hits;
}
