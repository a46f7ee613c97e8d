/*
 * A sink's settings as librdkafka's options.
 */
#include "sink/kafka/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "sink/kafka/producer.h"

enum {
    REFRESH_MS = 10000,
    LOOK_UP_MS = 5000,       /* a topic may be made meanwhile */
    SCRAM_FROM = 0x020601ff, /* see options_warn */
    FILE_BYTES_MAX = 1 << 20
};

static bool is_secret(const char *name)
{
    return strstr(name, "password") != NULL || strstr(name, "secret") != NULL ||
           strstr(name, ".pem") != NULL || strstr(name, "jaas") != NULL;
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value,
                struct err *e)
{
    char why[256];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK) {
        return true;
    }
    why[strcspn(why, "\n")] = '\0';
    return err_set(e, "kafka option %s = \"%.60s\": %s", name,
                   is_secret(name) ? "(not shown)" : value, why);
}

static bool set_number(rd_kafka_conf_t *conf, const char *name, long value,
                       struct err *e)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%ld", value);
    return set(conf, name, text, e);
}

/* The sink's own. */
static bool set_options(rd_kafka_conf_t *conf, const struct kafka_plan *k,
                        struct err *e)
{
    bool ok = true;

    for (uint32_t i = 0; i < k->n_options && ok; i++) {
        ok = set(conf, k->options[i].name, k->options[i].value, e);
    }
    return ok;
}

static bool configure(rd_kafka_conf_t *conf, const struct sink_plan *plan,
                      const char *brokers, bool alone, struct err *e)
{
    const struct kafka_plan *k = &plan->kafka;
    bool batches = k->framing == KAFKA_BATCH;
    bool ok =
        set(conf, "bootstrap.servers", brokers, e) &&
        set(conf, "client.id", "sluice", e) &&
        set(conf, "compression.codec", k->compression, e) &&
        set(conf, "enable.idempotence", "true", e) && set(conf, "acks", "all", e) &&
        set(conf, "partitioner", "murmur2_random", e) &&
        set(conf, "queue.buffering.max.messages", "1000000", e) &&
        /* No end: only librdkafka can send a message again so that the
               * broker tells the copy. */
        set(conf, "message.timeout.ms", "0", e) &&
        set(conf, "reconnect.backoff.max.ms", "1000", e) &&
        set(conf, "socket.keepalive.enable", "true", e) &&
        set(conf, "statistics.interval.ms", "1000", e) &&
        /* Nothing else says why it sends a message again: see refusal.c. */
        set(conf, "debug", "msg", e) &&
        set_number(conf, "linger.ms", batches ? 0 : (long)plan->batch.linger_ms, e) &&
        set_number(conf, "batch.num.messages", batches ? 10000 : (long)plan->batch.max,
                   e);

    if (ok && (k->topic_by != NULL || k->has_topic)) {
        /* Events of other topics wait for this with those of one that is lacking. */
        ok = set_number(conf, "topic.metadata.propagation.max.ms",
                        k->topic_wait_ms < LOOK_UP_MS ? (long)k->topic_wait_ms
                                                      : LOOK_UP_MS,
                        e) &&
             /* A topic that was lacking is noticed within this. */
             set_number(conf, "topic.metadata.refresh.interval.ms", REFRESH_MS, e);
    }
    ok = ok && set_options(conf, k, e);
    if (alone && ok) {
        ok = set(conf, "batch.num.messages", "1", e) && set(conf, "linger.ms", "0", e);
    }
    return ok;
}

rd_kafka_conf_t *options_conf(const struct sink_plan *plan, const char *brokers,
                              bool alone, struct err *e)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (!configure(conf, plan, brokers, alone, e)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

rd_kafka_conf_t *options_reader(const struct sink_plan *plan, bool committed,
                                struct err *e)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const struct kafka_plan *k = &plan->kafka;
    bool ok = set(conf, "bootstrap.servers", k->brokers, e) &&
              set(conf, "client.id", "sluice-ledger", e) &&
              set(conf, "reconnect.backoff.max.ms", "1000", e);

    ok = ok && set_options(conf, k, e);
    ok = ok &&
         set(conf, "isolation.level", committed ? "read_committed" : "read_uncommitted",
             e) &&
         set(conf, "enable.partition.eof", "true", e) &&
         set(conf, "enable.auto.commit", "false", e) &&
         set(conf, "auto.commit.enable", "false", e) &&
         set(conf, "allow.auto.create.topics", "false", e) &&
         /* Messages that brokers delete meanwhile are an error, not passed over. */
         set(conf, "auto.offset.reset", "error", e) &&
         set(conf, "check.crcs", "true", e) &&
         /* Of each partition, in memory. */
         set(conf, "queued.max.messages.kbytes", "4096", e);
    if (!ok) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

size_t options_message_max(const rd_kafka_conf_t *conf)
{
    char text[32] = "";
    size_t n = sizeof text;

    return rd_kafka_conf_get(conf, "message.max.bytes", text, &n) == RD_KAFKA_CONF_OK
               ? (size_t)strtoul(text, NULL, 10)
               : 1000000;
}

bool options_idempotent(const rd_kafka_conf_t *conf)
{
    char text[16] = "";
    size_t n = sizeof text;

    return rd_kafka_conf_get(conf, "enable.idempotence", text, &n) ==
               RD_KAFKA_CONF_OK &&
           strcmp(text, "true") == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);

    return n >= k && strcmp(text + n - k, end) == 0;
}

/* The files need not be on the machine that checks a policy. */
static bool set_files_aside(struct kafka_plan *k, struct pair_plan *kept)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < k->n_options; i++) {
        if (!ends_with(k->options[i].name, ".location") &&
            !ends_with(k->options[i].name, ".keytab")) {
            kept[n++] = k->options[i];
        }
    }
    k->options = kept;
    k->n_options = n;
    return true;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

bool options_try(const struct sink_plan *plan, struct err *e)
{
    struct sink_plan copy = *plan;
    struct pair_plan kept[OPTIONS_MAX];
    rd_kafka_conf_t *conf;
    rd_kafka_t *rk;
    char why[256];
    struct err words;

    if (plan->kafka.n_options > OPTIONS_MAX) {
        return err_set(e, "kafka \"%s\": more than %d options", plan->name,
                       OPTIONS_MAX);
    }
    (void)set_files_aside(&copy.kafka, kept);
    /* Without brokers nothing is connected to. */
    conf = options_conf(&copy, "", false, &words);
    if (conf == NULL) {
        return err_set(e, "kafka \"%s\": %s", plan->name, words.text);
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(e, "kafka \"%s\": librdkafka refuses its options: %s",
                       plan->name, why);
    }
    rd_kafka_destroy(rk);
    return true;
}

/* ---- files ---- */

static uint64_t hash_file(uint64_t h, const char *path)
{
    FILE *f = fopen(path, "rbe");
    char bytes[4096];
    size_t n, all = 0;

    if (f == NULL) {
        return str_hash(h, STR("absent"));
    }
    while (all < FILE_BYTES_MAX && (n = fread(bytes, 1, sizeof bytes, f)) > 0) {
        h = str_hash(h, (struct str){bytes, n});
        all += n;
    }
    (void)fclose(f);
    return h;
}

uint64_t options_files(const struct kafka_plan *k)
{
    uint64_t h = STR_HASH;

    for (uint32_t i = 0; i < k->n_options; i++) {
        if (ends_with(k->options[i].name, ".location") ||
            ends_with(k->options[i].name, ".keytab")) {
            h = hash_file(h, k->options[i].value);
        }
    }
    return h;
}

/* librdkafka before 2.6.1 sends the client's nonce twice: Kafka 4 refuses that. */
void options_warn(const struct sink_plan *plan)
{
    const struct kafka_plan *k = &plan->kafka;
    char why[300], quoted[340];

    if (rd_kafka_version() >= SCRAM_FROM) {
        return;
    }
    for (uint32_t i = 0; i < k->n_options; i++) {
        if (strncmp(k->options[i].name, "sasl.mechanism", 14) == 0 &&
            strncmp(k->options[i].value, "SCRAM", 5) == 0) {
            (void)snprintf(why, sizeof why,
                           "librdkafka %s can't authenticate to Kafka 4 by SCRAM, "
                           "librdkafka 2.6.1 can: use PLAIN over TLS or a client "
                           "certificate, or build with a newer librdkafka",
                           rd_kafka_version_str());
            log_write(LOG_WARN, "kafka_client", "sink=%s facility=SCRAM why=%s",
                      plan->name, log_quote(quoted, sizeof quoted, why));
            return;
        }
    }
}
