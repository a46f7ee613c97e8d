/*
 * kadmin - makes and deletes topics and deletes their oldest messages, which kcat can't.
 *
 *   kadmin BROKERS create NAME PARTITIONS [CONFIG VALUE]...
 *   kadmin BROKERS delete NAME
 *   kadmin BROKERS trim NAME PARTITION OFFSET
 *   kadmin BROKERS grow NAME PARTITIONS
 *
 * Exits 0 when the broker has done so; else says why not.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

enum { WAIT_MS = 20000 };

static const rd_kafka_topic_result_t *result_of(rd_kafka_event_t *ev)
{
    size_t n = 0;
    const rd_kafka_topic_result_t **list =
        rd_kafka_event_type(ev) == RD_KAFKA_EVENT_CREATETOPICS_RESULT
            ? rd_kafka_CreateTopics_result_topics(
                  rd_kafka_event_CreateTopics_result(ev), &n)
            : rd_kafka_DeleteTopics_result_topics(
                  rd_kafka_event_DeleteTopics_result(ev), &n);

    return n == 1 ? list[0] : NULL;
}

/* Whether the partition has lost its messages before the offset. */
static bool trim(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **argv)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_DeleteRecords_t *t;
    rd_kafka_event_t *ev;
    bool ok;

    rd_kafka_topic_partition_list_add(list, argv[3], atoi(argv[4]))->offset =
        atoll(argv[5]);
    t = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_DeleteRecords(rk, &t, 1, NULL, queue);
    rd_kafka_DeleteRecords_destroy(t);
    ev = rd_kafka_queue_poll(queue, WAIT_MS);
    ok = ev != NULL && rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR_NO_ERROR &&
         rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(ev))
                 ->elems[0]
                 .err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (ev != NULL) {
        rd_kafka_event_destroy(ev);
    }
    return ok;
}

/* Whether the topic has that many partitions now. */
static bool grow(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **argv)
{
    char why[256];
    rd_kafka_NewPartitions_t *t =
        rd_kafka_NewPartitions_new(argv[3], (size_t)atoi(argv[4]), why, sizeof why);
    const rd_kafka_topic_result_t **list;
    rd_kafka_event_t *ev;
    size_t n = 0;
    bool ok;

    rd_kafka_CreatePartitions(rk, &t, 1, NULL, queue);
    rd_kafka_NewPartitions_destroy(t);
    ev = rd_kafka_queue_poll(queue, WAIT_MS);
    ok = ev != NULL && rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR_NO_ERROR;
    list = ok ? rd_kafka_CreatePartitions_result_topics(
                    rd_kafka_event_CreatePartitions_result(ev), &n)
              : NULL;
    ok = n == 1 && rd_kafka_topic_result_error(list[0]) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (ev != NULL) {
        rd_kafka_event_destroy(ev);
    }
    return ok;
}

int main(int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const rd_kafka_topic_result_t *done;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *ev;
    rd_kafka_t *rk;
    char why[256];
    bool failed;

    if (argc < 4 || rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why,
                                      sizeof why) != RD_KAFKA_CONF_OK) {
        return 2;
    }
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    queue = rd_kafka_queue_new(rk);
    if (strcmp(argv[2], "trim") == 0) {
        return argc == 6 && trim(rk, queue, argv) ? 0 : 1;
    }
    if (strcmp(argv[2], "grow") == 0) {
        return argc == 5 && grow(rk, queue, argv) ? 0 : 1;
    }
    if (strcmp(argv[2], "delete") == 0) {
        rd_kafka_DeleteTopic_t *t = rd_kafka_DeleteTopic_new(argv[3]);

        rd_kafka_DeleteTopics(rk, &t, 1, NULL, queue);
        rd_kafka_DeleteTopic_destroy(t);
    } else {
        rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(
            argv[3], argc > 4 ? atoi(argv[4]) : 1, 1, why, sizeof why);

        for (int i = 5; i + 1 < argc; i += 2) {
            (void)rd_kafka_NewTopic_set_config(t, argv[i], argv[i + 1]);
        }
        rd_kafka_CreateTopics(rk, &t, 1, NULL, queue);
        rd_kafka_NewTopic_destroy(t);
    }
    ev = rd_kafka_queue_poll(queue, WAIT_MS);
    failed = ev == NULL || rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR ||
             (done = result_of(ev)) == NULL ||
             rd_kafka_topic_result_error(done) != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (failed) {
        (void)fprintf(stderr, "kadmin: %s %s: failed\n", argv[2], argv[3]);
    }
    if (ev != NULL) {
        rd_kafka_event_destroy(ev);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return failed;
}
