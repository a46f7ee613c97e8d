/*
 * tls_client - the certificate of a connection's client, as the facts that the rest of
 * sluice reads; and what a session ticket keeps of it.
 *
 *   (handshake) -> tls_client_note
 *   (a ticket is made) -> tls_client_into_ticket
 *
 * The loop's thread.
 */
#pragma once

#include <openssl/ssl.h>

struct tls_peer;

/* After the handshake: the facts of the client's certificate, if it has one. */
void tls_client_note(SSL *ssl, struct tls_peer *peer);

/* SSL_CTX_set_session_ticket_cb's: a session that is resumed has the certificate, but not
 * the chain above it, so the ticket gets the authority's name. */
int tls_client_into_ticket(SSL *ssl, void *arg);
