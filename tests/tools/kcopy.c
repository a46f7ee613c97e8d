/*
 * kcopy - copies the messages of a topic into another one, with their times and keys.
 *
 *   kcopy BROKERS FROM TO [skip TEXT | double TEXT]...
 *
 * Messages whose payload has TEXT are left out, or come twice. TO has the same number of
 * partitions, or more. Exits 0 when all are there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

enum { WAIT_MS = 10000 };

static rd_kafka_t *open_client(rd_kafka_type_t type, const char *brokers)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];

    (void)rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why);
    if (type == RD_KAFKA_PRODUCER) {
        (void)rd_kafka_conf_set(conf, "queue.buffering.max.messages", "500000", why,
                                sizeof why);
    }
    return rd_kafka_new(type, conf, why, sizeof why);
}

static int times(const rd_kafka_message_t *m, int argc, char **argv)
{
    for (int i = 4; i + 1 < argc; i += 2) {
        if (m->payload != NULL &&
            memmem(m->payload, m->len, argv[i + 1], strlen(argv[i + 1])) != NULL) {
            return strcmp(argv[i], "skip") == 0 ? 0 : 2;
        }
    }
    return 1;
}

static int copy(rd_kafka_t *to, const rd_kafka_message_t *m, int argc, char **argv)
{
    rd_kafka_timestamp_type_t type;
    const int64_t ms = rd_kafka_message_timestamp(m, &type);

    for (int n = times(m, argc, argv); n > 0; n--) {
        rd_kafka_resp_err_t err;

        do {
            err = rd_kafka_producev(to, RD_KAFKA_V_TOPIC(argv[3]),
                                    RD_KAFKA_V_PARTITION(m->partition),
                                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                    RD_KAFKA_V_VALUE(m->payload, m->len),
                                    RD_KAFKA_V_KEY(m->key, m->key_len),
                                    RD_KAFKA_V_TIMESTAMP(ms), RD_KAFKA_V_END);
            (void)rd_kafka_poll(to, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
        } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_t *from, *to;
    rd_kafka_topic_t *topic;
    int failed = 0;

    if (argc < 4) {
        return 2;
    }
    from = open_client(RD_KAFKA_CONSUMER, argv[1]);
    to = open_client(RD_KAFKA_PRODUCER, argv[1]);
    topic = rd_kafka_topic_new(from, argv[2], NULL);
    if (rd_kafka_metadata(from, 0, topic, &md, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 1;
    }
    for (int p = 0; p < md->topics[0].partition_cnt; p++) {
        int64_t low, end, next;

        if (rd_kafka_query_watermark_offsets(from, argv[2], p, &low, &end, WAIT_MS) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
            return 1;
        }
        (void)rd_kafka_consume_start(topic, p, low);
        for (next = low; next < end;) {
            rd_kafka_message_t *m = rd_kafka_consume(topic, p, WAIT_MS);

            if (m == NULL) {
                return 1;
            }
            if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                failed |= copy(to, m, argc, argv);
                next = m->offset + 1;
            }
            rd_kafka_message_destroy(m);
        }
        (void)rd_kafka_consume_stop(topic, p);
    }
    rd_kafka_metadata_destroy(md);
    failed |= rd_kafka_flush(to, 10 * WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(from);
    rd_kafka_destroy(to);
    return failed;
}
