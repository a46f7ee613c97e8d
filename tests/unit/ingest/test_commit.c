/* The answer to a client whose block the disk did not take, by a pwritev of our own; and
 * the ids of such a block, which the index must not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "index/print_ring.h"
#include "ingest/event_id.h"
#include "ingest/internal.h"
#include "net/listener.h"
#include "plan/plan.h"
#include "spool/spool.h"

#include "ingest/fixture.h"
#include "spool/fixture.h"
#include "unit/tools/ask.h"

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

/* As ingest.c does with a body that was decided. */
static void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    struct waiter *w = waiter_get(in);

    (void)arg;
    (void)v;
    (void)strcpy(body, "{\"n\":0}\n");
    w->req = r;
    w->status = 202;
    w->mark = (struct request_mark){.began_ns = clock_mono_ns()};
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
static void ask_both(const char *bound, char *answer, size_t n)
{
    (void)ask(in->conf.loop, bound,
              "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n", "{\"n\":0}",
              7, answer, n);
}

static uint64_t of_route(const char *result)
{
    char labels[64];

    (void)snprintf(labels, sizeof labels, "route=\"POST /v1\",result=\"%s\",code=\"\"",
                   result);
    return stats_value("sluice_events_total", labels);
}

/* The next blocks that the index's thread would take, and the last one's sequence. */
static uint32_t handed(struct print_ring *ring, uint64_t *first)
{
    const struct print_block *b;
    uint32_t n = 0;

    while ((b = print_ring_head(ring)) != NULL) {
        *first = b->at.first;
        n++;
        print_ring_take(ring);
    }
    return n;
}

static void an_event_that_one_stream_did_not_take_is_not_accepted(void **state)
{
    const struct http_ops ops = ASK_OPS(on_body);
    const struct http_limits limits = ask_limits();
    char bound[128], answer[4096];
    struct print_rings *rings = print_rings_new(1);
    struct print_ring *ring = print_rings_open(rings, binding.stream_ids[0], 0);
    uint64_t first = 0;
    struct err e;
    int fd = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);

    (void)state;
    assert_true(fd >= 0);
    cells();
    streams[0].index_field = "n";
    binding.id_fields = id_fields_of(plan);
    writer(0)->prints = ring;
    meters_init(&in->m, 0);
    in->syncing_tail = &in->syncing;
    in->current = &binding;
    in->conf.loop = ev_loop_new(EVFLAG_AUTO);
    in->http = http_server_new(in->conf.loop, &limits, &ops, NULL);
    http_server_listen(in->http, fd, NULL);

    ask_both(bound, answer, sizeof answer);
    assert_memory_equal("HTTP/1.1 202", answer, 12);
    assert_int_equal(1, of_route("stored"));
    assert_int_equal(1, stats_value("test_stored_total", "stream=\"events\""));
    assert_int_equal(1, stats_value("test_stored_total", "stream=\"others\""));
    assert_int_equal(1, handed(ring, &first));
    assert_int_equal(1, first);

    fail_writes = 1; /* the first stream's, not the second one's */
    ask_both(bound, answer, sizeof answer);
    assert_memory_equal("HTTP/1.1 503", answer, 12);
    assert_non_null(strstr(answer, "storage_failed"));
    assert_non_null(strstr(answer, "\r\nRetry-After: "));
    assert_int_equal(1, of_route("stored"));
    assert_int_equal(1, stats_value("sluice_events_total",
                                    "route=\"POST /v1\",result=\"refused\","
                                    "code=\"storage_failed\""));
    assert_int_equal(1, stats_value("test_stored_total", "stream=\"events\""));
    assert_int_equal(1, stats_value("test_failed_total", "stream=\"events\""));
    assert_int_equal(2, stats_value("test_stored_total", "stream=\"others\""));
    assert_int_equal(0, stats_value("sluice_waiting_events", ""));
    assert_int_equal(0, handed(ring, &first));

    ask_both(bound, answer, sizeof answer); /* and it goes on */
    assert_memory_equal("HTTP/1.1 202", answer, 12);
    assert_int_equal(2, of_route("stored"));
    assert_int_equal(1, handed(ring, &first));
    assert_int_equal(2, first);

    http_server_free(in->http);
    (void)close(fd);
    ev_loop_destroy(in->conf.loop);
    accounts_fini(&in->m.accounts);
    streams[0].index_field = NULL;
    free(binding.id_fields);
    binding.id_fields = NULL;
    print_rings_free(rings);
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
