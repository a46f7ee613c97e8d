/* The options that librdkafka gets whatever the policy says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "base/err.h"
#include "sink/kafka/options.h"

static void expect(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[64] = "";
    size_t n = sizeof text;

    assert_int_equal(RD_KAFKA_CONF_OK, rd_kafka_conf_get(conf, name, text, &n));
    assert_string_equal(value, text);
}

/* Otherwise a broker that fails loses messages that it alone had, or a message comes
 * twice. */
static void a_message_is_delivered_when_all_replicas_have_it_once(void **state)
{
    const struct sink_plan plan = {
        .name = "k",
        .batch = {.linger_ms = 7, .max = 300},
        .kafka = {.compression = "lz4", .framing = KAFKA_EVENT}};
    struct err e = {""};
    rd_kafka_conf_t *conf = options_conf(&plan, "127.0.0.1:1", false, &e);

    (void)state;
    assert_non_null(conf);
    expect(conf, "acks", "-1");
    expect(conf, "enable.idempotence", "true");
    expect(conf, "message.timeout.ms", "0");
    expect(conf, "compression.codec", "lz4");
    expect(conf, "linger.ms", "7");
    expect(conf, "batch.num.messages", "300");
    rd_kafka_conf_destroy(conf);
    /* A message that is refused takes no other with it. */
    conf = options_conf(&plan, "127.0.0.1:1", true, &e);
    assert_non_null(conf);
    expect(conf, "acks", "-1");
    expect(conf, "batch.num.messages", "1");
    expect(conf, "linger.ms", "0");
    rd_kafka_conf_destroy(conf);
}

static void a_secret_is_not_in_the_error(void **state)
{
    static const struct pair_plan options[] = {{"sasl.password", "s3cret"},
                                               {"ssl.key.password.wrong", "s3cret"}};
    const struct sink_plan plan = {
        .name = "k",
        .batch = {.max = 1},
        .kafka = {.compression = "none", .options = options, .n_options = 2}};
    struct err e = {""};

    (void)state;
    assert_null(options_conf(&plan, "127.0.0.1:1", false, &e));
    assert_non_null(strstr(e.text, "ssl.key.password.wrong"));
    assert_null(strstr(e.text, "s3cret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_delivered_when_all_replicas_have_it_once),
        cmocka_unit_test(a_secret_is_not_in_the_error)};

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
