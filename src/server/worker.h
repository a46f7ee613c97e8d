/*
 * worker - one thread with its own loop that serves one listening socket.
 *
 *   worker_new -> worker_start -> worker_bind* -> worker_drain -> worker_free
 *
 * All calls come from the supervisor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "ingest/ingest.h"

struct err;
struct mailbox;
struct worker;

/* listen_fd is the caller's. Bindings that are done with are freed by tasks in
 * mail, the supervisor's. */
struct worker *worker_new(struct spool *spool, uint32_t number, int listen_fd,
                          struct mailbox *mail);

/* Starts the thread; takes first. False and *e: no thread, first is freed. */
bool worker_start(struct worker *w, struct binding *first,
                  struct err *e) MUST_USE;

struct ingest *worker_ingest(struct worker *w); /* for binding_new */

/* Hands b over: requests after the worker's current turn meet it. Takes b. */
void worker_bind(struct worker *w, struct binding *b);

/* Waits until the last worker_bind has taken effect, at most ms. */
bool worker_bound(struct worker *w, int64_t ms);

/* Stops accepting, finishes what is under way. */
void worker_drain(struct worker *w);
bool worker_idle(struct worker *w); /* drained, and nothing under way */

/* Ends the thread, closing what is still open; frees w. NULL is fine. */
void worker_free(struct worker *w);
