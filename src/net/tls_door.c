#include "net/tls_door.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/tls_context.h"

struct tls_door {
    pthread_mutex_t lock;
    struct tls_context *context;
};

struct tls_door *tls_door_new(struct tls_context *c)
{
    struct tls_door *d = mem_zalloc(sizeof *d);

    (void)pthread_mutex_init(&d->lock, NULL);
    d->context = c;
    return d;
}

void tls_door_set(struct tls_door *d, struct tls_context *c)
{
    struct tls_context *before;

    (void)pthread_mutex_lock(&d->lock);
    before = d->context;
    d->context = c;
    (void)pthread_mutex_unlock(&d->lock);
    tls_context_unref(before);
}

struct tls_context *tls_door_take(struct tls_door *d)
{
    struct tls_context *c;

    (void)pthread_mutex_lock(&d->lock);
    c = d->context == NULL ? NULL : tls_context_ref(d->context);
    (void)pthread_mutex_unlock(&d->lock);
    return c;
}

void tls_door_free(struct tls_door *d)
{
    if (d != NULL) {
        tls_context_unref(d->context);
        (void)pthread_mutex_destroy(&d->lock);
        free(d);
    }
}
