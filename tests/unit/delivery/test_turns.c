/* Streams that share the room of one sink: none waits until another has no backlog. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "delivery/scripted.h"

enum { STREAMS = 3, BACKLOG = 60 };

static atomic_uint room; /* batches, of all streams together */
static atomic_bool open_now;

static uint32_t shared(const struct sink *s)
{
    return s->n_held < atomic_load(&room) ? HELD_MAX : 0;
}

static bool taken_once_open(const struct sink_conf *conf, struct batch *b, uint32_t nth,
                            struct sink_verdict *v)
{
    return atomic_load(&open_now) && all_taken(conf, b, nth, v);
}

static struct delivery_stream streams[STREAMS];
static struct spool_writer *writers[STREAMS];

static int set_up(void **state)
{
    int rc = bus_set_up(state);

    atomic_store(&open_now, false);
    atomic_store(&script.answer, taken_once_open);
    scripted.window = shared;
    return rc;
}

static int tear_down(void **state)
{
    for (uint32_t k = 1; k < STREAMS; k++) {
        spool_writer_close(writers[k]);
    }
    scripted.window = scripted_window;
    return bus_tear_down(state);
}

static void open_all(uint32_t n)
{
    static const char *const names[STREAMS] = {"events", "more", "others"};
    struct err e = {""};

    bus_prepare();
    bus_open_writers();
    streams[0] = bus.stream;
    writers[0] = bus.writers[0];
    for (uint32_t k = 1; k < STREAMS; k++) {
        const struct spool_stream_conf conf = {names[k], 64 << 20, false, false};

        streams[k] = bus.stream;
        streams[k].id = spool_stream(bus.spool, &conf, &e);
        streams[k].name = names[k];
        writers[k] = spool_writer_open(bus.spool, streams[k].id, 0, on_stored, NULL);
    }
    bus.conf.streams = streams;
    bus.conf.n_streams = STREAMS;
    atomic_store(&room, n);
    bus.d = delivery_start(&bus.conf, &e);
    assert_non_null(bus.d);
    spool_ready(bus.spool);
}

/* One block; its events name their stream. */
static void put(uint32_t stream, uint32_t n)
{
    uint64_t last;

    for (uint32_t i = 0; i < n; i++) {
        char text[24];
        const int len = snprintf(text, sizeof text, "{\"s\":%u,\"i\":%u}", stream, i);
        char *p = spool_writer_room(writers[stream], (size_t)len);

        assert_non_null(p);
        memcpy(p, text, (size_t)len);
        spool_writer_append(writers[stream], (uint32_t)len, 0, 0, 0);
    }
    assert_int_equal(SPOOL_OK, spool_writer_commit(writers[stream], 5, 6, &last));
}

static uint32_t stream_of(uint32_t nth)
{
    return (uint32_t)(script.list[nth].first[5] - '0');
}

static void one_event_does_not_wait_for_a_backlog_of_another_stream(void **state)
{
    uint32_t at = 0;

    (void)state;
    open_all(2);
    put(0, BACKLOG);
    until_submitted(2);
    put(1, 1);
    atomic_store(&open_now, true);
    until_submitted(BACKLOG + 1);
    while (stream_of(at) != 1) {
        at++;
    }
    assert_int_equal(2, at);
}

static void streams_take_turns_where_there_is_room_for_one_batch(void **state)
{
    uint32_t n[STREAMS] = {0};

    (void)state;
    open_all(1);
    put(0, BACKLOG);
    until_submitted(1);
    put(1, BACKLOG);
    put(2, BACKLOG);
    atomic_store(&open_now, true);
    until_submitted(STREAMS * BACKLOG);
    for (uint32_t i = 0; i < BACKLOG; i++) {
        n[stream_of(i)]++;
    }
    for (uint32_t k = 0; k < STREAMS; k++) {
        assert_int_equal(BACKLOG / STREAMS, n[k]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_event_does_not_wait_for_a_backlog_of_another_stream),
        TEST(streams_take_turns_where_there_is_room_for_one_batch)};

    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
