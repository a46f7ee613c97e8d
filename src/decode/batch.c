/* The arrays of one worker's decoded events. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "decode/scan.h"
#include "decode/shape.h"

void event_batch_init(struct event_batch *b, struct arena *arena)
{
    *b = (struct event_batch){.arena = arena, .shape = shape_new()};
}

void event_batch_fini(struct event_batch *b)
{
    shape_free(b->shape);
    free(b->events);
    free(b->slots);
    free(b->edits);
    *b = (struct event_batch){0};
}
