#include "net/tls_session.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "net/tls_client.h"
#include "net/tls_context.h"

enum {
    RECORDS_MAX = 64, /* of one read */
    MESSAGES_MAX = 32 /* that are no data, between two records of data: key updates,
                         wishes to negotiate again */
};

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    bool whole;   /* the handshake is done */
    bool more;    /* a read stopped before the bytes that were received */
    bool blocked; /* a read waits to write */
    bool ended;   /* with end, the result of all further reads; no alert after it */
    int end;      /* errno; 0: the end of the input */
    unsigned n_messages;
    struct tls_peer peer;
};

static void on_message(int writes, int version, int type, const void *p, size_t n,
                       SSL *ssl, void *arg)
{
    struct tls_session *t = arg;

    (void)version;
    (void)p;
    (void)n;
    (void)ssl;
    if (!writes && type == SSL3_RT_HANDSHAKE && t->whole) {
        t->n_messages++;
    }
}

struct tls_session *tls_session_new(struct tls_context *c, int fd)
{
    SSL *ssl = tls_context_ssl(c);
    struct tls_session *t;

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    t = mem_zalloc(sizeof *t);
    t->ssl = ssl;
    t->context = tls_context_ref(c);
    SSL_set_accept_state(ssl);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, t);
    return t;
}

void tls_session_free(struct tls_session *t)
{
    if (t != NULL) {
        SSL_free(t->ssl);
        tls_context_unref(t->context);
        free(t);
    }
}

/* ---- the handshake ---- */

static void note_peer(struct tls_session *t)
{
    const char *host = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);

    t->peer.version = SSL_get_version(t->ssl);
    t->peer.cipher = SSL_get_cipher_name(t->ssl);
    t->peer.resumed = SSL_session_reused(t->ssl) == 1;
    (void)text_z(TEXT_LINE, str_of(host), t->peer.host, sizeof t->peer.host);
    tls_client_note(t->ssl, &t->peer);
}

enum tls_step tls_session_handshake(struct tls_session *t, enum tls_failure *why)
{
    int rc, error;

    ERR_clear_error();
    rc = SSL_do_handshake(t->ssl);
    if (rc == 1) {
        t->whole = true;
        t->more = true; /* the client may have sent its request along */
        /* HTTP says itself where a request ends: a client that ends its side by its socket
         * alone gets its answers. */
        (void)SSL_set_options(t->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
        note_peer(t);
        return TLS_DONE;
    }
    error = SSL_get_error(t->ssl, rc);
    if (error == SSL_ERROR_WANT_READ) {
        return TLS_AGAIN;
    }
    if (error == SSL_ERROR_WANT_WRITE) {
        return TLS_WRITABLE;
    }
    *why = tls_failure_of(t->ssl, error);
    t->ended = true;
    t->end = EPROTO;
    ERR_clear_error();
    return TLS_FAILED;
}

const struct tls_peer *tls_session_peer(const struct tls_session *t)
{
    return &t->peer;
}

/* ---- data ---- */

/* A call failed. False: it only can't go on now. */
static bool is_over(struct tls_session *t, int error)
{
    int errnum = errno;

    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return false;
    }
    t->ended = true;
    t->end = EPROTO;
    if (error == SSL_ERROR_ZERO_RETURN) {
        t->ended = false; /* we may still write */
        t->end = 0;
    } else if (error == SSL_ERROR_SYSCALL) {
        t->end = errnum == 0 ? ECONNRESET : errnum;
    } else if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        t->end = 0;
    }
    ERR_clear_error();
    return true;
}

static ssize_t result(const struct tls_session *t)
{
    errno = t->end;
    return t->end == 0 ? 0 : -1;
}

/* A client that sends messages, but no data, makes work for nothing. */
static bool too_many_messages(struct tls_session *t)
{
    if (t->n_messages <= MESSAGES_MAX) {
        return false;
    }
    t->ended = true;
    t->end = EPROTO;
    return true;
}

ssize_t tls_session_read(struct tls_session *t, char *p, size_t n)
{
    size_t got = 0, k;

    t->more = false;
    t->blocked = false;
    if (t->ended) {
        return result(t);
    }
    ERR_clear_error();
    for (int i = 0; got < n && i < RECORDS_MAX; i++) {
        if (SSL_read_ex(t->ssl, p + got, n - got, &k) != 1) {
            int error = SSL_get_error(t->ssl, 0);

            if (is_over(t, error) || too_many_messages(t)) {
                t->more = got > 0;
                return got > 0 ? (ssize_t)got : result(t);
            }
            t->blocked = error == SSL_ERROR_WANT_WRITE;
            errno = EAGAIN;
            return got > 0 ? (ssize_t)got : -1;
        }
        got += k;
        t->n_messages = 0;
        if (SSL_has_pending(t->ssl) != 1) {
            return (ssize_t)got;
        }
    }
    t->more = true;
    return (ssize_t)got;
}

ssize_t tls_session_write(struct tls_session *t, const char *p, size_t n)
{
    size_t sent = 0, k;

    if (t->ended) {
        errno = EPIPE;
        return -1;
    }
    ERR_clear_error();
    while (sent < n) {
        if (SSL_write_ex(t->ssl, p + sent, n - sent, &k) != 1) {
            if (is_over(t, SSL_get_error(t->ssl, 0))) {
                t->end = t->end == 0 ? EPIPE : t->end;
                return result(t);
            }
            errno = EAGAIN;
            return sent > 0 ? (ssize_t)sent : -1;
        }
        sent += k;
    }
    return (ssize_t)sent;
}

bool tls_session_more(const struct tls_session *t)
{
    return t->more;
}

bool tls_session_partial(const struct tls_session *t)
{
    return SSL_has_pending(t->ssl) == 1;
}

bool tls_session_blocked(const struct tls_session *t)
{
    return t->blocked;
}

void tls_session_unblock(struct tls_session *t)
{
    t->more |= t->blocked;
    t->blocked = false;
}

enum tls_step tls_session_goodbye(struct tls_session *t)
{
    int rc, error;

    if (!t->whole || t->ended) {
        return TLS_FAILED;
    }
    ERR_clear_error();
    rc = SSL_shutdown(t->ssl);
    if (rc >= 0) {
        return TLS_DONE;
    }
    error = SSL_get_error(t->ssl, rc);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_WRITE ? TLS_WRITABLE : TLS_FAILED;
}

void tls_session_rest(struct tls_session *t)
{
    if (t->whole && !t->more && SSL_has_pending(t->ssl) != 1) {
        (void)SSL_free_buffers(t->ssl);
    }
}
