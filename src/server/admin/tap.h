/*
 * tap - GET /tap: events as they pass, as a stream of JSON lines.
 *
 *   taps_new -> taps_get* -> taps_stop (workers still run) -> taps_free (they do not)
 *
 * The supervisor's thread. A reader that does not read loses lines, which the stream tells
 * ({"dropped":N}), and after the listener's timeout its connection.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct http_request;
struct http_view;
struct server;
struct taps;

struct taps *taps_new(struct server *s);

/* Owes r's answer: a stream, or why there is none. */
void taps_get(struct taps *t, struct http_request *r, const struct http_view *v);

void taps_stop(struct taps *t); /* ends the streams; NULL is fine */
void taps_free(struct taps *t); /* NULL is fine */
