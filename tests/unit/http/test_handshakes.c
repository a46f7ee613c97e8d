/* Handshakes that fail, are slow, or are too many: what the server does with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/address.h"

#include "unit/tools/tls_server.h"

static void plain_http_gets_a_plain_400(void **state)
{
    uint64_t before = failures("plain_http");
    int fd = connected();
    char answer[1024] = "";
    ssize_t n = -1;

    (void)state;
    assert_int_equal(sizeof get - 1, send(fd, get, sizeof get - 1, MSG_NOSIGNAL));
    for (uint64_t till = soon(); n < 0 && clock_mono_ns() < till;) {
        turn();
        n = recv(fd, answer, sizeof answer - 1, 0);
    }
    assert_memory_equal("HTTP/1.1 400", answer, 12);
    assert_non_null(strstr(answer, "this port expects HTTPS"));
    assert_non_null(strstr(answer, "Connection: close"));
    (void)close(fd);
    all_gone();
    assert_int_equal(before + 1, failures("plain_http"));
    assert_int_equal(0, n_bodies);
}

static void garbage_and_cut_hellos_are_counted_and_closed(void **state)
{
    uint64_t garbage = failures("not_tls"), cut = failures("cut");

    (void)state;
    for (int i = 0; i < 10; i++) {
        int fd = connected();

        assert_int_equal(9, send(fd, "SSH-2.0-x\r\n", 9, MSG_NOSIGNAL));
        turn();
        (void)close(fd);
        fd = connected();
        assert_int_equal(5, send(fd, "\x16\x03\x01\x02\x01", 5, MSG_NOSIGNAL));
        turn();
        (void)close(fd);
        all_gone();
    }
    assert_int_equal(garbage + 10, failures("not_tls"));
    assert_int_equal(cut + 10, failures("cut"));
    assert_int_equal(0, stats_value("sluice_tls_handshakes_under_way", ""));
}

static void a_slow_handshake_ends_by_its_timeout(void **state)
{
    uint64_t before = failures("timeout"), till = soon();
    struct http_limits limits = ask_limits();
    int silent, slow;

    (void)state;
    tls.handshake_timeout_ms = 1;
    http_server_listener(server, 0, &(struct http_listener){.tls = tls});
    limits.idle_timeout_ms = 40; /* the sweep comes often */
    http_server_limits(server, &limits);
    silent = connected();
    slow = connected();
    assert_int_equal(5, send(slow, "\x16\x03\x01\x02\x01", 5, MSG_NOSIGNAL));
    while (failures("timeout") < before + 2 && clock_mono_ns() < till) {
        turn();
    }
    assert_int_equal(before + 2, failures("timeout"));
    all_gone();
    (void)close(silent);
    (void)close(slow);
}

static void the_oldest_silent_connection_makes_room_for_a_new_one(void **state)
{
    uint64_t before = failures("crowded"), till = soon();
    int fds[CLIENTS + 5];
    char alert[8];

    (void)state;
    for (int i = 0; i < CLIENTS + 5; i++) {
        fds[i] = connected();
    }
    while (failures("crowded") < before + 5 && clock_mono_ns() < till) {
        turn();
    }
    assert_int_equal(before + 5, failures("crowded"));
    assert_int_equal(CLIENTS, http_server_open(server));
    for (int i = 0; i < CLIENTS + 5; i++) {
        assert_int_equal(i < 5 ? 7 : -1, recv(fds[i], alert, sizeof alert, 0));
        assert_true(i >= 5 || alert[0] == 21);
    }
    for (int i = 0; i < CLIENTS + 5; i++) {
        (void)close(fds[i]);
    }
    all_gone();
}

/* A hello that came in part is given up after all that are silent, but it is. */
static void a_cut_hello_makes_room_once_no_connection_is_silent(void **state)
{
    uint64_t before = failures("crowded"), till = soon();
    int fds[CLIENTS], silent, n = 0;
    struct client c;
    char alert[8];

    (void)state;
    silent = connected();
    for (int i = 0; i < CLIENTS - 1; i++) {
        fds[i] = connected();
        assert_int_equal(5, send(fds[i], "\x16\x03\x01\x02\x01", 5, MSG_NOSIGNAL));
    }
    while (http_server_open(server) < CLIENTS && clock_mono_ns() < till) {
        turn();
    }
    turn(); /* reads them */
    fds[CLIENTS - 1] = connected();
    while (failures("crowded") < before + 1 && clock_mono_ns() < till) {
        turn();
    }
    assert_int_equal(7, recv(silent, alert, sizeof alert, 0));
    assert_int_equal(5,
                     send(fds[CLIENTS - 1], "\x16\x03\x01\x02\x01", 5, MSG_NOSIGNAL));
    turn();
    c = client_open(NULL);
    assert_true(client_shake(&c));
    assert_int_equal(200, client_ask(&c, get, "", 0));
    assert_int_equal(before + 2, failures("crowded"));
    for (int i = 0; i < CLIENTS; i++) { /* they were read in any order */
        n += recv(fds[i], alert, sizeof alert, 0) == 7;
        (void)close(fds[i]);
    }
    assert_int_equal(1, n);
    client_close(&c);
    (void)close(silent);
    all_gone();
}

enum { SILENT = 5000 };

/* As many as an attacker likes, five times the bound of handshakes. */
static void thousands_of_silent_connections_keep_no_client_out(void **state)
{
    static int fds[SILENT];
    struct rlimit files = {0};
    struct http_limits limits = ask_limits();
    struct client c;

    (void)state;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    if (files.rlim_max < 2 * SILENT + 200 || setrlimit(RLIMIT_NOFILE, &files) != 0) {
        print_message("needs %d descriptors\n", 2 * SILENT + 200);
        skip();
    }
    limits.max_connections = 2 * SILENT;
    http_server_limits(server, &limits);
    tls.max_handshakes = SILENT / 5;
    http_server_listener(server, 0, &(struct http_listener){.tls = tls});
    for (int i = 0; i < SILENT; i++) {
        fds[i] = connected();
        if (i % 64 == 0) {
            turn(); /* the kernel's queue is short */
        }
    }
    c = client_open(NULL);
    assert_true(client_shake(&c));
    assert_int_equal(200, client_ask(&c, get, "", 0));
    assert_true(failures("crowded") >= SILENT - SILENT / 5);
    client_close(&c);
    for (int i = 0; i < SILENT; i++) {
        (void)close(fds[i]);
    }
    all_gone();
}

/* A flood of hellos: one that speaks already is served between any two of them. */
static void handshakes_do_not_hold_up_a_connection_that_has_made_its_own(void **state)
{
    struct client c = client_open(NULL), others[CLIENTS - 1];
    char answer[1024];
    int turns = 0;

    (void)state;
    assert_true(client_shake(&c));
    assert_int_equal(200, client_ask(&c, get, "", 0));
    (void)client_read(&c, answer, 1); /* the rest of it may come later */
    for (int i = 0; i < CLIENTS - 1; i++) {
        others[i] = client_open(NULL);
        (void)SSL_do_handshake(others[i].ssl); /* sends its hello */
    }
    assert_true(client_send(&c, get, sizeof get - 1));
    while (n_bodies < 2 && turns < 5) {
        turn();
        turns++;
    }
    assert_int_equal(2, n_bodies);
    for (int i = 0; i < CLIENTS - 1; i++) {
        assert_true(client_shake(&others[i]));
        client_close(&others[i]);
    }
    client_close(&c);
    all_gone();
}

static void a_client_behind_a_proxy_is_turned_away_by_an_alert(void **state)
{
    static const char header[] = "PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n";
    static struct subnet here;
    struct http_listener o = {.tls = tls,
                              .proxy_protocol = true,
                              .trusted = &here,
                              .n_trusted = 1,
                              .max_per_address = 1};
    unsigned char answer[256];
    ssize_t n = -1;
    int first, second;

    (void)state;
    assert_null(address_read_network(STR("127.0.0.1"), &here.address, &here.prefix));
    http_server_listener(server, 0, &o);
    first = connected();
    second = connected();
    assert_int_equal(sizeof header - 1,
                     send(first, header, sizeof header - 1, MSG_NOSIGNAL));
    for (uint64_t till = soon();
         stats_value("sluice_tls_handshakes_under_way", "") < 1 &&
         clock_mono_ns() < till;) {
        turn();
    }
    assert_int_equal(sizeof header - 1,
                     send(second, header, sizeof header - 1, MSG_NOSIGNAL));
    for (uint64_t till = soon(); n < 0 && clock_mono_ns() < till;) {
        turn();
        n = recv(second, answer, sizeof answer, 0);
    }
    assert_int_equal(7, n); /* a fatal alert, not a word of HTTP */
    assert_int_equal(21, answer[0]);
    (void)close(first);
    (void)close(second);
    all_gone();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(plain_http_gets_a_plain_400),
        EACH(garbage_and_cut_hellos_are_counted_and_closed),
        EACH(a_slow_handshake_ends_by_its_timeout),
        EACH(the_oldest_silent_connection_makes_room_for_a_new_one),
        EACH(a_cut_hello_makes_room_once_no_connection_is_silent),
        EACH(thousands_of_silent_connections_keep_no_client_out),
        EACH(handshakes_do_not_hold_up_a_connection_that_has_made_its_own),
        EACH(a_client_behind_a_proxy_is_turned_away_by_an_alert)};

    return cmocka_run_group_tests_name("handshakes", tests, set_up_all, tear_down_all);
}
