#include "sink/queue.h"

#include "base/attr.h"

void queue_run(struct queue *q)
{
    struct batch *b = q->first;

    q->first = NULL;
    q->last = &q->first;
    while (b != NULL) {
        struct batch *next = b->next;

        b->next = NULL;
        q->take(q->arg, b);
        b = next;
    }
}

static void on_turn(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    queue_run(OUTER(t, struct queue, turn));
}

void queue_init(struct queue *q, struct ev_loop *loop, queue_take_fn *take, void *arg)
{
    *q = (struct queue){.loop = loop, .take = take, .arg = arg};
    q->last = &q->first;
    ev_timer_init(&q->turn, on_turn, 0., 0.);
}

void queue_put(struct queue *q, struct batch *b)
{
    b->next = NULL;
    *q->last = b;
    q->last = &b->next;
    if (!ev_is_active(&q->turn)) {
        ev_timer_set(&q->turn, 0., 0.);
        ev_timer_start(q->loop, &q->turn);
    }
}

void queue_remove(struct queue *q, const struct batch *b)
{
    struct batch **at = &q->first;

    while (*at != NULL) {
        if (*at == b) {
            *at = b->next;
        } else {
            at = &(*at)->next;
        }
    }
    q->last = at;
}

uint32_t queue_size(const struct queue *q)
{
    uint32_t n = 0;

    for (const struct batch *b = q->first; b != NULL; b = b->next) {
        n++;
    }
    return n;
}

void queue_fini(struct queue *q)
{
    ev_timer_stop(q->loop, &q->turn);
    while (q->first != NULL) {
        struct batch *next = q->first->next;

        batch_free(q->first);
        q->first = next;
    }
}
