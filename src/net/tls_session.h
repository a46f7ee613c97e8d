/*
 * tls_session - the server's side of TLS on one connected, non-blocking socket.
 *
 *   tls_session_new -> tls_session_handshake* -> (tls_session_read |
 *   tls_session_write)* -> tls_session_goodbye* -> tls_session_free
 *
 * One thread. Nothing blocks. Memory: about 45 KiB while it is used, 10 KiB after
 * tls_session_rest; reading and writing allocate nothing in between.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/tls_peer.h"
#include "net/tls_failure.h"

struct tls_context;
struct tls_session;

/* How a step ended; AGAIN: once the socket has bytes to read; WRITABLE: once it takes
 * some. */
enum tls_step { TLS_DONE, TLS_AGAIN, TLS_WRITABLE, TLS_FAILED };

/* fd stays the caller's; a reference to the context is kept. NULL: no memory. */
struct tls_session *tls_session_new(struct tls_context *c, int fd) MUST_USE;
void tls_session_free(struct tls_session *t); /* NULL is fine; closes nothing */

/* The next step of the handshake. FAILED: *why, and an alert is sent. */
enum tls_step tls_session_handshake(struct tls_session *t,
                                    enum tls_failure *why) MUST_USE;
const struct tls_peer *tls_session_peer(const struct tls_session *t); /* after it */

/* As read(2) and send(2) for a socket: EAGAIN, errors, and 0 at the end, be it said by
 * the client or only by its socket. At most 64 records are read; write may stop early
 * too, and is then called again with the same bytes, and maybe more after them. */
ssize_t tls_session_read(struct tls_session *t, char *p, size_t n) MUST_USE;
ssize_t tls_session_write(struct tls_session *t, const char *p, size_t n) MUST_USE;

/* Bytes were received that tls_session_read would give: no event of the socket tells of
 * them. */
bool tls_session_more(const struct tls_session *t);

/* Bytes were received that are no whole record yet. */
bool tls_session_partial(const struct tls_session *t);

/* The last read waits until the socket takes bytes; and that it does. */
bool tls_session_blocked(const struct tls_session *t);
void tls_session_unblock(struct tls_session *t);

/* Says that no more bytes come (close_notify). FAILED: it can't be said. */
enum tls_step tls_session_goodbye(struct tls_session *t) MUST_USE;

/* Nothing is under way: gives the buffers back until they are needed again. */
void tls_session_rest(struct tls_session *t);
