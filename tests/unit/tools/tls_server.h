/* tls_server.h: a server over TLS on the test's own loop, and OpenSSL clients in the same
 * thread.
 *
 * Behind cmocka.h. One for a test program. Errors: fail the test; nothing waits longer than
 * TURNS_S. */
#pragma once

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/http.h"
#include "net/listener.h"
#include "net/tls_door.h"
#include "stats/stats.h"

#include "unit/tools/ask.h"
#include "unit/tools/certs.h"
#include "unit/tools/tls_client.h"

enum { BODY_MAX = 300 << 10, TURNS_S = 20, CLIENTS = 40 };

static char *dir;
static struct certs_made ec, ca, app, renewed;
static struct ev_loop *loop;
static struct http_server *server;
static struct tls_tickets *tickets;
static struct http_tls tls;
static int listening;
static char bound[128];
static size_t n_bodies, n_bytes, n_aborted, answer_bytes;
static char subject[TLS_SUBJECT_BYTES];
static bool answers_later;             /* as one that waits for the disk */
static struct http_request *waits[16]; /* for reply */
static size_t n_waits;

static inline void reply(struct http_request *r)
{
    static char answer[1 << 20];

    memset(answer, 'a', sizeof answer);
    http_answer(r, 200, "", (struct str){answer, answer_bytes});
}

static inline void on_body(void *arg, struct http_request *r, const struct http_view *v)
{
    (void)arg;
    n_bodies++;
    n_bytes = v->body.n;
    assert_non_null(v->tls);
    (void)snprintf(subject, sizeof subject, "%s", v->tls->subject);
    if (answers_later) {
        waits[n_waits++] = r;
    } else {
        reply(r);
    }
}

static inline void on_abort(void *arg, struct http_request *r)
{
    (void)arg;
    (void)r;
    n_aborted++;
}

static const struct http_ops ops = {ask_on_headers, on_body,        NULL,
                                    on_abort,       ask_on_refusal, NULL};

static inline struct tls_context *make_context(const struct certs_made *m)
{
    struct err e;
    struct tls_context *c = tls_context_new(
        &(struct tls_options){
            .files = &(struct tls_files){.cert = m->cert_path, .key = m->key_path},
            .n_files = 1,
            .client = TLS_CLIENT_OPTIONAL,
            .ca = ca.cert_path},
        tickets, &e);

    assert_non_null(c);
    return c;
}

static inline int set_up_all(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    dir = certs_folder();
    ca = certs_make(dir, (struct certs_wish){.name = "ca", .ca = true});
    ec = certs_make(dir, (struct certs_wish){.name = "ec"});
    renewed = certs_make(dir, (struct certs_wish){.name = "renewed"});
    app = certs_make(dir, (struct certs_wish){.name = "app", .by = &ca});
    tickets = tls_tickets_new();
    return 0;
}

static inline int tear_down_all(void **state)
{
    (void)state;
    tls_tickets_unref(tickets);
    certs_free(&ec);
    certs_free(&ca);
    certs_free(&app);
    certs_free(&renewed);
    (void)rmdir(dir);
    free(dir);
    return 0;
}

static inline int set_up(void **state)
{
    struct http_limits limits = ask_limits();
    struct err e;

    (void)state;
    limits.max_connections = 2 * CLIENTS;
    limits.max_body = BODY_MAX;
    limits.max_buffered = 8 << 20;
    n_bodies = n_bytes = n_aborted = n_waits = 0;
    answers_later = false;
    answer_bytes = 2;
    loop = ev_loop_new(EVFLAG_AUTO);
    listening = listener_open("127.0.0.1:0", false, bound, sizeof bound, &e);
    assert_true(listening >= 0);
    tls = (struct http_tls){.door = tls_door_new(make_context(&ec)),
                            .handshake_timeout_ms = 60000,
                            .max_handshakes = CLIENTS};
    server = http_server_new(loop, &limits, &ops, NULL);
    http_server_listen(server, listening, &(struct http_listener){.tls = tls});
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    http_server_free(server);
    tls_door_free(tls.door);
    (void)close(listening);
    ev_loop_destroy(loop);
    return 0;
}

/* ---- clients ---- */

static inline int connected(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(0, fcntl(fd, F_SETFL, O_NONBLOCK));
    return fd;
}

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static inline struct client client_open(const struct certs_made *m)
{
    struct client c = {.ctx = SSL_CTX_new(TLS_client_method()), .fd = connected()};

    c.ssl = SSL_new(c.ctx);
    assert_int_equal(1, SSL_set_fd(c.ssl, c.fd));
    SSL_set_connect_state(c.ssl);
    if (m != NULL) {
        assert_int_equal(1, SSL_use_certificate(c.ssl, m->cert));
        assert_int_equal(1, SSL_use_PrivateKey(c.ssl, m->key));
    }
    return c;
}

static inline void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    (void)close(c->fd);
    ERR_clear_error();
}

/* The server's loop makes a turn that waits for nothing. */
static inline void turn(void)
{
    (void)ev_run(loop, EVRUN_NOWAIT);
}

static inline uint64_t soon(void)
{
    return clock_mono_ns() + (uint64_t)TURNS_S * 1000000000u;
}

/* Whether an operation of the client that said so is only to be tried again. */
static inline bool again(const struct client *c, int rc, uint64_t till)
{
    int error = SSL_get_error(c->ssl, rc);

    turn();
    return clock_mono_ns() < till &&
           (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE);
}

static inline bool client_shake(struct client *c)
{
    uint64_t till = soon();
    int rc;

    do {
        ERR_clear_error();
        rc = SSL_do_handshake(c->ssl);
    } while (rc != 1 && again(c, rc, till));
    return rc == 1;
}

static inline bool client_send(struct client *c, const char *p, size_t n)
{
    uint64_t till = soon();
    size_t k;
    int rc = 1;

    while (n > 0 && (rc == 1 || again(c, rc, till))) {
        ERR_clear_error();
        rc = SSL_write_ex(c->ssl, p, n, &k);
        if (rc == 1) {
            p += k;
            n -= k;
        }
    }
    return n == 0;
}

/* Reads until n bytes or the end; returns how many. */
static inline size_t client_read(struct client *c, char *out, size_t n)
{
    uint64_t till = soon();
    size_t got = 0, k;
    int rc;

    do {
        ERR_clear_error();
        rc = SSL_read_ex(c->ssl, out + got, n - got, &k);
        got += rc == 1 ? k : 0;
    } while (got < n && (rc == 1 || again(c, rc, till)));
    return got;
}

/* The status of the answer to a request that is sent whole. */
static inline int client_ask(struct client *c, const char *head, const char *body,
                             size_t n)
{
    char answer[13] = "";

    assert_true(client_send(c, head, strlen(head)));
    assert_true(client_send(c, body, n));
    if (client_read(c, answer, 12) < 12) {
        return 0;
    }
    return atoi(answer + strlen("HTTP/1.1 "));
}

/* The server's loop turns until it has no connection. */
static inline void all_gone(void)
{
    uint64_t till = soon();

    while (http_server_open(server) > 0 && clock_mono_ns() < till) {
        turn();
    }
    assert_int_equal(0, http_server_open(server));
}

static inline uint64_t failures(const char *reason)
{
    char labels[64];

    (void)snprintf(labels, sizeof labels, "reason=\"%s\"", reason);
    return stats_value("sluice_tls_handshake_failures_total", labels);
}

static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
