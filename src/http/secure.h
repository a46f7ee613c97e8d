/*
 * secure - connections over TLS: their handshakes, a few in each turn of the loop, and
 * the counts of how these end.
 *
 *   secure_new -> (secure_begin -> secure_step* -> secure_done)* -> secure_free
 *
 * Handshakes are steps of secure_step, a millisecond of them in a turn; further ones
 * wait in the list of resumed connections, in the order in which bytes came for them, so
 * that connections with requests never wait long. One loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "http/http.h"
#include "net/tls_failure.h"

struct conn;
struct http_server;
struct secure;

struct secure *secure_new(void);
void secure_free(struct secure *s); /* NULL is fine */

/* A connection that was accepted, on a listener with tls. False: too many handshakes
 * are under way, and c is to be closed. */
bool secure_begin(struct conn *c, const struct http_tls *tls) MUST_USE;

/* Bytes came for a handshake, or the socket takes some. */
void secure_awake(struct conn *c);

/* The next step of the handshake; may close c. */
void secure_step(struct conn *c);

void secure_late(struct conn *c);   /* the handshake took too long: closes c */
void secure_forget(struct conn *c); /* c is plain now */

/* c wants to read. False: not from the socket now: bytes are there, or TLS must write
 * first. */
bool secure_may_wait(struct conn *c) MUST_USE;
/* The socket takes bytes. */
void secure_unblock(struct conn *c);

/* Says goodbye. False: once the socket takes bytes. */
bool secure_goodbye(struct conn *c) MUST_USE;

/* A client that is turned away learns it from an alert: it can't read an answer. */
void secure_turn_away(int fd);
