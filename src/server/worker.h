/*
 * worker - one thread with its own loop that accepts from each listener.
 *
 *   worker_new -> worker_start -> (worker_bind | worker_try -> worker_end_rollout)* ->
 *   (worker_drain | worker_last_call -> worker_hand_over) -> worker_free
 *
 * All calls come from the supervisor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "ingest/ingest.h"

struct err;
struct http_handed;
struct mailbox;
struct ring;
struct samples;
struct shadow_sample;
struct tls_door;
struct worker;

/* Something that all workers are asked to do, between two requests. When the last
 * has done it, done is called on the supervisor's thread. */
struct worker_step {
    uint32_t n_left; /* workers; counts down */
    void (*done)(void *arg);
    void *arg;
};

struct worker_conf {
    struct spool *spool;
    uint32_t number;       /* 0-based */
    const int *listen_fds; /* the caller's; read by worker_new. -1: not opened */
    struct tls_door *const *doors; /* of their certificates; the same */
    uint32_t n_listeners;
    struct ring *lines;         /* of the access log; outlives the worker */
    struct print_rings *prints; /* of all workers; the same */
    const atomic_bool *leaving;
    struct mailbox *mail; /* the supervisor's: the calls below come from it */
    void (*freed)(void *arg, struct binding *b); /* b was freed: no pointer now */
    void (*differs)(void *arg, struct shadow_sample *x); /* takes x */
    void *arg;
    struct samples *samples; /* of refusals, for all workers */
};
struct worker *worker_new(const struct worker_conf *c);

/* Starts the thread; takes first. False and *e: no thread, first is freed. */
bool worker_start(struct worker *w, struct binding *first, struct err *e) MUST_USE;

struct ingest *worker_ingest(struct worker *w); /* for binding_new */

/* Hands b over: requests after the worker's current turn meet it. Takes b. step
 * lives until it is done. */
void worker_bind(struct worker *w, struct binding *b, struct worker_step *step);

/* b is in rollout beside the one bound; and the end of it. */
void worker_try(struct worker *w, struct binding *b, struct worker_step *step);
void worker_end_rollout(struct worker *w, bool promote, struct worker_step *step);

/* Runs fn(arg) on its thread, in a later turn of its loop. */
void worker_post(struct worker *w, void (*fn)(void *arg), void *arg);

/* For the watchdog: a signal to its thread, and the CPU time of that thread. */
void worker_signal(struct worker *w, int signal_number);
uint64_t worker_ran_ns(struct worker *w);

/* Stops accepting, finishes requests under way. */
void worker_drain(struct worker *w);
/* Before worker_hand_over: connections that can't be handed over end with their next answer,
 * and those that were there then have ended. Others are accepted. */
void worker_last_call(struct worker *w);
void worker_no_call(struct worker *w); /* the hand-over does not come: it serves on */
bool worker_called(struct worker *w);
/* The same, but each connection goes to handed, on the supervisor's thread, once no request
 * of it waits for its answer. */
typedef void worker_handed_fn(void *arg, const struct http_handed *h);
void worker_hand_over(struct worker *w, worker_handed_fn *handed, void *arg);
bool worker_idle(struct worker *w); /* after one of these: nothing is under way */

/* Serves a connection that another process has handed over; takes h->fd. */
void worker_adopt(struct worker *w, const struct http_handed *h);

/* Ends the thread, closing open connections; frees w. NULL is fine. False: it has not
 * ended by then (clock_mono_ns), and w lives. */
bool worker_free(struct worker *w, uint64_t until_ns) MUST_USE;
