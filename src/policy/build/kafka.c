/* The description of a Kafka sink to its plan. */
#include "policy/build/internal.h"

void build_kafka(struct build *b, struct sink_plan *s)
{
    struct kafka_plan *k = &s->kafka;

    k->brokers = field_text(b, "brokers").p;
    k->topic = field_text(b, "topic").p;
    k->topic_by = field_text(b, "topic_by").p;
    k->has_topic = k->topic_by == NULL && field_has(b, "topic_by");
    k->key = field_text(b, "key").p;
    k->timestamp = field_text(b, "timestamp").p;
    k->max_topics = (uint32_t)field_whole(b, "max_topics");
    k->topic_wait_ms = (int64_t)field_whole(b, "topic_wait");
    k->key_hash = plan_key_hash(k->key);
    k->compression = field_text(b, "compression").p;
    k->framing = field_is(b, "framing", "batch") ? KAFKA_BATCH : KAFKA_EVENT;
    k->partitioner = field_is(b, "partitioner", "sticky")        ? KAFKA_STICKY
                     : field_is(b, "partitioner", "least_bytes") ? KAFKA_LEAST_BYTES
                                                                 : KAFKA_BY_KEY;
    k->position = field_is(b, "position", "headers") ||
                  (field_is(b, "position", "auto") && k->framing == KAFKA_BATCH);
    k->options = field_pairs(b, "options", &k->n_options);
    build_breaker(b, &k->breaker);
    build_hedge(b, &k->hedge);
    (void)field_open(b, "hedge");
    k->hedge_brokers = field_text(b, "brokers").p;
    lua_pop(b->L, 1);
}
