#include "server/upgrade/rest.h"

#include "server/internal.h"

bool rest_of_sinks(struct server *s)
{
    bool all = true;

    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        struct delivery *d = s->sinks[i].delivery;

        all &= d == NULL || delivery_ended(d);
    }
    sinks_unlock(s);
    return all;
}

bool rest_needs_sinks(const struct server *s)
{
    const struct plan *plan = policy_plan(s->policy);

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        if (plan->streams[i].ack == ACK_DELIVERED) {
            return true;
        }
    }
    return false;
}

void rest_ask_sinks(struct server *s, uint64_t until_ns)
{
    sinks_lock(s);
    for (uint32_t i = 0; i < SINKS_RUNNING_MAX; i++) {
        if (s->sinks[i].delivery != NULL) {
            delivery_ask_rest(s->sinks[i].delivery, until_ns);
        }
    }
    sinks_unlock(s);
}

bool rest_of_reloads(struct server *s)
{
    char sink[96];

    return s->reloading == NULL && !changer_late(&s->changer, 0, sink, sizeof sink);
}

bool rest_of_workers(const struct server *s)
{
    for (uint32_t i = 0; i < s->n_workers; i++) {
        if (!worker_idle(s->workers[i])) {
            return false;
        }
    }
    return true;
}
