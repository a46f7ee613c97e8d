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

struct worker_conf {
    struct spool *spool;
    uint32_t number;       /* 0-based */
    int listen_fd;         /* the caller's */
    struct mailbox *mail;  /* the supervisor's: the calls below come from it */
    void (*bound)(void *arg); /* one worker_bind more has taken effect */
    void (*freed)(void *arg, struct binding *b); /* b was freed: no pointer now */
    void *arg;
};
struct worker *worker_new(const struct worker_conf *c);

/* Starts the thread; takes first. False and *e: no thread, first is freed. */
bool worker_start(struct worker *w, struct binding *first,
                  struct err *e) MUST_USE;

struct ingest *worker_ingest(struct worker *w); /* for binding_new */

/* Hands b over: requests after the worker's current turn meet it; then bound is
 * called. Takes b. */
void worker_bind(struct worker *w, struct binding *b);

/* Stops accepting, finishes what is under way. */
void worker_drain(struct worker *w);
bool worker_idle(struct worker *w); /* drained, and nothing under way */

/* Ends the thread, closing what is still open; frees w. NULL is fine. */
void worker_free(struct worker *w);
