/*
 * rollout - a generation beside the live one: a canary with a share of the requests,
 * or a shadow with copies of them.
 *
 *   rollout_begin ─► looks at both sides ─┬─► during has passed ─► promote
 *     (reload.c)                          │     └─ too little seen ─► three times
 *                                         │        during, then drop
 *                                         ├─► roll_back_if ──────► drop
 *                                         └─► by hand, or by the next reload
 *
 * The end is asked for as any reload is (reload.h), so that it has its turn; then
 * rollout_end. The results stay for /status until the next rollout. The supervisor's
 * thread only.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "ingest/shadow.h"
#include "plan/plan.h"
#include "server/policies/analysis.h"
#include "stats/stats.h"

struct generation;
struct policy_state;
struct server;

enum { ROLLOUT_SAMPLES_MAX = 1000 };

/* A canary without enough traffic goes on for up to so many times its `during`. */
enum { ROLLOUT_EXTENDS = 3 };

struct rollout_code {
    char code[64];
    uint64_t n;
};

struct rollout {
    struct server *s;
    struct generation *g;            /* in rollout; NULL: none is now */
    struct policy_state *rule_state; /* of its roll_back_if; NULL: the built-in rule */
    bool own_rule;                   /* it has one, or had */
    ev_timer look;
    bool asked;           /* for its end */
    char reason[256];     /* then: why */
    struct analysis rule; /* the built-in one's */
    struct analysis_unit
        *units[2];    /* ANALYSIS_SIDE_UNITS each: old, new; NULL: shadow */
    uint64_t last_ns; /* it is not extended beyond */
    bool extended;
    /* The last or current one. */
    enum rollout_kind kind; /* ROLLOUT_NONE: there was none */
    uint64_t number;        /* of its generation */
    uint64_t live;          /* the generation beside it */
    double share;
    int64_t began_ms, during_ms;
    uint64_t until_ns;
    char result[16]; /* "running", "promoted", "rolled_back", "done" */
    char why[256];
    struct rollout_side old, new_;
    uint64_t differ[N_CONTRASTS];
    struct rollout_code codes[SHADOW_CODES];
    uint32_t n_codes;
    struct shadow_sample **samples;
    uint32_t n_samples, max_samples;
    /* Metrics. */
    stats_cell *running, *promoted, *rolled_back, *done;
    stats_cell *differs[N_CONTRASTS];
};

void rollout_init(struct rollout *t, struct server *s);
void rollout_fini(struct rollout *t);

/* g is with every worker. Takes rule_state. */
void rollout_begin(struct rollout *t, struct generation *g,
                   struct policy_state *rule_state);
/* It is with none any more, or the live one. */
void rollout_end(struct rollout *t, const char *result, const char *why);

/* Reads both sides' counters, while it runs. */
void rollout_look(struct rollout *t);
void rollout_sample(struct rollout *t, struct shadow_sample *x); /* takes x */
