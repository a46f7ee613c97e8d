/*
 * jwt_cache - tokens whose signature and claims were good, by their SHA-256, so that a
 * token that comes with each request is checked once. Fixed memory; one thread.
 *
 *   jwt_cache_new -> (jwt_cache_find, jwt_cache_add)* -> jwt_cache_free
 *
 * Of a policy's state: a reload begins with an empty one, which no key that it took away
 * has filled.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum { JWT_CACHE_DIGEST = 32 };

struct jwt_cache;

struct jwt_cache *jwt_cache_new(uint32_t tokens); /* a power of two, from 4 */
void jwt_cache_free(struct jwt_cache *c);         /* NULL is fine */

/* from, until: as they were added. */
bool jwt_cache_find(struct jwt_cache *c, const unsigned char digest[JWT_CACHE_DIGEST],
                    int64_t *from, int64_t *until) MUST_USE;

/* In the place of the one of four that ends first. */
void jwt_cache_add(struct jwt_cache *c, const unsigned char digest[JWT_CACHE_DIGEST],
                   int64_t from, int64_t until);

uint64_t jwt_cache_hits(const struct jwt_cache *c);
