/*
 * permutation - could chance alone have dealt the canary this hand? An exact,
 * one-sided permutation test over independent units (R. A. Fisher, The Design of
 * Experiments, 1935, section 21). With units of one event each it is Fisher's
 * exact test. Pure: the same units give the same answer.
 *
 * A unit is the thing that stays on one side as a whole: a connection, a peer, a
 * header's value or a request. The events of one unit may depend on each other in any
 * way; only units are shuffled. So one tenant whose events are all bad weighs as one
 * unit, however many events it sends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The chance, in one test, of calling two equal policies different. */
#define PERMUTATION_ALPHA 2e-4

enum { PERMUTATION_UNITS_MAX = 2048 };

struct permutation_unit {
    double events; /* > 0 */
    double hits;   /* of them: refused, failed, slow */
};

/* True: the first n_new of the n units have more hits than n_new units picked at
 * random would have, with a chance of at most PERMUTATION_ALPHA. Takes up to
 * 50 ms, and that only where it comes to true; n <= PERMUTATION_UNITS_MAX. */
bool permutation_worse(const struct permutation_unit *units, uint32_t n,
                       uint32_t n_new);

/* True: with n units, n_new of them new, the test can come to true at all. One
 * unit of ten can't: chance picks the worst of ten in one case of ten. */
bool permutation_can_tell(uint32_t n, uint32_t n_new);
