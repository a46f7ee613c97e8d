/* What is done with the tables of a registry now and then. Not under its lock, which loads
 * wait for. */
#include "shared/registry_table.h"

/* The quota at place i of all, from 0; a reference. NULL: so many there are not. */
static struct quota *quota_at(struct registry *h, uint64_t i, const char **name)
{
    struct quota *q = NULL;

    (void)pthread_mutex_lock(&h->lock);
    for (struct named *n = h->named; n != NULL && q == NULL; n = n->next) {
        for (struct table *t = n->tables; t != NULL && q == NULL; t = t->next) {
            if (t->quota != NULL && i-- == 0) {
                q = quota_ref(t->quota);
                *name = n->name; /* this thread is the one that tidies */
            }
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    return q;
}

void registry_quotas_restore(struct registry *h, registry_quota_fn *restore, void *arg)
{
    struct quota *q;
    const char *name;

    h->restore_arg = arg;
    h->restore = restore;
    for (uint64_t i = 0; restore != NULL && (q = quota_at(h, i, &name)) != NULL; i++) {
        restore(arg, name, q);
        quota_unref(q);
    }
}

/* The next one to save that was not looked at yet, or whose turn it is again. */
static struct quota *next_unsaved(struct registry *h, uint64_t skip, const char **name)
{
    struct quota *q = NULL;

    (void)pthread_mutex_lock(&h->lock);
    for (struct named *n = h->named; n != NULL && q == NULL; n = n->next) {
        for (struct table *t = n->tables; t != NULL && q == NULL; t = t->next) {
            if (t->quota != NULL && quota_unsaved(t->quota) && skip-- == 0) {
                q = quota_ref(t->quota);
                *name = n->name; /* this thread is the one that tidies */
            }
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    return q;
}

void registry_quotas_unsaved(struct registry *h, registry_quota_fn *save, void *arg)
{
    struct quota *q;
    const char *name;
    uint64_t skip = 0;

    /* One that is unsaved again, or still, is passed over in this round. */
    while ((q = next_unsaved(h, skip, &name)) != NULL) {
        save(arg, name, q);
        skip += quota_unsaved(q);
        quota_unref(q);
    }
}

/* A table whose buckets are to be swept now; a reference. */
static struct buckets *next_sweep(struct registry *h, double now_ms)
{
    struct buckets *b = NULL;

    (void)pthread_mutex_lock(&h->lock);
    for (struct named *n = h->named; n != NULL && b == NULL; n = n->next) {
        for (struct table *t = n->tables; t != NULL && b == NULL; t = t->next) {
            if (t->buckets == NULL) {
                continue;
            }
            if (t->swept_ms == 0) {
                t->swept_ms = now_ms; /* a new one is as good */
            } else if (now_ms - t->swept_ms >= buckets_sweep_ms(t->buckets)) {
                t->swept_ms = now_ms;
                b = buckets_ref(t->buckets);
            }
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    return b;
}

void registry_buckets_sweep(struct registry *h, double now_ms)
{
    struct buckets *b;

    while ((b = next_sweep(h, now_ms)) != NULL) {
        buckets_sweep(b, now_ms);
        buckets_unref(b);
    }
}
