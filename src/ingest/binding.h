/*
 * binding - a policy made ready for one worker: its Lua state, and the spool
 * writers of its streams.
 *
 *   binding_new (supervisor) -> ingest_bind -> binding_hold/binding_drop
 *                                  -> conf.retire -> binding_free (supervisor)
 *
 * Counted by one thread, the worker's after ingest_bind; the supervisor may read
 * how many requests hold it until it frees it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ingest/ingest.h"
#include "ingest/tally.h"

struct account;
struct id_field;
struct shadow;

struct binding {
    struct ingest *in;     /* whose it is */
    struct binding *next;  /* of those that are gone */
    struct policy *policy; /* a reference */
    struct policy_state *state;
    const struct plan *plan;          /* policy's */
    int stream_ids[PLAN_STREAMS_MAX]; /* of plan->streams, dead letters last */
    struct spool_writer *spool_writers[PLAN_STREAMS_MAX]; /* of stream_ids */
    uint32_t n_writers;
    struct id_field *id_fields; /* of plan->streams; NULL: no stream has an index */
    int dead;                   /* place of the dead letters' stream, or -1 */
    atomic_uint refs;           /* one of ingest, one a request */
    atomic_bool bound;          /* ingest has its one */
    uint64_t policy8;           /* first 8 bytes of the policy's hash */
    struct account **accounts;  /* of plan->routes; made when it is bound */
    struct tally tally;         /* counts during a rollout */
    struct shadow *shadow;      /* it decides on copies only; NULL: for real */
};

void binding_hold(struct binding *b);
void binding_drop(struct binding *b); /* retires at zero, with the turn */
/* Hands back the bindings that were dropped: the events of their requests are
 * committed. */
void bindings_retire(struct ingest *in);
void binding_unbind(struct binding *b);             /* ingest lets go of it */
uint32_t binding_requests(const struct binding *b); /* that hold it */
