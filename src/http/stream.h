/*
 * stream - an answer that goes on until one side ends it: for an operator who looks on, not
 * for clients. The connection closes after it.
 *
 *   on_body: stream_begin -> stream_put* -> stream_end
 *
 * The loop's thread. That a client has gone is seen at once if it had asked for a connection
 * that is kept, otherwise when bytes do not reach it. A client that does not read is given STREAM_UNSENT bytes and, as with
 * any answer, the limits' body_timeout; then it is gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct http_request;

enum { STREAM_UNSENT = 512 << 10 };

/* In on_body, instead of http_answer: 200. False: other answers of the connection wait
 * before it, and r owes its answer still. */
bool stream_begin(struct http_request *r, const char *headers) MUST_USE;

/* The client is there: it has not closed its side. */
bool stream_open(const struct http_request *r);

/* Whether n bytes more have room. */
bool stream_takes(const struct http_request *r, size_t n);

/* False: the client is gone, or reads too slowly for n bytes more now; none is sent. */
bool stream_put(struct http_request *r, struct str bytes) MUST_USE;

/* r is the http server's again. Also once the client is gone. */
void stream_end(struct http_request *r);
