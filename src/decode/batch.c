/* The arrays of one worker's decoded events. */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "decode/shape.h"

/* Address space only, for as many as there can ever be: the array never moves, so
 * that a hook that kept an event of an earlier request reads an old epoch there,
 * not freed memory. */
static struct event *reserve(void)
{
    void *p =
        mmap(NULL, (size_t)EVENTS_MAX * sizeof(struct event), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        abort(); /* as mem_alloc would */
    }
    return p;
}

void event_batch_init(struct event_batch *b, struct arena *arena)
{
    *b =
        (struct event_batch){.arena = arena, .shape = shape_new(), .events = reserve()};
}

void event_batch_fini(struct event_batch *b)
{
    shape_free(b->shape);
    (void)munmap(b->events, (size_t)EVENTS_MAX * sizeof *b->events);
    free(b->slots);
    free(b->edits);
    free(b->runs);
    *b = (struct event_batch){0};
}
