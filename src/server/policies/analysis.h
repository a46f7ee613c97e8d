/*
 * analysis - what speaks against a canary when its policy does not say so itself:
 * refusals or errors up, or decisions slower, by more than chance does.
 *
 *   judge_begin -> judge_against* (at every look) -> the last one -> judge_enough
 *
 * Each of four questions (refused, failed, slow, very slow) is put to an exact
 * permutation test over independent units (permutation.h), whenever the canary has
 * half as many requests again as at the test before. That is some 25 times for a
 * million requests, so that two equal policies are told apart in less than 1 % of
 * all trials (tests/unit/server/policies/test_judge_odds.c). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JUDGE_SIDE_UNITS = 1024 };

/* What stays on one side as a whole, e.g. the requests of one connection. */
struct judge_unit {
    uint64_t requests, events, refused, failed;
    uint64_t timed, slow, very_slow; /* requests; see judge_slow */
};

/* One generation during the trial, all workers together. */
struct trial_side {
    uint64_t requests, events, refused, failed;
    double p50_ms, p99_ms; /* that a request keeps its worker */
    const struct judge_unit *units;
    uint32_t n_units;      /* <= JUDGE_SIDE_UNITS; those without requests too */
};

struct judge {
    uint64_t next; /* requests of the canary that the next test waits for */
};

double judge_refusal_rate(const struct trial_side *s); /* of events, 0..1 */
double judge_error_rate(const struct trial_side *s);

void judge_begin(struct judge *j);

/* Times (ms) above which a request is slow, and very slow, beside the live side's;
 * false: too few of its requests to say. */
bool judge_slow(const struct trial_side *old, double *slow_ms,
                double *very_slow_ms);

/* True: roll back; *why says what was compared with what. last: the trial ends, so
 * the test is not waited for. */
bool judge_against(struct judge *j, const struct trial_side *old,
                   const struct trial_side *new_, bool last, char *why,
                   size_t why_bytes);

/* False: too little was seen to let the canary go live; *why says of what. unit:
 * "connection", "request", ... */
bool judge_enough(const struct trial_side *old, const struct trial_side *new_,
                  uint64_t min_requests, const char *unit, char *why,
                  size_t why_bytes);
