/*
 * kmock - librdkafka's mock cluster as a process, for faults that a real broker
 * can't be told to have.
 *
 *   kmock BROKERS FIFO BOOTSTRAP     writes "host:port,..." to BOOTSTRAP, then obeys
 *                                    a line of FIFO at a time, and says so, until
 *                                    quit:
 *
 *   topic NAME PARTITIONS   err API TIMES CODE   clear API   down ID   up ID   rtt ID MS
 *   leader TOPIC PARTITION ID   terr TOPIC CODE
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

static void push_errors(rd_kafka_mock_cluster_t *mc, int api, int times, int code)
{
    for (int i = 0; i < times; i++) {
        rd_kafka_mock_push_request_errors(mc, (int16_t)api, 1,
                                          (rd_kafka_resp_err_t)code);
    }
}

int main(int argc, char **argv)
{
    char why[256], line[512], name[256];
    rd_kafka_mock_cluster_t *mc;
    rd_kafka_t *rk;
    FILE *in, *out;
    int a, b, c;

    if (argc != 4) {
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    mc = rd_kafka_mock_cluster_new(rk, atoi(argv[1]));
    in = fdopen(open(argv[2], O_RDWR), "r"); /* both ways: it never ends */
    out = fopen(argv[3], "w");
    if (mc == NULL || in == NULL || out == NULL) {
        return 1;
    }
    (void)fprintf(out, "%s\n", rd_kafka_mock_cluster_bootstraps(mc));
    (void)fclose(out);
    while (fgets(line, sizeof line, in) != NULL) {
        if (sscanf(line, "topic %255s %d", name, &a) == 2) {
            (void)rd_kafka_mock_topic_create(mc, name, a, 1);
        } else if (sscanf(line, "leader %255s %d %d", name, &a, &b) == 3) {
            (void)rd_kafka_mock_partition_set_leader(mc, name, a, b);
        } else if (sscanf(line, "terr %255s %d", name, &a) == 2) {
            rd_kafka_mock_topic_set_error(mc, name, (rd_kafka_resp_err_t)a);
        } else if (sscanf(line, "err %d %d %d", &a, &b, &c) == 3) {
            push_errors(mc, a, b, c);
        } else if (sscanf(line, "clear %d", &a) == 1) {
            rd_kafka_mock_clear_request_errors(mc, (int16_t)a);
        } else if (sscanf(line, "down %d", &a) == 1) {
            (void)rd_kafka_mock_broker_set_down(mc, a);
        } else if (sscanf(line, "up %d", &a) == 1) {
            (void)rd_kafka_mock_broker_set_up(mc, a);
        } else if (sscanf(line, "rtt %d %d", &a, &b) == 2) {
            (void)rd_kafka_mock_broker_set_rtt(mc, a, b);
        } else if (strncmp(line, "quit", 4) == 0) {
            break;
        }
        (void)puts("obeyed");
        (void)fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(mc);
    rd_kafka_destroy(rk);
    return 0;
}
