/*
 * kafka_floor - a bare librdkafka producer, fed from memory: the yardstick for the
 * Kafka sink's CPU.
 *
 *   kafka_floor BROKERS TOPIC FILE event|batch N
 *
 * FILE: events as NDJSON lines, of which N are sent over and over; keys are the
 * user_id as it stands in the line. Same settings as the sink's defaults. Prints
 * CPU seconds (user and system) of the whole process a million events.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LINES_MAX = 1 << 20, BATCH = 200 };

static const char *lines[LINES_MAX];
static size_t lengths[LINES_MAX];
static long delivered, failed;

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk;
    (void)arg;
    delivered += m->err == 0;
    failed += m->err != 0;
}

static double cpu(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static size_t read_lines(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t n = 0, room = 0;
    char *line = NULL;
    ssize_t k;

    while (n < LINES_MAX && (k = getline(&line, &room, f)) > 0) {
        lengths[n] = (size_t)k;
        lines[n++] = line;
        line = NULL;
        room = 0;
    }
    (void)fclose(f);
    return n;
}

int main(int argc, char **argv)
{
    static const char *const settings[][2] = {
        {"compression.codec", "lz4"},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"partitioner", "murmur2_random"},
        {"linger.ms", "50"},
        {"batch.num.messages", "500"},
        {"queue.buffering.max.messages", "1000000"}};
    bool batches = argc == 6 && strcmp(argv[4], "batch") == 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    static char batch[BATCH * 4096];
    rd_kafka_topic_t *topic;
    long n, messages = 0;
    char why[256];
    double began;
    rd_kafka_t *rk;
    size_t n_lines;

    if (argc != 6) {
        return 2;
    }
    n_lines = read_lines(argv[3]);
    n = atol(argv[5]);
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why, sizeof why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        (void)rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why);
    }
    if (batches) {
        (void)rd_kafka_conf_set(conf, "linger.ms", "0", why, sizeof why);
        (void)rd_kafka_conf_set(conf, "batch.num.messages", "10000", why, sizeof why);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    topic = rd_kafka_topic_new(rk, argv[2], NULL);
    began = cpu();
    for (long i = 0; i < n;) {
        size_t at = (size_t)i % n_lines, len = lengths[at] - 1;
        const char *value = lines[at];
        const char *key = strstr(value, "\"user_id\":\"") + 11;
        size_t n_key = (size_t)(strchr(key, '"') - key);
        long step = 1;

        if (batches) {
            len = 0;
            for (step = 0; step < BATCH && i + step < n; step++) {
                at = (size_t)(i + step) % n_lines;
                memcpy(batch + len, lines[at], lengths[at]);
                len += lengths[at];
            }
            value = batch;
            n_key = 0;
        }
        if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA,
                             batches ? RD_KAFKA_MSG_F_COPY : 0,
                             (void *)(uintptr_t)value, len, n_key > 0 ? key : NULL,
                             n_key, NULL) == 0) {
            i += step;
            messages++;
        } else {
            (void)rd_kafka_poll(rk, 10);
        }
        if (i % 1000 == 0) {
            (void)rd_kafka_poll(rk, 0);
        }
    }
    while (delivered + failed < messages) {
        (void)rd_kafka_poll(rk, 100);
    }
    (void)printf("%.4f\n", (cpu() - began) * 1e6 / (double)n);
    return failed > 0;
}
