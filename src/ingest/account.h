/*
 * account - the fates of the events of one route at one worker: counters that add up.
 *
 *   received = stored + rejected + dropped + duplicate + dead + refused (+ waiting)
 *
 * A request that is refused before its events are counted is one event, received and
 * refused. Rejected events count when they are decided, the others with the answer.
 * Of the worker's thread; counted: goes, and with it the series of the route, when no binding
 * has the route any more and no request of it waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ingest/traffic.h"
#include "plan/auth.h"
#include "stats/stats.h"

enum {
    ACCOUNTS_MAX = 1024, /* routes of all bindings; further ones are "other" */
    /* Pairs of code and status of a route; further ones are "other": */
    ACCOUNT_CODES_MAX = 40,   /* with codes that hooks make of values */
    ACCOUNT_WORDS_MAX = 200,  /* with codes that the policy says */
    ACCOUNT_SLUICE_MAX = 200, /* with sluice's own */
    ACCOUNT_CODE_BYTES = 64
};

/* The events of one request that is answered, without those that have a code. */
struct ends {
    uint32_t stored;    /* in one stream or more */
    uint32_t dropped;   /* by a hook */
    uint32_t duplicate; /* taken out by dedup */
    uint32_t dead;      /* kept as dead letters */
    uint32_t refused;   /* because other events of their request were rejected */
};

struct account;
struct policy;

struct accounts {
    struct account *first;
    uint32_t n;
    stats_cell *waiting; /* a gauge */
    uint64_t n_waiting;
};

void accounts_init(struct accounts *a);
void accounts_fini(struct accounts *a); /* with all accounts, whoever holds them */

/* The account of that name, "POST /v1/events" or "none", held for the caller; made on first
 * use, which takes a lock. */
struct account *account_of(struct accounts *all, const char *route);
void account_hold(struct account *a);
void account_drop(struct accounts *all,
                  struct account *a); /* the last one: a is gone */

const char *account_name(const struct account *a); /* its route */
struct traffic *account_traffic(struct account *a);

/* n events of a body. */
void account_received(struct account *a, uint32_t n);

/* n texts of events were cut. */
void account_cut(struct account *a, uint32_t n);

/* They wait for a commit, a sync or sinks; no longer. */
void account_wait(struct accounts *all, uint32_t n);
void account_done(struct accounts *all, uint32_t n);

/* Their fates, at the moment of the answer. */
void account_ends(struct account *a, const struct ends *e);

/* A code that a hook gave: code itself, or "other" with *status 0 when the route has no room
 * for one more. A word that the policy says has room of its own, so that codes made of what
 * clients send take nothing from it. Its result is for account_rejected or account_refused. */
const char *account_hook_code(struct account *a, const char *code, int *status,
                              const struct policy *policy) MUST_USE;
/* An event is rejected with that code; status: of its request's answer. */
void account_rejected(struct account *a, const char *code, int status);
/* A request is refused, and n events with it: 0 when they count elsewhere. */
void account_refused(struct account *a, const char *code, int status, uint32_t n);

/* Hooks raised n errors. There from account_hooks on, with 0. */
enum hook { HOOK_EVENT, HOOK_REQUEST, HOOKS };
void account_hooks(struct account *a, bool on_event, bool on_request);
void account_raised(struct account *a, enum hook hook, uint32_t n);
/* Whether such an error is due as a sample, in the same way. */
bool account_raised_due(struct account *a, double now_ms, double pause_ms);
/* Whether the last code counted of a is due as a sample: the first time, and pause_ms
 * after it was due last. */
bool account_sample_due(struct account *a, double now_ms, double pause_ms);

/* A request is refused because of its key. */
void account_auth(struct account *a, enum auth_reason why);
