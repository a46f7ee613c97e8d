/*
 * predecessor - the process whose place this one takes: at its start, before it opens
 * the spool, until the other has given it everything.
 *
 *   predecessor_await -> (the start) -> predecessor_serving
 *
 * The main thread.
 */
#pragma once

#include "base/attr.h"
#include "server/upgrade/place.h"

struct err;
struct server;
struct tls_tickets;

/* Says that this process is ready, and waits until the spool is free: p has the
 * sockets then, and t the keys of tickets. A predecessor that ends before it says so leaves the spool by that.
 * False and *e: it does not leave. */
bool predecessor_await(struct place *p, struct tls_tickets *t, struct err *e) MUST_USE;

/* Says that this process serves, and serves the connections that come. */
void predecessor_serving(struct server *s, struct place *p);

/* Serves those that p has already: of the process itself, whose place nobody took, and
 * those that waited. */
void predecessor_connections(struct server *s, struct place *p);

/* Says why it can't; nothing when p has no predecessor. */
void predecessor_failed(struct place *p, const char *why);
