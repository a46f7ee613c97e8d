#include "net/tls_failure.h"

#include <openssl/err.h>

static const char *const words[TLS_FAILURES] = {
    [TLS_FAILURE_NOT_TLS] = "not_tls",
    [TLS_FAILURE_PLAIN_HTTP] = "plain_http",
    [TLS_FAILURE_CUT] = "cut",
    [TLS_FAILURE_TIMEOUT] = "timeout",
    [TLS_FAILURE_CROWDED] = "crowded",
    [TLS_FAILURE_VERSION] = "version",
    [TLS_FAILURE_CIPHER] = "cipher",
    [TLS_FAILURE_PROTOCOL] = "protocol",
    [TLS_FAILURE_NO_CLIENT_CERT] = "no_client_certificate",
    [TLS_FAILURE_CLIENT_EXPIRED] = "client_certificate_expired",
    [TLS_FAILURE_CLIENT_UNTRUSTED] = "client_certificate_untrusted",
    [TLS_FAILURE_ALERT] = "client_alert",
    [TLS_FAILURE_OTHER] = "other",
};

const char *tls_failure_word(enum tls_failure f)
{
    return words[f];
}

static enum tls_failure of_client(long verified)
{
    switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TLS_FAILURE_CLIENT_EXPIRED;
    default:
        return TLS_FAILURE_CLIENT_UNTRUSTED;
    }
}

enum tls_failure tls_failure_of(const SSL *ssl, int error)
{
    unsigned long first = ERR_peek_error();
    int reason = ERR_GET_REASON(first);

    if (error != SSL_ERROR_SSL || first == 0) {
        return TLS_FAILURE_CUT;
    }
    if (ERR_GET_LIB(first) != ERR_LIB_SSL) {
        return TLS_FAILURE_OTHER;
    }
    if (reason >= SSL_AD_REASON_OFFSET) {
        return TLS_FAILURE_ALERT;
    }
    switch (reason) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return TLS_FAILURE_CUT;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return TLS_FAILURE_PLAIN_HTTP;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_BAD_RECORD_TYPE:
        return TLS_FAILURE_NOT_TLS;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_INAPPROPRIATE_FALLBACK:
        return TLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        return TLS_FAILURE_CIPHER;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return TLS_FAILURE_PROTOCOL;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TLS_FAILURE_NO_CLIENT_CERT;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return of_client(SSL_get_verify_result(ssl));
    default:
        return TLS_FAILURE_OTHER;
    }
}
