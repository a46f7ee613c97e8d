/* The decisions of a policy's functions for a sink, as the sink's thread would ask. */
#include <string.h>

#include "base/attr.h"
#include "base/err.h"
#include "decode/scan.h"
#include "server/sinks/hooks.h"
#include "sink/fields.h"
#include "sink/kafka/topic.h"
#include "testkit/internal.h"

static const struct sink_hooks *hooks_of(struct sluice_kit *k, uint32_t sink)
{
    struct err e;

    if (!k->asked[sink]) {
        k->asked[sink] = true;
        if (!sink_hooks_new(k->policy, sink, &k->sinks[sink], &k->hooks[sink], &e)) {
            k->hooks[sink] = (struct sink_hooks){0};
        }
    }
    return &k->hooks[sink];
}

uint32_t sluice_kit_trip(struct sluice_kit *k, uint32_t sink, uint32_t requests,
                         uint32_t successes, uint32_t failures,
                         uint32_t consecutive_successes, uint32_t consecutive_failures,
                         uint32_t slow)
{
    const struct breaker_counts c = {.requests = requests,
                                     .successes = successes,
                                     .failures = failures,
                                     .consecutive_successes = consecutive_successes,
                                     .consecutive_failures = consecutive_failures,
                                     .slow = slow};
    const struct sink_hooks *h = hooks_of(k, sink);

    return h->trip != NULL ? h->trip(h->arg, &c) : breaker_trips(&c);
}

uint32_t sluice_kit_adapt(struct sluice_kit *k, uint32_t sink, const double *load,
                          uint32_t n)
{
    const struct sink_plan *plan = &policy_plan(k->policy)->sinks[sink];
    const struct sink_hooks *h = hooks_of(k, sink);
    struct sink_load l = {0};
    double *const fields[] = {&l.events, &l.bytes,      &l.age_ms, &l.backlog_bytes,
                              &l.rate,   &l.latency_ms, &l.errors, &l.target};

    for (uint32_t i = 0; i < n && i < N_ELEMS(fields); i++) {
        *fields[i] = load[i];
    }
    return adapt_target(plan, h, &l);
}

static struct sluice_kit_text keep(struct sluice_kit *k, struct str s)
{
    struct str copy = s.p == NULL ? s : arena_copy(&k->answer, s);

    return (struct sluice_kit_text){copy.p, copy.n};
}

/* Field `path` of the event as text; {NULL, 0}: it has none. */
static struct sluice_kit_text field(struct sluice_kit *k, const char *path,
                                    struct str event)
{
    struct sluice_kit_text text = {NULL, 0};
    const struct str paths[] = {str_of(path)};
    struct fields *f;
    struct err e;

    f = path == NULL ? NULL : fields_new(paths, 1, &e);
    if (f != NULL) {
        fields_read(f, event);
        text = keep(k, fields_text(f, 0));
    }
    fields_free(f);
    return text;
}

void sluice_kit_message(struct sluice_kit *k, uint32_t sink,
                        struct sluice_kit_text event, struct sluice_kit_text *topic,
                        struct sluice_kit_text *key)
{
    const struct kafka_plan *plan = &policy_plan(k->policy)->sinks[sink].kafka;
    const struct sink_hooks *h = hooks_of(k, sink);
    char *padded;
    struct str line;

    arena_reset(&k->answer);
    *topic = *key = (struct sluice_kit_text){NULL, 0};
    padded = arena_alloc(&k->answer, event.n + SCAN_PAD);
    memcpy(padded, event.p, event.n);
    memset(padded + event.n, 0, SCAN_PAD);
    line = (struct str){padded, event.n};
    if (plan->framing == KAFKA_EVENT) {
        *key = field(k, plan->key, line);
        *topic = plan->has_topic && h->topic != NULL ? keep(k, h->topic(h->arg, line))
                                                     : field(k, plan->topic_by, line);
    }
    if (!topic_is_valid((struct str){topic->p, topic->n})) {
        *topic = keep(k, str_of(plan->topic));
    }
}
