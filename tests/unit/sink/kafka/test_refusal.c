/* Why a broker does not take messages: by its latest answer, and not by an old one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "sink/kafka/producer.h"

static int64_t now_s = 1000;

int clock_gettime(clockid_t id, struct timespec *t)
{
    if (id != CLOCK_MONOTONIC) {
        return (int)syscall(SYS_clock_gettime, id, t);
    }
    *t = (struct timespec){now_s, 0};
    return 0;
}

static const char refused[] =
    "[thrd:127.0.0.1:1/1]: 127.0.0.1:1/1: events [0]: MessageSet with 1 message(s) "
    "(MsgId 1, BaseSeq 0) encountered error: Broker: Not enough in-sync replicas "
    "(actions Retry,MsgNotPersisted)";

static struct producer *p;
static char out[300];

static int set_up(void **state)
{
    (void)state;
    p = mem_zalloc(sizeof *p);
    return pthread_mutex_init(&p->refused_lock, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    (void)pthread_mutex_destroy(&p->refused_lock);
    free(p);
    return 0;
}

static const char *why(const char *stats)
{
    return producer_refusal(p, stats, out, sizeof out);
}

static void an_answer_tells_for_five_seconds(void **state)
{
    (void)state;
    assert_string_equal("", why("{}"));
    refusal_take(p, "MSGSET", refused);
    assert_string_equal("NOT_ENOUGH_REPLICAS: Broker: Not enough in-sync replicas "
                        "(topic events [0])",
                        why("{}"));
    now_s += 4;
    assert_string_not_equal("", why("{}"));
    now_s += 1;
    assert_string_equal("", why("{}"));
}

static void other_lines_tell_nothing(void **state)
{
    (void)state;
    refusal_take(p, "BROKER", refused);
    refusal_take(p, "MSGSET", "events [0]: MessageSet with 1 message(s) delivered");
    refusal_take(p, "MSGSET", "encountered error: Broker: Unknown");
    assert_string_equal("", why("{}"));
}

static void a_partition_without_a_leader_tells_if_messages_wait_for_it(void **state)
{
    (void)state;
    assert_string_equal("LEADER_NOT_AVAILABLE: partition 3 has no leader",
                        why("{\"partition\":2,\"leader\":1,\"msgq_cnt\":9},"
                            "{\"partition\":3,\"leader\":-1,\"msgq_cnt\":9}"));
    assert_string_equal("", why("{\"partition\":3,\"leader\":-1,\"msgq_cnt\":0}"));
    assert_string_equal("", why("{\"partition\":-1,\"leader\":-1,\"msgq_cnt\":9}"));
    refusal_take(p, "MSGSET", refused); /* which says more */
    assert_ptr_equal(
        out, strstr(why("{\"partition\":3,\"leader\":-1,\"msgq_cnt\":9}"), "NOT_"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_tells_for_five_seconds), TEST(other_lines_tell_nothing),
        TEST(a_partition_without_a_leader_tells_if_messages_wait_for_it)};

    return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
