/*
 * tls_failure - why a handshake failed: one word of a fixed list, for the metric and
 * the log. Pure; any thread.
 */
#pragma once

#include <openssl/ssl.h>

enum tls_failure {
    TLS_FAILURE_NOT_TLS,          /* the first bytes are no TLS record */
    TLS_FAILURE_PLAIN_HTTP,       /* they are an HTTP request */
    TLS_FAILURE_CUT,              /* the client closed before the end */
    TLS_FAILURE_TIMEOUT,          /* it was too slow */
    TLS_FAILURE_CROWDED,          /* too many handshakes are under way */
    TLS_FAILURE_VERSION,          /* older than TLS 1.2, or than the listener wants */
    TLS_FAILURE_CIPHER,           /* no cipher, group or signature in common */
    TLS_FAILURE_PROTOCOL,         /* ALPN without http/1.1 */
    TLS_FAILURE_NO_CLIENT_CERT,   /* one is required */
    TLS_FAILURE_CLIENT_EXPIRED,   /* also: not yet valid */
    TLS_FAILURE_CLIENT_UNTRUSTED, /* not signed by the listener's CA, or refused */
    TLS_FAILURE_ALERT,            /* the client refused: it may not trust our own */
    TLS_FAILURE_OTHER,
    TLS_FAILURES
};

/* The word: "not_tls", … */
const char *tls_failure_word(enum tls_failure f);

/* After a call for ssl that failed: error is what SSL_get_error gave. Reads the
 * thread's error queue, and leaves it. */
enum tls_failure tls_failure_of(const SSL *ssl, int error);
