/*
 * analysis - the built-in rule against a canary without a rule of its own: refusals or
 * errors up, or decisions slower, by more than chance explains.
 *
 *   analysis_begin -> analysis_against* (at every look) -> the last one -> analysis_enough
 *
 * Each of four questions (refused, failed, slow, very slow) is put to an exact
 * permutation test over independent units (permutation.h), whenever the canary has
 * half as many requests again as at the test before. That is some 25 times for a
 * million requests, so that two equal policies are told apart in less than 1 % of
 * all rollouts (tests/unit/server/policies/test_analysis_odds.c). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANALYSIS_SIDE_UNITS = 1024 };

/* Requests that stay on one side as a whole, e.g. those of one connection. */
struct analysis_unit {
    uint64_t requests, events, refused, failed;
    uint64_t timed, slow, very_slow; /* requests; see analysis_slow */
};

/* One generation during the rollout, all workers together. */
struct rollout_side {
    uint64_t requests, events, refused, failed;
    double p50_ms, p99_ms; /* that a request keeps its worker */
    const struct analysis_unit *units;
    uint32_t n_units; /* <= ANALYSIS_SIDE_UNITS; those without requests too */
};

struct analysis {
    uint64_t next; /* requests of the canary that the next test waits for */
};

double analysis_refusal_rate(const struct rollout_side *s); /* of events, 0..1 */
double analysis_error_rate(const struct rollout_side *s);

void analysis_begin(struct analysis *j);

/* Times (ms) above which a request is slow, and very slow, beside the live side's;
 * false: too few of its requests to say. */
bool analysis_slow(const struct rollout_side *old, double *slow_ms,
                   double *very_slow_ms);

/* True: roll back; *why has the two numbers that were compared. last: the rollout ends,
 * so the test is not waited for. */
bool analysis_against(struct analysis *j, const struct rollout_side *old,
                      const struct rollout_side *new_, bool last, char *why,
                      size_t why_bytes);

/* False: too little was seen to let the canary go live; *why names the number that is
 * too low. unit: "connection", "request", ... */
bool analysis_enough(const struct rollout_side *old, const struct rollout_side *new_,
                     uint64_t min_requests, const char *unit, char *why,
                     size_t why_bytes);
