/* What the spool may skip for a sink that is too far behind (when_full = "skip"): while a
 * plan may still be refused, only what it would skip without that plan. */
#include "delivery/internal.h"

struct delivery_stream stream_for(const struct delivery *d,
                                  const struct delivery_conf *c, uint32_t k,
                                  const struct subscription *o)
{
    struct delivery_stream out = c->streams[k];

    out.spared = c->wait;
    out.from_oldest |= d->patched && !o->known;
    return out;
}

void subscription_apply(struct subscription *o, const struct delivery_stream *conf)
{
    const struct delivery_stream before = o->conf;

    o->conf.synced = conf->synced;
    o->conf.skip = conf->skip;
    o->conf.indexed = conf->indexed;
    o->conf.max_lag_bytes = conf->max_lag_bytes;
    if (!conf->spared) {
        subscription_go(o);
    } else if (!before.skip || !conf->skip) {
        spool_consumer_apply(o->consumer, false, 0);
    } else if (conf->max_lag_bytes > before.max_lag_bytes) {
        spool_consumer_apply(o->consumer, true, conf->max_lag_bytes);
    }
}

void subscription_go(struct subscription *o)
{
    spool_consumer_apply(o->consumer, o->conf.skip, o->conf.max_lag_bytes);
}

void spared_no_more(struct delivery *d)
{
    d->spares = false;
    for (uint32_t i = 0; i < d->n_subscriptions; i++) {
        if (d->subscriptions[i].consumer != NULL) {
            subscription_go(&d->subscriptions[i]);
        }
    }
}
