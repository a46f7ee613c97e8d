/* The description of a Kafka sink to its plan. */
#include "policy/build/build.h"

void build_kafka(struct build *b, struct sink_plan *s)
{
    struct kafka_plan *k = &s->kafka;

    k->brokers = text(b, "brokers").p;
    k->topic = text(b, "topic").p;
    k->topic_by = text(b, "topic_by").p;
    k->has_topic = k->topic_by == NULL && has(b, "topic_by");
    k->key = text(b, "key").p;
    k->timestamp = text(b, "timestamp").p;
    k->max_topics = (uint32_t)whole(b, "max_topics");
    k->topic_wait_ms = (int64_t)whole(b, "topic_wait");
    k->key_hash = plan_key_hash(k->key);
    k->compression = text(b, "compression").p;
    k->framing = is(b, "framing", "batch") ? KAFKA_BATCH : KAFKA_EVENT;
    k->partitioner = is(b, "partitioner", "sticky")        ? KAFKA_STICKY
                     : is(b, "partitioner", "least_bytes") ? KAFKA_LEAST_BYTES
                                                           : KAFKA_BY_KEY;
    k->position = is(b, "position", "headers") ||
                  (is(b, "position", "auto") && k->framing == KAFKA_BATCH);
    k->options = pairs(b, "options", &k->n_options);
    build_breaker(b, &k->breaker);
    build_hedge(b, &k->hedge);
    (void)open_list(b, "hedge");
    k->hedge_brokers = text(b, "brokers").p;
    lua_pop(b->L, 1);
}
