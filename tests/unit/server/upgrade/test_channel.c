/* Both ends in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/upgrade/channel.h"

static int ends[2];

static int setup(void **state)
{
    struct err e;

    (void)state;
    assert_true(channel_pair(ends, &e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

static void test_a_message_arrives_with_its_descriptor(void **state)
{
    struct channel_message m = {.kind = CHANNEL_CONNECTION,
                                .number = 7,
                                .text = "0.0.0.0:8080",
                                .peer = "10.0.0.7"},
                           got;
    int pipes[2];
    char byte = 0;
    struct err e;

    (void)state;
    assert_int_equal(0, pipe(pipes));
    m.fd = pipes[1];
    memset(m.who, 5, sizeof m.who);
    assert_true(channel_say(ends[0], &m, 0, &e));
    (void)close(pipes[1]);
    assert_int_equal(CHANNEL_HEARD, channel_hear(ends[1], &got, 0, &e));
    assert_int_equal(CHANNEL_CONNECTION, got.kind);
    assert_int_equal(7, got.number);
    assert_string_equal("0.0.0.0:8080", got.text);
    assert_string_equal("10.0.0.7", got.peer);
    assert_memory_equal(m.who, got.who, sizeof got.who);
    assert_true((fcntl(got.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(1, write(got.fd, "x", 1));
    assert_int_equal(1, read(pipes[0], &byte, 1));
    (void)close(got.fd);
    (void)close(pipes[0]);
}

static void test_one_without_a_descriptor_has_none(void **state)
{
    struct channel_message m = {.kind = CHANNEL_GO, .fd = -1}, got;
    struct err e;

    (void)state;
    assert_int_equal(CHANNEL_NOTHING, channel_hear(ends[1], &got, 0, &e));
    assert_true(channel_say(ends[0], &m, 0, &e));
    assert_int_equal(CHANNEL_HEARD, channel_hear(ends[1], &got, 0, &e));
    assert_int_equal(CHANNEL_GO, got.kind);
    assert_int_equal(-1, got.fd);
}

static void test_an_end_that_is_closed_is_told(void **state)
{
    struct channel_message m = {.kind = CHANNEL_GO, .fd = -1}, got;
    struct err e;

    (void)state;
    (void)close(ends[0]);
    assert_int_equal(CHANNEL_GONE, channel_hear(ends[1], &got, 0, &e));
    assert_false(channel_say(ends[1], &m, 0, &e));
    ends[0] = -1;
}

/* What is said before the end is heard, and then the end. */
static void test_the_last_words_are_heard(void **state)
{
    struct channel_message m = {.kind = CHANNEL_FAILED, .text = "no room", .fd = -1},
                           got;
    struct err e;

    (void)state;
    assert_true(channel_say(ends[0], &m, 0, &e));
    (void)close(ends[0]);
    ends[0] = -1;
    assert_int_equal(CHANNEL_HEARD, channel_hear(ends[1], &got, 0, &e));
    assert_string_equal("no room", got.text);
    assert_int_equal(CHANNEL_GONE, channel_hear(ends[1], &got, 0, &e));
}

static void test_a_full_channel_is_waited_for_until_the_deadline(void **state)
{
    struct channel_message m = {.kind = CHANNEL_GO, .fd = -1}, got;
    uint32_t n = 0, heard = 0;
    struct err e;

    (void)state;
    while (channel_say(ends[0], &m, 0, &e)) {
        m.number = ++n;
        assert_true(n < 100000);
    }
    assert_false(channel_say(ends[0], &m, clock_mono_ns() + 1000000, &e));
    while (channel_hear(ends[1], &got, 0, &e) == CHANNEL_HEARD) {
        assert_int_equal(heard++, got.number);
    }
    assert_int_equal(n, heard);
}

static void test_another_form_is_refused_and_its_descriptor_closed(void **state)
{
    char other[336] = {1};
    struct channel_message got;
    struct err e;

    (void)state;
    for (size_t n = 1; n <= sizeof other; n++) {
        assert_int_equal(n, send(ends[0], other, n, 0));
        assert_int_equal(CHANNEL_GONE, channel_hear(ends[1], &got, 0, &e));
        assert_non_null(strstr(e.text, "restart instead"));
    }
}

static void test_the_environment_leads_to_an_end_once(void **state)
{
    char note[64];

    (void)state;
    channel_note(note, ends[1]);
    assert_int_equal(0, putenv(note));
    assert_int_equal(ends[1], channel_join());
    assert_int_equal(-1, channel_join());
}

static void test_an_environment_of_somebody_else_is_not_followed(void **state)
{
    static const char *const notes[] = {"", "x", "1", "-1", "99999", "4x"};
    char name[64];
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    channel_note(name, null);
    *strchr(name, '=') = '\0';
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        assert_int_equal(0, setenv(name, notes[i], 1));
        assert_int_equal(-1, channel_join());
    }
    channel_note(name, null);
    assert_int_equal(0, putenv(name)); /* no socket */
    assert_int_equal(-1, channel_join());
    (void)close(null);
}

/* The kernel drops what this process has no room for. */
static void test_a_descriptor_that_is_lost_is_noticed(void **state)
{
    struct channel_message m = {.kind = CHANNEL_CONNECTION, .fd = 0}, got;
    struct rlimit was, none;
    struct err e;

    (void)state;
    assert_true(channel_say(ends[0], &m, 0, &e));
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &was));
    none = (struct rlimit){3, was.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    assert_int_equal(CHANNEL_GONE, channel_hear(ends[1], &got, 0, &e));
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
    assert_non_null(strstr(e.text, "a descriptor of the other process was lost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_a_message_arrives_with_its_descriptor),
        T(test_one_without_a_descriptor_has_none),
        T(test_an_end_that_is_closed_is_told),
        T(test_the_last_words_are_heard),
        T(test_a_full_channel_is_waited_for_until_the_deadline),
        T(test_another_form_is_refused_and_its_descriptor_closed),
        T(test_a_descriptor_that_is_lost_is_noticed),
        T(test_the_environment_leads_to_an_end_once),
        T(test_an_environment_of_somebody_else_is_not_followed),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
