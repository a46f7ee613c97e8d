#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/mem.h"

enum { CHUNK_BYTES = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes;
    alignas(16) char data[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max_bytes = max_bytes};
}

void arena_fini(struct arena *a)
{
    struct arena_chunk *c = a->first;

    while (c != NULL) {
        struct arena_chunk *next = c->next;

        free(c);
        c = next;
    }
    *a = (struct arena){.max_bytes = a->max_bytes};
}

static bool add_chunk(struct arena *a, size_t n)
{
    size_t bytes = n > CHUNK_BYTES ? n : CHUNK_BYTES;
    struct arena_chunk *c;

    if (bytes > a->max_bytes - a->total) {
        bytes = n;
    }
    if (bytes > a->max_bytes - a->total) {
        return false;
    }
    c = mem_alloc(sizeof *c + bytes);
    c->bytes = bytes;
    if (a->current == NULL) {
        c->next = NULL;
        a->first = c;
    } else {
        c->next = a->current->next;
        a->current->next = c;
    }
    a->current = c;
    a->used = 0;
    a->total += bytes;
    return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p;

    if (UNLIKELY(n > a->max_bytes)) {
        return NULL;
    }
    n = (n + 7) & ~(size_t)7;
    while (a->current == NULL || n > a->current->bytes - a->used) {
        if (a->current != NULL && a->current->next != NULL) {
            a->current = a->current->next;
            a->used = 0;
        } else if (!add_chunk(a, n)) {
            return NULL;
        }
    }
    p = a->current->data + a->used;
    a->used += n;
    return p;
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    if (p == NULL) {
        return (struct str){NULL, 0};
    }
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return (struct str){p, s.n};
}

void arena_reset(struct arena *a)
{
    a->current = a->first;
    a->used = 0;
}
