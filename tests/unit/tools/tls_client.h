/* tls_client.h: an OpenSSL client and a session of ours on one pair of sockets, both in the
 * test's thread.
 *
 * Behind cmocka.h and certs.h. Errors: fail the test. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/tls_context.h"
#include "net/tls_session.h"
#include "net/tls_tickets.h"

struct tls_pairing {
    int fds[2]; /* ours, the client's */
    SSL_CTX *ctx;
    SSL *client;
    struct tls_session *server;
    enum tls_step step;
    enum tls_failure why;
    int error; /* of the client: SSL_get_error */
};

static inline struct tls_context *tls_client_context(const struct certs_made *m,
                                                     struct tls_tickets *tickets)
{
    struct err e;
    struct tls_context *c = tls_context_new(
        &(struct tls_options){
            .files = &(struct tls_files){.cert = m->cert_path, .key = m->key_path},
            .n_files = 1},
        tickets, &e);

    if (c == NULL) {
        fail_msg("%s", e.text);
    }
    return c;
}

/* Nothing is sent yet: the client may be altered. */
static inline void tls_client_open(struct tls_pairing *p, struct tls_context *c)
{
    memset(p, 0, sizeof *p);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(
        0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds));
    p->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(p->ctx, 0);
    p->client = SSL_new(p->ctx);
    assert_int_equal(1, SSL_set_fd(p->client, p->fds[1]));
    SSL_set_connect_state(p->client);
    p->server = tls_session_new(c, p->fds[0]);
    assert_non_null(p->server);
    p->step = TLS_AGAIN;
}

static inline void tls_client_close(struct tls_pairing *p)
{
    tls_session_free(p->server);
    SSL_free(p->client);
    SSL_CTX_free(p->ctx);
    (void)close(p->fds[0]);
    if (p->fds[1] >= 0) {
        (void)close(p->fds[1]);
    }
    ERR_clear_error();
}

/* Both sides go on until they have ended or can't. */
static inline void tls_client_shake(struct tls_pairing *p)
{
    int rc = 0;

    for (int i = 0; i < 20; i++) {
        if (rc != 1) {
            ERR_clear_error();
            rc = SSL_do_handshake(p->client);
            p->error = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(p->client, rc);
        }
        if (p->step == TLS_AGAIN || p->step == TLS_WRITABLE) {
            p->step = tls_session_handshake(p->server, &p->why);
        }
    }
}

static inline bool tls_client_shaken(const struct tls_pairing *p)
{
    return p->step == TLS_DONE && p->error == SSL_ERROR_NONE;
}

/* The client reads: tickets come after the handshake. Returns the bytes, 0: none. */
static inline size_t tls_client_read(struct tls_pairing *p, char *out, size_t n)
{
    size_t got = 0;

    ERR_clear_error();
    return SSL_read_ex(p->client, out, n, &got) == 1 ? got : 0;
}

static inline size_t tls_client_write(struct tls_pairing *p, const char *z)
{
    size_t sent = 0;

    ERR_clear_error();
    return SSL_write_ex(p->client, z, strlen(z), &sent) == 1 ? sent : 0;
}
