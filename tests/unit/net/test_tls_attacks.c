/* Clients that mean harm: bytes that are no handshake, handshakes cut at each byte,
 * records without end, peers that never read. Nothing may leak, spin or pass for whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>

#include "unit/tools/certs.h"
#include "unit/tools/tls_client.h"

enum {
    HANDSHAKES = 10000,
    FLIGHT_BYTES = 8192,
    LEAK_BYTES = 256 << 10, /* less than 26 bytes a handshake */
    ANSWER_BYTES = 4 << 20
};

static char *dir;
static struct certs_made ec;
static struct tls_tickets *tickets;
static struct tls_context *context;

static int set_up(void **state)
{
    (void)state;
    dir = certs_folder();
    ec = certs_make(dir, (struct certs_wish){.name = "ec"});
    tickets = tls_tickets_new();
    context = tls_client_context(&ec, tickets);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_context_unref(context);
    tls_tickets_unref(tickets);
    certs_free(&ec);
    (void)rmdir(dir);
    free(dir);
    return 0;
}

static void open_at(struct tls_pairing *p, int version)
{
    tls_client_open(p, context);
    (void)SSL_set_min_proto_version(p->client, version);
    (void)SSL_set_max_proto_version(p->client, version);
}

static void shaken(struct tls_pairing *p, int version)
{
    open_at(p, version);
    tls_client_shake(p);
    assert_true(tls_client_shaken(p));
}

/* Sends bytes that are no client's, and closes if cut. */
static enum tls_step feed(struct tls_pairing *p, const char *bytes, size_t n, bool cut)
{
    if (n > 0) {
        assert_int_equal(n, send(p->fds[1], bytes, n, MSG_NOSIGNAL));
    }
    if (cut) {
        (void)shutdown(p->fds[1], SHUT_WR);
    }
    return tls_session_handshake(p->server, &p->why);
}

/* ---- before the handshake is whole ---- */

static void bytes_that_are_no_tls_are_told_from_http(void **state)
{
    static const struct {
        const char *bytes;
        enum tls_failure why;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", TLS_FAILURE_PLAIN_HTTP},
        {"POST /v1/events HTTP/1.1\r\n\r\n", TLS_FAILURE_PLAIN_HTTP},
        {"PUT /v1/events HTTP/1.1\r\n\r\n", TLS_FAILURE_PLAIN_HTTP},
        {"HEAD / HTTP/1.1\r\n\r\n", TLS_FAILURE_PLAIN_HTTP},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", TLS_FAILURE_PLAIN_HTTP},
        {"SSH-2.0-OpenSSH_9.2\r\n", TLS_FAILURE_NOT_TLS},
        {"\x16\x03\x01\xff\xff\x01\xff\xff\xff\x03\x03", TLS_FAILURE_NOT_TLS},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", TLS_FAILURE_NOT_TLS},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", TLS_FAILURE_NOT_TLS},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct tls_pairing p;

        open_at(&p, TLS1_3_VERSION);
        if (feed(&p, cases[i].bytes, strlen(cases[i].bytes), false) != TLS_FAILED) {
            fail_msg("%zu goes on", i);
        }
        if (p.why != cases[i].why) {
            fail_msg("%zu: %s", i, tls_failure_word(p.why));
        }
        tls_client_close(&p);
    }
}

/* The bytes that a client sends first. */
static size_t first_flight(int version, char *out)
{
    struct tls_pairing p;
    ssize_t n;

    open_at(&p, version);
    (void)SSL_do_handshake(p.client);
    n = recv(p.fds[0], out, FLIGHT_BYTES, 0);
    assert_true(n > 100);
    tls_client_close(&p);
    return (size_t)n;
}

static void a_hello_cut_at_any_byte_is_cut_and_not_more(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char bytes[FLIGHT_BYTES];

    (void)state;
    for (size_t v = 0; v < 2; v++) {
        size_t n = first_flight(versions[v], bytes);

        for (size_t i = 0; i <= n; i++) {
            struct tls_pairing p;
            enum tls_step step;

            open_at(&p, versions[v]);
            step = feed(&p, bytes, i, true);
            if (step ==
                TLS_AGAIN) { /* its answer is sent: the next step sees the end */
                step = tls_session_handshake(p.server, &p.why);
            }
            assert_int_equal(TLS_FAILED, step);
            assert_int_equal(TLS_FAILURE_CUT, p.why);
            tls_client_close(&p);
        }
    }
}

/* One bit of the hello is another: the handshake ends, or waits for the client. */
static void a_hello_with_any_bit_turned_is_survived(void **state)
{
    char bytes[FLIGHT_BYTES];
    size_t n = first_flight(TLS1_3_VERSION, bytes);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct tls_pairing p;

        open_at(&p, TLS1_3_VERSION);
        bytes[i] = (char)(bytes[i] ^ (1 << (i % 8)));
        assert_int_not_equal(TLS_DONE, feed(&p, bytes, n, false));
        bytes[i] = (char)(bytes[i] ^ (1 << (i % 8)));
        tls_client_close(&p);
    }
}

static size_t open_files(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 4096; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static void handshakes(int n, const char *bytes, size_t length)
{
    for (int i = 0; i < n; i++) {
        size_t part = (size_t)i * 7919 % (length + 1);
        char noise[64];
        struct tls_pairing p;

        open_at(&p, i % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
        if (i % 3 == 0) {
            for (size_t k = 0; k < sizeof noise; k++) {
                noise[k] = (char)((size_t)i * 31 + k * k * 17);
            }
            (void)feed(&p, noise, sizeof noise, false);
        } else {
            (void)feed(&p, bytes, part, i % 3 == 1); /* cut, or slow for ever */
        }
        tls_client_close(&p);
    }
}

static void ten_thousand_broken_handshakes_leave_nothing(void **state)
{
    char bytes[FLIGHT_BYTES];
    size_t n = first_flight(TLS1_3_VERSION, bytes), files, used;

    (void)state;
    handshakes(HANDSHAKES / 10, bytes, n);
    files = open_files();
    used = mallinfo2().uordblks;
    handshakes(HANDSHAKES, bytes, n);
    assert_int_equal(files, open_files());
    if (mallinfo2().uordblks > used + LEAK_BYTES) {
        fail_msg("%zu bytes more", mallinfo2().uordblks - used);
    }
}

/* ---- once it is ---- */

static void a_client_can_not_negotiate_again(void **state)
{
    struct tls_pairing p;
    char text[16];

    (void)state;
    shaken(&p, TLS1_2_VERSION);
    assert_int_equal(1, SSL_renegotiate(p.client));
    (void)SSL_do_handshake(p.client); /* sends a hello */
    assert_int_equal(-1, tls_session_read(p.server, text, sizeof text));
    assert_int_equal(EAGAIN, errno);
    assert_int_equal(0, tls_client_read(&p, text, sizeof text));
    assert_int_equal(SSL_R_NO_RENEGOTIATION, ERR_GET_REASON(ERR_peek_error()));
    tls_client_close(&p);
}

static void a_flood_of_key_updates_ends_the_connection(void **state)
{
    struct tls_pairing p;
    char text[16];
    ssize_t n = -1;
    int i = 0;

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    for (errno = EAGAIN; i < 1000 && errno == EAGAIN; i++) {
        (void)SSL_key_update(p.client, SSL_KEY_UPDATE_NOT_REQUESTED);
        (void)SSL_do_handshake(p.client);
        n = tls_session_read(p.server, text, sizeof text);
        assert_int_equal(-1, n);
    }
    assert_int_equal(EPROTO, errno);
    assert_in_range(i, 16, 64);
    tls_client_close(&p);
}

static void key_updates_between_data_are_no_flood(void **state)
{
    struct tls_pairing p;
    char text[16];

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(1, SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED));
        assert_int_equal(2, tls_client_write(&p, "ab"));
        assert_int_equal(2, tls_session_read(p.server, text, sizeof text));
        assert_int_equal(2, tls_session_write(p.server, text, 2));
        assert_int_equal(2, tls_client_read(&p, text, sizeof text));
    }
    tls_client_close(&p);
}

static void a_read_takes_a_bounded_number_of_records(void **state)
{
    static char text[4096];
    struct tls_pairing p;
    size_t sum = 0;
    ssize_t n;

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    for (int i = 0; i < 200; i++) { /* in records of a byte */
        assert_int_equal(1, tls_client_write(&p, "x"));
    }
    while ((n = tls_session_read(p.server, text, sizeof text)) > 0) {
        assert_in_range(n, 1, 64);
        sum += (size_t)n;
    }
    assert_int_equal(EAGAIN, errno);
    assert_false(tls_session_more(p.server));
    assert_int_equal(200, sum);
    tls_client_close(&p);
}

static void bytes_that_were_received_are_told(void **state)
{
    struct tls_pairing p;
    char byte;

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    assert_int_equal(3, tls_client_write(&p, "abc"));
    assert_int_equal(1, tls_session_read(p.server, &byte, 1));
    assert_true(tls_session_more(p.server));
    assert_int_equal(1, tls_session_read(p.server, &byte, 1));
    assert_true(tls_session_more(p.server));
    assert_int_equal(1, tls_session_read(p.server, &byte, 1));
    assert_int_equal('c', byte);
    tls_client_close(&p);
}

/* Else a loop would ask for the rest of it without end. */
static void half_a_record_is_nothing_to_read(void **state)
{
    struct tls_pairing p;
    char bytes[256], byte;
    ssize_t n;

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    assert_int_equal(5, tls_client_write(&p, "first"));
    n = recv(p.fds[0], bytes, sizeof bytes, 0);
    assert_true(n > 10);
    assert_int_equal(9, send(p.fds[1], bytes, 9, MSG_NOSIGNAL));
    assert_int_equal(-1, tls_session_read(p.server, &byte, 1));
    assert_int_equal(EAGAIN, errno);
    assert_false(tls_session_more(p.server));
    assert_true(tls_session_partial(p.server));
    tls_session_rest(p.server); /* keeps the half */
    assert_int_equal(n - 9, send(p.fds[1], bytes + 9, (size_t)n - 9, MSG_NOSIGNAL));
    assert_int_equal(1, tls_session_read(p.server, &byte, 1));
    assert_int_equal('f', byte);
    tls_client_close(&p);
}

static void a_record_that_was_changed_ends_the_connection(void **state)
{
    struct tls_pairing p;
    char bytes[256], text[16];
    ssize_t n;

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    assert_int_equal(5, tls_client_write(&p, "first"));
    n = recv(p.fds[0], bytes, sizeof bytes, 0);
    bytes[n - 1] ^= 1;
    assert_int_equal(n, send(p.fds[1], bytes, (size_t)n, MSG_NOSIGNAL));
    assert_int_equal(-1, tls_session_read(p.server, text, sizeof text));
    assert_int_equal(EPROTO, errno);
    assert_int_equal(-1, tls_session_write(p.server, "x", 1));
    assert_int_equal(EPIPE, errno);
    assert_int_equal(TLS_FAILED, tls_session_goodbye(p.server));
    tls_client_close(&p);
}

static void a_socket_that_ends_without_goodbye_ends_the_input(void **state)
{
    struct tls_pairing p;
    char text[16];

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    assert_int_equal(3, tls_client_write(&p, "abc"));
    (void)shutdown(p.fds[1], SHUT_WR);
    assert_int_equal(3, tls_session_read(p.server, text, sizeof text));
    assert_int_equal(0, tls_session_read(p.server, text, sizeof text));
    assert_int_equal(0, tls_session_read(p.server, text, sizeof text));
    tls_client_close(&p);
}

static void after_a_goodbye_answers_can_still_be_sent(void **state)
{
    struct tls_pairing p;
    char text[16];

    (void)state;
    shaken(&p, TLS1_3_VERSION);
    assert_int_equal(0, SSL_shutdown(p.client));
    assert_int_equal(0, tls_session_read(p.server, text, sizeof text));
    assert_int_equal(2, tls_session_write(p.server, "ok", 2));
    assert_int_equal(2, tls_client_read(&p, text, sizeof text));
    assert_int_equal(TLS_DONE, tls_session_goodbye(p.server));
    assert_int_equal(0, tls_client_read(&p, text, sizeof text));
    assert_int_equal(SSL_RECEIVED_SHUTDOWN,
                     SSL_get_shutdown(p.client) & SSL_RECEIVED_SHUTDOWN);
    tls_client_close(&p);
}

/* The buffer grows and moves between two tries, as that of a connection does. */
static void a_large_answer_goes_on_when_its_client_reads_again(void **state)
{
    char *answer = malloc(ANSWER_BYTES), *moved, *back = malloc(ANSWER_BYTES);
    size_t sent = 0, read_back = 0, n = ANSWER_BYTES / 2;
    struct tls_pairing p;
    ssize_t k;

    (void)state;
    for (size_t i = 0; i < ANSWER_BYTES; i++) {
        answer[i] = (char)(i * 31 + i / 4096);
    }
    shaken(&p, TLS1_3_VERSION);
    while ((k = tls_session_write(p.server, answer + sent, n - sent)) > 0) {
        sent += (size_t)k;
    }
    assert_int_equal(-1, k);
    assert_int_equal(EAGAIN, errno);
    assert_true(sent < n);
    moved = malloc(ANSWER_BYTES);
    memcpy(moved, answer, ANSWER_BYTES);
    n = ANSWER_BYTES;
    while (read_back < n) {
        if (sent < n && (k = tls_session_write(p.server, moved + sent, n - sent)) > 0) {
            sent += (size_t)k;
        }
        assert_true(k > 0 || errno == EAGAIN);
        read_back += tls_client_read(&p, back + read_back, n - read_back);
    }
    assert_memory_equal(answer, back, ANSWER_BYTES);
    tls_client_close(&p);
    free(answer);
    free(moved);
    free(back);
}

static void a_rested_session_goes_on_and_uses_little_memory(void **state)
{
    struct tls_pairing p;
    char text[16];
    size_t used, after;

    (void)state;
    if (mallinfo2().uordblks == 0) {
        skip(); /* another allocator, of a sanitizer */
    }
    shaken(&p, TLS1_3_VERSION);
    assert_int_equal(2, tls_client_write(&p, "ab"));
    assert_int_equal(2, tls_session_read(p.server, text, sizeof text));
    assert_int_equal(2, tls_session_write(p.server, "ok", 2));
    used = mallinfo2().uordblks + mallinfo2().hblkhd;
    tls_session_rest(p.server);
    after = mallinfo2().uordblks + mallinfo2().hblkhd;
    assert_true(used - after > 30000);
    assert_int_equal(2, tls_client_read(&p, text, sizeof text));
    assert_int_equal(2, tls_client_write(&p, "cd"));
    assert_int_equal(2, tls_session_read(p.server, text, sizeof text));
    assert_memory_equal("cd", text, 2);
    assert_int_equal(2, tls_session_write(p.server, "ok", 2));
    assert_int_equal(2, tls_client_read(&p, text, sizeof text));
    tls_client_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_tls_are_told_from_http),
        cmocka_unit_test(a_hello_cut_at_any_byte_is_cut_and_not_more),
        cmocka_unit_test(a_hello_with_any_bit_turned_is_survived),
        cmocka_unit_test(ten_thousand_broken_handshakes_leave_nothing),
        cmocka_unit_test(a_client_can_not_negotiate_again),
        cmocka_unit_test(a_flood_of_key_updates_ends_the_connection),
        cmocka_unit_test(key_updates_between_data_are_no_flood),
        cmocka_unit_test(a_read_takes_a_bounded_number_of_records),
        cmocka_unit_test(bytes_that_were_received_are_told),
        cmocka_unit_test(half_a_record_is_nothing_to_read),
        cmocka_unit_test(a_record_that_was_changed_ends_the_connection),
        cmocka_unit_test(a_socket_that_ends_without_goodbye_ends_the_input),
        cmocka_unit_test(after_a_goodbye_answers_can_still_be_sent),
        cmocka_unit_test(a_large_answer_goes_on_when_its_client_reads_again),
        cmocka_unit_test(a_rested_session_goes_on_and_uses_little_memory)};

    return cmocka_run_group_tests_name("tls_attacks", tests, set_up, tear_down);
}
