/*
 * tls_tickets - the keys that seal session tickets: one set for all workers and
 * listeners of a process, so that a client resumes its session at any of them, and
 * after a reload.
 *
 *   tls_tickets_new -> tls_tickets_seal* -> tls_tickets_unref
 *   (an upgrade) tls_tickets_pack -> tls_tickets_unpack, of the next process
 *
 * A key seals for TLS_TICKET_S and opens for as long again; then it is wiped. Any
 * thread; a lock is held for a copy of the key. Counted.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum {
    TLS_TICKET_S = 3600,    /* a session may be resumed for that long */
    TLS_TICKETS_BYTES = 184 /* both keys and their ages */
};

struct tls_tickets;

struct tls_tickets *tls_tickets_new(void);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets *t); /* NULL is fine */

/* Makes the next key the one that seals; the one before opens for TLS_TICKET_S. Done
 * by itself when a key is old; for tests and for whoever fears for a key. */
void tls_tickets_rotate(struct tls_tickets *t, uint64_t now_ns);

/* OpenSSL's contract of SSL_CTX_set_tlsext_ticket_key_evp_cb, at a time of
 * clock_mono_ns: 1 sealed or opened, 2 opened with a key that goes, 0 a key that is not
 * known, -1 failed. */
int tls_tickets_seal(struct tls_tickets *t, uint64_t now_ns, unsigned char name[16],
                     unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int seals);

/* The keys and their ages, for the process that takes this one's place. out is secret:
 * the caller wipes it. */
void tls_tickets_pack(struct tls_tickets *t, uint64_t now_ns,
                      unsigned char out[TLS_TICKETS_BYTES]);

/* t opens and seals with those keys from now on, for the rest of their time. False: the
 * bytes are of another form, or have no key; t keeps its own. */
bool tls_tickets_unpack(struct tls_tickets *t, uint64_t now_ns,
                        const unsigned char in[TLS_TICKETS_BYTES]) MUST_USE;
