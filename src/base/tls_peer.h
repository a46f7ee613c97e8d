/*
 * tls_peer - facts of a TLS handshake that is done: about the connection and the
 * certificate of its client. Lives as long as the connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TLS_SUBJECT_BYTES = 256, TLS_FINGERPRINT_BYTES = 65, TLS_HOST_BYTES = 254 };

struct tls_peer {
    const char *version, *cipher;            /* "TLSv1.3"; static */
    char host[TLS_HOST_BYTES];               /* that the client asked for; "": none */
    char subject[TLS_SUBJECT_BYTES];         /* of its certificate, as in RFC 2253, cut;
                                                "": it has none */
    char authority[TLS_SUBJECT_BYTES];       /* the same of the listener's authority at
                                                the end of the certificate's chain */
    char fingerprint[TLS_FINGERPRINT_BYTES]; /* SHA-256, 64 digits; or "" */
    int64_t
        expires_s; /* when the certificate does, of 1970; it is no more valid then */
    bool subject_cut, authority_cut; /* maybe: no text to compare with */
    bool resumed;
};
