/* Requests and answers over TLS: whole ones, cut ones, large ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/handover.h"

#include "unit/tools/tls_server.h"

static void a_body_of_many_records_arrives_whole(void **state)
{
    static char body[BODY_MAX];
    struct client c = client_open(NULL);
    char head[128];

    (void)state;
    memset(body, 'x', sizeof body);
    assert_true(client_shake(&c));
    (void)snprintf(head, sizeof head,
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                   sizeof body);
    assert_int_equal(200, client_ask(&c, head, body, sizeof body));
    assert_int_equal(BODY_MAX, n_bytes);
    assert_int_equal(1, n_bodies);
    client_close(&c);
    all_gone();
}

/* More than are answered in a turn, in one record: no event of the socket tells of the
 * last ones. */
static void pipelined_requests_of_one_record_are_all_answered(void **state)
{
    enum { N = 300 };
    static char many[N * sizeof get], answers[1 << 20];
    struct client c = client_open(NULL);
    size_t n = 0, got = 0, seen = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        memcpy(many + n, get, sizeof get - 1);
        n += sizeof get - 1;
    }
    assert_true(client_shake(&c));
    assert_true(client_send(&c, many, n));
    for (uint64_t till = soon(); seen < N && clock_mono_ns() < till;) {
        size_t k = 0;

        turn();
        if (SSL_read_ex(c.ssl, answers + got, sizeof answers - got - 1, &k) == 1) {
            got += k;
            answers[got] = '\0';
        }
        seen = 0;
        for (const char *p = answers; (p = strstr(p, "HTTP/1.1 200")) != NULL; p++) {
            seen++;
        }
    }
    assert_int_equal(N, seen);
    client_close(&c);
    all_gone();
}

static void a_body_cut_without_goodbye_is_not_taken(void **state)
{
    struct client c = client_open(NULL);
    static const char head[] =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n0123456789";
    static const char chunk[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                                "chunked\r\n\r\n5\r\nabcde\r\n";

    (void)state;
    assert_true(client_shake(&c));
    assert_true(client_send(&c, head, sizeof head - 1));
    client_close(&c);
    all_gone();
    c = client_open(NULL);
    assert_true(client_shake(&c));
    assert_true(client_send(&c, chunk, sizeof chunk - 1));
    client_close(&c);
    all_gone();
    assert_int_equal(0, n_bodies);
    assert_int_equal(2, n_aborted);
}

/* Its whole requests are answered, be the end said by TLS or by the socket alone. */
static void a_client_that_only_reads_from_now_on_gets_its_answers(void **state)
{
    static char answer[1 << 20];

    (void)state;
    answer_bytes = 300000; /* more than the socket takes at once */
    answers_later = true;
    for (int goodbye = 0; goodbye < 2; goodbye++) {
        struct client c = client_open(NULL);
        size_t got;

        assert_true(client_shake(&c));
        assert_true(client_send(&c, get, sizeof get - 1));
        assert_true(client_send(&c, get, sizeof get - 1));
        if (goodbye == 1) {
            assert_true(SSL_shutdown(c.ssl) >= 0);
        }
        assert_int_equal(0, shutdown(c.fd, SHUT_WR));
        for (uint64_t till = soon(); n_waits < 2 && clock_mono_ns() < till;) {
            turn();
        }
        turn(); /* reads the end */
        turn();
        assert_int_equal(2, n_waits);
        while (n_waits > 0) {
            reply(waits[--n_waits]);
        }
        got = client_read(&c, answer, sizeof answer);
        assert_true(got > 2 * answer_bytes);
        assert_true(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
        client_close(&c);
        all_gone();
    }
    assert_int_equal(4, n_bodies);
}

static void an_answer_that_closes_ends_with_a_goodbye(void **state)
{
    struct client c = client_open(NULL);
    static const char last[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    char answer[1024];

    (void)state;
    assert_true(client_shake(&c));
    assert_true(client_send(&c, last, sizeof last - 1));
    assert_in_range(client_read(&c, answer, sizeof answer), 50, 1000);
    assert_int_equal(SSL_RECEIVED_SHUTDOWN,
                     SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    client_close(&c);
    all_gone();
}

static void a_large_answer_waits_for_its_client(void **state)
{
    static char answer[2 << 20];
    struct client c = client_open(NULL);
    size_t got;

    (void)state;
    answer_bytes = 1 << 20;
    assert_true(client_shake(&c));
    assert_true(client_send(&c, get, sizeof get - 1));
    for (int i = 0; i < 1000; i++) {
        turn(); /* nothing is read: the server does not spin, nor close */
    }
    got = client_read(&c, answer, answer_bytes);
    assert_int_equal(answer_bytes, got);
    client_close(&c);
    all_gone();
}

static void a_renewed_certificate_is_for_new_connections(void **state)
{
    struct client before = client_open(NULL), after;

    (void)state;
    assert_true(client_shake(&before));
    tls_door_set(tls.door, make_context(&renewed));
    after = client_open(NULL);
    assert_true(client_shake(&after));
    assert_int_equal(0, X509_cmp(SSL_get0_peer_certificate(after.ssl), renewed.cert));
    assert_int_equal(0, X509_cmp(SSL_get0_peer_certificate(before.ssl), ec.cert));
    assert_int_equal(200, client_ask(&before, get, "", 0));
    assert_int_equal(200, client_ask(&after, get, "", 0));
    client_close(&before);
    client_close(&after);
    all_gone();
}

static void the_owner_sees_the_certificate_of_a_client(void **state)
{
    struct client c = client_open(&app);

    (void)state;
    assert_true(client_shake(&c));
    assert_int_equal(200, client_ask(&c, get, "", 0));
    assert_string_equal("CN=app", subject);
    client_close(&c);
    c = client_open(NULL);
    assert_true(client_shake(&c));
    assert_int_equal(200, client_ask(&c, get, "", 0));
    assert_string_equal("", subject);
    client_close(&c);
    all_gone();
}

static void a_draining_server_ends_idle_sessions_with_a_goodbye(void **state)
{
    struct client c = client_open(NULL), late = client_open(NULL);
    char answer[64];

    (void)state;
    assert_true(client_shake(&c));
    http_server_drain(server);
    assert_int_equal(0, client_read(&c, answer, sizeof answer));
    assert_int_equal(SSL_RECEIVED_SHUTDOWN,
                     SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN);
    client_close(&c);
    all_gone(); /* late has sent nothing */
    client_close(&late);
}

/* Only the wait for its client's end does. */
static void on_handed(void *arg, const struct http_handed *h)
{
    (void)arg;
    assert_true(h->ends);
    assert_null(h->bytes);
    (void)close(h->fd);
}

/* Its keys are in this process alone. */
static void
a_session_ends_with_its_answer_when_connections_are_handed_over(void **state)
{
    struct client busy = client_open(NULL), idle = client_open(NULL);
    char rest[1024];

    (void)state;
    assert_true(client_shake(&busy));
    assert_true(client_shake(&idle));
    assert_true(client_send(&busy, get, 5));
    http_server_hand_over(server, on_handed, NULL);
    assert_int_equal(200, client_ask(&busy, get + 5, "", 0));
    (void)client_read(&busy, rest, sizeof rest);
    (void)client_read(&idle, rest, sizeof rest);
    assert_int_equal(SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown(busy.ssl));
    assert_int_equal(SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown(idle.ssl));
    client_close(&busy);
    client_close(&idle);
    all_gone();
}

/* That may be on its way: a client that is far off needs longer for it. */
static void a_session_that_has_not_asked_yet_has_time_to_when_others_go(void **state)
{
    struct client fresh = client_open(NULL), served = client_open(NULL);
    char rest[1024];

    (void)state;
    assert_true(client_shake(&fresh) && client_shake(&served));
    assert_int_equal(200, client_ask(&served, get, "", 0));
    http_server_hand_over(server, on_handed, NULL);
    (void)client_read(&served, rest, sizeof rest);
    assert_int_equal(SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown(served.ssl));
    assert_int_equal(200, client_ask(&fresh, get, "", 0));
    client_close(&fresh);
    client_close(&served);
    all_gone();
}

/* One that asks, one that is idle, and one whose request does not come whole. */
static void the_last_call_ends_sessions_while_others_are_accepted(void **state)
{
    struct client busy = client_open(NULL), idle = client_open(NULL),
                  slow = client_open(NULL), late;
    char rest[1024];

    (void)state;
    assert_true(client_shake(&busy) && client_shake(&idle) && client_shake(&slow));
    assert_true(client_send(&busy, get, 5) && client_send(&slow, get, 5));
    http_server_last_call(server);
    late = client_open(NULL);
    assert_true(client_shake(&late));
    assert_false(http_server_called(server));
    assert_int_equal(200, client_ask(&busy, get + 5, "", 0));
    (void)client_read(&busy, rest, sizeof rest);
    (void)client_read(&idle, rest, sizeof rest);
    (void)client_read(&slow, rest, sizeof rest);
    assert_int_equal(0, memcmp(rest, "HTTP/1.1 503 ", 13));
    (void)client_read(&slow, rest, sizeof rest);
    assert_int_equal(SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown(busy.ssl));
    assert_int_equal(SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown(idle.ssl));
    assert_int_equal(SSL_RECEIVED_SHUTDOWN, SSL_get_shutdown(slow.ssl));
    assert_true(http_server_called(server));
    assert_int_equal(200, client_ask(&late, get, "", 0));
    client_close(&busy);
    client_close(&idle);
    client_close(&slow);
    client_close(&late);
    all_gone();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_body_of_many_records_arrives_whole),
        EACH(pipelined_requests_of_one_record_are_all_answered),
        EACH(a_body_cut_without_goodbye_is_not_taken),
        EACH(a_client_that_only_reads_from_now_on_gets_its_answers),
        EACH(an_answer_that_closes_ends_with_a_goodbye),
        EACH(a_large_answer_waits_for_its_client),
        EACH(a_renewed_certificate_is_for_new_connections),
        EACH(the_owner_sees_the_certificate_of_a_client),
        EACH(a_session_ends_with_its_answer_when_connections_are_handed_over),
        EACH(a_session_that_has_not_asked_yet_has_time_to_when_others_go),
        EACH(the_last_call_ends_sessions_while_others_are_accepted),
        EACH(a_draining_server_ends_idle_sessions_with_a_goodbye)};

    return cmocka_run_group_tests_name("secure", tests, set_up_all, tear_down_all);
}
