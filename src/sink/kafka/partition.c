/*
 * Which partition a message goes to, where librdkafka's own choice, by the hash of the
 * key, is not wanted. Asked on the sink's thread and, for messages that waited for the
 * topic's metadata, on librdkafka's. Whether a partition's broker is connected does not
 * matter: librdkafka connects when the broker gets its first message.
 */
#include "sink/kafka/producer.h"

/* A message set's worth to each in turn, whatever the key. */
static int32_t sticky(const rd_kafka_topic_t *topic, const void *key, size_t n_key,
                      int32_t n, void *arg, void *msg)
{
    struct producer *p = arg;
    uint32_t number = atomic_fetch_add(&p->partitioned, 1);

    (void)topic;
    (void)key;
    (void)n_key;
    (void)msg;
    return (int32_t)(number / p->sticky_messages % (uint32_t)n);
}

/* The one with the fewest bytes that no broker has confirmed. The opaque pointer of a
 * message has its bytes in its lower half: the memory after it may be freed. */
static int32_t least_bytes(const rd_kafka_topic_t *topic, const void *key, size_t n_key,
                           int32_t n, void *arg, void *msg)
{
    struct producer *p = arg;
    int32_t most = n < PARTITIONS_MAX ? n : PARTITIONS_MAX;
    uint32_t turn = atomic_fetch_add(&p->partitioned, 1); /* of equals, each in turn */
    int32_t best = (int32_t)(turn % (uint32_t)most);

    (void)topic;
    (void)key;
    (void)n_key;
    for (int32_t k = 0; k < most; k++) {
        int32_t i = (int32_t)((turn + (uint32_t)k) % (uint32_t)most);

        if (atomic_load(&p->outstanding[i]) < atomic_load(&p->outstanding[best])) {
            best = i;
        }
    }
    atomic_fetch_add(&p->outstanding[best], (int64_t)(uint32_t)(uintptr_t)msg);
    return best;
}

rd_kafka_topic_conf_t *partition_conf(struct producer *p)
{
    rd_kafka_topic_conf_t *conf;

    if (p->plan->partitioner == KAFKA_BY_KEY) {
        return NULL;
    }
    conf = rd_kafka_default_topic_conf_dup(p->rk);
    rd_kafka_topic_conf_set_partitioner_cb(
        conf, p->plan->partitioner == KAFKA_STICKY ? sticky : least_bytes);
    rd_kafka_topic_conf_set_opaque(conf, p);
    return conf;
}

void partition_reported(struct producer *p, const rd_kafka_message_t *m)
{
    if (p->plan->partitioner == KAFKA_LEAST_BYTES && m->partition >= 0 &&
        m->partition < PARTITIONS_MAX) {
        atomic_fetch_sub(&p->outstanding[m->partition], (int64_t)m->len);
    }
}
