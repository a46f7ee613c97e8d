#include "server/judge.h"

#include <math.h>
#include <stdio.h>

enum {
    EVENTS_MIN = 100,   /* of either side, before its rates say anything */
    REQUESTS_MIN = 200  /* before its times do */
};

/* A rate is up when it is so by 2 points, and by three standard errors: chance alone
 * would do that to one comparison in 700. */
static const double POINTS = 0.02, ERRORS = 3;
/* A scheduler's pause is no policy's fault. */
static const double P50_MORE_MS = 0.02, P99_MORE_MS = 0.5, TIMES = 2;

static double rate(uint64_t n, uint64_t of)
{
    return of == 0 ? 0 : (double)n / (double)of;
}

double judge_refusal_rate(const struct trial_side *s)
{
    return rate(s->refused, s->events);
}

double judge_error_rate(const struct trial_side *s)
{
    return rate(s->failed, s->events);
}

static double variance(double p, uint64_t n)
{
    return p * (1 - p) / (double)n;
}

static bool up(double was, uint64_t n_was, double is, uint64_t n_is)
{
    double chance;

    if (n_was < EVENTS_MIN || n_is < EVENTS_MIN) {
        return false;
    }
    was = fmin(was, 1);
    is = fmin(is, 1);
    chance = sqrt(variance(was, n_was) + variance(is, n_is));
    return is - was > POINTS && is - was > ERRORS * chance;
}

bool judge_against(const struct trial_side *old, const struct trial_side *new_,
                   char *why, size_t why_bytes)
{
    double was = judge_refusal_rate(old), is = judge_refusal_rate(new_);

    if (up(was, old->events, is, new_->events)) {
        (void)snprintf(why, why_bytes,
                       "it refuses %.1f %% of %lu events, the live one %.1f %%",
                       100 * is, (unsigned long)new_->events, 100 * was);
        return true;
    }
    was = judge_error_rate(old);
    is = judge_error_rate(new_);
    if (up(was, old->events, is, new_->events)) {
        (void)snprintf(why, why_bytes,
                       "its hooks fail on %.1f %% of %lu events, the live one's "
                       "on %.1f %%",
                       100 * is, (unsigned long)new_->events, 100 * was);
        return true;
    }
    if (old->requests < REQUESTS_MIN || new_->requests < REQUESTS_MIN) {
        return false;
    }
    if (new_->p50_ms > TIMES * old->p50_ms &&
        new_->p50_ms - old->p50_ms > P50_MORE_MS) {
        (void)snprintf(why, why_bytes,
                       "it takes %.3f ms a request (median), the live one %.3f",
                       new_->p50_ms, old->p50_ms);
        return true;
    }
    if (new_->p99_ms > TIMES * old->p99_ms &&
        new_->p99_ms - old->p99_ms > P99_MORE_MS) {
        (void)snprintf(why, why_bytes,
                       "it takes %.3f ms a request (p99), the live one %.3f",
                       new_->p99_ms, old->p99_ms);
        return true;
    }
    return false;
}
