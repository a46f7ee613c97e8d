/*
 * rollout - a generation beside the live one: a canary with a share of the requests,
 * or a shadow with copies of them.
 *
 *   trial_begin ─► looks at both sides ─┬─► during has passed ─► promote
 *     (reload.c)                        │     └─ too little seen ─► three times
 *                                       │        during, then drop
 *                                       ├─► roll_back_if ──────► drop
 *                                       └─► by hand, or by the next reload
 *
 * The end is asked for as any reload is (reload.h), so that it has its turn; then
 * trial_end. What was found stays for /status until the next trial. The
 * supervisor's thread only.
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

enum { TRIAL_SAMPLES_MAX = 1000 };

/* A canary without enough traffic goes on for up to so many times its `during`. */
enum { TRIAL_EXTENDS = 3 };

struct trial_code {
    char code[64];
    uint64_t n;
};

struct trial {
    struct server *s;
    struct generation *g;      /* on trial; NULL: none is now */
    struct policy_state *judge; /* of its roll_back_if; NULL: the built-in rule */
    ev_timer look;
    bool asked;                /* for its end */
    char reason[256];          /* then: why */
    struct judge rule;         /* the built-in one's */
    struct judge_unit *units[2]; /* JUDGE_SIDE_UNITS each: old, new; NULL: shadow */
    uint64_t last_ns;          /* it is not extended beyond */
    bool extended;
    /* The last or current one. */
    enum trial_kind kind;      /* TRIAL_NONE: there was none */
    uint64_t number;           /* of its generation */
    uint64_t live;             /* the generation beside it */
    double share;
    int64_t began_ms, during_ms;
    uint64_t until_ns;
    char result[16];           /* "running", "promoted", "rolled_back", "done" */
    char why[256];
    struct trial_side old, new_;
    uint64_t differ[N_CONTRASTS];
    struct trial_code codes[SHADOW_CODES];
    uint32_t n_codes;
    struct shadow_sample **samples;
    uint32_t n_samples, max_samples;
    /* Metrics. */
    stats_cell *running, *promoted, *rolled_back, *done;
    stats_cell *differs[N_CONTRASTS];
};

void trial_init(struct trial *t, struct server *s);
void trial_fini(struct trial *t);

/* g is with every worker. Takes judge. */
void trial_begin(struct trial *t, struct generation *g,
                 struct policy_state *judge);
/* It is with none any more, or the live one. */
void trial_end(struct trial *t, const char *result, const char *why);

/* Reads both sides' counters, while it runs. */
void trial_look(struct trial *t);
void trial_sample(struct trial *t, struct shadow_sample *x); /* takes x */
