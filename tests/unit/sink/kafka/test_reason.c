/* What an operator reads of an error of Kafka. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sink/kafka/reason.h"

static void a_brokers_error_has_its_name(void **state)
{
    char out[200];

    (void)state;
    assert_string_equal(
        reason_write(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "t", out, sizeof out),
        "MSG_SIZE_TOO_LARGE: Broker: Message size too large (topic t)");
    assert_string_equal(
        reason_write(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "", out, sizeof out),
        "MSG_SIZE_TOO_LARGE: Broker: Message size too large");
}

static void one_of_librdkafka_says_what_it_means(void **state)
{
    char out[200];

    (void)state;
    assert_string_equal(
        reason_write(RD_KAFKA_RESP_ERR__PURGE_QUEUE, "t", out, sizeof out),
        "the producer was replaced before it had sent these messages: they are sent "
        "again (topic t)");
    assert_string_equal(reason_detail(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
                                      "1/1 brokers are down", out, sizeof out),
                        "no broker can be reached: 1/1 brokers are down");
    assert_string_equal(reason_write(RD_KAFKA_RESP_ERR__TIMED_OUT, "t", out, 12),
                        "a broker di");
}

/* Neither a code such as _PURGE_QUEUE nor "Local: " is a reason. */
static void no_error_is_told_in_librdkafkas_words(void **state)
{
    const struct rd_kafka_err_desc *list;
    char out[300];
    size_t n;

    (void)state;
    rd_kafka_get_err_descs(&list, &n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].code < RD_KAFKA_RESP_ERR__END && list[i].name != NULL &&
            list[i].desc != NULL) {
            (void)reason_write(list[i].code, "", out, sizeof out);
            assert_true(out[0] != '\0' && out[0] != '_');
            assert_null(strstr(out, "Local: "));
            assert_null(strstr(out, list[i].name));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_brokers_error_has_its_name),
        cmocka_unit_test(one_of_librdkafka_says_what_it_means),
        cmocka_unit_test(no_error_is_told_in_librdkafkas_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
