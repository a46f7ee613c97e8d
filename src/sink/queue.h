/*
 * queue - submitted batches until the loop's next turn, because a sink may give no
 * verdict from inside submit.
 *
 *   queue_init -> queue_put* -> (take, in the next turn) -> queue_fini
 *
 * The sink's thread.
 */
#pragma once

#include <ev.h>
#include <stdint.h>

#include "batch/batch.h"

/* One batch, in the order they were put. */
typedef void queue_take_fn(void *arg, struct batch *b);

struct queue {
    struct ev_loop *loop;
    struct batch *first, **last;
    ev_timer turn;
    queue_take_fn *take;
    void *arg;
};

void queue_init(struct queue *q, struct ev_loop *loop, queue_take_fn *take, void *arg);
void queue_put(struct queue *q, struct batch *b);
/* b waits no more; it need not be there. Not from within take. */
void queue_remove(struct queue *q, const struct batch *b);
void queue_run(struct queue *q); /* now, not in the next turn */
uint32_t queue_size(const struct queue *q);
void queue_fini(struct queue *q); /* frees the batches in it */
