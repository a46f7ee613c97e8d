/*
 * ingest - one worker's way of a request: decode, policy, spool, answer.
 *
 *   ingest_new -> ingest_bind -> (http callbacks) -> ingest_drain -> ingest_free
 *
 * Everything on the worker's loop thread, unless said otherwise.
 */
#pragma once

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "http/http.h"
#include "plan/plan.h"
#include "spool/spool.h"

struct binding;
struct http_handed;
struct ingest;
struct policy;
struct policy_state;
struct print_rings;
struct ring;
struct samples;
struct shadow_sample;
struct tls_door;

struct ingest_conf {
    struct ev_loop *loop;
    struct spool *spool;
    uint32_t worker;               /* 0-based */
    const int *listen_fds;         /* the caller's; copied. -1: not opened */
    struct tls_door *const *doors; /* of their certificates; copied. NULL: none */
    uint32_t n_listeners;          /* as the plan has */
    struct ring *lines;            /* of the access log; NULL: it has none */
    struct print_rings *prints;    /* of all workers; NULL: no indexer takes any */
    const atomic_bool *leaving;    /* the process stops; NULL: it never does */
    /* Takes bindings that no request needs any more: closing a Lua state takes
     * milliseconds, which are not the worker's. Must not block. */
    void (*retire)(void *arg, struct binding *b);
    /* Takes a sample of a shadow's other decisions. Must not block. */
    void (*differs)(void *arg, struct shadow_sample *x);
    void *arg;
    struct samples *samples; /* of refusals, for all workers; NULL: none are kept */
};

/* Set up by the supervisor before the worker's thread starts; serves nothing
 * until the first ingest_bind. */
struct ingest *ingest_new(const struct ingest_conf *c);

/* Stops accepting; requests under way are finished. ingest_idle says when. */
void ingest_drain(struct ingest *in);
void ingest_rest(struct ingest *in, bool on); /* as http_server_rest */
bool ingest_idle(const struct ingest *in);

/* The same, but connections are not closed: each goes to hand, and ingest_adopt of another
 * process takes it; before that those that can't go end while others are accepted still.
 * See http/handover.h. */
void ingest_last_call(struct ingest *in);
void ingest_no_call(struct ingest *in); /* the hand-over does not come */
bool ingest_called(const struct ingest *in);
void ingest_hand_over(struct ingest *in,
                      void (*hand)(void *arg, const struct http_handed *h), void *arg);
/* To be called now and then: what holds the others up for too long ends. */
void ingest_hurry(struct ingest *in);
void ingest_adopt(struct ingest *in, const struct http_handed *h);

/* Commits pending events and answers their requests, then closes every connection. */
void ingest_free(struct ingest *in);

/* ---- binding.c ---- */

/* A policy made ready for one worker: its Lua state, and the spool writers of its
 * streams (stream_ids[i] is plan->streams[i]; dead_stream: of the dead letters,
 * -1: none). stream_ids NULL: it is a shadow, and stores nothing. Made by the supervisor, off the hot path; waits for the first segment of
 * a new stream. Takes state, which is p's. */
struct binding *binding_new(struct ingest *in, struct policy *p,
                            struct policy_state *state, const int *stream_ids,
                            int dead_stream) MUST_USE;
void binding_free(struct binding *b); /* one that was never bound; NULL is fine */

/* ---- health.c ---- */

/* Why no events should be sent now, for a load balancer; NULL: all is well. leaving: the
 * process stops. Any thread. */
const char *ingest_why_unready(struct spool *spool, bool leaving);

/* ---- activate.c ---- */

/* As the http server wants it; views of l. */
struct http_listener ingest_listener(const struct listener_plan *l);

/* Requests from now on meet b; those under way keep the one they met first. Takes b.
 * Commits pending events before. */
void ingest_bind(struct ingest *in, struct binding *b);

/* b is in rollout, as its plan says: a canary for a share of the requests, or a
 * shadow. Takes b. No other is. */
void ingest_try(struct ingest *in, struct binding *b);

/* The rollout ends: its binding becomes the one of all requests, or goes. */
void ingest_end_rollout(struct ingest *in, bool promote);
