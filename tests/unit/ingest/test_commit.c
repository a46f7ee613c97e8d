/* What a client is told of a block that the disk did not take, by a pwritev of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "ingest/internal.h"
#include "net/listener.h"
#include "plan/plan.h"
#include "spool/spool.h"

#include "ingest/fixture.h"
#include "spool/fixture.h"

enum { FOR_EVER_S = 20 };

static int fail_writes; /* of the next blocks */

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    if (fail_writes > 0) {
        fail_writes--;
        errno = EIO;
        return -1;
    }
    return (ssize_t)syscall(SYS_pwritev, fd, iov, n, at, 0);
}

static void on_headers(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    (void)r;
    (void)v;
}

/* As ingest.c does with a body that was decided. */
static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    struct waiter *w = waiter_get(in);

    (void)arg;
    (void)v;
    (void)strcpy(body, "{\"n\":0}\n");
    w->req = r;
    w->status = 202;
    w->began_ns = clock_mono_ns();
    w->account = account_of(&in->m.accounts, "POST /v1");
    w->ends = (struct ends){.stored = 1};
    w->n_events = 1;
    assert_int_equal(STORE_OK, store(w));
    account_wait(&in->m.accounts, 1);
    w->answer_bytes = (uint32_t)sprintf(waiter_text(w, 32), "{\"accepted\":1}");
    *in->pending_tail = w;
    in->pending_tail = &w->next;
    commit_turn(in);
}

static void on_abort(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
}

static void on_refusal(void *arg, const struct http_view *v, int status,
                       const char *code, char *lines)
{
    (void)arg;
    (void)v;
    (void)status;
    (void)code;
    (void)lines;
}

static void on_answer(struct ev_loop *loop, ev_io *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    fail_msg("no answer");
}

static void cells(void)
{
    static const char *const names[] = {"events", "others"};

    for (int i = 0; i < 2; i++) {
        struct stream_writer *o = writer(i);
        char labels[64];

        (void)snprintf(labels, sizeof labels, "stream=\"%s\"", names[i]);
        o->stored = stats_counter("test_stored_total", "Stored.", labels);
        o->failed = stats_counter("test_failed_total", "Failed.", labels);
        o->bytes = stats_counter("test_bytes_total", "Bytes.", labels);
    }
}

/* The answer to a request with one event for both streams. */
static void ask(int fd, const char *bound, char *answer, size_t n)
{
    static const char request[] = "POST /v1 HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 7\r\n\r\n{\"n\":0}";
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET};
    ssize_t got;
    ev_timer late;
    ev_io io;

    assert_true(fd >= 0 && client >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    assert_int_equal(0, connect(client, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(sizeof request - 1,
                     send(client, request, sizeof request - 1, MSG_NOSIGNAL));
    ev_io_init(&io, on_answer, client, EV_READ);
    ev_io_start(in->conf.loop, &io);
    ev_timer_init(&late, on_late, FOR_EVER_S, 0.);
    ev_timer_start(in->conf.loop, &late);
    (void)ev_run(in->conf.loop, 0);
    ev_io_stop(in->conf.loop, &io);
    ev_timer_stop(in->conf.loop, &late);
    got = recv(client, answer, n - 1, 0);
    assert_true(got > 12);
    answer[got] = '\0';
    (void)close(client);
}

static uint64_t of_route(const char *result)
{
    char labels[64];

    (void)snprintf(labels, sizeof labels, "route=\"POST /v1\",result=\"%s\"", result);
    return stats_value("sluice_route_events_total", labels);
}

static void an_event_that_one_stream_did_not_take_is_not_accepted(void **state)
{
    static const struct http_ops ops = {on_headers, on_body, NULL, on_abort,
                                        on_refusal};
    static const struct http_limits limits = {.max_body = 1000,
                                              .max_headers_bytes = 4096,
                                              .max_connections = 4,
                                              .max_buffered = 1 << 20,
                                              .header_timeout_ms = 60000,
                                              .body_timeout_ms = 60000,
                                              .idle_timeout_ms = 60000};
    char bound[128], answer[4096];
    struct err e;
    int fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);

    (void)state;
    cells();
    meters_init(&in->m, 0);
    in->syncing_tail = &in->syncing;
    in->current = &binding;
    in->conf.loop = ev_loop_new(EVFLAG_AUTO);
    in->http = http_server_new(in->conf.loop, fd, &limits, &ops, NULL);

    ask(fd, bound, answer, sizeof answer);
    assert_memory_equal("HTTP/1.1 202", answer, 12);
    assert_int_equal(1, of_route("stored"));
    assert_int_equal(1, stats_value("test_stored_total", "stream=\"events\""));
    assert_int_equal(1, stats_value("test_stored_total", "stream=\"others\""));

    fail_writes = 1; /* the first stream's, not the second one's */
    ask(fd, bound, answer, sizeof answer);
    assert_memory_equal("HTTP/1.1 503", answer, 12);
    assert_non_null(strstr(answer, "storage_failed"));
    assert_non_null(strstr(answer, "\r\nRetry-After: "));
    assert_int_equal(1, of_route("stored"));
    assert_int_equal(1, of_route("refused"));
    assert_int_equal(1, stats_value("test_stored_total", "stream=\"events\""));
    assert_int_equal(1, stats_value("test_failed_total", "stream=\"events\""));
    assert_int_equal(2, stats_value("test_stored_total", "stream=\"others\""));
    assert_int_equal(0, stats_value("sluice_waiting_events", ""));

    ask(fd, bound, answer, sizeof answer); /* and it goes on */
    assert_memory_equal("HTTP/1.1 202", answer, 12);
    assert_int_equal(2, of_route("stored"));

    http_server_free(in->http);
    (void)close(fd);
    ev_loop_destroy(in->conf.loop);
    accounts_fini(&in->m.accounts);
    while (in->free_waiters != NULL) {
        struct waiter *next = in->free_waiters->next;

        free(in->free_waiters);
        in->free_waiters = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        an_event_that_one_stream_did_not_take_is_not_accepted, begin, end)};

    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
