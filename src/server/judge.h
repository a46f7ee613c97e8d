/*
 * judge - what speaks against a canary when its policy does not say so itself:
 * refusals or errors clearly up, or decisions clearly slower. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One generation during the trial, all workers together. */
struct trial_side {
    uint64_t requests, events, refused, failed;
    double p50_ms, p99_ms; /* that a request keeps its worker */
};

double judge_refusal_rate(const struct trial_side *s); /* of events, 0..1 */
double judge_error_rate(const struct trial_side *s);

/* True: roll back; *why says what was compared with what. Few samples speak for
 * nothing. */
bool judge_against(const struct trial_side *old, const struct trial_side *new_,
                   char *why, size_t why_bytes);
