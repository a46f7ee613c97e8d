/*
 * agent_cache - the values of the texts that a worker met lately, in a fixed room.
 *
 *   agent_cache_new -> agent_cache_find, agent_cache_keep -> agent_cache_free
 *
 * One thread. Each text has four places, by a keyed hash, so that no client chooses which
 * texts share them; the whole text is compared. A text that comes once takes the place of
 * another that came once: those that came again stay, also in a flood of new ones.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agents/agents.h"
#include "base/attr.h"
#include "base/siphash.h"

enum {
    AGENT_CACHE_WAYS = 4,
    AGENT_CACHE_SETS = 512,
    AGENT_ENTRY_BYTES = 1024,
    AGENT_ENTRY_ROOM = 944 /* of a text and its values */
};

/* Values as places in the room; n 0: none. */
struct agent_entry {
    uint64_t hash;
    uint16_t text_n; /* the text is first in the room */
    uint16_t used;   /* of the room */
    uint8_t age;     /* 0: it came again; 3: the next one takes its place */
    uint8_t done;    /* the sections that were looked up, a bit each */
    uint16_t at[AGENT_SECTIONS][AGENT_PARTS_MAX];
    uint16_t n[AGENT_SECTIONS][AGENT_PARTS_MAX];
    char room[AGENT_ENTRY_ROOM];
};

_Static_assert(sizeof(struct agent_entry) <= AGENT_ENTRY_BYTES + 8, "a page has four");

struct agent_cache;

struct agent_cache *agent_cache_new(void) MUST_USE;
void agent_cache_free(struct agent_cache *c); /* NULL is fine */

uint64_t agent_cache_hash(const struct agent_cache *c, struct str text);

/* NULL: it is not there. The entry lives until the next agent_cache_keep. */
struct agent_entry *agent_cache_find(struct agent_cache *c, struct str text,
                                     uint64_t hash);

/* A place for a text that is not there, with no section done; NULL: the text is too long
 * to be kept. */
struct agent_entry *agent_cache_keep(struct agent_cache *c, struct str text,
                                     uint64_t hash);
