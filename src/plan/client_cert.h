/*
 * client_cert - what a route's client_cert { } asks of a client's certificate. Pure; the
 * listener has checked by then that an authority of its own has signed it.
 *
 *   client_cert_check   of a connection's client: may it in?
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "plan/auth.h"

struct tls_peer; /* base/tls_peer.h */

enum { CLIENT_CERT_LIST_MAX = 64, CLIENT_CERT_FINGERPRINT = 64 };

/* Of each list one is enough; an empty one lets all pass. In the plan's arena. */
struct client_cert {
    const struct str *subjects;     /* "CN=shop*,O=Example": client_cert_matches */
    const struct str *authorities;  /* subjects of authorities, the same */
    const struct str *fingerprints; /* SHA-256, as tls_peer has it */
    uint32_t n_subjects, n_authorities, n_fingerprints;
    bool
        by_subject; /* the row of keys is that of the subject's SHA-256, not that of the
                        certificate's */
};

/* Whether pattern stands for all of a name as RFC 2253 writes it. A * is any text inside
 * of one value: it takes no comma and no plus, unless a backslash is before it. */
bool client_cert_matches(struct str pattern, struct str name);

/* AUTH_OK, or why not: AUTH_MISSING, AUTH_EXPIRED (now_s: wall clock) or AUTH_UNKNOWN.
 * peer NULL: a connection without TLS. */
enum auth_reason client_cert_check(const struct client_cert *c,
                                   const struct tls_peer *peer, int64_t now_s) MUST_USE;
