#include "shared/samples.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct samples {
    pthread_mutex_t lock;
    uint32_t n;
    struct sample list[SAMPLES_MAX];
};

struct samples *samples_new(void)
{
    struct samples *s = mem_zalloc(sizeof *s);

    (void)pthread_mutex_init(&s->lock, NULL);
    return s;
}

void samples_free(struct samples *s)
{
    if (s != NULL) {
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
    }
}

/* The place of the same route, code and status, a free one, or that of the oldest. */
static struct sample *place_of(struct samples *s, const struct sample *x)
{
    struct sample *oldest = &s->list[0];

    for (uint32_t i = 0; i < s->n; i++) {
        struct sample *y = &s->list[i];

        if (y->status == x->status && strcmp(y->code, x->code) == 0 &&
            strcmp(y->route, x->route) == 0) {
            return y;
        }
        oldest = y->at_ms < oldest->at_ms ? y : oldest;
    }
    return s->n < SAMPLES_MAX ? &s->list[s->n++] : oldest;
}

bool samples_put(struct samples *s, const struct sample *x)
{
    if (pthread_mutex_trylock(&s->lock) != 0) {
        return false;
    }
    *place_of(s, x) = *x;
    (void)pthread_mutex_unlock(&s->lock);
    return true;
}

void samples_each(struct samples *s, void (*seen)(void *arg, const struct sample *x),
                  void *arg)
{
    (void)pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->n; i++) {
        seen(arg, &s->list[i]);
    }
    (void)pthread_mutex_unlock(&s->lock);
}
