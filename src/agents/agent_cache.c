#include "agents/agent_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* One of so many new texts is taken for one that comes again, and ages the others of its
 * set, so that those which came again long ago give way. */
enum {
    AGE_NEW = 3,
    AGE_TRUSTED = 2,
    TRUSTED_OF = 32,
    TEXT_MAX = AGENT_ENTRY_ROOM - 200
};

struct agent_cache {
    struct siphash_key key;
    uint32_t n_kept;
    struct agent_entry *entries; /* AGENT_CACHE_WAYS of a set are neighbours */
};

struct agent_cache *agent_cache_new(void)
{
    struct agent_cache *c = mem_zalloc(sizeof *c);

    siphash_key_random(&c->key);
    /* Zero pages: memory is taken when a place is. */
    c->entries =
        mem_zalloc((size_t)AGENT_CACHE_SETS * AGENT_CACHE_WAYS * sizeof *c->entries);
    return c;
}

void agent_cache_free(struct agent_cache *c)
{
    if (c != NULL) {
        free(c->entries);
        free(c);
    }
}

uint64_t agent_cache_hash(const struct agent_cache *c, struct str text)
{
    return siphash13(&c->key, text.p, text.n);
}

static struct agent_entry *set_of(struct agent_cache *c, uint64_t hash)
{
    return &c->entries[hash % AGENT_CACHE_SETS * AGENT_CACHE_WAYS];
}

struct agent_entry *agent_cache_find(struct agent_cache *c, struct str text,
                                     uint64_t hash)
{
    struct agent_entry *set = set_of(c, hash);

    for (uint32_t i = 0; i < AGENT_CACHE_WAYS; i++) {
        struct agent_entry *x = &set[i];

        if (x->hash == hash && x->used > 0 &&
            str_eq((struct str){x->room, x->text_n}, text)) {
            x->age = 0;
            return x;
        }
    }
    return NULL;
}

/* The oldest of a set; of several, one by the hash. */
static struct agent_entry *victim(struct agent_entry *set, uint64_t hash)
{
    struct agent_entry *oldest = &set[(hash >> 32) % AGENT_CACHE_WAYS];

    for (uint32_t i = 0; i < AGENT_CACHE_WAYS; i++) {
        if (set[i].used == 0) {
            return &set[i];
        }
        oldest = set[i].age > oldest->age ? &set[i] : oldest;
    }
    return oldest;
}

static void age(struct agent_entry *set)
{
    for (uint32_t i = 0; i < AGENT_CACHE_WAYS; i++) {
        set[i].age = (uint8_t)(set[i].age + (set[i].age < AGE_NEW));
    }
}

struct agent_entry *agent_cache_keep(struct agent_cache *c, struct str text,
                                     uint64_t hash)
{
    bool trusted = ++c->n_kept % TRUSTED_OF == 0;
    struct agent_entry *x;

    if (text.n > TEXT_MAX) {
        return NULL;
    }
    x = victim(set_of(c, hash), hash);
    if (trusted) {
        age(set_of(c, hash));
    }
    x->hash = hash;
    x->text_n = (uint16_t)text.n;
    /* An empty text has a room of one byte, so that its place is not empty. */
    x->used = (uint16_t)(text.n + 1);
    x->age = trusted ? AGE_TRUSTED : AGE_NEW;
    x->done = 0;
    if (text.n > 0) {
        memcpy(x->room, text.p, text.n);
    }
    return x;
}
