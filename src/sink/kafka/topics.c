#include "sink/kafka/topics.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

enum { SLOTS_FIRST = 64 };

struct topics {
    struct siphash_key key; /* clients choose the names */
    struct topic **list;    /* in the order of their coming */
    uint32_t n, room, last;
    uint32_t *slots;  /* 1 + place in list; 0: free */
    uint32_t n_slots; /* a power of two, more than twice n */
};

struct topics *topics_new(void)
{
    struct topics *t = mem_zalloc(sizeof *t);

    siphash_key_random(&t->key);
    t->n_slots = SLOTS_FIRST;
    t->slots = mem_zalloc(t->n_slots * sizeof *t->slots);
    return t;
}

void topics_free(struct topics *t)
{
    if (t == NULL) {
        return;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        free(t->list[i]);
    }
    free(t->list);
    free(t->slots);
    free(t);
}

static bool is(const struct topic *topic, struct str name)
{
    return topic->n == name.n && memcmp(topic->name, name.p, name.n) == 0;
}

/* Where name is, or would be. */
static uint32_t slot_of(const struct topics *t, struct str name)
{
    uint32_t i = (uint32_t)siphash13(&t->key, name.p, name.n) & (t->n_slots - 1);

    while (t->slots[i] != 0 && !is(t->list[t->slots[i] - 1], name)) {
        i = (i + 1) & (t->n_slots - 1);
    }
    return i;
}

struct topic *topics_find(struct topics *t, struct str name)
{
    uint32_t at;

    /* Most messages go where the one before went. */
    if (t->last < t->n && is(t->list[t->last], name)) {
        return t->list[t->last];
    }
    at = t->slots[slot_of(t, name)];
    if (at == 0) {
        return NULL;
    }
    t->last = at - 1;
    return t->list[t->last];
}

static void grow(struct topics *t)
{
    free(t->slots);
    t->n_slots *= 2;
    t->slots = mem_zalloc(t->n_slots * sizeof *t->slots);
    for (uint32_t i = 0; i < t->n; i++) {
        struct str name = {t->list[i]->name, t->list[i]->n};

        t->slots[slot_of(t, name)] = i + 1;
    }
}

struct topic *topics_add(struct topics *t, struct str name, uint32_t max)
{
    struct topic *topic = topics_find(t, name);

    if (topic != NULL || t->n >= max || name.n > TOPIC_BYTES_MAX) {
        return topic;
    }
    if (t->n == t->room) {
        t->room = t->room == 0 ? SLOTS_FIRST : 2 * t->room;
        t->list = mem_realloc(t->list, t->room * sizeof *t->list);
    }
    topic = mem_zalloc(sizeof *topic);
    topic->n = name.n;
    memcpy(topic->name, name.p, name.n);
    t->list[t->n] = topic;
    t->slots[slot_of(t, name)] = t->n + 1;
    t->last = t->n++;
    if (2 * t->n >= t->n_slots) {
        grow(t);
    }
    return topic;
}

uint32_t topics_count(const struct topics *t)
{
    return t->n;
}

struct topic *topics_at(struct topics *t, uint32_t i)
{
    return t->list[i];
}
