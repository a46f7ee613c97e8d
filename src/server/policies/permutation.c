#include "server/policies/permutation.h"

#include <assert.h>
#include <math.h>

enum {
    SHUFFLES = 30000,
    /* Shuffles as bad as the real hand, with which the chance is above
     * PERMUTATION_ALPHA: (TOO_MANY + 1) / (SHUFFLES + 1). */
    TOO_MANY = 6
};

/* Standard errors below which a chance of PERMUTATION_ALPHA is out of reach for
 * the shuffles: spares them while nothing is up. */
static const double SCREEN = 2.5;
/* The shuffles are a sample: a value at the very edge is reached by chance only. */
static const double MARGIN = 4;
static const uint64_t SEED = 0x9E3779B97F4A7C15u;

/* xorshift64* (S. Vigna, 2016): 0 .. n - 1. */
static uint32_t pick(uint64_t *state, uint32_t n)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1Du >> 32) * n >> 32);
}

/* The hits of each unit beyond those expected by the common rate. They add up to zero;
 * the new side's share of them is compared. */
static double excess(const struct permutation_unit *units, uint32_t n, uint32_t n_new,
                     double *x)
{
    double events = 0, hits = 0, new_ = 0;

    for (uint32_t i = 0; i < n; i++) {
        events += units[i].events;
        hits += units[i].hits;
    }
    for (uint32_t i = 0; i < n; i++) {
        x[i] = units[i].hits - units[i].events * hits / events;
        if (i < n_new) {
            new_ += x[i];
        }
    }
    return new_;
}

static bool screened(const double *x, uint32_t n, uint32_t n_new, double new_)
{
    double squares = 0, variance;

    for (uint32_t i = 0; i < n; i++) {
        squares += x[i] * x[i];
    }
    variance = (double)n_new * (n - n_new) / ((double)n * (n - 1)) * squares;
    return new_ <= 0 || new_ < SCREEN * sqrt(variance);
}

bool permutation_worse(const struct permutation_unit *units, uint32_t n, uint32_t n_new)
{
    double x[PERMUTATION_UNITS_MAX], new_, sign = 1;
    uint32_t n_drawn = n_new, as_bad = 0;
    uint64_t state = SEED;

    assert(n <= PERMUTATION_UNITS_MAX && n_new <= n);
    if (!permutation_can_tell(n, n_new)) {
        return false;
    }
    new_ = excess(units, n, n_new, x);
    if (screened(x, n, n_new, new_)) {
        return false;
    }
    /* Drawing the smaller side says the same of the other: the sum is zero. */
    if (n_new > n / 2) {
        n_drawn = n - n_new;
        sign = -1;
    }
    new_ -= 1e-9 * (1 + fabs(new_)); /* ties, whatever the order of adding */
    for (uint32_t s = 0; s < SHUFFLES; s++) {
        double sum = 0;

        for (uint32_t i = 0; i < n_drawn; i++) {
            uint32_t k = i + pick(&state, n - i);
            double y = x[k];

            x[k] = x[i];
            x[i] = y;
            sum += y;
        }
        as_bad += sign * sum >= new_;
        if (as_bad >= TOO_MANY) {
            return false;
        }
    }
    return true;
}

bool permutation_can_tell(uint32_t n, uint32_t n_new)
{
    uint32_t smaller = n_new <= n / 2 ? n_new : n - n_new;
    double ways = 1; /* to pick so many of n */

    for (uint32_t i = 0; i < smaller && ways * PERMUTATION_ALPHA < MARGIN; i++) {
        ways *= (double)(n - i) / (i + 1);
    }
    return ways * PERMUTATION_ALPHA >= MARGIN;
}
